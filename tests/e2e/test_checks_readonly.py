"""With `--read-only` every command leaves the servers as they were, judged at the servers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.bed.aws import ALIAS, FUNCTION, REGION
from tests.e2e.cli import Deck
from tests.e2e.servers import look

pytestmark = [pytest.mark.bed, pytest.mark.timeout(400)]

HTTP_ROUTE = "us/HTTPRoute/inference/llama#rule=chat"
BACKEND = "lb/HAProxyBackend/*/llama"
UPSTREAM = "web/NginxUpstream/*/llama"
ALIAS_REF = f"fn/LambdaAlias/{REGION}/{FUNCTION}:{ALIAS}"

READS = [
    *(["get", what] for what in ("environments", "routes", "limits", "services")),
    *(["get", "route", ref] for ref in (HTTP_ROUTE, BACKEND, UPSTREAM, ALIAS_REF)),
    ["get", "limit", "us/Middleware/inference/per-client"],
    ["history"],
    ["journal", "verify"],
    ["doctor"],
    ["schema", "route"],
    ["oncall"],
]


def writes(deck: Deck) -> list[list[str]]:
    upstream = deck.bed.route(UPSTREAM).targets
    return [
        ["set", "shares", HTTP_ROUTE, "llama-v1=70%", "llama-v2=30%"],
        ["set", "shares", BACKEND, "gpu-a=70%", "gpu-b=30%"],
        ["set", "shares", UPSTREAM, f"{upstream[0]}=70%", f"{upstream[1]}=30%"],
        ["set", "shares", ALIAS_REF, "2=70%", "3=30%"],
        ["set", "state", BACKEND, "gpu-b=draining"],
        ["set", "limit", "us/Middleware/inference/per-client", "rate=50/s"],
        ["set", "limit", "web/NginxLimitReq/*/per_client", "rate=50/s"],
        ["set", "limit", "lb/HAProxyRequestLimit/*/limited%2Fcallers", "amount=50"],
        ["set", "limit", f"fn/LambdaConcurrency/{REGION}/{FUNCTION}", "inflight=60"],
    ]


def test_reading_commands_write_nothing(deck: Deck) -> None:
    before = look(deck.bed)
    for words in READS:
        done = deck.run("--read-only", *words, "-o", "json")
        assert done.code == 0, (words, done)
    time.sleep(0.5)
    assert look(deck.bed) == before


def test_plans_without_apply_write_nothing(deck: Deck) -> None:
    before = look(deck.bed)
    for words in writes(deck):
        done = deck.run("--read-only", *words, "-o", "json")
        assert done.code == 2, (words, done)
    time.sleep(0.5)
    assert look(deck.bed) == before


def test_writing_commands_are_refused_and_write_nothing(deck: Deck, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    saved = deck.run("set", "shares", HTTP_ROUTE, "llama-v1=70%", "llama-v2=30%", "--out", str(plan))
    assert saved.code == 2, saved
    before = look(deck.bed)
    for words in writes(deck):
        done = deck.run("--read-only", *words, "--apply", "--reason", "check", "-o", "json")
        assert done.code == 3, (words, done)
    for words in (["apply", str(plan)], ["undo", "--apply"]):
        done = deck.run("--read-only", *words, "--reason", "check", "-o", "json")
        assert done.code in (1, 3), (words, done)
    time.sleep(0.5)
    assert look(deck.bed) == before
