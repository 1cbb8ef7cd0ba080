"""Rows of one object read alone, beside what a whole read had told of them; counters of several hosts as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from control.capacity import effective as capacity
from control.model import Counted, Health, Limit, Route, TargetCount
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


def counted_together(routes: Iterable[Route], samples: Sequence[Counted]) -> list[Counted]:
    """The counters of group rows: the sums over their members, where every member was counted."""
    by_ref = {sample.ref: sample for sample in samples}
    found: list[Counted] = []
    for route in routes:
        parts = [by_ref[member.ref] for member in route.members if member.ref in by_ref]
        if route.ref not in by_ref and parts and len(parts) == len(route.members):
            found.append(_sum(route, parts))
    return found


def _sum(route: Route, parts: Sequence[Counted]) -> Counted:
    targets: dict[str, TargetCount] = {}
    for part in parts:
        for name, count in part.targets:
            targets[name] = _added(targets[name], count) if name in targets else count
    return Counted(
        ref=route.ref,
        at=max(part.at for part in parts),
        targets=tuple(targets.items()),
        total=_total([part.total for part in parts]),
        errors=_total([part.errors for part in parts]),
        throttled=_total([part.throttled for part in parts]),
        window_seconds=parts[0].window_seconds,
        source=parts[0].source,
        together_with=tuple(dict.fromkeys(ref for part in parts for ref in part.together_with)),
    )


def _added(one: TargetCount, other: TargetCount) -> TargetCount:
    return TargetCount(one.requests + other.requests, _total([one.errors, other.errors]))


def _total(values: Sequence[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    return sum(known, Fraction(0)) if len(known) == len(values) else None
