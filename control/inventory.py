"""The inventory from the last read of each environment, and what was measured: rows, services, headroom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from control import capacity
from control.deckfile import DeckConfig, EnvironmentConfig, ServiceConfig
from control.fields import Row
from control.graph import Graph, limits_by_route, service_refs
from control.grouping import group_limit, group_route, with_group_rows
from control.model import (
    Effective,
    Environment,
    Interval,
    Limit,
    Outside,
    Platform,
    Reach,
    ReachState,
    Route,
    Snapshot,
)
from control.ref import GROUP_SCOPE, Ref
from control.views import EnvironmentView, Headroom, Inventory, Seen, ServiceView, Unreached


@dataclass(slots=True)
class EnvironmentState:
    """What the control plane keeps of one environment."""

    snapshot: Snapshot | None = None
    """The last good read, with group rows and effective limits; None where there never was one."""
    unreached: Unreached | None = None
    """Why the latest read failed; None where it did not."""
    seen: Mapping[Ref, Seen] = field(default_factory=dict)


def prepared_snapshot(snapshot: Snapshot, config: EnvironmentConfig | None) -> Snapshot:
    """A read with its group rows and with every binding's effective limit filled; for `EnvironmentState`."""
    limits = tuple(capacity.with_effective(limit) for limit in snapshot.limits)
    filled = Snapshot(snapshot.environment, snapshot.routes, limits, snapshot.read_at, snapshot.outside)
    return with_group_rows(filled, config)


def empty_inventory(deck: DeckConfig) -> Inventory:
    """What is known before the first read: the environments' names."""
    return build_inventory(deck, {}, version=0)


def build_inventory(deck: DeckConfig, states: Mapping[str, EnvironmentState], version: int) -> Inventory:
    """Everything known now. Environments that were never read are in it with no rows."""
    routes: dict[Ref, Route] = {}
    limits: dict[Ref, Limit] = {}
    seen: dict[Ref, Seen] = {}
    outside: list[Outside] = []
    for state in states.values():
        seen.update(state.seen)
        if state.snapshot is not None:
            routes.update((route.ref, route) for route in state.snapshot.routes)
            limits.update((limit.ref, limit) for limit in state.snapshot.limits)
            outside.extend(state.snapshot.outside)
    views = {config.name: environment_view(config, states.get(config.name)) for config in deck.environments}
    inventory = assemble(deck, routes, limits, seen, views)
    return replace(
        inventory,
        version=version,
        unreached=tuple(state.unreached for state in states.values() if state.unreached is not None),
        outside=tuple(sorted(outside, key=lambda one: one.at, reverse=True)),
    )


def assemble(
    deck: DeckConfig,
    routes: Mapping[Ref, Route],
    limits: Mapping[Ref, Limit],
    seen: Mapping[Ref, Seen],
    views: Mapping[str, EnvironmentView],
) -> Inventory:
    """An inventory of these rows, with its graph, services and headroom."""
    graph = Graph(routes, deck.services)
    limits_of = limits_by_route(graph, routes, limits.values())
    members = {service.name: service_refs(service, routes) for service in deck.services}
    known = Known(graph, graph.ancestors(), routes, limits, limits_of, seen, views)
    return Inventory(
        version=0,
        environments=views,
        routes=routes,
        limits=limits,
        services={service.name: service_view(service, members[service.name], known) for service in deck.services},
        service_of=_service_of(members, routes),
        seen=seen,
        limits_of=limits_of,
    )


def with_rows(deck: DeckConfig, inventory: Inventory, changed: Mapping[Ref, Row]) -> Inventory:
    """The same inventory with these rows or members in place of the ones it has."""
    routes, limits = dict(inventory.routes), dict(inventory.limits)
    for row in inventory.routes.values():
        news = [changed.get(member.ref, member) for member in row.members]
        if any(member.ref in changed for member in row.members):
            routes[row.ref] = group_route([one for one in news if isinstance(one, Route)])
    for limit in inventory.limits.values():
        olds = [changed.get(member.ref, member) for member in limit.members]
        if any(member.ref in changed for member in limit.members):
            limits[limit.ref] = group_limit([one for one in olds if isinstance(one, Limit)])
    routes.update((ref, row) for ref, row in changed.items() if ref in inventory.routes and isinstance(row, Route))
    limits.update((ref, row) for ref, row in changed.items() if ref in inventory.limits and isinstance(row, Limit))
    return assemble(deck, routes, limits, inventory.seen, inventory.environments)


def _service_of(members: Mapping[str, Sequence[Ref]], routes: Mapping[Ref, Route]) -> dict[Ref, str]:
    found: dict[Ref, str] = {}
    for name, refs in members.items():
        for ref in refs:
            found.setdefault(ref, name)
            for member in routes[ref].members:
                found.setdefault(member.ref, name)
    return found


def _platform(config: EnvironmentConfig) -> Platform:
    sections = {"ssh": Platform.SSH, "aws": Platform.SERVERLESS}
    return sections.get(config.section, Platform.KUBERNETES)


def environment_view(config: EnvironmentConfig, state: EnvironmentState | None) -> EnvironmentView:
    """One environment as the deck file and its last read say. What the deck file says of it always holds."""
    snapshot = state.snapshot if state is not None else None
    environment = snapshot.environment if snapshot else Environment(config.name, _platform(config))
    reach = environment.reach
    if snapshot is None:
        reach = Reach(ReachState.UNREACHABLE, "not read yet")
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
    return EnvironmentView(told, len(snapshot.routes), len(snapshot.limits), snapshot.read_at)


def find_row(inventory: Inventory, ref: Ref) -> Row | None:
    """The route or limit that `ref` names: a row, or a member of a group row."""
    row: Row | None = inventory.routes.get(ref) or inventory.limits.get(ref)
    if row is not None:
        return row
    group = ref.on(GROUP_SCOPE)
    row = inventory.routes.get(group) or inventory.limits.get(group)
    return next((member for member in row.members if member.ref == ref), None) if row is not None else None


# --- services ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """The parts that a service's view is computed from."""

    graph: Graph
    ancestors: Mapping[Ref, set[Ref]]
    routes: Mapping[Ref, Route]
    limits: Mapping[Ref, Limit]
    limits_of: Mapping[Ref, tuple[Ref, ...]]
    seen: Mapping[Ref, Seen]
    environments: Mapping[str, EnvironmentView]


def service_view(service: ServiceConfig, refs: tuple[Ref, ...], known: Known) -> ServiceView:
    """One service over all platforms: the share of each environment and the demand it can carry."""
    front = known.graph.row(Ref.parse(service.front.route)) if service.front else None
    behind = [ref for ref in refs if ref != front]
    environments = list(dict.fromkeys(ref.environment for ref in behind))
    if service.front is not None:
        environments = list(dict.fromkeys((*environments, *service.front.targets.values())))
    shares = _front_shares(service, known.routes.get(front)) if front is not None else {}
    source = "front"
    if not shares or None in shares.values():
        measured = _measured_shares(behind, environments, known)
        shares, source = (measured, "measured") if measured else (shares, "front")
    told = tuple(
        (name, shares.get(name), source if shares.get(name) is not None else "unknown") for name in environments
    )
    caps = {name: _cap(name, behind, known) for name in environments}
    headroom = capacity.headroom(caps, {name: share for name, share, _ in told}, _demand(front, behind, known))
    read = [view.read_at for name in environments if (view := known.environments.get(name)) and view.read_at]
    return ServiceView(service.name, refs, front, told, headroom, min(read, default=0.0))


def _front_shares(service: ServiceConfig, front: Route | None) -> dict[str, Fraction | None]:
    """Environment -> its share as the front has it set. A target whose share is unknown makes its environment's so."""
    if service.front is None or front is None:
        return {}
    found: dict[str, Fraction | None] = {}
    for target in front.targets:
        name = service.front.targets.get(target.name)
        if name is None:
            continue
        sofar = found.get(name, Fraction(0))
        found[name] = None if sofar is None or target.share is None else sofar + target.share
    return found


def _entrances(environment: str, refs: Iterable[Ref], known: Known) -> list[Ref]:
    """The routes of a service in one environment that no other one of them there leads to."""
    here = [ref for ref in refs if ref.environment == environment]
    inner = {to for ref in here for to in known.graph.leads_to(ref)}
    return [ref for ref in here if ref not in inner]


def _rps(environment: str, refs: Iterable[Ref], known: Known) -> Fraction | None:
    rates = [known.seen[ref].traffic.rps if ref in known.seen else None for ref in _entrances(environment, refs, known)]
    return _total(rates)


def _total(values: Sequence[Fraction | None]) -> Fraction | None:
    found = [value for value in values if value is not None]
    return sum(found, Fraction(0)) if found and len(found) == len(values) else None


def _measured_shares(refs: Sequence[Ref], environments: Sequence[str], known: Known) -> dict[str, Fraction | None]:
    rates = {name: _rps(name, refs, known) for name in environments}
    total = _total(list(rates.values()))
    if not total:
        return {}
    return {name: rate / total for name, rate in rates.items() if rate is not None}


def _demand(front: Ref | None, refs: Sequence[Ref], known: Known) -> Fraction | None:
    if front is not None and front in known.seen:
        return known.seen[front].traffic.rps
    return _total([_rps(name, refs, known) for name in dict.fromkeys(ref.environment for ref in refs)])


def _cap(environment: str, refs: Iterable[Ref], known: Known) -> Interval | None:
    """What one environment admits for a service: the sum over its entrances; unknown where one is unknown."""
    caps = [_route_cap(ref, known) for ref in _entrances(environment, refs, known)]
    if not caps or any(cap is None for cap in caps):
        return None
    whole = [cap for cap in caps if cap is not None]
    return Interval(_total([cap.low for cap in whole]), _total([cap.high for cap in whole]))


def _route_cap(ref: Ref, known: Known) -> Interval | None:
    seen = known.seen.get(ref)
    p95 = seen.traffic.p95_seconds if seen is not None else None
    # The mean time in the system is below its 95th percentile, so only the upper end is known.
    in_system = Interval(None, p95) if p95 else None
    return capacity.cap_of(effectives_on(ref, known), in_system)


def effectives_on(ref: Ref, known: Known) -> list[Effective]:
    """The effective limits that the requests of one route row meet, where they could be computed."""
    inside = {str(one) for row in (ref, *known.ancestors.get(ref, ())) for one in _names(row, known)}
    return [
        binding.effective
        for limit in known.limits_of.get(ref, ())
        for binding in known.limits[limit].bindings
        if binding.effective is not None and binding.on in inside
    ]


def _names(row: Ref, known: Known) -> list[Ref]:
    return [row, *(member.ref for member in known.routes[row].members)]


def headroom_line(name: str, headroom: Headroom) -> str:
    """One line on a service's demand limit, for the plan."""
    if headroom.demand_max is None:
        return f"{name}: D* unknown ({headroom.why})" if headroom.why else f"{name}: D* unknown"
    low, high = headroom.demand_max.low, headroom.demand_max.high
    ends = " to ".join("?" if end is None else f"{float(end):.4g}" for end in dict.fromkeys((low, high)))
    first = f", {headroom.first_to_saturate} saturates first" if headroom.first_to_saturate else ""
    return f"{name}: D* {ends} rps{first}"
