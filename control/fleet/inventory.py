"""The inventory from the last read of each environment, and what was measured: rows, services, headroom."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from control.capacity import effective as capacity
from control.deck.config import DeckConfig, EnvironmentConfig
from control.fleet.services import Known, service_view
from control.fleet.structure import Structure, structure_key, structure_of
from control.fleet.views import MISSING, NOT_READ, EnvironmentView, Inventory, Part, Seen, Unreached
from control.memo import Memo
from control.model import (
    Environment,
    Limit,
    Missing,
    Outside,
    Reach,
    ReachState,
    Route,
    Snapshot,
)
from control.model.grouping import group_limit, group_route, with_group_rows
from control.model.ref import GROUP_SCOPE, Ref
from control.planning.fields import Row
from control.structs import replace

TOLD_AT_MOST = 3
"""So many missing things are named in a reach; lists name all."""


@dataclass(slots=True)
class EnvironmentState:
    """What the control plane keeps of one environment."""

    snapshot: Snapshot | None = None
    """The last good read, with group rows and effective limits; None where there never was one."""
    unreached: Unreached | None = None
    """Why the latest read failed; None where it did not."""
    seen: Mapping[Ref, Seen] = field(default_factory=dict)
    structure_key: Hashable = None
    """`structure.structure_key` of the snapshot."""
    routes: Mapping[Ref, Route] = field(default_factory=dict)
    limits: Mapping[Ref, Limit] = field(default_factory=dict)
    """The snapshot's rows by their names."""

    confirmed_at: float | None = None
    """When its reader last saw that the snapshot still holds; None where it cannot say."""
    from_cache: bool = False
    """The snapshot is of an earlier session: to be shown, not to be planned on."""
    in_part: bool = False
    """The snapshot holds single objects alone: the environment was never read whole."""
    filled: Memo[Limit, Limit] = field(default_factory=lambda: Memo(filled_limit))
    """Limits that a reader gives again stay the rows that they were."""

    def take(self, snapshot: Snapshot, from_cache: bool = False, in_part: bool = False) -> None:
        """Keep a prepared snapshot."""
        self.structure_key = structure_key(snapshot)
        self.routes = {route.ref: route for route in snapshot.routes}
        self.limits = {limit.ref: limit for limit in snapshot.limits}
        self.snapshot = snapshot
        self.from_cache = from_cache
        self.in_part = in_part

    @property
    def was_read(self) -> bool:
        """Was it read whole in this session?"""
        return self.snapshot is not None and not self.from_cache and not self.in_part


def prepared_snapshot(
    snapshot: Snapshot, config: EnvironmentConfig | None, filled: Callable[[Sequence[Limit]], list[Limit]]
) -> Snapshot:
    """A read with its group rows and with every binding's effective limit `filled`; for `EnvironmentState`."""
    limits = tuple(filled(snapshot.limits))
    return with_group_rows(replace(snapshot, limits=limits), config)


def filled_limit(limit: Limit) -> Limit:
    """The limit with the effective limit of every binding; the same one where there is nothing to fill in."""
    members = (limit, *limit.members)
    if all(binding.effective is not None for one in members for binding in one.bindings):
        return limit
    return capacity.with_effective(limit)


def empty_inventory(deck: DeckConfig) -> Inventory:
    """What is known before the first read: the environments' names."""
    return build_inventory(deck, {}, version=0)


class StructureCache:
    """The last structure, for as long as no environment changes in what it rests on."""

    def __init__(self) -> None:
        self._last: tuple[object, Structure] | None = None

    def structure(
        self,
        deck: DeckConfig,
        states: Mapping[str, EnvironmentState],
        routes: Mapping[Ref, Route],
        limits: Mapping[Ref, Limit],
    ) -> Structure:
        """The structure of these rows, made anew only where something that it rests on has changed."""
        key = tuple((name, state.structure_key) for name, state in states.items())
        if self._last is None or self._last[0] != key:
            self._last = key, structure_of(deck, routes, limits)
        return self._last[1]


def build_inventory(
    deck: DeckConfig, states: Mapping[str, EnvironmentState], version: int, cache: StructureCache | None = None
) -> Inventory:
    """Everything known now. Environments that were never read are in it with no rows."""
    routes: dict[Ref, Route] = {}
    limits: dict[Ref, Limit] = {}
    seen: dict[Ref, Seen] = {}
    outside: list[Outside] = []
    for state in states.values():
        seen.update(state.seen)
        routes.update(state.routes)
        limits.update(state.limits)
        if state.snapshot is not None:
            outside.extend(state.snapshot.outside)
    views = environment_views(deck, states)
    structure = cache.structure(deck, states, routes, limits) if cache is not None else None
    inventory = assemble(deck, routes, limits, seen, views, structure)
    return replace(
        inventory,
        version=version,
        unreached=tuple(state.unreached for state in states.values() if state.unreached is not None),
        missing=tuple(one for name, state in states.items() for one in _missing_of(name, state)),
        outside=tuple(sorted(outside, key=lambda one: one.at, reverse=True)),
        parts={name: Part(state.routes, state.limits, state.seen) for name, state in states.items()},
    )


def assemble(
    deck: DeckConfig,
    routes: Mapping[Ref, Route],
    limits: Mapping[Ref, Limit],
    seen: Mapping[Ref, Seen],
    views: Mapping[str, EnvironmentView],
    structure: Structure | None = None,
) -> Inventory:
    """An inventory of these rows, with its graph, services and headroom."""
    structure = structure or structure_of(deck, routes, limits)
    known = Known(routes, seen, views)
    return Inventory(
        version=0,
        environments=views,
        routes=routes,
        limits=limits,
        services={service.name: service_view(service, structure, known) for service in deck.services},
        service_of=structure.service_of,
        seen=seen,
        limits_of=structure.limits_of,
    )


Rows = tuple[Mapping[Ref, Route], Mapping[Ref, Limit]]


def rows_with(inventory: Inventory, changed: Mapping[Ref, Row]) -> Rows:
    """The routes and limits of an inventory with these rows or members in place of the ones it has."""
    routes, limits = dict(inventory.routes), dict(inventory.limits)
    for ref in dict.fromkeys(ref.on(GROUP_SCOPE) for ref in changed):
        route, limit = inventory.routes.get(ref), inventory.limits.get(ref)
        if route is not None and route.members:
            members = [changed.get(member.ref, member) for member in route.members]
            routes[ref] = group_route([one for one in members if isinstance(one, Route)])
        if limit is not None and limit.members:
            ours = [changed.get(member.ref, member) for member in limit.members]
            limits[ref] = group_limit([one for one in ours if isinstance(one, Limit)])
    routes.update((ref, row) for ref, row in changed.items() if ref in inventory.routes and isinstance(row, Route))
    limits.update((ref, row) for ref, row in changed.items() if ref in inventory.limits and isinstance(row, Limit))
    return routes, limits


def with_rows(deck: DeckConfig, inventory: Inventory, rows: Rows) -> Inventory:
    """The same inventory with these rows."""
    return assemble(deck, *rows, inventory.seen, inventory.environments)


def environment_views(deck: DeckConfig, states: Mapping[str, EnvironmentState]) -> dict[str, EnvironmentView]:
    """Every environment of the deck file, those that were never read too."""
    return {config.name: environment_view(config, states.get(config.name)) for config in deck.environments}


def environment_view(config: EnvironmentConfig, state: EnvironmentState | None) -> EnvironmentView:
    """One environment as the deck file and its last read say. What the deck file says of it always holds."""
    snapshot = state.snapshot if state is not None else None
    environment = snapshot.environment if snapshot else Environment(config.name, config.section.platform)
    reach = environment.reach
    if snapshot is not None and snapshot.missing and reach.state is ReachState.OK:
        reach = Reach(ReachState.DEGRADED, _told(snapshot.missing))
    if snapshot is None:
        reach = Reach(ReachState.UNREACHABLE, NOT_READ)
    if state is not None and state.unreached is not None:
        reach = Reach(ReachState.UNREACHABLE, state.unreached.why)
    told = Environment(
        config.name,
        environment.platform,
        tuple(config.labels.items()),
        config.production,
        config.code,
        environment.identity,
        reach,
        environment.access,
    )
    if snapshot is None:
        return EnvironmentView(told, 0, 0, None)
    return EnvironmentView(told, len(snapshot.routes), len(snapshot.limits), _as_of(state))


def _missing_of(name: str, state: EnvironmentState) -> list[Unreached]:
    """What the rows of one environment lack; nothing while they are those of another session or none at all."""
    if state.snapshot is None or state.from_cache or state.unreached is not None:
        return []
    return [Unreached(name, str(one), MISSING) for one in state.snapshot.missing]


def _told(missing: Sequence[Missing]) -> str:
    """The first few things that are missing, and how many more."""
    first = "; ".join(map(str, missing[:TOLD_AT_MOST]))
    more = len(missing) - TOLD_AT_MOST
    return f"{first}; and {more} more" if more > 0 else first


def find_row(inventory: Inventory, ref: Ref) -> Row | None:
    """The route or limit that `ref` names: a row, or a member of a group row."""
    row: Row | None = inventory.routes.get(ref) or inventory.limits.get(ref)
    if row is not None:
        return row
    group = ref.on(GROUP_SCOPE)
    row = inventory.routes.get(group) or inventory.limits.get(group)
    return next((member for member in row.members if member.ref == ref), None) if row is not None else None


def _as_of(state: EnvironmentState | None) -> float | None:
    """When the rows were true: read then, or seen to hold since."""
    if state is None or state.snapshot is None:
        return None
    if state.confirmed_at is None or state.unreached is not None or state.from_cache:
        return state.snapshot.read_at
    return max(state.confirmed_at, state.snapshot.read_at)
