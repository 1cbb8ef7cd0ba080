"""Routes as a graph: who leads to whom, fronts of services among them; and which limits lie on whose path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from control.deck.config import ServiceConfig
from control.model import Limit, Route
from control.model.ref import GROUP_SCOPE, Ref


class Graph:
    """What leads where, over the rows of an inventory. Member refs stand for their group row."""

    def __init__(self, routes: Mapping[Ref, Route], services: Iterable[ServiceConfig]) -> None:
        self._rows = routes
        self._leads: dict[Ref, tuple[Ref, ...]] = {}
        for route in routes.values():
            tos = (self.row(target.to) for target in route.targets if target.to is not None)
            self._leads[route.ref] = tuple(dict.fromkeys(to for to in tos if to is not None))
        for service in services:
            self._add_front(service)
        self._heights: dict[Ref, int] = {}

    def _add_front(self, service: ServiceConfig) -> None:
        if service.front is None or (front := self.row(Ref.parse(service.front.route))) is None:
            return
        behind = set(service.front.targets.values())
        inner = (ref for ref in service_refs(service, self._rows) if ref.environment in behind and ref != front)
        self._leads[front] = tuple(dict.fromkeys((*self._leads.get(front, ()), *inner)))

    def row(self, ref: Ref) -> Ref | None:
        """The ref of the row that `ref` is, or is a member of; None where there is none."""
        if ref in self._rows:
            return ref
        group = ref.on(GROUP_SCOPE)
        return group if group in self._rows else None

    def leads_to(self, ref: Ref) -> tuple[Ref, ...]:
        """The rows that this row's targets lead to."""
        return self._leads.get(ref, ())

    def height(self, ref: Ref) -> int:
        """0 for a route that leads to no other one, else one more than the highest it leads to."""
        row = self.row(ref)
        return self._height(row, frozenset()) if row is not None else 0

    def _height(self, ref: Ref, above: frozenset[Ref]) -> int:
        if ref in self._heights:
            return self._heights[ref]
        inner = [to for to in self.leads_to(ref) if to not in above and to != ref]
        height = 1 + max((self._height(to, above | {ref}) for to in inner), default=-1)
        if not above:
            self._heights[ref] = height
        return height

    def ancestors(self) -> dict[Ref, set[Ref]]:
        """Row -> all rows whose traffic can reach it."""
        parents: dict[Ref, set[Ref]] = {}
        for ref, tos in self._leads.items():
            for to in tos:
                parents.setdefault(to, set()).add(ref)
        above: dict[Ref, set[Ref]] = {}
        for ref in parents:
            seen: set[Ref] = set()
            stack = list(parents[ref])
            while stack:
                one = stack.pop()
                if one not in seen and one != ref:
                    seen.add(one)
                    stack.extend(parents.get(one, ()))
            above[ref] = seen
        return above


def service_refs(service: ServiceConfig, routes: Mapping[Ref, Route]) -> tuple[Ref, ...]:
    """The rows that a service's globs name, in their order."""
    refs: dict[Ref, None] = {}
    printable = {str(ref): ref for ref in routes}
    for pattern in service.routes:
        if pattern in printable:
            refs[printable[pattern]] = None
            continue
        literal = _glob(pattern)
        refs.update((ref, None) for text, ref in printable.items() if fnmatchcase(text, literal))
    return tuple(refs)


def _glob(pattern: str) -> str:
    """A glob over refs: only `*` and `?` are wild; brackets are ordinary characters of names."""
    return pattern.replace("[", "[[]")


def limits_by_route(graph: Graph, routes: Mapping[Ref, Route], limits: Iterable[Limit]) -> dict[Ref, tuple[Ref, ...]]:
    """Route row -> the limits that its requests meet: those bound to it, then those of routes that lead to it."""
    names = {str(ref): ref for ref in routes}
    names.update({str(member.ref): route.ref for route in routes.values() for member in route.members})
    direct: dict[Ref, dict[Ref, None]] = {}
    for limit in limits:
        for one in limit.members or (limit,):
            for binding in one.bindings:
                row = names.get(binding.on)
                if row is not None:
                    direct.setdefault(row, {})[limit.ref] = None
    by_route = {ref: tuple(own) for ref, own in direct.items()}
    for ref, above in graph.ancestors().items():
        inherited = [limit for one in sorted(above) if one in direct for limit in direct[one]]
        if inherited:
            by_route[ref] = tuple(dict.fromkeys((*direct.get(ref, ()), *inherited)))
    return by_route
