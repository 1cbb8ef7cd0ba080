"""On call: one screen that answers without a key press. Readers only; there is no key here that edits."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from control.structs import replace
from tui import figures
from tui.actions import BY_ID, Action, Situation, method_name
from tui.look import SMALLEST, Line
from tui.screens.base import BaseScreen
from tui.screens.deck import DeckScreen
from tui.views.oncall_lines import oncall_lines, summary
from tui.views.states import state_lines
from tui.widgets.canvas import Canvas
from tui.widgets.footer import hint_line
from tui.widgets.header import top_line


class OncallLists(DeckScreen):
    """The lists of the deck within the scope of on-call: to look, filter and open, never to edit."""

    SCOPE: ClassVar[str] = "oncall"

    def begin(self, action: Action, argument: str) -> None:
        """Do what was asked for on the view of answers, on the worst row."""
        self.refresh_rows(force=True)
        self.perform(action, argument)

    def at_root(self) -> None:
        self.do_quit()  # the answers lie below these lists

    def do_quit(self) -> None:
        self.app.pop_screen()
        self.deck._redraw()

    # What if: staged here and planned by readers; there is nothing in this process that could send it.

    def do_whatif_edit(self, text: str = "") -> None:
        self.do_edit(text)

    def do_whatif_drain(self) -> None:
        self.do_target_drain()

    def do_whatif_plan(self) -> None:
        self.do_plan()

    def do_whatif_drop(self) -> None:
        self.do_unstage()


class OncallScreen(BaseScreen):
    """See the module."""

    SCOPE: ClassVar[str] = "oncall"

    def __init__(self) -> None:
        super().__init__()
        look = self.deck.look
        self.head = Canvas(look, ground="raised", id="title")
        self.body = Canvas(look, id="oncall")
        self.foot = Canvas(look, ground="raised", id="hints")
        self.top = 0

    def situation(self) -> Situation:
        """The worst row is what is selected: that is what opens."""
        return replace(super().situation(), row="route" if self.deck.store.loaded else "")

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.body
        yield self.foot

    def on_mount(self) -> None:
        self.render_all()

    def render_all(self) -> None:
        if not self.is_mounted or not self.size.width:
            return
        deck, cells = self.deck, self.size.width
        if self.too_small():
            self.head.show([((f"need {SMALLEST[0]}x{SMALLEST[1]}", "warn"),)])
            self.body.show([])
            self.foot.show([])
            return
        self.head.show([top_line(deck.head, deck.store, deck.staging, deck.arming, deck.look, cells)])
        lines = state_lines(deck.store, deck.failure, cells, deck.look) or self._answers(cells)
        self.top = max(0, min(self.top, len(lines) - self.body.size.height))
        self.body.show(lines[self.top : self.top + self.body.size.height])
        self.render_foot()

    def _answers(self, cells: int) -> list[Line]:
        """As many lines as there are to scroll to; unscrolled, what fits is chosen."""
        height = self.body.size.height if not self.top else 10_000
        return oncall_lines(self.deck.store, self.deck.look, cells, height)

    def tick(self, changed: bool) -> None:
        super().tick(changed or self.deck.new_second)

    def render_foot(self) -> None:
        if not self.is_mounted or self.too_small():
            return
        cells = self.size.width
        line = self.input.line(cells) if self.input else hint_line(self.deck.keymap, self.situation(), cells, self.note)
        self.foot.show([line])

    def _scroll(self, by: int) -> None:
        self.top = max(self.top + by, 0)
        self.render_all()

    def do_move_down(self) -> None:
        self._scroll(1)

    def do_move_up(self) -> None:
        self._scroll(-1)

    def do_move_top(self) -> None:
        self._scroll(-1_000_000)

    def do_move_bottom(self) -> None:
        self._scroll(1_000_000)

    def do_move_page_down(self) -> None:
        self._scroll(self.body.size.height - 1)

    def do_move_page_up(self) -> None:
        self._scroll(1 - self.body.size.height)

    do_move_half_down = do_move_page_down
    do_move_half_up = do_move_page_up

    def do_copy(self) -> None:
        self.deck.copy(summary(self.deck.store))
        self.say("the hand-over summary (Markdown) was copied by the terminal")

    def do_refresh(self) -> object:
        return self._refresh()

    async def _refresh(self) -> None:
        await self.deck.plane.refresh()
        self.deck.take(self.deck.plane)
        self.say("read everything")

    def do_pause(self) -> None:
        head = self.deck.head
        head.paused = not head.paused
        self.say("live updates are paused" if head.paused else "live updates resumed")

    def perform(self, action: Action | str, argument: str = "") -> None:
        """What is not done here is done in the read-only lists, which have no editing key either."""
        action = BY_ID[action] if isinstance(action, str) else action
        name = method_name(action)
        if hasattr(self, name) or hasattr(self.deck, name):
            super().perform(action, argument)
            return
        lists = OncallLists()
        self.app.push_screen(lists)
        lists.call_after_refresh(lists.begin, action, argument)

    def do_open(self) -> None:
        self.app.push_screen(OncallLists())

    def do_back(self) -> None:
        if self.top:
            self._scroll(-1_000_000)

    def do_leave(self) -> None:
        if self.top:
            self._scroll(-1_000_000)
        else:
            self.do_quit()

    def do_quit(self) -> None:
        self.app.exit(0)

    def clock(self) -> str:
        """The time of the last read, for dumps."""
        inventory = self.deck.store.inventory
        times = [v.read_at for v in inventory.environments.values() if v.read_at] if inventory else []
        return figures.clock(max(times)) if times else figures.UNKNOWN
