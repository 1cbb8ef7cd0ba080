"""Filter, sort, marks, and only problems."""

from __future__ import annotations

from collections.abc import Sequence

from control.errors import UsageError
from tui import figures
from tui.cells import safe
from tui.restoring import KeptSession, restore_choice, session_of
from tui.screens.parts import DeckParts
from tui.widgets.line_input import LineInput
from tui.widgets.line_table import LineTable

_COLUMN_OF = {"used": "used", "rejected": "rejected", "when": "when"}


SORT_WORDS = {
    "risk": "risk: the worst first",
    "at": "environment",
    "rps": "requests per second",
    "5xx": "errors",
    "429": "throttled",
    "age": "age: the oldest first",
    "used": "how full",
    "rejected": "rejected per second",
    "when": "time",
}


def _name_of(data: object) -> str:
    return str(getattr(data, "name", ""))


class Finding(DeckParts):
    """The part of the main screen that finds rows."""

    def _sorted_column(self) -> str:
        return _COLUMN_OF.get(self.view.choice.sort, self.view.choice.sort)

    _filters_before: list[str]

    def do_filter(self, words: str = "") -> None:
        """Ask for a filter, afresh; the last ones are one key up. Esc leaves the list as it was."""
        if words:
            self._filter(words, told=True)
            return
        if not hasattr(self, "_filters_before"):
            self._filters_before = []
        before, kept = self.view.choice.words, self._filters_before
        if before:
            kept[:] = [*(one for one in kept if one != before), before]
        line = LineInput("/", lambda text: self._filter(text, told=True), changed=self._filter_softly, history=kept)
        line.cancelled = lambda: self._filter_softly(before)
        line.check = self._remark
        self.ask(line)
        self._filter_softly("")

    def _remark(self, text: str) -> tuple[str, str]:
        if not text:
            last = f"up: {safe(self._filters_before[-1])}" if self._filters_before else ""
            return last or "words of a name, env:NAME, kind:NAME, 5xx:>1, !word, /regex", "faint"
        try:
            self.view.test_of(text)
        except UsageError as error:
            return str(error), "bad"
        _, shown = self.table.position
        return figures.plural(shown, "row"), "muted" if shown else "warn"

    def _filter_softly(self, words: str) -> None:
        try:
            self._filter(words)
        except UsageError:
            return

    def _filter(self, words: str, told: bool = False) -> None:
        """Show the rows that these words name. Where they are `told`, and not still being typed, they must make sense:
        raises `UsageError` for a column that does not exist, and the filter before stays."""
        choice = self.view.choice
        choice.test, choice.words = self.view.test_of(words, told), words
        self.refresh_rows(force=True)
        self.render_head()
        self.render_side()

    def kept_session(self) -> KeptSession:
        """What a later start brings back."""
        return session_of(self.views, self.view)

    def restore(self, session: KeptSession) -> None:
        """Look as when the deck was last left."""
        for view in self.views:
            words = restore_choice(view, session)
            try:
                view.choice.test = view.test_of(words)
            except UsageError:
                continue
            view.choice.words = words
        names = [view.name for view in self.views]
        if session.view in names:
            self.show_view(names.index(session.view))
        self.table.sorted_by = self._sorted_column()
        self.refresh_rows(force=True)
        self.render_head()

    def do_environment(self, name: str = "") -> None:
        """Show the rows of one environment, chosen in a menu or named; the other filter words stay."""
        inventory = self.deck.store.inventory
        names = sorted(inventory.environments) if inventory is not None else []
        if name:
            if name not in names:
                raise UsageError(f"there is no environment '{safe(name)}'", hint="there are " + ", ".join(names))
            self._only_in(name)
            return
        from tui.screens.menu import Item, MenuScreen

        items = [Item("", "all of them"), *(Item(one, one, self._reach(one)) for one in names)]
        self.app.push_screen(MenuScreen("environment", items, chosen=self._only_in))

    def _reach(self, name: str) -> str:
        view = self.deck.store.environment(name)
        return view.environment.reach.state.value if view is not None else ""

    def _only_in(self, name: str) -> None:
        words = [word for word in self.view.choice.words.split() if not word.startswith("env:")]
        self._filter(" ".join([*words, f"env:{name}"] if name else words))

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
        sorts = self.view.sorts
        if column:
            self._sort_by(column)
            return
        from tui.screens.menu import Item, MenuScreen

        now = self.view.choice.sort
        items = [Item(sort, SORT_WORDS.get(sort, sort), "now" if sort == now else "") for sort in sorts]
        self.app.push_screen(MenuScreen("sort by", items, sorts.index(now), chosen=self._sort_by))

    def _sort_by(self, column: str) -> None:
        if column not in self.view.sorts:
            raise UsageError(f"cannot sort by '{column}'", hint="by " + ", ".join(self.view.sorts))
        self.view.choice.sort = column
        self._resorted()

    def _sort_step(self, by: int) -> None:
        sorts = self.view.sorts
        self._sort_by(sorts[(sorts.index(self.view.choice.sort) + by) % len(sorts)])

    def do_sort_next(self) -> None:
        self._sort_step(1)

    def do_sort_previous(self) -> None:
        self._sort_step(-1)

    def do_columns(self, names: str = "") -> None:
        """Choose columns in a menu, or name them: `:columns name at seen`; `:columns default` for the view's own."""
        by_key = {column.key: column for column in self.view.columns}
        first = self.view.columns[0].key
        if names == "default":
            self._show_columns(None)
            return
        if names:
            wanted = names.replace(",", " ").split()
            unknown = [key for key in wanted if key not in by_key]
            if unknown:
                raise UsageError(f"there is no column '{unknown[0]}'", hint="there are " + ", ".join(by_key))
            self._show_columns(list(dict.fromkeys([first, *wanted])))
            return
        from tui.screens.menu import Item, MenuScreen

        shown = [column.key for column in self.view.shown_columns()]
        items = [
            Item(
                key,
                by_key[key].title or by_key[key].alone,
                by_key[key].about or key,
                key in shown,
                "always there" if key == first else "",
            )
            for key in [*shown, *(key for key in by_key if key not in shown)]
        ]

        def changed(now: Sequence[Item]) -> None:
            self._show_columns([item.key for item in now if item.on])

        self.app.push_screen(MenuScreen(f"columns of {self.view.title}", items, changed=changed))

    def _show_columns(self, keys: list[str] | None) -> None:
        self.view.choice.columns = keys
        self.table.use_columns(self.view.shown_columns())
        self.render_all()

    def do_match_next(self) -> None:
        self._match(1)

    def do_match_previous(self) -> None:
        self._match(-1)

    def _match(self, by: int) -> None:
        """The next row whose name holds a word of the filter; every row that is shown where there is no filter word."""
        words = [word.lower() for word in self.view.choice.words.split() if word[:1].isalnum() and ":" not in word]
        if not self.table.find(lambda row: not words or any(w in _name_of(row.data).lower() for w in words), by):
            self.say("no other row here has these words in its name", "warn")
        self.render_side()
        self.render_head()

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
