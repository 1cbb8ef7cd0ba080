"""Changes: ours from the journal, and what others did, newest first."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from control.errors import UsageError
from tui import figures
from tui.cells import safe
from tui.look import Span
from tui.store import ChangeRow
from tui.views.base import ListView, split_words
from tui.widgets.line_table import NO_MARK, Column, TableRow

_GOOD = ("applied", "no change")


def outcome_role(outcome: str) -> str:
    """How an outcome is drawn."""
    if outcome in _GOOD:
        return "good"
    return "info" if outcome == "outside" or outcome.startswith("undone") else "warn"


_TEXTS: dict[str, Callable[[ChangeRow], str]] = {
    "who": lambda row: row.who,
    "what": lambda row: row.what,
    "outcome": lambda row: row.outcome,
    "why": lambda row: row.item.reason if row.item else (row.outside.source if row.outside else ""),
}


def _word_test(word: str) -> Callable[[ChangeRow], bool]:
    """A piece of any text of a change, `COLUMN:PIECE` of one of them, `!WORD` the inverse."""
    if len(word) > 1 and word.startswith("!"):
        positive = _word_test(word[1:])
        return lambda row: not positive(row)
    name, colon, piece = word.lower().partition(":")
    if colon and name not in _TEXTS and name.isidentifier():
        raise UsageError(f"there is no column '{safe(name)}'", hint=f"the columns are {', '.join(_TEXTS)}")
    if colon and name in _TEXTS:
        return lambda row: piece in _TEXTS[name](row).lower()
    return lambda row: any(word.lower() in text(row).lower() for text in _TEXTS.values())


class ChangesView(ListView):
    name = "changes"
    title = "Changes"
    sorts = ("when",)
    columns = (
        Column("when", "WHEN", 11, keep=100),
        Column("who", "WHO", 12, keep=90, grow=1, most=24),
        Column("what", "WHAT", 28, keep=95, grow=6),
        Column("outcome", "OUTCOME", 16, keep=85, grow=1, most=24),
        Column("reason", "WHY", 16, keep=40, grow=3, most=60),
    )

    def version(self) -> Hashable:
        return super().version(), self.store.told

    def rows(self) -> list[TableRow]:
        rows, test = self.store.changes, self.choice.test
        if test is not None:
            rows = [row for row in rows if test(row)]
        if self.choice.problems:
            rows = [r for r in rows if outcome_role(r.outcome) == "warn"]
        ordered = reversed(rows) if self.choice.reverse else rows
        return [*self._before(), *(self._row(row) for row in ordered), *self._after()]

    def test_of(self, words: str, told: bool = False) -> Callable[[Any], bool] | None:
        tests = [_word_test(word) for word in split_words(words)]
        return (lambda row: all(test(row) for test in tests)) if tests else None

    def _before(self) -> list[TableRow]:
        why = self.store.changes_unknown
        return [self._said(f"changes are not known: {safe(why)}")] if why else []

    def _after(self) -> list[TableRow]:
        older = self.store.older_changes
        return [self._said(f"{older:,} older changes are not read yet: going down reads on")] if older else []

    def _said(self, text: str) -> TableRow:
        return TableRow(text, text, text, heading=True)

    def _row(self, row: ChangeRow) -> TableRow:
        key = row.item.change if row.item else (row.at, row.what)
        return TableRow(key, row, row)

    def mark(self, row: TableRow) -> Span:
        data: ChangeRow = row.data
        if row.heading:
            return NO_MARK
        return ("!", "bad") if data.outcome == "interrupted" else NO_MARK

    def total(self) -> int:
        return len(self.store.changes) + self.store.older_changes

    def cells(self, row: TableRow, key: str, width: int) -> list[Span]:
        data: ChangeRow = row.data
        if key == "when":
            return [(self.fit(figures.clock(data.at, seconds=True), width), "muted")]
        if key == "who":
            return [(self.fit(data.who, width), "accent" if data.item else "info")]
        if key == "what":
            return [(self.clip(data.what, width), "text")]
        if key == "reason":
            return [(self.fit(_TEXTS["why"](data), width), "muted")]
        return [(self.fit(data.outcome, width), outcome_role(data.outcome))]
