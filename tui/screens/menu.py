"""A small list over the deck to choose from: the order of rows, and which columns there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from textual.app import ComposeResult
from textual.containers import Vertical

from tui.cells import fit
from tui.look import Line
from tui.screens.sheet import SheetScreen
from tui.widgets.canvas import Painted

WIDTH = 46


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a menu. `on` is None where there is nothing to switch."""

    key: str
    title: str
    note: str = ""
    on: bool | None = None
    fixed: str = ""
    """Why it cannot be switched off; empty where it can."""


class MenuScreen(SheetScreen):
    """Enter chooses and closes; space switches, J and K move a line, where the menu is of that sort."""

    def __init__(
        self,
        title: str,
        items: Sequence[Item],
        at: int = 0,
        chosen: Callable[[str], None] | None = None,
        changed: Callable[[Sequence[Item]], None] | None = None,
    ) -> None:
        """`chosen` is called with the key at Enter; `changed` with all items after each switch or move."""
        super().__init__()
        self._modal = True  # the deck stays in sight around it
        self.heading_text = title
        self.items = list(items)
        self.at = at
        self._choose, self._changed = chosen, changed

    def compose(self) -> ComposeResult:
        with Vertical(id="panel"):
            yield self.title_line
            yield self.body
            yield self.hints

    def on_mount(self) -> None:
        panel = self.query_one("#panel")
        panel.styles.width = min(WIDTH, self.app.size.width)
        panel.styles.height = min(len(self.items) + 3, self.app.size.height - 2)
        super().on_mount()

    def heading(self) -> Line:
        return ((f" {self.heading_text} ", "strong"),)

    def render_all(self) -> None:
        if not self.is_mounted or self.too_small():
            return
        width = min(WIDTH, self.app.size.width)
        self.title_line.show([self.heading()])
        height = max(min(len(self.items) + 1, self.app.size.height - 4), 1)
        top = max(0, self.at - height + 1)
        painted: list[Painted] = [
            ("cursor" if index == self.at else "raised", self._line(item, width))
            for index, item in enumerate(self.items[top : top + height], top)
        ]
        self.body.paint(painted + [("raised", ())] * (height - len(painted)))
        self.render_foot()

    def _line(self, item: Item, width: int) -> Line:
        switch = "" if item.on is None else "[x] " if item.on else "[ ] "
        left = width - 24 - len(switch)
        return (
            (f" {switch}", "key" if item.on else "faint"),
            (fit(item.title, max(left, 8)), "text" if item.on is not False else "muted"),
            (" " + fit(item.fixed or item.note, 21), "faint"),
        )

    def render_foot(self) -> None:
        if not self.is_mounted:
            return
        keys = "space switches  J K move  esc done" if self._changed else "enter chooses  esc leaves"
        note = self.note.text if self.note else keys
        self.hints.show([((f" {note}", self.note.role if self.note else "faint"),)])

    # --- keys

    def _scroll(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.items) - 1))
        self.render_all()

    def do_choose(self) -> None:
        if self._choose is None:
            self.do_back()
            return
        key = self.items[self.at].key
        self.app.pop_screen()
        self._choose(key)

    def do_switch(self) -> None:
        item = self.items[self.at]
        if item.on is None:
            self.do_choose()
        elif item.fixed:
            self.say(item.fixed, "warn")
        else:
            self._put(self.at, replace(item, on=not item.on))

    def _put(self, at: int, item: Item) -> None:
        self.items[at] = item
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed(self.items)
        self.render_all()

    def _carry(self, by: int) -> None:
        other = self.at + by
        if self._changed is None or not 0 <= other < len(self.items):
            return
        self.items[self.at], self.items[other] = self.items[other], self.items[self.at]
        self.at = other
        self._tell()

    def do_carry_down(self) -> None:
        self._carry(1)

    def do_carry_up(self) -> None:
        self._carry(-1)
