"""Text goldens of every screen at three sizes. `UPDATE_GOLDENS=1 pytest tests/tui/test_golden.py` writes them anew."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import fake_plane
import pytest
from driver import guard_time, pick, ready, screen_text, until

from tui import figures
from tui.deck_app import DeckApp

Make = Callable[..., tuple[DeckApp, fake_plane.FakePlane]]
FOLDER = Path(__file__).parent / "goldens"
SIZES = [(80, 24), (120, 35), (200, 60)]
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still, so that ages and clocks are the same in every run."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(figures, "clock", lambda _at: "14:02")


def compare(app: DeckApp, name: str) -> None:
    lines = [line.rstrip() for line in screen_text(app).split("\n")]
    text = "\n".join(lines) + "\n"
    path = FOLDER / f"{name}-{app.size.width}x{app.size.height}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("size", SIZES)
async def test_the_deck_looks_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await until(pilot, app, "14:02 argocd")
        await pilot.pause(0.3)
        compare(app, "board")
        await pilot.press("enter")
        await pilot.pause(0.1)
        compare(app, "detail")
        await pilot.press("q")
        for key, name in (("2", "limits"), ("3", "changes"), ("4", "pulse"), ("question_mark", "help")):
            await pilot.press(key)
            await pilot.pause(0.1)
            compare(app, name)


@pytest.mark.parametrize("size", SIZES)
async def test_plan_and_result_look_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await until(pilot, app, "14:02 argocd")
        await pick(pilot, app, "chat-v2")
        await pilot.press("+")
        await pilot.pause(0.1)
        compare(app, "staged")
        await pilot.press("a")
        await until(pilot, app, "y applies")
        compare(app, "plan")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "waiting for traffic")
        compare(app, "result")


@pytest.mark.parametrize("size", SIZES[:2])
async def test_on_call_looks_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app(mode="oncall")
    async with app.run_test(size=size) as pilot:
        await until(pilot, app, "14:02 argocd")
        await pilot.pause(0.3)
        compare(app, "oncall")
