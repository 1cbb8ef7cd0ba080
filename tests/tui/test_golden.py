"""Goldens: every screen once, at more sizes where another size is laid out in another way, and the colours of those in
which colours say something, in a colour theme and without colour.

`UPDATE_GOLDENS=1 pytest tests/tui/test_golden.py` writes them anew. A file of styles has one line for each line of the
screen: how many cells have which style, so that a change of colour is seen in review beside the text.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from driver import guard_time, pick, ready, screen_text, type_text, until
from textual.pilot import Pilot

from control.fleet import following
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui import figures
from tui.deck_app import DeckApp
from tui.themes import load_theme

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
FOLDER = Path(__file__).parent / "goldens"
SMALL, LARGE, HUGE = SIZES = [(80, 24), (120, 35), (200, 60)]
KEPT = {
    **dict.fromkeys(("board", "oncall"), SIZES),
    **{name: [SMALL, LARGE] for name in ("detail", "limits", "plan", "result")},
    "staged": [LARGE, HUGE],
}
"""Screen -> the sizes that are kept; one of 120x35 of every other."""
STYLED = {
    "dusk": {"board", "plan", "result", "oncall", "limit", "editing", "pulse"},
    "mono": {"board", "plan", "oncall"},
}
"""Theme -> the screens of 120x35 whose styles are kept."""
SCREENS = {
    *KEPT, "changes", "pulse", "help", "native", "order", "columns", "palette", "xray", "jump", "limit", "editing",
}  # fmt: skip
NOW = 1_800_000_000.0
ANOTHER_EACH_TIME = [
    (re.compile(r"\bp-[0-9a-f]{8}\b"), "p-xxxxxxxx"),
    (re.compile(r"\b\d{6}-\d{6}-[0-9a-f]{4}\b"), "yymmdd-hhmmss-xxxx"),
    (re.compile(r"(?<=journal head )[0-9a-f]{16}"), "x" * 16),
    (re.compile(r"(?<=after )\d\.\ds"), "0.0s"),
]
"""What no clock keeps still, each as wide as it is."""


@pytest.fixture(autouse=True)
def still(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still, so that ages and clocks are the same in every run, and nothing is measured twice."""
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(figures, "clock", lambda _at, seconds=False: "14:02:31" if seconds else "14:02")
    monkeypatch.setattr(following, "SHOW_MEASURED_SECONDS", 3600.0)
    calm = {name: replace(section, measure_seconds=3600.0) for name, section in fleets.SECTIONS.items()}
    monkeypatch.setattr(fleets, "SECTIONS", calm)


def styles_of(app: DeckApp) -> str:
    """Each line of the screen as runs of cells of one style."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        runs: list[tuple[str, int]] = []
        for segment in strip:
            style = str(segment.style)
            cells = segment.cell_length
            if runs and runs[-1][0] == style:
                runs[-1] = (style, runs[-1][1] + cells)
            else:
                runs.append((style, cells))
        lines.append(" | ".join(f"{cells} {style}" for style, cells in runs))
    return "\n".join(lines) + "\n"


def same(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


async def compare(pilot: Pilot[int], app: DeckApp, name: str) -> None:
    size = (app.size.width, app.size.height)
    if size not in KEPT.get(name, [LARGE]):
        return
    file = f"{name}-{size[0]}x{size[1]}.txt"
    for theme, styled in STYLED.items():
        app.set_theme(load_theme(theme))
        await pilot.pause(0.05)
        text = screen_text(app)
        for changing, still in ANOTHER_EACH_TIME:
            text = changing.sub(still, text)
        same(FOLDER / file, "\n".join(line.rstrip() for line in text.split("\n")) + "\n")
        if size == LARGE and name in styled:
            same(FOLDER / theme / file, styles_of(app))


def test_no_golden_is_left_that_nobody_compares() -> None:
    kept = {FOLDER / theme / f"{name}-120x35.txt" for theme, names in STYLED.items() for name in names}
    kept |= {FOLDER / f"{name}-{width}x{height}.txt" for name, sizes in KEPT.items() for width, height in sizes}
    kept |= {FOLDER / f"{name}-120x35.txt" for name in SCREENS}
    assert {path for path in FOLDER.rglob("*.txt") if path.name.partition("-")[0] in SCREENS} <= kept
    assert {path.name.partition("-")[0] for path in FOLDER.rglob("*.txt")} <= SCREENS


@pytest.mark.parametrize("size", SIZES)
async def test_the_deck_looks_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await until(pilot, app, "14:02 argocd")
        await pilot.pause(0.3)
        await compare(pilot, app, "board")
        await pilot.press("enter")
        await pilot.pause(0.1)
        await compare(pilot, app, "detail")
        await pilot.press("q")
        for key, name in (("2", "limits"), ("3", "changes"), ("4", "pulse"), ("question_mark", "help")):
            await pilot.press(key)
            await pilot.pause(0.1)
            await compare(pilot, app, name)


@pytest.mark.parametrize("size", SIZES)
async def test_plan_and_result_look_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await until(pilot, app, "14:02 argocd")
        await pick(pilot, app, "chat-v2")
        await pilot.press("+")
        await pilot.pause(0.1)
        await compare(pilot, app, "staged")
        await pilot.press("a")
        await until(pilot, app, "y applies")
        await compare(pilot, app, "plan")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "waiting for traffic")
        await compare(pilot, app, "result")


@pytest.mark.parametrize("size", [LARGE])
async def test_sheets_and_menus_look_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await until(pilot, app, "14:02 argocd")
        await pick(pilot, app, "llm-gw")
        for key, name in (("y", "native"), ("s", "order"), ("C", "columns"), ("ctrl+p", "palette")):
            await pilot.press(key)
            await pilot.pause(0.2)
            await compare(pilot, app, name)
            await pilot.press("escape")
        await type_text(pilot, ":xray llama")
        await pilot.press("enter")
        await until(pilot, app, "XRAY")
        await compare(pilot, app, "xray")
        await pilot.press("q", "apostrophe")
        await pilot.pause(0.1)
        await compare(pilot, app, "jump")
        await pilot.press("escape", "2", "enter")
        await pilot.pause(0.2)
        await compare(pilot, app, "limit")
        await pilot.press("q", "e")
        await type_text(pilot, "/2")
        await pilot.pause(0.1)
        await compare(pilot, app, "editing")


@pytest.mark.parametrize("size", SIZES)
async def test_on_call_looks_as_agreed(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app(mode="oncall")
    async with app.run_test(size=size) as pilot:
        await until(pilot, app, "14:02 argocd")
        await pilot.pause(0.3)
        await compare(pilot, app, "oncall")
