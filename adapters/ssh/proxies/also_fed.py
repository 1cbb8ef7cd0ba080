"""Rows that an edit changes though nobody named them: one native place (an included file) may feed several."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from control.model import Limit, Route
from control.model.ref import Ref
from control.planning.fields import flattened, value_of

Rows = tuple[Sequence[Route], Sequence[Limit]]


def also_fed(before: Rows, after: Rows, asked: Collection[Ref]) -> tuple[str, ...]:
    """A warning that names the rows whose own numbers differ between two readings, but for those in `asked`."""
    old = flattened((*before[0], *before[1]))
    new = flattened((*after[0], *after[1]))
    moved = [ref for ref, row in new.items() if ref not in asked and (ref not in old or _own(row) != _own(old[ref]))]
    if not moved:
        return ()
    return (f"the same place feeds other rows, which change with it: {', '.join(map(str, moved))}",)


def _own(row: Route | Limit) -> object:
    """What an edit can change of a row."""
    if isinstance(row, Route):
        return [(target.name, target.weight, target.share, target.state, target.native) for target in row.targets]
    return row.amount, value_of(row, "window"), value_of(row, "burst"), row.native
