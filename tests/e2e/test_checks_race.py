"""Twenty plans from one base, applied at once: one wins, nineteen are told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cli import Deck

pytestmark = [pytest.mark.bed, pytest.mark.timeout(400)]

PROCESSES = 20


@pytest.mark.parametrize(
    ("ref", "first", "second"),
    [
        ("us/HTTPRoute/inference/llama#rule=chat", "llama-v1", "llama-v2"),
        ("web/NginxUpstream/web-1/llama", None, None),
    ],
)
def test_one_of_twenty_wins(deck: Deck, tmp_path: Path, ref: str, first: str | None, second: str | None) -> None:
    if first is None:
        first, second = deck.bed.route("web/NginxUpstream/*/llama").targets
    values = [70 + number for number in range(PROCESSES)]
    for value in values:
        saved = deck.run("set", "shares", ref, f"{first}={value}", f"{second}=20", "--out", str(tmp_path / f"{value}"))
        assert saved.code == 2, saved
    running = {
        value: deck.start("apply", str(tmp_path / f"{value}"), "--reason", "race", "-o", "json") for value in values
    }
    ended = {value: (process.communicate(timeout=180), process.returncode) for value, process in running.items()}
    codes = sorted(code for _, code in ended.values())
    assert codes == [0] + [3] * (PROCESSES - 1), ended
    winner = next(value for value, (_, code) in ended.items() if code == 0)
    weights = {target["name"]: target["weight"] for target in deck.ask("get", "route", ref)["targets"]}
    assert weights == {first: winner, second: 20}
    assert deck.ask("journal", "verify")["ok"] is True
    deck.apply("undo", environments=[])
