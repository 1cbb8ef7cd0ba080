"""What every list view is: columns, rows from the store, and how one row is drawn."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from control.errors import UsageError
from control.fleet.filters import parse_filter
from control.model import Owner
from tui import figures
from tui.cells import clip, fit
from tui.look import Look, Span
from tui.naming import shortened
from tui.staging import Staging
from tui.store import Store
from tui.widgets.line_table import NO_MARK, Cells, Column, TableRow

Drawn = list[tuple[str, list[Span]]]


@dataclass(slots=True)
class Choice:
    """What the user chose for one view: filter, order, only problems. Kept per view."""

    words: str = ""
    test: Callable[[Any], bool] | None = None
    sort: str = "risk"
    reverse: bool = False
    problems: bool = False
    columns: list[str] | None = None
    """The keys of the columns that are shown, in their order; None for the view's own."""


def owner_names(owners: Sequence[Owner]) -> str:
    """Who else writes a row, for a column."""
    return ", ".join(f"{owner.kind} {owner.name}" for owner in owners) or figures.UNKNOWN


def split_words(words: str) -> list[str]:
    """Filter words as a shell would take them. Raises `UsageError` for an open quote."""
    try:
        return shlex.split(words)
    except ValueError as error:
        raise UsageError("a quote is not closed") from error


class ListView(ABC):
    """One of the numbered views."""

    name: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[Sequence[Column]]
    sorts: ClassVar[Sequence[str]] = ("risk",)

    def __init__(self, store: Store, staging: Staging, look: Look) -> None:
        self.store = store
        self.staging = staging
        self.look = look
        self.choice = Choice(sort=self.sorts[0])
        self._short: dict[Hashable, tuple[Hashable, dict[str, str]]] = {}

    def version(self) -> Hashable:
        """What the rows come from: they are another list only where this is another. Ages and measures move with each
        batch, so what is chosen or ordered by them does too."""
        choice, store = self.choice, self.store
        moment = store.batch if choice.test is not None or choice.sort == "age" else 0
        what = (self.name, store.revision, self.staging.version, moment)
        return what, choice.words, choice.sort, choice.reverse, choice.problems

    def test_of(self, words: str, told: bool = False) -> Callable[[Any], bool] | None:
        """What a row must be to be shown; None for every row. Raises `UsageError` for words that cannot be read and,
        where they are `told` and not still being typed, for a column that does not exist here."""
        parts = split_words(words)
        if not parts:
            return None
        store = self.store
        test = parse_filter(parts, store.searched)
        if told and store.inventory is not None:
            test.check(store.inventory, self.name)
        return lambda row: store.inventory is not None and test(row, store.inventory)

    def shown_columns(self) -> Sequence[Column]:
        """The columns as the user wants them. Where it is too narrow, those chosen last go first."""
        by_key = {column.key: column for column in self.columns}
        if self.choice.columns is None:
            return [column for column in self.columns if not column.extra]
        chosen = [by_key[key] for key in self.choice.columns if key in by_key]
        return [replace(column, keep=1000 - rank) for rank, column in enumerate(chosen)]

    @abstractmethod
    def rows(self) -> list[TableRow]:
        """The rows to show, filtered and in order."""

    @abstractmethod
    def cells(self, row: TableRow, key: str, width: int) -> list[Span]:
        """One cell, exactly `width` wide."""

    def mark(self, row: TableRow) -> Span:
        """The character before a row, and its role: what is to be seen before anything is read."""
        return NO_MARK

    def volatile(self, row: TableRow) -> Hashable:
        """What a row shows that its version does not know."""
        return None

    def total(self) -> int:
        """How many rows there are without the filter."""
        return len(self.rows())

    def broken(self) -> int:
        """How many of all its rows are broken."""
        return 0

    def draw(self, row: TableRow, cells: Cells) -> Drawn:
        if row.heading:
            return [("", self.heading(row, sum(cells.values()) + len(cells) - 1))]
        return [(key, self.cells(row, key, width)) for key, width in cells.items()]

    def heading(self, row: TableRow, width: int) -> list[Span]:
        """A line between groups."""
        return [(self.fit(str(row.data), width), "title")]

    def fit(self, text: str, cells: int, right: bool = False) -> str:
        return fit(text, cells, right=right, ellipsis=self.look.glyphs.ellipsis)

    def clip(self, text: str, cells: int) -> str:
        """A sentence, cut at its end."""
        return clip(text, cells, ellipsis=self.look.glyphs.ellipsis)

    def age_cell(self, environment: str, read_at: float | None, width: int) -> list[Span]:
        """How old, and old values look old."""
        seconds = self.store.age(environment, read_at)
        role = "stale" if self.store.stale(environment, read_at) else "faint"
        return [(self.fit(figures.age(seconds), width, True), role)]

    def environment_cell(self, environment: str, width: int) -> list[Span]:
        names = self._told(("at", width), self.store.environment_names, width)
        return [(self.fit(names.get(environment, environment), width), self.store.color(environment))]

    def _told(self, what: Hashable, names: Callable[[], Iterable[str]], cells: int) -> Mapping[str, str]:
        """Names as they are cut in a column of so many cells, all told apart; made anew where rows came or went."""
        version = (self.store.naming, cells)
        short = self._short.get(what)
        if short is None or short[0] != version:
            short = self._short[what] = version, shortened(names(), cells, self.look.glyphs.ellipsis)
        return short[1]

    def needs(self) -> Mapping[str, int]:
        """Cells that the longest text of a column takes, for columns whose texts do not move with the traffic."""
        return {}
