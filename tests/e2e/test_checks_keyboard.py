"""By keyboard alone, in a terminal of 80x24: find a route, stage 70/30, read the diff, apply, see the proof, undo."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.description import Bed, RouteEntry
from tests.bed.fixtures import skip_or_fail
from tests.e2e.asking import agrees, split
from tests.e2e.cli import Deck, environment_of
from tests.e2e.servers import look
from tests.e2e.test_checks_shares import shares_of
from tests.tmux import Tmux

pytestmark = [pytest.mark.bed, pytest.mark.pty, pytest.mark.timeout(240)]

GUARD_SECONDS = 0.5
"""A little longer than the plan sheet ignores confirmations."""


@pytest.fixture
def terminal(deck: Deck, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        skip_or_fail("tmux is not installed")
    started = Tmux(tmp_path, deck.argv(*getattr(request, "param", ())), deck.environment)
    yield started
    started.close()


def find(terminal: Tmux, words: str, ref: str) -> None:
    """To the route's own page, typed as soon as there is a board, even before it has rows."""
    terminal.until(r"\d/\d+ by risk")
    terminal.type(f"/{words}\n")
    terminal.until(r"1/1 of \d+ by risk")
    terminal.type("\n")
    terminal.until(re.escape(ref))


def confirm(terminal: Tmux, code: str | None) -> None:
    """`y`, and in production the environment's code; Enter alone must do nothing."""
    time.sleep(GUARD_SECONDS)
    terminal.type("y")
    if code is not None:
        terminal.until(f"type {code} to apply:")
        terminal.type(f"{code}\n")


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("us/HTTPRoute/inference/llama#rule=chat", "llama us"),
        ("eu/HTTPRoute/inference/llama#rule=chat", "llama chat eu"),
    ],
)
def test_shift_prove_and_undo(deck: Deck, bed: Bed, terminal: Tmux, ref: str, words: str) -> None:
    route: RouteEntry = bed.route(ref)
    first, second = route.targets
    code = bed.codes.get(environment_of(ref))
    before = shares_of(deck, ref)
    if code is not None:
        terminal.until(r"DISARMED")
        terminal.until(r"1/\d+ by risk")
        terminal.type(":arm 15m ramp v2\n")
        terminal.until(r"ARMED 1[45]:\d\d")
    find(terminal, words, ref)

    keys = terminal.keys
    terminal.type("e70/30\n")
    terminal.until("staged, not sent: llama chat")
    assert shares_of(deck, ref) == before, "staging sent something"
    terminal.type("a")
    diff = terminal.until(r"\n +\+ +weight: 70?\n")
    assert re.search(rf"{first} weight +\d+ → 70?\n", diff)
    assert re.search(rf"{second} weight +\d+ → 30?\n", diff)
    assert ("PROD" in diff) is (code is not None)
    confirm(terminal, code)
    proof = terminal.until(r"DONE  applied: the data plane uses it")
    assert terminal.keys - keys == len("e70/30\nay") + (len(code) + 1 if code else 0)
    assert re.search(r"accepted yes", proof)
    assert re.search(r"loaded +yes", proof)
    assert agrees(split(route), {first: 0.7, second: 0.3})

    terminal.type("u")
    terminal.until(r"UNDO ")
    terminal.until(r"y (applies|then type)")
    confirm(terminal, code)
    terminal.until(r"DONE  applied[\s\S]*70?→")
    assert shares_of(deck, ref) == before
    assert agrees(split(route), before)


@pytest.mark.parametrize("terminal", [("--read-only",)], indirect=True)
def test_read_only_plans_what_if_and_sends_nothing(deck: Deck, bed: Bed, terminal: Tmux) -> None:
    ref = "us/HTTPRoute/inference/llama#rule=chat"
    terminal.until("READ-ONLY")
    find(terminal, "llama us", ref)
    before = look(bed)
    terminal.type("e70/30\n")
    terminal.until("staged, not sent")
    terminal.type("a")
    terminal.until("what if: this session is read-only")
    confirm(terminal, None)
    terminal.type("\n")
    terminal.until("what if: this session is read-only")
    terminal.type("n")
    terminal.until(re.escape(ref))
    assert look(bed) == before
