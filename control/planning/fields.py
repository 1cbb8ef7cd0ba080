"""One field of a route or limit: reading it, comparing it with what was meant, turning a change around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from msgspec import Struct

from control.model import Limit, Route, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Value, split_field
from control.ports import Fetched, Found
from control.structs import replace
from control.typed import decimal

Row = Route | Limit
AnyRow = TypeVar("AnyRow", Route, Limit)
"""A route where a route is given, a limit where a limit is."""


def flattened(rows: Iterable[Row]) -> dict[Ref, Row]:
    """Every row and every member of a group row, by ref. Group rows themselves are in it too."""
    by_ref: dict[Ref, Row] = {}
    for row in rows:
        by_ref[row.ref] = row
        for member in row.members:
            by_ref[member.ref] = member
    return by_ref


def rows_of(read: Snapshot | Fetched) -> dict[Ref, Row]:
    """The routes and limits of one read, by ref, members of groups among them."""
    return flattened((*read.routes, *read.limits))


def value_of(row: Row, field: str) -> Value:
    """The value of `field` as it stands in `row`; None where it is not there."""
    name, what = split_field(field)
    if isinstance(row, Route):
        target = row.target(name) if name is not None else None
        if target is None:
            return None
        return {"weight": target.weight, "share": target.share, "state": target.state}.get(what)
    if what == "amount":
        return row.amount
    if what == "window":
        return row.window.seconds if row.window else None
    if what == "burst":
        return burst_of(row)
    return None


def burst_of(limit: Limit) -> int | None:
    """The native burst: the definition's own, or the one all bindings agree on."""
    if limit.burst is not None:
        return limit.burst.native
    natives = {binding.burst.native for binding in limit.bindings if binding.burst is not None}
    return natives.pop() if len(natives) == 1 else None


def same(field: str, one: Value, other: Value) -> bool:
    """Equal for our purpose: a target that is gone holds no weight and no share."""
    if one == other:
        return True
    if split_field(field)[1] in ("weight", "share"):
        return one in (None, 0) and other in (None, 0)
    return False


def classify(changes: Sequence[Change], rows: Mapping[Ref, Row]) -> Found:
    """What reading back says of a step: as before it, as it was meant, or something else.

    A step that changes nothing visible counts as `after`.
    """
    before = after = True
    for change in changes:
        row = rows.get(change.ref)
        now = value_of(row, change.field) if row is not None else None
        before = before and same(change.field, now, change.before)
        after = after and same(change.field, now, change.after)
    if after:
        return Found.AFTER
    return Found.BEFORE if before else Found.OTHER


FieldKey = tuple[Ref, str]


class UndoField(Struct, frozen=True):
    """One field of a change three ways: before it, as it set it, and as it stands."""

    ref: Ref
    field: str
    before: Value
    ours: Value
    now: Value

    @property
    def key(self) -> FieldKey:
        return self.ref, self.field

    @property
    def is_back(self) -> bool:
        """It holds its old value already."""
        return same(self.field, self.now, self.before)

    @property
    def foreign(self) -> bool:
        """Somebody changed it since: an undo leaves it alone unless it is told to take it back all the same."""
        return not self.is_back and not same(self.field, self.now, self.ours)


def three_ways(changes: Sequence[Change], read: Fetched) -> list[UndoField]:
    """The fields of changes three ways, in their order, as a fresh read of their object has them."""
    rows = rows_of(read)
    fields = []
    for change in changes:
        row = rows.get(change.ref)
        now = value_of(row, change.field) if row is not None else None
        fields.append(UndoField(change.ref, change.field, change.before, change.after, now))
    return fields


def reverse(change: Change, now: Value) -> Change:
    """The change that takes `change` back, from what is there `now`."""
    return replace(change, before=now, after=change.before, was="", again=change.was)


def show(value: Value) -> str:
    """A value for a message, exact."""
    if isinstance(value, Fraction):
        return decimal(value)
    return "not there" if value is None else str(value)
