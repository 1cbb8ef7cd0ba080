"""What the lists of routes and of limits have in common: order, choice, marks, and how old values look."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from operator import itemgetter
from typing import Any, ClassVar, Generic, TypeVar

from control.memo import Memo
from control.model.ref import Ref
from tui import figures
from tui.cells import width
from tui.look import Look, Span
from tui.staging import Staging
from tui.store import LimitRow, RouteRow, Store
from tui.views.base import Drawn, ListView
from tui.widgets.line_table import NO_MARK, Cells, TableRow

RowT = TypeVar("RowT", RouteRow, LimitRow)
_Placed = tuple[tuple[Any, ...], TableRow]
"""Where a row stands, and the row as the table takes it."""
_DIMMED = ("text", "strong", "muted")


class RowList(ListView, Generic[RowT]):
    """A list of routes or of limits. `data` of its rows is a `RouteRow` or a `LimitRow`."""

    downward: ClassVar[frozenset[str]]
    """The orders that begin with the greatest."""

    def __init__(self, store: Store, staging: Staging, look: Look) -> None:
        super().__init__(store, staging, look)
        self._ordered: tuple[Hashable, list[TableRow]] = (None, [])
        self._beside = True
        """Whether the environment is shown beside the name."""
        self._needed: tuple[Hashable, Mapping[str, int]] = (None, {})
        self._placed: tuple[str, Memo[RowT, _Placed]] = ("", Memo(self._place))

    @abstractmethod
    def source(self) -> Mapping[Ref, RowT]:
        """All rows there are."""

    @abstractmethod
    def sort_key(self, row: RowT) -> tuple[Any, ...]:
        """Where a row stands in the chosen order, before its name."""

    @abstractmethod
    def cell(self, row: RowT, key: str, width: int) -> list[Span]:
        """One cell as it looks while the row is fresh."""

    def total(self) -> int:
        return len(self.source())

    def broken(self) -> int:
        return self.store.broken[self.name]

    def _in_order(self) -> list[TableRow]:
        """All rows in their order, made anew only where a row has changed, and not at each letter of a filter."""
        sort, reverse = self.choice.sort, self.choice.reverse
        moment = self.store.batch if sort == "age" else 0  # ages grow apart without any change
        version = (self.store.revision, moment, sort, reverse)
        if self._ordered[0] != version:
            if self._placed[0] != sort or sort == "age":
                self._placed = sort, Memo(self._place)
            placed = self._placed[1](list(self.source().values()))
            placed.sort(key=itemgetter(0), reverse=reverse ^ (sort in self.downward))
            self._ordered = version, [row for _, row in placed]
        return self._ordered[1]

    def _place(self, row: RowT) -> _Placed:
        ref = row.ref
        # Of the ref its texts: rows of the same name are many, and comparing texts is quick.
        key = (*self.sort_key(row), row.name, ref.environment, ref.kind, ref.scope, ref.name, ref.part or "")
        return key, TableRow(ref, row.serial, row)

    def rows(self) -> list[TableRow]:
        test, rows = self.choice.test, self._in_order()
        if test is not None:
            rows = [row for row in rows if test(row.data.subject)]
        if self.choice.problems:
            rows = [row for row in rows if row.data.problems or row.data.ref in self.staging]
        return rows

    def draw(self, row: TableRow, cells: Cells) -> Drawn:
        self._beside = "at" in cells
        return super().draw(row, cells)

    def name_cell(self, row: RowT, cells: int) -> list[Span]:
        """The name, with what tells it apart, cut where it is shared."""
        labels = self.store.labels(self._beside)
        names = self._told(("name", self._beside), lambda: [labels[ref] for ref in self.source()], cells)
        label = labels.get(row.ref, row.name)
        return [(self.fit(names.get(label, label), cells), "strong" if row.broken else "text")]

    def needs(self) -> Mapping[str, int]:
        version = (self.store.naming, self.store.revision // 16, self.staging.version)
        if self._needed[0] != version:
            labels = self.store.labels()
            refs = self.source()
            self._needed = (
                version,
                {
                    "name": max((width(labels[ref]) for ref in refs), default=0),
                    "at": max((width(ref.environment) for ref in refs), default=0),
                    "scope": max((width(ref.scope) for ref in refs), default=0),
                    "kind": max((width(ref.kind) for ref in refs), default=0),
                    **self.more_needs(),
                },
            )
        return self._needed[1]

    def more_needs(self) -> Mapping[str, int]:
        """What the list's own columns need."""
        return {}

    def _stale(self, row: RowT) -> bool:
        return self.store.stale(row.subject.environment, row.subject.read_at)

    def mark(self, row: TableRow) -> Span:
        if row.heading:
            return NO_MARK
        if row.data.broken:
            return "!", "bad"
        if row.data.ref in self.staging:
            return "~", "staged"
        return ("?", "stale") if self._stale(row.data) else NO_MARK

    def volatile(self, row: TableRow) -> Hashable:
        subject = row.data.subject
        age = figures.age(self.store.age(subject.environment, subject.read_at))
        return age, self.staging.version, self._stale(row.data)

    def cells(self, row: TableRow, key: str, width: int) -> list[Span]:
        spans = self.cell(row.data, key, width)
        if not self._stale(row.data):
            return spans
        return [(text, "stale" if role in _DIMMED else role) for text, role in spans]
