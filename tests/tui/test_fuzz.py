"""Seeded keys, pastes, clicks and resizes: no crash, and no write without the confirmation of its level."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from driver import ready
from textual import events

from tests.tui.memory_plane import MemoryPlane
from tui.actions import ACTIONS
from tui.deck_app import DeckApp

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
EVENTS = int(os.environ.get("FUZZ_EVENTS", "1000"))
"""For each of the four runs; `make fuzz` has 25,000."""
BOUND = {key for action in ACTIONS for key in action.keys} - {"ctrl+z"}
KEYS = [*sorted(BOUND), "7", "z", "%"]
SIZES = [(80, 24), (120, 35), (200, 60), (60, 15), (72, 16)]


def mouse(kind: type[events.MouseEvent], chance: random.Random, app: DeckApp) -> events.MouseEvent:
    """A mouse event anywhere on the screen."""
    x, y = chance.randrange(app.size.width), chance.randrange(app.size.height)
    return kind(None, x, y, 0, 0, 1, False, False, False, x, y)


async def mouse_used(chance: random.Random, app: DeckApp) -> None:
    """A click (down, up) or a turn of the wheel, through the app as the driver's events come."""
    kinds = chance.choice([(events.MouseDown, events.MouseUp), (events.MouseScrollDown,), (events.MouseScrollUp,)])
    for kind in kinds:
        app.post_message(mouse(kind, chance, app))


def character_of(key: str) -> str | None:
    return key if len(key) == 1 else {"space": " ", "plus": "+", "minus": "-"}.get(key)


@pytest.mark.timeout(120 + EVENTS // 10)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("read_only", [True, False], ids=["read-only", "armed"])
async def test_random_events_never_crash_and_never_write_unconfirmed(
    make_app: Make, seed: int, read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    app, plane = make_app(read_only=read_only)
    failures: list[BaseException] = []
    monkeypatch.setattr(app, "log_failure", failures.append)
    monkeypatch.setattr(app, "exit", lambda *_args, **_more: None)
    monkeypatch.chdir(Path(app.make_session.__code__.co_filename).parent)
    monkeypatch.setattr("tui.planfiles.write_plan", lambda *_: None)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        if not read_only:
            await app.arming.arm(frozenset(e.name for e in plane.deck.environments), 480, "fuzz")
        for _ in range(EVENTS):
            what = chance.random()
            if what < 0.93:
                key = chance.choice(KEYS)
                app.screen.post_message(events.Key(key, character_of(key)))
            elif what < 0.95:
                await mouse_used(chance, app)
            elif what < 0.97:
                app.screen.post_message(events.Paste("".join(chance.choices("Dya:/\n\x1b[", k=8))))
            else:
                await pilot.resize_terminal(*chance.choice(SIZES))
            await pilot.pause(0)
        await pilot.pause()
        assert app.is_running and not failures
        for plan, options in plane.applied:
            assert not read_only
            produced = {s.environment for s in plan.steps} & {"prod-eu"}
            assert not produced or "eu" in options.confirmed
