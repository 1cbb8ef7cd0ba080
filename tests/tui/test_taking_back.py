"""Undo where somebody changed the value since, and taking back what others did."""

from __future__ import annotations

import time
from collections.abc import Callable

from driver import guard_time, pick, ready, screen_text, until

from control.model import Outside
from control.model.ref import Ref
from control.planning.edit import Change
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
CHAT = Ref("fn", "LambdaAlias", "inference", "chat-v2")


def others_set(plane: MemoryPlane, first: int, second: int) -> None:
    """What somebody else does."""
    targets = plane.held(CHAT).targets
    plane.readers["fn"].change([
        Change(CHAT, f"targets/{target.name}/weight", target.weight, weight)
        for target, weight in zip(targets, (first, second), strict=True)
    ])  # fmt: skip


def weights(plane: MemoryPlane) -> list[object]:
    return [target.weight for target in plane.held(CHAT).targets]


async def test_an_undo_that_meets_newer_values_shows_three_ways(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("enter", "j", "+", "a")
        await until(pilot, app, "y applies")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "waiting for traffic")
        app.read_history()
        await pilot.press("n")
        assert weights(plane) == [40, 60]
        others_set(plane, 33, 67)
        await pilot.press("u")
        await until(pilot, app, "shows every field three ways")
        await pilot.press("t")
        text = await until(pilot, app, "stays: changed since")
        assert all(value in text for value in ("50", "40", "33"))
        await pilot.press("space", "j", "space", "enter")
        await until(pilot, app, " UNDO ")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "waiting for traffic")
        assert weights(plane) == [50, 50]


async def test_what_others_did_is_staged_back_where_the_deck_saw_it(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        other = Outside(time.time(), "kubectl", plane.held(CHAT).object, "updated", "managedFields")
        plane.readers["fn"].outside = (other,)
        others_set(plane, 90, 10)
        await until(pilot, app, "A90 B10")
        app.read_history()
        await pilot.press("3")
        await until(pilot, app, "kubectl")
        await pilot.press("u")
        text = await until(pilot, app, "APPLY")
        assert "chat-v2" in text and "90 → 50" in text
        await pilot.press("n")
        await pilot.press("j", "u")
        assert "this deck did not see that change happen" in screen_text(app)
