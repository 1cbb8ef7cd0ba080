"""Counters of the same route on several hosts, added up for the row that stands for them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from control.model import Counted, TargetCount
from control.model.ref import GROUP_SCOPE, Ref


def fold(counted: Sequence[Counted]) -> list[Counted]:
    """The counters of members, and after them their sums by group; the source names the members that are in it."""
    groups: dict[Ref, list[Counted]] = {}
    for one in counted:
        groups.setdefault(one.ref.on(GROUP_SCOPE), []).append(one)
    return [*counted, *(_sum(ref, members) for ref, members in groups.items())]


def _sum(ref: Ref, members: Sequence[Counted]) -> Counted:
    names = dict.fromkeys(name for member in members for name, _ in member.targets)
    return Counted(
        ref=ref,
        at=max(member.at for member in members),
        targets=tuple((name, _target(name, members)) for name in names),
        total=_known([member.total for member in members]),
        errors=_known([member.errors for member in members]),
        throttled=_known([member.throttled for member in members]),
        window_seconds=next((m.window_seconds for m in members if m.window_seconds is not None), None),
        source="; ".join(sorted(f"{member.ref.scope}: {member.source}" for member in members)),
        together_with=tuple(
            dict.fromkeys(str(Ref.parse(name).on(GROUP_SCOPE)) for member in members for name in member.together_with)
        ),
    )


def _target(name: str, members: Sequence[Counted]) -> TargetCount:
    counts = [count for member in members for target, count in member.targets if target == name]
    requests = sum((count.requests for count in counts), Fraction(0))
    return TargetCount(requests, _known([count.errors for count in counts]))


def _known(values: Sequence[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    return sum(known, Fraction(0)) if known and len(known) == len(values) else None
