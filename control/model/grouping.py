"""One row for the same thing on several hosts, with its members; a field in which members differ is null there.

Where the model has no null for a field (a limit's amount), the row holds the first member's value and `differing` names
the field, which is what the contract's documents ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from control.deck.config import EnvironmentConfig
from control.model import Limit, Owner, Route, Snapshot, Target, Use
from control.model.measured import sum_or_unknown
from control.model.ref import GROUP_SCOPE, Ref
from control.structs import replace

T = TypeVar("T")


def with_group_rows(snapshot: Snapshot, config: EnvironmentConfig | None) -> Snapshot:
    """The same read with one row per thing. Rows that are groups already stay as they are."""
    if config is None or not config.is_group:
        return snapshot
    return replace(snapshot, routes=_grouped_routes(snapshot.routes), limits=_grouped_limits(snapshot.limits))


def _grouped_routes(routes: Iterable[Route]) -> tuple[Route, ...]:
    rows: dict[Ref, list[Route]] = {}
    for route in routes:
        rows.setdefault(route.ref.on(GROUP_SCOPE), []).extend(route.members or [route])
    return tuple(group_route(members) for members in rows.values())


def _grouped_limits(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    rows: dict[Ref, list[Limit]] = {}
    for limit in limits:
        rows.setdefault(limit.ref.on(GROUP_SCOPE), []).extend(limit.members or [limit])
    return tuple(group_limit(members) for members in rows.values())


def group_route(members: Sequence[Route]) -> Route:
    """The row that stands for `members` (at least one), in their order."""
    first = members[0]
    names = list(dict.fromkeys(target.name for member in members for target in member.targets))
    return replace(
        first,
        ref=first.ref.on(GROUP_SCOPE),
        targets=tuple(_group_target(name, members) for name in names),
        base=_common([member.base for member in members]) or "",
        read_at=min(member.read_at for member in members),
        owners=_owners(members),
        status=next((m.status for m in members if m.status != first.status), first.status),
        editable=next((m.editable for m in members if not m.editable.yes), first.editable),
        notes=tuple(dict.fromkeys(note for member in members for note in member.notes)),
        members=tuple(members),
    )


def _group_target(name: str, members: Sequence[Route]) -> Target:
    """One target over all members. Its state is the one most out of traffic, its health the worst one seen."""
    there = [target for member in members if (target := member.target(name)) is not None]
    complete = len(there) == len(members)
    worst = max(there, key=lambda target: ("up", "unknown", "down").index(target.health.value))
    out = max(there, key=lambda target: ("active", "draining", "maintenance").index(target.state.value))
    return replace(
        there[0],
        weight=_common([target.weight for target in there]) if complete else None,
        share=_common([target.share for target in there]) if complete else None,
        state=out.state,
        health=worst.health,
        health_detail=worst.health_detail,
        to=_group_to(there),
    )


def _group_to(targets: Sequence[Target]) -> Ref | None:
    leads = {target.to.on(GROUP_SCOPE) if target.to is not None else None for target in targets}
    return leads.pop() if len(leads) == 1 else None


def group_limit(members: Sequence[Limit]) -> Limit:
    """The row that stands for `members` (at least one), in their order."""
    first = members[0]
    return replace(
        first,
        ref=first.ref.on(GROUP_SCOPE),
        base=_common([member.base for member in members]) or "",
        read_at=min(member.read_at for member in members),
        owners=_owners(members),
        editable=next((m.editable for m in members if not m.editable.yes), first.editable),
        notes=tuple(dict.fromkeys(note for member in members for note in member.notes)),
        use=_group_use(members),
        members=tuple(members),
    )


def _group_use(members: Sequence[Limit]) -> Use:
    return Use(
        sum_or_unknown(member.use.current for member in members),
        sum_or_unknown(member.use.rejected_per_second for member in members),
        min((m.use.read_at for m in members if m.use.read_at is not None), default=None),
    )


def _owners(members: Sequence[Route] | Sequence[Limit]) -> tuple[Owner, ...]:
    return tuple(dict.fromkeys(owner for member in members for owner in member.owners))


def _common(values: Sequence[T]) -> T | None:
    return values[0] if all(value == values[0] for value in values) else None
