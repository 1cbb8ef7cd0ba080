"""Rows of one object read alone, beside what a whole read had told of them; counters of several hosts as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from control.capacity import effective as capacity
from control.model import Counted, Health, Limit, Route
from control.model.measured import counted_together
from control.structs import replace

AnyRow = TypeVar("AnyRow", Route, Limit)


def carried(new: AnyRow, old: Route | Limit) -> AnyRow:
    """A row read alone, with what only a whole read can tell: where a limit is bound, how healthy targets are."""
    if isinstance(new, Limit):
        if new.bindings or not isinstance(old, Limit) or not old.bindings:
            return new
        return capacity.with_effective(replace(new, bindings=old.bindings))
    known = {target.name: target for target in old.targets} if isinstance(old, Route) else {}
    targets = tuple(
        replace(t, health=known[t.name].health, health_detail=known[t.name].health_detail)
        if t.health is Health.UNKNOWN and t.name in known
        else t
        for t in new.targets
    )
    return replace(new, targets=targets)


def group_counts(routes: Iterable[Route], samples: Sequence[Counted]) -> list[Counted]:
    """The counters of group rows: the sums over their members, where every member was counted."""
    by_ref = {sample.ref: sample for sample in samples}
    counts: list[Counted] = []
    for route in routes:
        parts = [by_ref[member.ref] for member in route.members if member.ref in by_ref]
        if route.ref not in by_ref and parts and len(parts) == len(route.members):
            counts.append(counted_together(route.ref, parts, parts[0].source))
    return counts
