"""What of an inventory changes only with its configuration, not with its ages and counters; made once and kept."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from control.deck.config import DeckConfig, ServiceConfig
from control.model import Effective, Limit, Route, Snapshot
from control.model.graph import Graph, limits_by_route, service_refs
from control.model.ref import Ref


@dataclass(frozen=True, slots=True)
class ServiceRows:
    refs: tuple[Ref, ...]
    front: Ref | None
    entrances: Mapping[str, tuple[Ref, ...]]
    """Environment -> the service's routes there that no other one of them there leads to."""


@dataclass(frozen=True, slots=True)
class Structure:
    graph: Graph
    limits_of: Mapping[Ref, tuple[Ref, ...]]
    effectives: Mapping[Ref, tuple[Effective, ...]]
    """Route row -> the effective limits that its requests meet, where they could be computed."""
    services: Mapping[str, ServiceRows]
    service_of: Mapping[Ref, str]


def structure_key(snapshot: Snapshot) -> Hashable:
    """Equal for two reads of which the structure is the same: everything that `structure_of` looks at."""
    routes = tuple((r.ref, tuple(t.to for t in r.targets), tuple(m.ref for m in r.members)) for r in snapshot.routes)
    limits = tuple((one.ref, one.bindings) for row in snapshot.limits for one in (row, *row.members))
    return hash((routes, limits))


def structure_of(deck: DeckConfig, routes: Mapping[Ref, Route], limits: Mapping[Ref, Limit]) -> Structure:
    """The graph of these rows, the limits on each, and the services."""
    graph = Graph(routes, deck.services)
    limits_of = limits_by_route(graph, routes, limits.values())
    services = {service.name: _service_rows(service, graph, routes) for service in deck.services}
    return Structure(
        graph, limits_of, _effectives(graph, routes, limits, limits_of), services, _service_of(services, routes)
    )


def _service_rows(service: ServiceConfig, graph: Graph, routes: Mapping[Ref, Route]) -> ServiceRows:
    refs = service_refs(service, routes)
    front = graph.row(Ref.parse(service.front.route)) if service.front else None
    behind = [ref for ref in refs if ref != front]
    names = [*(ref.environment for ref in behind), *(service.front.targets.values() if service.front else ())]
    return ServiceRows(refs, front, {name: _entrances(name, behind, graph) for name in dict.fromkeys(names)})


def _entrances(environment: str, refs: Iterable[Ref], graph: Graph) -> tuple[Ref, ...]:
    here = [ref for ref in refs if ref.environment == environment]
    inner = {to for ref in here for to in graph.leads_to(ref)}
    return tuple(ref for ref in here if ref not in inner)


def _service_of(services: Mapping[str, ServiceRows], routes: Mapping[Ref, Route]) -> dict[Ref, str]:
    service_of: dict[Ref, str] = {}
    for name, rows in services.items():
        for ref in rows.refs:
            service_of.setdefault(ref, name)
            for member in routes[ref].members:
                service_of.setdefault(member.ref, name)
    return service_of


def _effectives(
    graph: Graph,
    routes: Mapping[Ref, Route],
    limits: Mapping[Ref, Limit],
    limits_of: Mapping[Ref, tuple[Ref, ...]],
) -> dict[Ref, tuple[Effective, ...]]:
    ancestors = graph.ancestors()
    effectives: dict[Ref, tuple[Effective, ...]] = {}
    for ref, on_it in limits_of.items():
        path = (ref, *sorted(ancestors.get(ref, ())))
        inside = {str(one) for row in path for one in (row, *(member.ref for member in routes[row].members))}
        bound = (binding for limit in on_it for binding in limits[limit].bindings)
        effectives[ref] = tuple(b.effective for b in bound if b.effective is not None and b.on in inside)
    return effectives
