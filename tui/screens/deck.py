"""The main screen: the numbered views, the detail beside or over them, and the rail where there is room."""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal

from control.model.ref import Ref
from control.plane import EnvironmentView, ServiceView
from tui import figures
from tui.actions import BY_ID, Action, Situation
from tui.cells import safe
from tui.look import SMALLEST, Span
from tui.screens.base import BaseScreen
from tui.screens.commands import Commands
from tui.screens.editing import Editing
from tui.screens.finding import Finding
from tui.screens.native_editing import NativeEditing
from tui.screens.walking import Walking
from tui.store import ChangeRow, LimitRow, RouteRow
from tui.views.base import ListView
from tui.views.changes import ChangesView
from tui.views.detail import Page, route_page
from tui.views.detail_other import change_page, environment_page, limit_page, service_page
from tui.views.limits import LimitsView
from tui.views.pulse import PulseView
from tui.views.rail import rail_lines
from tui.views.routes import RoutesView
from tui.views.states import empty_lines, state_lines
from tui.widgets.canvas import Canvas, Painted
from tui.widgets.footer import change_line, hint_line, lack_line
from tui.widgets.header import tab_line, top_line
from tui.widgets.line_table import LineTable

NEAR_THE_END = 20
"""So many rows before the end of the changes that were read, older ones are read."""


class DeckScreen(Finding, Editing, NativeEditing, Commands, Walking, BaseScreen):
    """See the module. The list or the detail has the focus; every key goes through the registry."""

    SCOPE: ClassVar[str] = "deck"

    def __init__(self) -> None:
        super().__init__()
        deck = self.deck_parts()
        self.views: list[ListView] = [view(*deck) for view in (RoutesView, LimitsView, ChangesView, PulseView)]
        self.view = self.views[0]
        self.view_before = 0
        look = deck[2]
        self.head = Canvas(look, ground="raised", id="head")
        self.table = LineTable(look, id="list")
        self.detail = Canvas(look, id="detail")
        self.rail = Canvas(look, id="rail")
        self.state = Canvas(look, id="state")
        self.foot = Canvas(look, ground="raised", id="foot")
        self.in_detail = False
        self.cursor = 0
        self.scroll = 0
        self.page: Page | None = None
        self.leaving = False
        self._rows_version: Hashable = None

    def compose(self) -> ComposeResult:
        yield self.head
        with Horizontal(id="body"):
            yield self.state
            yield self.table
            yield self.detail
            yield self.rail
        yield self.foot

    def on_mount(self) -> None:
        self._configure()
        self.render_all()

    def perform(self, action: Action | str, argument: str = "") -> None:
        action = BY_ID[action] if isinstance(action, str) else action
        self.leaving = self.leaving and action.id in ("leave", "quit")
        super().perform(action, argument)

    # --- what is true

    @property
    def selected(self) -> RouteRow | LimitRow | ChangeRow | ServiceView | EnvironmentView | None:
        """The data of the row under the cursor."""
        row = self.table.selected
        data = row.data if row is not None else None
        return data if isinstance(data, RouteRow | LimitRow | ChangeRow | ServiceView | EnvironmentView) else None

    def route_target(self) -> str | None:
        """The target that a key is for: the one under the cursor of the detail, or the first of the row."""
        row = self.selected
        if not isinstance(row, RouteRow) or not row.route.targets:
            return None
        at = self.cursor if self.in_detail else 0
        return row.route.targets[min(at, len(row.route.targets) - 1)].name

    def situation(self) -> Situation:
        now = self.deck.situation(self.SCOPE)
        row, kind, fixed, here = self.selected, "", "", False
        if isinstance(row, RouteRow):
            kind, here = "route", row.ref in self.deck.staging
            fixed = "" if row.route.editable.yes else row.route.editable.reason or "cannot be edited"
        elif isinstance(row, LimitRow):
            kind, here = "limit", row.ref in self.deck.staging
            fixed = "" if row.limit.editable.yes else row.limit.editable.reason or "cannot be edited"
        elif row is not None:
            kind = {ChangeRow: "change", ServiceView: "service"}.get(type(row), "environment")
        target = isinstance(row, RouteRow) and (self.in_detail or len(row.route.targets) <= 2)
        return Situation(
            scope=self.SCOPE,
            view=self.view.name,
            ready=now.ready,
            can_arm=now.can_arm,
            armed=now.armed,
            row=kind,
            target=target,
            fixed=fixed,
            staged=now.staged,
            staged_here=here,
            marks=len(self.table.marked),
            in_flight=now.in_flight,
        )

    # --- drawing

    def tick(self, changed: bool) -> None:
        super().tick(False)
        if changed:
            self.render_all()
        elif self.deck.new_second:
            self.table.compose_lines()
            self.render_head()

    def render_all(self) -> None:
        if not self.is_mounted or not self.size.width:
            return
        lines = self._instead()
        if lines is not None:
            self._show_instead(lines)
        else:
            self.refresh_rows()
        self.render_head()
        self.render_side()
        self.render_foot()

    def _instead(self) -> list[tuple[Span, ...]] | None:
        deck = self.deck
        size = self.app.size
        if self.too_small():
            return [((f"need {SMALLEST[0]}x{SMALLEST[1]}, this is {size.width}x{size.height}", "warn"),)]
        return state_lines(deck.store, deck.failure, size.width, deck.look)

    def _show_instead(self, lines: list[tuple[Span, ...]] | None) -> None:
        """Show lines in place of the rows; the rows where there are none."""
        self.set_class(lines is not None, "waiting")
        if lines is not None:
            self.state.show(lines)

    def refresh_rows(self, force: bool = False) -> None:
        """Bring the rows of the view up to date, where anything they come from has moved."""
        version = self.view.version()
        if version == self._rows_version and not force:
            self.table.compose_lines()
            return
        self._rows_version = version
        self.table.set_rows(self.view.rows())
        if self._instead() is None:
            empty = None if self.table.rows else empty_lines(self.view, self.deck.store, self.size.width)
            self._show_instead(empty)

    def render_head(self) -> None:
        deck, cells = self.deck, self.size.width
        state = deck.head
        state.tabs = [(view.title, view is self.view, view.broken()) for view in self.views]
        choice = self.view.choice
        words = [f"/{choice.words}"] if choice.words else []
        state.words = " ".join([*words, *(["problems only"] if choice.problems else [])])
        row, shown = self.table.position
        total = self.view.total() if choice.words or choice.problems else shown
        of = f"{row}/{shown}" if total == shown else f"{row}/{shown} of {total}"
        marks = f"{len(self.table.marked)} marked  " if self.table.marked else ""
        state.position = f"{marks}{of} by {choice.sort}{' reversed' if choice.reverse else ''}"
        if self.too_small():
            self.head.show([])
            return
        self.head.show(
            [top_line(state, deck.store, deck.staging, deck.arming, deck.look, cells), tab_line(state, cells)]
        )

    def render_side(self) -> None:
        """Draw the detail and, where it is shown, the rail."""
        if self.detail.size.width:
            self.page = self._page(max(self.detail.size.width - 3, 20))
            height = self.detail.size.height
            self._follow_cursor(height)
            self.detail.paint(self._ruled(self.page.lines[self.scroll : self.scroll + height], height))
        if self.rail.size.width:
            deck, width = self.deck, max(self.rail.size.width - 3, 20)
            lines: list[Painted] = [("ground", line) for line in rail_lines(deck.store, deck.staging, deck.look, width)]
            self.rail.paint(self._ruled(lines[: self.rail.size.height], self.rail.size.height))

    def _ruled(self, lines: list[Painted], height: int) -> list[Painted]:
        if "-one" in self.classes:
            return lines
        rule: Span = (self.deck.look.glyphs.bar + " ", "accent" if self.in_detail else "faint")
        padded = lines + [("ground", ())] * (height - len(lines))
        return [(ground, (rule, *line)) for ground, line in padded]

    def _follow_cursor(self, height: int) -> None:
        page = self.page
        if page is None:
            return
        self.scroll = max(0, min(self.scroll, len(page.lines) - height))
        if page.targets and self.in_detail:
            at = page.targets[min(self.cursor, len(page.targets) - 1)]
            if at >= self.scroll + height:
                self.scroll = at - height + 1
            elif at < self.scroll:
                self.scroll = at

    def _page(self, width: int) -> Page:
        deck, row = self.deck, self.selected
        if isinstance(row, RouteRow):
            cursor = self.cursor if self.in_detail else None
            return route_page(row, deck.store, deck.staging, deck.look, width, cursor)
        if isinstance(row, LimitRow):
            return limit_page(row, deck.store, deck.staging, deck.look, width)
        if isinstance(row, ChangeRow):
            return change_page(row, deck.look, width, deck.observed)
        if isinstance(row, ServiceView):
            return service_page(row, deck.store, deck.look, width)
        if isinstance(row, EnvironmentView):
            return environment_page(row, deck.store, deck.look, width)
        return Page(deck.look, width)

    def render_foot(self) -> None:
        if not self.is_mounted:
            return
        deck, cells = self.deck, self.size.width
        if self.too_small():
            self.foot.show([])
            return
        last = self.input.line(cells) if self.input else hint_line(deck.keymap, self.situation(), cells, self.note)
        lacks = lack_line(deck.store, cells)
        self.set_class(lacks is not None, "lacking")
        above = [] if "-low" in self.classes else [change_line(deck.store, deck.look, cells)]
        self.foot.show([*([lacks] if lacks is not None else []), *above, last])

    # --- moving

    def on_line_table_selected(self) -> None:
        self.cursor, self.scroll = 0, 0
        self.render_side()
        self.render_head()
        self.render_foot()

    def on_line_table_opened(self) -> None:
        self.perform("open")

    def _move(self, by: int) -> None:
        if not self.in_detail:
            self.table.move(by)
            row, shown = self.table.position
            if by > 0 and isinstance(self.view, ChangesView) and row > shown - NEAR_THE_END:
                self.deck.read_older()
            self.on_line_table_selected()  # at once: row and detail then come in one frame
        elif self.page is not None and self.page.targets:
            self.cursor = max(0, min(self.cursor + by, len(self.page.targets) - 1))
            self.render_side()
            self.render_foot()
        else:
            self.scroll += by
            self.render_side()

    def do_move_down(self) -> None:
        self._move(1)

    def do_move_up(self) -> None:
        self._move(-1)

    def do_move_top(self) -> None:
        self._move(-1_000_000)

    def do_move_bottom(self) -> None:
        self._move(1_000_000)

    def _page_by(self, part: float) -> None:
        self._move(int(self.table.size.height * part) or (1 if part > 0 else -1))

    def do_move_half_down(self) -> None:
        self._page_by(0.5)

    def do_move_half_up(self) -> None:
        self._page_by(-0.5)

    def do_move_page_down(self) -> None:
        self._page_by(0.9)

    def do_move_page_up(self) -> None:
        self._page_by(-0.9)

    def _focus_detail(self, on: bool) -> None:
        if on and self.selected is None:
            return
        self.in_detail = on
        self.table.focused_pane = not on
        self.set_class(on, "detailed")
        self.scroll = 0 if not on else self.scroll
        self.table.compose_lines()
        self.call_after_refresh(self._after_focus)

    def _after_focus(self) -> None:
        self.render_side()
        self.render_head()
        self.render_foot()

    def do_open(self) -> None:
        if not self.in_detail:
            self._focus_detail(True)
            return
        row, name = self.selected, self.route_target()
        target = row.route.target(name) if isinstance(row, RouteRow) and name else None
        if target is not None and target.to is not None:
            self.go_to(target.to)
        elif isinstance(row, ServiceView) and row.routes:
            self.go_to(row.routes[0])

    def go_to(self, ref: Ref) -> None:
        """Show a route or limit, wherever it is."""
        for index, rows in ((0, self.deck.store.routes), (1, self.deck.store.limits)):
            if ref in rows:
                self.leave_place()
                self.show_view(index)
                if not self.table.select(ref):
                    self.clear_filter()
                    self.table.select(ref)
                return
        self.say(f"{safe(str(ref))} is not in the list", "warn")

    def do_back(self) -> None:
        if not self._go_back():
            self.at_root()

    def do_leave(self) -> None:
        if not self._go_back():
            self.do_quit()

    def _go_back(self) -> bool:
        """From the detail to the list, from a filter to all rows; False at the root."""
        if self.in_detail:
            self._focus_detail(False)
        elif self.view.choice.words or self.view.choice.problems:
            self.clear_filter()
        else:
            return False
        return True

    def at_root(self) -> None:
        """Esc where there is nothing to go back to: it never quits."""

    def do_quit(self) -> None:
        """Quit; where something is staged or under way, ask first: `y`, or the same key again."""
        deck = self.deck
        if self.leaving or not (deck.in_flight or len(deck.staging)):
            deck.remember()
            self.app.exit(0)
            return
        self.leaving = True
        staged = f"{figures.plural(len(deck.staging), 'edit')} staged, kept as a draft" if len(deck.staging) else ""
        flight = "a change is being applied: it stops before its next step" if deck.in_flight else ""
        self.say(f"{'; '.join(filter(None, (flight, staged)))}. y or q quits, any other key stays", "staged")

    def _key(self, event: events.Key) -> None:
        action = self.deck.keymap.action(self.SCOPE, event.key, event.character)
        if self.leaving and event.character == "y" and self.input is None:
            self.do_quit()
            return
        self.leaving = self.leaving and action is not None and action.id in ("leave", "quit")
        super()._key(event)

    def do_move_right(self) -> None:
        self._focus_detail(True)

    def do_move_left(self) -> None:
        self._focus_detail(False)

    def do_pane_next(self) -> None:
        self._focus_detail(not self.in_detail)

    do_pane_previous = do_pane_next
    # --- views

    def _configure(self) -> None:
        view = self.view
        self.table.configure(
            view.shown_columns(), view.draw, view.volatile, view.mark, self._sorted_column(), view.needs
        )

    def show_view(self, index: int) -> None:
        """Change to a numbered view."""
        current = self.views.index(self.view)
        if self.in_detail:
            self._focus_detail(False)
        if index == current:
            return
        self.leave_place()
        self.view_before, self.view = current, self.views[index]
        if isinstance(self.views[current], ChangesView):
            self.deck.changes_reader.forget_older()
        if isinstance(self.view, ChangesView):
            self.deck.read_history()
        self.table.clear_marks()
        self._configure()
        self._rows_version = None
        self.render_all()

    def do_view_routes(self) -> None:
        self.show_view(0)

    def do_view_limits(self) -> None:
        self.show_view(1)

    def do_view_changes(self) -> None:
        self.show_view(2)

    def do_view_pulse(self) -> None:
        self.show_view(3)

    def do_view_last(self) -> None:
        self.show_view(self.view_before)
