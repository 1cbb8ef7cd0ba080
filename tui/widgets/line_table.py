"""The main list: fixed columns, own drawing, selection by identity, repaint by row.

Rows are handed over as data; a row is drawn only while it is visible, and again only when its version changed. The
stock DataTable measures every cell and takes seconds at 10,000 rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textual import events
from textual.message import Message

from tui.cells import fit
from tui.look import Line, Look, Span
from tui.widgets.canvas import Canvas, Painted


@dataclass(frozen=True, slots=True)
class Column:
    """A column of fixed width. Where the table is too narrow, the columns with the lowest `keep` go first."""

    key: str
    title: str
    width: int
    right: bool = False
    keep: int = 100
    grow: int = 0
    """The share of left-over cells that it takes."""
    most: int = 400
    extra: bool = False
    """Hidden until the user chooses it."""
    about: str = ""
    """What it shows, in a few words for the chooser."""
    alone: str = ""
    """The title where the column before it, whose title covers both, is not shown."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. `key` is its identity; `version` changes with anything that is drawn of it."""

    key: Hashable
    version: Hashable
    data: Any
    heading: bool = False


NO_MARK: Span = (" ", "muted")
LABELS = "asdfghjklqwertyuiopzxcvbnm"
"""The letters of rows to jump to: those under the fingers first."""
Cells = dict[str, int]
"""Column key -> width, for the columns that are shown."""
Draw = Callable[[TableRow, Cells], list[tuple[str, list[Span]]]]
"""Row -> (column key, spans exactly as wide as the column); a heading returns one entry with the key ''."""


def layout(columns: Sequence[Column], cells: int, needs: Mapping[str, int] | None = None) -> Cells:
    """Which columns fit in `cells`, and how wide each is, one blank between them.

    `needs` says how much the longest text of a column takes: such a column is no wider than that, and gets it before
    any other grows. Names come first, and so on by `keep`.
    """
    needed = {c.key: max(min(needs[c.key], c.most), len(c.title)) for c in columns if needs and c.key in needs}
    widths = {c.key: min(c.width, needed.get(c.key, c.width)) for c in columns}
    shown = list(columns)
    while len(shown) > 1 and sum(widths[c.key] for c in shown) + len(shown) - 1 > cells:
        shown.remove(min(shown, key=lambda c: c.keep))
    widths = {c.key: widths[c.key] for c in shown}
    spare = max(cells - sum(widths.values()) - len(shown) + 1, 0)
    for column in sorted((c for c in shown if c.key in needed), key=lambda c: -c.keep):
        more = min(needed[column.key] - widths[column.key], spare)
        widths[column.key] += more
        spare -= more
    growing = sorted((c for c in shown if c.grow and c.key not in needed), key=lambda c: -c.grow)
    while spare > 0 and growing:
        total = sum(c.grow for c in growing)
        given = 0
        for column in growing:
            more = min(-(-spare * column.grow // total), column.most - widths[column.key], spare - given)
            widths[column.key] += more
            given += more
        spare -= given
        growing = [c for c in growing if widths[c.key] < c.most] if given else []
    return widths


class LineTable(Canvas):
    """See the module. The head line is frozen; `rows` move under it."""

    GUTTER = 2

    class Selected(Message):
        """The cursor is on another row."""

    class Opened(Message):
        """A row was clicked twice."""

    class HeadClicked(Message):
        """The title of a column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(look, id=id)
        self.columns: Sequence[Column] = ()
        self.rows: Sequence[TableRow] = ()
        self.marked: set[Hashable] = set()
        self.labels: dict[str, Hashable] = {}
        """Letters -> identity of the row, while somebody is about to jump."""
        self.focused_pane = True
        self.sorted_by = ""
        self._draw: Draw = lambda _row, _cells: []
        self._volatile: Callable[[TableRow], Hashable] = lambda _row: None
        self._mark: Callable[[TableRow], Span] = lambda _row: NO_MARK
        self._needs: Callable[[], Mapping[str, int]] = dict
        self._key: Hashable | None = None
        self._index = 0
        self._top = 0
        self._headings: list[int] = []
        """The places of the headings among the rows."""
        self._chosen = False
        self._drawn: dict[Hashable, tuple[Hashable, Line]] = {}
        self._cells: Cells = {}
        self._drawn_in = 0
        """The width that the rows were drawn for; 0 where the columns are others."""

    # --- data

    def configure(
        self,
        columns: Sequence[Column],
        draw: Draw,
        volatile: Callable[[TableRow], Hashable],
        mark: Callable[[TableRow], Span],
        sorted_by: str = "",
        needs: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """Change what the columns are. `needs` says how wide their longest texts are, `volatile` is what a row shows
        beyond its version (ages, staged values), `mark` the one character before it; these two are asked for rows in
        sight only."""
        self.columns, self._draw, self._volatile, self._mark = columns, draw, volatile, mark
        self.sorted_by, self._needs = sorted_by, needs
        self._drawn_in = 0
        self.rows, self._headings, self._key, self._index, self._top, self._chosen = (), [], None, 0, 0, False

    def use_columns(self, columns: Sequence[Column]) -> None:
        """Show these columns of the same rows; cursor and marks stay."""
        self.columns = columns
        self._drawn_in = 0
        self.compose_lines()

    def set_rows(self, rows: Sequence[TableRow]) -> None:
        """Show these rows in this order. The selection stays on its row; where it is gone, on its neighbour.

        Until the user chose a row, the first one is selected: that is the worst.
        """
        self.rows = rows
        self._headings = [index for index, row in enumerate(rows) if row.heading]
        before = self._key
        if not self._chosen:
            self._key, self._index, self._top = None, 0, 0
        index = self._place_of(self._key, rows)
        if index is None:
            index = self._selectable(min(self._index, len(rows) - 1), 1)
        moved = index - self._index
        self._index = index
        self._key = rows[index].key if 0 <= index < len(rows) else None
        if moved and self._top + moved > 0:
            self._top += moved
        self.compose_lines()
        if self._key != before:
            self.post_message(self.Selected())

    def _place_of(self, key: Hashable | None, rows: Sequence[TableRow]) -> int | None:
        """Where a row is now. Most often where it was, and then nothing is searched."""
        if key is None:
            return None
        if 0 <= self._index < len(rows) and rows[self._index].key == key:
            return self._index
        return next((index for index, row in enumerate(rows) if row.key == key), None)

    @property
    def selected(self) -> TableRow | None:
        """The row under the cursor."""
        if 0 <= self._index < len(self.rows) and not self.rows[self._index].heading:
            return self.rows[self._index]
        return None

    @property
    def position(self) -> tuple[int, int]:
        """(place of the cursor from 1, number of rows), headings not counted."""
        above = bisect_right(self._headings, self._index)
        return (self._index + 1 - above if self.selected else 0), len(self.rows) - len(self._headings)

    # --- moving

    def select(self, key: Hashable) -> bool:
        """Put the cursor on the row with this identity."""
        index = self._place_of(key, self.rows)
        if index is None or self.rows[index].heading:
            return False
        self._go(index)
        return True

    def move(self, by: int) -> None:
        """Move the cursor by so many rows, past headings, and stop at the ends."""
        target = max(0, min(self._index + by, len(self.rows) - 1))
        self._go(self._selectable(target, 1 if by > 0 else -1))

    def find(self, test: Callable[[TableRow], bool], by: int) -> bool:
        """Put the cursor on the next row (by 1) or the one before (by -1) that fits, around the end."""
        total = len(self.rows)
        for step in range(1, total):
            at = (self._index + by * step) % total
            if not self.rows[at].heading and test(self.rows[at]):
                self._go(at)
                return True
        return False

    def page(self, pages: float) -> None:
        """Move by a part of what is visible."""
        self.move(int(self._height() * pages) or (1 if pages > 0 else -1))

    def _selectable(self, index: int, step: int) -> int:
        for direction in (step, -step):
            at = index
            while 0 <= at < len(self.rows):
                if not self.rows[at].heading:
                    return at
                at += direction
        return max(index, 0)

    def _go(self, index: int) -> None:
        if not 0 <= index < len(self.rows):
            return
        changed = self.rows[index].key != self._key
        self._chosen = True
        self._index, self._key = index, self.rows[index].key
        self.compose_lines()
        if changed:
            self.post_message(self.Selected())

    # --- labels to jump by

    def label_rows(self) -> None:
        """Give every row in sight letters of its own: one each, or two where there are too many rows."""
        rows = range(self._top, min(self._top + self._height(), len(self.rows)))
        here = [self.rows[index].key for index in rows if not self.rows[index].heading]
        single = len(here) <= len(LABELS)
        names = LABELS if single else [first + second for first in LABELS for second in LABELS]
        self.labels = dict(zip(names, here, strict=False))
        self.compose_lines()

    def clear_labels(self) -> None:
        self.labels = {}
        self.compose_lines()

    # --- marks

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor."""
        if self.selected is not None:
            self.marked ^= {self.selected.key}
            self.compose_lines()

    def mark_range(self) -> None:
        """Mark from the nearest marked row above to the cursor."""
        keys = [row.key for row in self.rows[: self._index + 1] if not row.heading]
        start = next((i for i in range(len(keys) - 1, -1, -1) if keys[i] in self.marked), len(keys) - 1)
        self.marked |= set(keys[start:])
        self.compose_lines()

    def clear_marks(self) -> None:
        self.marked.clear()
        self.compose_lines()

    # --- drawing

    def _inner(self) -> int:
        return max(self.size.width - self.GUTTER, 1)

    def _height(self) -> int:
        return max(self.size.height - 1, 1)

    def compose_lines(self) -> None:
        """Bring the visible lines up to date; only those that differ are painted."""
        if not self.size.width:
            return
        wanted = layout(self.columns, self._inner(), self._needs())
        if self._drawn_in != self.size.width or wanted != self._cells:
            self._drawn_in = self.size.width
            self._drawn.clear()
            self._cells = wanted
        height = self._height()
        if self._index < self._top:
            self._top = self._index
        elif self._index >= self._top + height:
            self._top = self._index - height + 1
        self._top = max(0, min(self._top, len(self.rows) - height))
        if self._top == 1 and self.rows[0].heading:
            self._top = 0 if self._index < height else 1
        painted: list[Painted] = [("raised", self._head())]
        painted += [self._paint_row(i) for i in range(self._top, min(self._top + height, len(self.rows)))]
        self.paint(painted)

    def _head(self) -> Line:
        parts: list[Span] = [(" " * self.GUTTER, "muted")]
        covered = False
        for column in self.columns:
            if column.key in self._cells:
                role = "accent" if column.key == self.sorted_by else "muted"
                title = column.title or ("" if covered else column.alone)
                parts += [(fit(title, self._cells[column.key], right=column.right), role), (" ", "muted")]
                covered = bool(column.title)
            else:
                covered = False
        return tuple(parts)

    def _paint_row(self, index: int) -> Painted:
        row = self.rows[index]
        at_cursor = index == self._index and not row.heading
        marked = row.key in self.marked
        ground = "cursor" if at_cursor else "marked" if marked else "ground"
        pointer = self.look.glyphs.pointer if at_cursor else "+" if marked else " "
        label = next((letters for letters, key in self.labels.items() if key == row.key), "")
        if label:
            return ground, ((label.ljust(self.GUTTER), "key"), *self._body(row))
        gutter: Line = ((pointer, "accent" if self.focused_pane else "faint"), self._mark(row))
        return ground, gutter + self._body(row)

    def _body(self, row: TableRow) -> Line:
        version = (row.version, self._volatile(row))
        drawn = self._drawn.get(row.key)
        if drawn is not None and drawn[0] == version:
            return drawn[1]
        parts: list[Span] = []
        for _, spans in self._draw(row, self._cells):
            parts += spans
            parts.append((" ", "text"))
        line = tuple(parts[:-1])
        if len(self._drawn) > 4000:
            self._drawn.clear()
        self._drawn[row.key] = (version, line)
        return line

    # --- mouse: works, never needed

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-3)

    def _column_at(self, x: int) -> str | None:
        """The key of the column that is drawn at this cell."""
        left = self.GUTTER
        for key, cells in self._cells.items():
            if left <= x < left + cells:
                return key
            left += cells + 1
        return None

    def on_click(self, event: events.Click) -> None:
        column = self._column_at(event.x) if event.y == 0 else None
        if column is not None:
            self.post_message(self.HeadClicked(column))
        index = self._top + event.y - 1
        if event.y >= 1 and 0 <= index < len(self.rows) and not self.rows[index].heading:
            self._go(index)
            if event.chain >= 2:
                self.post_message(self.Opened())
