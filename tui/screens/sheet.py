"""A page of lines over the deck that can be scrolled and closed: native text, and the base of the other sheets."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from control.errors import ControlError
from control.model.ref import Ref
from tui import figures
from tui.cells import clip, safe
from tui.look import Line
from tui.screens.base import BaseScreen
from tui.widgets.canvas import Canvas
from tui.widgets.footer import hint_line


class SheetScreen(BaseScreen):
    """Title, body that scrolls, hints. Subclasses say the lines."""

    SCOPE: ClassVar[str] = "sheet"

    def __init__(self) -> None:
        super().__init__()
        look = self.deck.look
        self.title_line = Canvas(look, ground="raised", id="title")
        self.body = Canvas(look, id="sheet")
        self.hints = Canvas(look, ground="raised", id="hints")
        self.top = 0

    def compose(self) -> ComposeResult:
        yield self.title_line
        yield self.body
        yield self.hints

    def on_mount(self) -> None:
        self.render_all()

    def heading(self) -> Line:
        """The first line."""
        return ()

    def lines(self, width: int) -> list[Line]:
        """All lines of the body."""
        return []

    def pinned(self, width: int) -> list[Line]:
        """The last lines, which stay in sight however far the body is scrolled."""
        return []

    def cursor_line(self) -> int | None:
        """The line under the cursor, kept in sight; None where the sheet has no cursor. Asked after `lines`."""
        return None

    def render_all(self) -> None:
        if not self.is_mounted or not self.size.width:
            return
        if self.too_small():
            self.title_line.show([(("too small", "warn"),)])
            return
        self.title_line.show([self.heading()])
        lines, pinned = self.lines(self.size.width - 1), self.pinned(self.size.width - 1)
        height = (self.body.size.height or self.size.height - 2) - len(pinned)
        if pinned and len(lines) > height:
            height -= 1
        at = self.cursor_line()
        if at is not None:
            self.top = max(min(self.top, at), at - height + 1)
        self.top = max(0, min(self.top, len(lines) - height))
        shown = lines[self.top : self.top + height]
        below = len(lines) - self.top - len(shown)
        if pinned and len(lines) > height:
            more = f" {figures.plural(below, 'more line')} below: j" if below else " the end; k goes up"
            shown.append(((more, "faint"),))
        self.body.paint(
            [("cursor" if at == number else "ground", line) for number, line in enumerate([*shown, *pinned], self.top)]
        )
        self.render_foot()

    def render_foot(self) -> None:
        if not self.is_mounted:
            return
        cells = self.size.width
        line = self.input.line(cells) if self.input else hint_line(self.deck.keymap, self.situation(), cells, self.note)
        self.hints.show([line])

    def _scroll(self, by: int) -> None:
        self.top += by
        self.render_all()

    def do_move_down(self) -> None:
        self._scroll(1)

    def do_move_up(self) -> None:
        self._scroll(-1)

    def do_move_top(self) -> None:
        self._scroll(-1_000_000)

    def do_move_bottom(self) -> None:
        self._scroll(1_000_000)

    def do_move_half_down(self) -> None:
        self._scroll(self.body.size.height // 2)

    def do_move_half_up(self) -> None:
        self._scroll(-(self.body.size.height // 2))

    def do_move_page_down(self) -> None:
        self._scroll(self.body.size.height - 1)

    def do_move_page_up(self) -> None:
        self._scroll(1 - self.body.size.height)

    def do_back(self) -> None:
        self.app.pop_screen()

    def do_leave(self) -> None:
        self.do_back()

    def do_plan_cancel(self) -> None:
        self.do_back()


class NativeScreen(SheetScreen):
    """The native text that holds a route or limit, as the platform has it."""

    def __init__(self, ref: Ref) -> None:
        super().__init__()
        self.ref = ref
        self.text: list[str] = []
        self.language = ""
        self.problem = ""

    def on_mount(self) -> None:
        super().on_mount()
        self.work(self._read(), "native")

    async def _read(self) -> None:
        try:
            native = await self.deck.plane.native(self.ref)
        except ControlError as error:
            self.problem = str(error)
        else:
            self.text, self.language = native.text.split("\n"), native.language
        self.render_all()

    def heading(self) -> Line:
        return ((f" native {self.language} ", "title"), (safe(str(self.ref)), "muted"))

    def lines(self, width: int) -> list[Line]:
        if self.problem:
            return [(), ((f" {safe(self.problem)}", "bad"),)]
        if not self.text:
            return [(), ((" reading", "info"),)]
        digits = len(str(len(self.text)))
        return [
            ((f" {number:>{digits}} ", "faint"), (clip(line, width - digits - 2).rstrip(), "text"))
            for number, line in enumerate(self.text, 1)
        ]

    def do_copy(self) -> None:
        self.deck.copy("\n".join(self.text))
        self.say("copied by the terminal")
