"""Changes: ours from the journal, and what others did, newest first."""

from __future__ import annotations

from collections.abc import Hashable

from tui import figures
from tui.look import Span
from tui.store import ChangeRow
from tui.views.base import ListView
from tui.widgets.line_table import NO_MARK, Column, TableRow

_GOOD = ("applied", "no change")


def outcome_role(outcome: str) -> str:
    """How an outcome is drawn."""
    if outcome in _GOOD:
        return "good"
    return "info" if outcome == "outside" or outcome.startswith("undone") else "warn"


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
        rows = self.store.changes
        words = self.choice.words.lower().split()
        if words:
            rows = [r for r in rows if all(w in f"{r.who} {r.what} {r.outcome}".lower() for w in words)]
        if self.choice.problems:
            rows = [r for r in rows if outcome_role(r.outcome) == "warn"]
        ordered = reversed(rows) if self.choice.reverse else rows
        return [self._row(index, row) for index, row in enumerate(ordered)]

    def _row(self, index: int, row: ChangeRow) -> TableRow:
        key = row.item.change if row.item else (row.at, row.what)
        return TableRow(key, row, row)

    def mark(self, row: TableRow) -> Span:
        data: ChangeRow = row.data
        return ("!", "bad") if data.outcome == "interrupted" else NO_MARK

    def total(self) -> int:
        return len(self.store.changes)

    def cells(self, row: TableRow, key: str, width: int) -> list[Span]:
        data: ChangeRow = row.data
        if key == "when":
            return [(self.fit(figures.clock(data.at), width), "muted")]
        if key == "who":
            return [(self.fit(data.who, width), "accent" if data.item else "info")]
        if key == "what":
            return [(self.clip(data.what, width), "text")]
        if key == "reason":
            return [
                (
                    self.fit(data.item.reason if data.item else (data.outside.source if data.outside else ""), width),
                    "muted",
                )
            ]
        return [(self.fit(data.outcome, width), outcome_role(data.outcome))]
