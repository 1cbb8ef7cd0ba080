"""Counters of the same route on several hosts, added up for the row that stands for them."""

from __future__ import annotations

from collections.abc import Sequence

from control.model import Counted
from control.model.measured import counted_together
from control.model.ref import GROUP_SCOPE, Ref


def fold(counted: Sequence[Counted]) -> list[Counted]:
    """The counters of members, and after them their sums by group; the source names the members that are in it."""
    groups: dict[Ref, list[Counted]] = {}
    for one in counted:
        groups.setdefault(one.ref.on(GROUP_SCOPE), []).append(one)
    return [*counted, *(_sum(ref, members) for ref, members in groups.items())]


def _sum(ref: Ref, members: Sequence[Counted]) -> Counted:
    source = "; ".join(sorted(f"{member.ref.scope}: {member.source}" for member in members))
    together = (str(Ref.parse(name).on(GROUP_SCOPE)) for member in members for name in member.together_with)
    return counted_together(ref, members, source, together)
