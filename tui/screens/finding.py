"""Filter, sort, marks, and only problems."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from control.errors import UsageError
from control.filters import parse_filter
from tui.restoring import restore_choice, session_of
from tui.screens.parts import DeckParts
from tui.widgets.line_input import LineInput
from tui.widgets.line_table import LineTable

_COLUMN_OF = {"used": "used", "rejected": "rejected", "when": "when"}


class Finding(DeckParts):
    """The part of the main screen that finds rows."""

    def _sorted_column(self) -> str:
        return _COLUMN_OF.get(self.view.choice.sort, self.view.choice.sort)

    def do_filter(self, words: str = "") -> None:
        if words:
            self._filter(words)
            return
        before = self.view.choice.words
        line = LineInput("/", self._filter, before, changed=self._filter_softly)
        line.cancelled = lambda: self._filter_softly(before)
        line.check = self._remark
        self.ask(line)

    def _remark(self, text: str) -> tuple[str, str]:
        try:
            self._test(text)
        except UsageError as error:
            return str(error), "bad"
        _, shown = self.table.position
        return f"{shown} rows", "muted"

    def _test(self, words: str) -> Callable[[Any], bool] | None:
        if not words:
            return None
        try:
            parts = shlex.split(words)
        except ValueError as error:
            raise UsageError("a quote is not closed") from error
        test = parse_filter(parts)
        store = self.deck.store
        return lambda row: store.inventory is not None and test(row, store.inventory)

    def _filter_softly(self, words: str) -> None:
        try:
            self._filter(words)
        except UsageError:
            return

    def _filter(self, words: str) -> None:
        choice = self.view.choice
        try:
            choice.test = self._test(words)
        except UsageError as error:
            self.fail(error)
            return
        choice.words = words
        self.refresh_rows(force=True)
        self.render_head()
        self.render_side()

    def kept_session(self) -> dict[str, Any]:
        """What a later start brings back."""
        return session_of(self.views, self.view)

    def restore(self, session: dict[str, Any]) -> None:
        """Look as when the deck was last left."""
        for view in self.views:
            words = restore_choice(view, session)
            try:
                view.choice.test = self._test(words)
            except UsageError:
                continue
            view.choice.words = words
        names = [view.name for view in self.views]
        if session["view"] in names:
            self.show_view(names.index(session["view"]))
        self.table.sorted_by = self._sorted_column()
        self.refresh_rows(force=True)
        self.render_head()

    def clear_filter(self) -> None:
        """Show all rows again."""
        self.view.choice.problems = False
        self._filter("")

    def do_filter_clear(self) -> None:
        self.clear_filter()

    def do_problems(self) -> None:
        self.view.choice.problems = not self.view.choice.problems
        self.refresh_rows()
        self.render_head()
        self.render_side()

    def do_sort(self, column: str = "") -> None:
        choice, sorts = self.view.choice, self.view.sorts
        if column and column not in sorts:
            raise UsageError(f"cannot sort by '{column}'", hint="by " + ", ".join(sorts))
        choice.sort = column or sorts[(sorts.index(choice.sort) + 1) % len(sorts)]
        self._resorted()

    def do_sort_reverse(self) -> None:
        self.view.choice.reverse = not self.view.choice.reverse
        self._resorted()

    def on_line_table_head_clicked(self, event: LineTable.HeadClicked) -> None:
        """Sort by the column that was clicked; clicked again, the other way round."""
        column = next((sort for sort in self.view.sorts if _COLUMN_OF.get(sort, sort) == event.column), None)
        if column is None:
            self.say("this column does not sort; s chooses", "warn")
        elif column == self.view.choice.sort:
            self.perform("sort.reverse")
        else:
            self.perform("sort", column)

    def _resorted(self) -> None:
        self.table.sorted_by = self._sorted_column()
        self.refresh_rows()
        self.render_head()

    def do_mark(self) -> None:
        self.table.toggle_mark()
        self.table.move(1)
        self.render_head()

    def do_mark_range(self) -> None:
        self.table.mark_range()
        self.render_head()

    def do_mark_clear(self) -> None:
        self.table.clear_marks()
        self.render_head()

    def do_refresh(self) -> object:
        return self._refresh()

    async def _refresh(self) -> None:
        deck = self.deck
        deck.head.job = "reading…"
        self.render_head()
        try:
            await deck.plane.refresh()
            deck.take(deck.plane)
        finally:
            deck.head.job = ""

    def do_pause(self) -> None:
        head = self.deck.head
        head.paused = not head.paused
        self.say("live updates are paused; p resumes" if head.paused else "live updates resumed")
        self.render_head()
