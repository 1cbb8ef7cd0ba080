"""The native text in the user's editor: it becomes a plan, a refused one opens again, and nothing typed is lost."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from driver import pick, ready, until

from tests.bench.terminal import Terminal
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.native_editor import MARK, editor
from tui.screens.deck import DeckScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


class Editor:
    """Stands in for the editor's process: appends one text after the other, and keeps what it was shown."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.shown: list[str] = []
        self.path = Path()
        self.mode = 0

    def __call__(self, _screen: DeckScreen, path: Path) -> None:
        self.path, self.mode = path, stat.S_IMODE(path.stat().st_mode)
        self.shown.append(path.read_text())
        if self.texts:
            path.write_text(path.read_text() + self.texts.pop(0))


def use(monkeypatch: pytest.MonkeyPatch, *texts: str) -> Editor:
    made = Editor(*texts)
    monkeypatch.setattr(DeckScreen, "_run_editor", lambda screen, path: made(screen, path))
    return made


async def test_an_edited_text_becomes_a_plan(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, plane = make_app()
    used = use(monkeypatch, "\nweight: 60")
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-gw")
        await pilot.press("E")
        text = await until(pilot, app, "APPLY", 5)
        assert "llm-gw" in text and "60" in text
        assert used.shown[0].startswith(MARK) and "kind: HTTPRoute" in used.shown[0]
        assert used.mode == 0o600 and not used.path.exists()
        assert plane.applied == []
        await pilot.press("n")
        assert "A80→75" in await until(pilot, app, "staged 1", 5), "leaving the plan loses nothing"


async def test_a_refused_text_opens_again_with_the_reason_on_top(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, _ = make_app()
    used = use(monkeypatch, "\nwrong", "\nweight: 60")
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-gw")
        await pilot.press("E")
        await until(pilot, app, "APPLY", 5)
        assert len(used.shown) == 2
        first, *_ = used.shown[1].splitlines()
        assert first == f"{MARK} REFUSED: line 5: 'wrong' cannot be changed here"
        assert used.shown[1].endswith("\nwrong"), "what was typed is still there"


async def test_giving_up_keeps_what_was_typed_and_says_where(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = make_app()
    used = use(monkeypatch, "\nwrong")
    async with app.run_test(size=(160, 35)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-gw")
        await pilot.press("E")
        await until(pilot, app, "stopped; what you typed is in", 5)
        assert used.path.read_text().endswith("\nwrong")


async def test_no_change_is_no_plan(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = make_app()
    used = use(monkeypatch)
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-gw")
        await pilot.press("E")
        await until(pilot, app, "nothing was changed", 5)
        assert not used.path.exists()


def test_the_editor_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    assert editor() == ["vi"]
    monkeypatch.setenv("EDITOR", "emacs -nw")
    assert editor() == ["emacs", "-nw"]
    monkeypatch.setenv("VISUAL", "code --wait")
    assert editor() == ["code", "--wait"]


@pytest.mark.pty
def test_a_real_editor_gets_the_terminal_and_gives_it_back(tmp_path: Path) -> None:
    from test_terminal import environment, program

    script = tmp_path / "editor.py"
    script.write_text(
        "import sys\n"
        "print('THE EDITOR', flush=True)\n"
        "assert sys.stdin.isatty() and sys.stdin.readline() == 'go\\n'\n"
        "open(sys.argv[1], 'a').write('\\nweight: 60')\n"
    )
    own = environment() | {"EDITOR": f"{sys.executable} {script}"}
    with Terminal(program(), 120, 35, own) as terminal:
        terminal.wait_for("A80 B20", 15)
        terminal.key(b"/llm-gw\r")
        terminal.settle(0.3, 5)
        terminal.key(b"E")
        terminal.wait_for("THE EDITOR", 10)
        terminal.key(b"go\r")
        terminal.wait_for("APPLY", 10)
        terminal.settle(0.3, 5)
        terminal.key(b"n")
        terminal.wait_for("A80", 5)
