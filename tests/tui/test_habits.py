"""What people expect of a terminal program without being told: palette, help, completion, clipboard, fading marks."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from driver import pick, ready, screen_text, type_text, until
from textual.pilot import Pilot

from control.planning.edit import Change
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen
from tui.themes import our_themes

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


def row_of(app: DeckApp, name: str) -> str:
    """The line of the board that shows this route."""
    return next(line for line in screen_text(app).splitlines() if f"{name} " in line)


async def test_the_palette_finds_an_action_by_its_words_and_does_it(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("ctrl+p")
        await until(pilot, app, "PALETTE")
        await type_text(pilot, "only problems")
        assert "PALETTE  1 of " in screen_text(app)
        await pilot.press("enter")
        await until(pilot, app, "problems only")


async def test_help_says_why_something_is_not_available_now(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 60)) as pilot:
        await ready(pilot, app)
        await pilot.press("question_mark")
        text = await until(pilot, app, "HELP")
        assert "Open the plan of what is staged  (nothing is staged)" in text
        await pilot.press("q")
        await pick(pilot, app, "chat-v2")
        await pilot.press("+", "question_mark")
        text = await until(pilot, app, "HELP")
        assert "Open the plan of what is staged" in text and "(nothing is staged)" not in text


async def test_commands_are_completed_and_remembered(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, ":lim")
        await pilot.press("tab")
        assert screen_text(app).splitlines()[-1].startswith(":limits")
        await pilot.press("enter")
        await until(pilot, app, "CALLER GETS")
        await type_text(pilot, ":")
        await pilot.press("up")
        assert screen_text(app).splitlines()[-1].startswith(":limits")
        await pilot.press("escape")
        await type_text(pilot, ":rouets")
        await pilot.press("enter")
        assert "there is no command 'rouets' (near: routes" in screen_text(app)


async def test_an_error_stays_until_the_next_key_and_a_note_goes_by_itself(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        deck = app.screen
        assert isinstance(deck, DeckScreen)
        await type_text(pilot, ":nonsense")
        await pilot.press("enter")
        error = "there is no command 'nonsense'"
        assert error in screen_text(app) and not deck._note_until, "it has no end"
        app._tick()
        assert error in screen_text(app)
        await pilot.press("j")
        assert error not in screen_text(app)
        app.say("a note")
        assert "a note" in screen_text(app) and deck._note_until > time.monotonic()
        deck._note_until = time.monotonic() - 1
        app._tick()
        await pilot.pause(0)
        assert "a note" not in screen_text(app)


async def test_copy_goes_through_the_terminal_and_through_tmux(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        written: list[str] = []
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        await pick(pilot, app, "chat-v2")
        code = base64.b64encode(b"fn/LambdaAlias/inference/chat-v2").decode()
        await pilot.press("c")
        assert f"\x1b]52;c;{code}" in "".join(written) and "Ptmux" not in "".join(written)
        monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
        await pilot.press("c")
        assert f"\x1bPtmux;\x1b\x1b]52;c;{code}\x07\x1b\\" in "".join(written)


async def test_a_change_made_elsewhere_is_marked_and_the_mark_fades(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        edge = next(ref for ref, row in plane.inventory.routes.items() if row.name == "llm-edge")
        assert not row_of(app, "llm-edge").startswith(" *")
        name = plane.inventory.routes[edge].targets[0].name
        plane.readers["lb"].change([Change(edge, f"targets/{name}/weight", 50, 60)])
        await until(pilot, app, "*llm-edge")
        for _ in range(60):
            await pilot.pause(0.3)
            if "*llm-edge" not in screen_text(app):
                break
        assert "*llm-edge" not in screen_text(app) and "llm-edge" in screen_text(app)


async def test_old_figures_look_old_and_unknown_is_never_zero(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        text = await ready(pilot, app)
        line = row_of(app, "vision")
        assert line.startswith(" ?") and " -- " in line and " 0 " not in line
        assert "1 down" in text.splitlines()[0]


async def test_sparklines_draw_the_last_minutes(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-gw")
        await pilot.press("enter")
        text = await until(pilot, app, "traffic  412 rps")
        line = next(line for line in text.splitlines() if line.startswith("rps "))
        assert any(glyph in line for glyph in "▁▂▃▄▅▆▇█")
        await pilot.press("q", "4")
        await until(pilot, app, "5 MINUTES")


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


async def save(pilot: Pilot[int], app: DeckApp, path: Path, text: str) -> None:
    """Write the user's theme as an editor does, and let the deck look at it."""
    put(path, text)
    app._theme_saved -= 1
    app._follow_theme_file()
    await pilot.pause(0.1)


async def test_the_users_own_theme_is_applied_when_it_is_saved(make_app: Make, tmp_path: Path) -> None:
    app, _ = make_app()
    own = our_themes()["dusk"].replace("name: dusk", "name: mine")
    file = put(tmp_path / "themes" / "mine.yaml", own)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, ":theme mine")
        await pilot.press("enter")
        assert app.look.theme.name == "mine"
        app._follow_theme_file()
        text = app.look.theme.roles["text"]
        await save(pilot, app, file, own.replace(text, "#123456"))
        assert app.look.theme.roles["text"] == "#123456"
        await save(pilot, app, file, own.replace(f'text: "{text}"', "text: blue"))
        assert "roles.text: not a colour" in screen_text(app), "the field is named"
        assert app.look.theme.roles["text"] == "#123456", "and the old one stays"


async def test_the_mouse_works_and_is_never_needed(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        deck = app.screen
        assert isinstance(deck, DeckScreen)
        before = deck.table.selected
        await pilot.click("#list", offset=(5, 3))
        assert deck.table.selected is not None and deck.table.selected != before
        await pilot.click("#list", offset=(5, 3), times=2)
        await until(pilot, app, "TARGET")
