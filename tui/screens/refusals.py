"""What a bulk edit could not be staged on: every row with its reason, and nothing left unsaid."""

from __future__ import annotations

from collections.abc import Sequence

from control.errors import ControlError
from tui.cells import safe, wrap
from tui.figures import plural
from tui.look import Line
from tui.screens.sheet import SheetScreen
from tui.store import LimitRow, RouteRow
from tui.views.limits import amount_text

Refused = tuple[RouteRow | LimitRow, ControlError]


def told(total: int, refused: Sequence[Refused]) -> str:
    """`11 of 27 staged; 16 not: 25/s cannot be 12.5/s here (…), …`: each reason once."""
    reasons = dict.fromkeys(reason(*one) for one in refused)
    return f"{total - len(refused)} of {total} staged; {len(refused)} not: {', '.join(reasons)}"


def reason(row: RouteRow | LimitRow, error: ControlError) -> str:
    """Why an edit cannot be on a row, with the value that the row has."""
    value = f"{amount_text(row.limit)}: " if isinstance(row, LimitRow) else ""
    return value + safe(str(error))


class RefusalsScreen(SheetScreen):
    """A page over the deck; esc goes back to the marked rows, of which the others are staged."""

    def __init__(self, total: int, refused: Sequence[Refused]) -> None:
        super().__init__()
        self.total, self.refused = total, refused

    def heading(self) -> Line:
        staged, not_staged = self.total - len(self.refused), len(self.refused)
        return ((f" {staged} of {self.total} staged", "strong"), (f"; {not_staged} not, and why", "warn"))

    def lines(self, width: int) -> list[Line]:
        groups: dict[str, list[RouteRow | LimitRow]] = {}
        for row, error in self.refused:
            groups.setdefault(reason(row, error), []).append(row)
        lines: list[Line] = []
        for why, rows in groups.items():
            lines += [(), *(((f" {part}", "warn"),) for part in wrap(why, max(width - 2, 20)))]
            lines += [((f"   {part}", "text"),) for row in rows for part in wrap(str(row.ref), max(width - 4, 20))]
        if self.total > len(self.refused):
            rest = plural(self.total - len(self.refused), "edit")
            lines += [(), ((f" {rest} staged, not sent; esc, then a plans", "muted"),)]
        return lines
