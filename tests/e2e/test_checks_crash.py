"""`kill -9` at every gate of a change on two platforms: the next start says what is true, and undo finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cli import Deck
from tests.e2e.gates import Gated
from tests.e2e.servers import look

pytestmark = [pytest.mark.bed, pytest.mark.timeout(900)]

EDITS = """\
- ref: us/HTTPRoute/inference/llama#rule=chat
  shares: {llama-v1: 70%, llama-v2: 30%}
- ref: lb/HAProxyBackend/lb-1/llama
  shares: {gpu-a: 70%, gpu-b: 30%}
"""
MOST_GATES = 20


def specs(deck: Deck) -> object:
    state = look(deck.bed)
    return {name: item["spec"] for name, item in state.objects.items()}, state.files


def start(deck: Deck, edits: Path) -> Gated:
    words = ["plan", str(edits), "--apply", "--reason", "crash", "--progress", "gate", "-o", "json"]
    return Gated(deck.start(*words))


def count_gates(deck: Deck, edits: Path) -> int:
    gated, gates = start(deck, edits), 0
    while gated.stage() is not None:
        gates += 1
        gated.go()
    assert gated.process.wait(30) == 0, gated.said
    deck.apply("undo", environments=[])
    return gates


def test_a_killed_apply_is_told_resolved_and_undone(deck: Deck, tmp_path: Path) -> None:
    edits = tmp_path / "edits.yaml"
    edits.write_text(EDITS)
    before = specs(deck)
    gates = count_gates(deck, edits)
    assert 4 <= gates <= MOST_GATES
    assert specs(deck) == before
    for number in range(gates):
        gated = start(deck, edits)
        for _ in range(number):
            assert gated.stage() is not None
            gated.go()
        stage = gated.stage()
        assert stage is not None
        gated.kill()
        _recover(deck, stage)
        assert specs(deck) == before, stage
    assert deck.ask("journal", "verify")["ok"] is True


def _recover(deck: Deck, stage: dict[str, object]) -> None:
    told = deck.run("get", "environments", "-o", "json")
    assert told.code == 0 and "interrupted" in told.err, (stage, told)
    too_early = deck.run("undo", "--apply", "--reason", "crash", "-o", "json")
    assert too_early.code == 3, (stage, too_early)
    resolved = deck.run("resolve", "-o", "json")
    assert resolved.code == 0, (stage, resolved)
    done = deck.run("undo", "--apply", "--reason", "crash", "-o", "json")
    assert done.code == 0, (stage, resolved.out, done)
