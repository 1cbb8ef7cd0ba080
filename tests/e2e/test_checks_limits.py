"""A limit set on the command line lets through what the plan had said: not less than low, not more than high."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest

from tests.bed.description import Bed, LimitEntry
from tests.e2e.asking import passed
from tests.e2e.cli import Deck, environment_of

pytestmark = [pytest.mark.bed, pytest.mark.clock, pytest.mark.timeout(900)]

SECONDS = 10
EITHER_WAY = Fraction(1, 20)
WORDS = {
    "eu/Middleware/inference/per-client": ["rate=15/s", "burst=30"],
    "us/Middleware/inference/per-client": ["rate=15/s", "burst=30"],
    "web/NginxLimitReq/*/per_client": ["rate=15/s", "burst=30"],
    "lb/HAProxyRequestLimit/*/limited%2Fcallers": ["amount=30"],
}


def promised(plan: dict[str, Any], entry: LimitEntry) -> dict[str, Any]:
    """The effective interval that the plan prints for this binding after the change."""
    found = [item for step in plan["steps"] for item in step["effective"]]
    on = [item for item in found if item["on"] == entry.on] or found
    assert on, plan
    after: dict[str, Any] = on[0]["after"]
    return after


def bounds(effective: dict[str, Any], seconds: int) -> tuple[Fraction, Fraction]:
    """The least and the most that may pass in so many seconds from a full bucket, 5 % either way."""
    share = Fraction(seconds) / Fraction(effective["seconds"])
    low = Fraction(effective["low"]) * share
    high = Fraction(effective["high"]) * share + Fraction(effective["at_once"]["high"])
    return low * (1 - EITHER_WAY), high * (1 + EITHER_WAY)


@pytest.mark.parametrize("ref", WORDS)
def test_what_passes_is_what_the_plan_had_printed(deck: Deck, quiet_bed: Bed, ref: str) -> None:
    entry = quiet_bed.limit(ref)
    shown = deck.run("set", "limit", ref, *WORDS[ref], "-o", "json")
    assert shown.code == 2, shown
    effective = promised(shown.json, entry)
    environments = [environment_of(ref)]
    deck.apply("set", "limit", ref, *WORDS[ref], environments=environments)
    try:
        low, high = bounds(effective, SECONDS)
        assert 0 < low <= passed(entry, SECONDS) <= high, effective
    finally:
        deck.apply("undo", environments=environments)


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("us/Middleware/inference/per-client", ["rate=4/s"]),
        ("lb/HAProxyRequestLimit/*/limited%2Fcallers", ["amount=8"]),
    ],
)
def test_refusals_prove_a_lowered_limit(deck: Deck, quiet_bed: Bed, ref: str, words: list[str]) -> None:
    entry = quiet_bed.limit(ref)
    waiting = ["--wait", "observed", "--timeout", "40s"]
    environments = [environment_of(ref)]
    enough = threading.Event()
    with ThreadPoolExecutor(1) as caller:
        offered = caller.submit(passed, entry, 60, reloads=True, stop=enough)
        try:
            result = deck.apply("set", "limit", ref, *words, *waiting, environments=environments)
            seen = [step["proof"]["observed"] for step in result["steps"]]
            assert [one["state"] for one in seen] == ["yes"] * len(seen), seen
            assert all("refused in" in one["detail"] for one in seen), seen
        finally:
            enough.set()
            offered.result()
            deck.apply("undo", environments=environments)
