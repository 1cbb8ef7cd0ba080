"""Which of Traefik's services and routers belong to which route and target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from adapters.engine.structs import member
from adapters.kubernetes.kinds import grpcroute, httproute, ingressroute, traefikservice
from adapters.kubernetes.kinds.common import Codec, object_ref, rule_parts
from adapters.kubernetes.kinds.traefikservice import leads_to, member_names
from adapters.kubernetes.planes.plane import Objects
from adapters.kubernetes.planes.traefik.names import (
    backend_index,
    child_service,
    gateway_prefix,
    gateway_rule,
    ingress_router,
    ingress_service,
)
from adapters.kubernetes.wire.traefik import IngressRoute, TraefikRef
from control.model.ref import Ref

DEEPEST = 8
"""Nested TraefikServices; deeper ones, or a circle, are not counted."""


@dataclass(slots=True)
class Names:
    """The services of each target and the routers of one route, by Traefik's full names."""

    targets: dict[str, list[str]] = field(default_factory=dict)
    routers: list[str] = field(default_factory=list)
    nested: dict[str, Ref] = field(default_factory=dict)
    """Targets that are TraefikServices: they have no counter of their own, their members do."""

    def services(self) -> list[str]:
        """All services of the route."""
        return [service for services in self.targets.values() for service in services]


@dataclass(slots=True)
class CountedNames:
    """Tables from what Kubernetes holds; `grouped` fits Traefik's names to them."""

    static: dict[Ref, Names] = field(default_factory=dict)
    """Routes of the CRD provider, whose names follow from the objects alone."""
    gateway: dict[str, tuple[Codec, Any]] = field(default_factory=dict)
    """Prefix up to the entry point -> the HTTPRoute or GRPCRoute."""
    environment: str = ""
    users: dict[str, set[Ref]] = field(default_factory=lambda: defaultdict(set))
    """Service -> the routes that have it as a member."""
    parents: dict[Ref, set[Ref]] = field(default_factory=lambda: defaultdict(set))
    """TraefikService -> the routes that lead to it."""

    @classmethod
    def of(cls, objects: Objects, environment: str) -> CountedNames:
        """The tables for what was read."""
        made = cls(environment=environment)
        for native in objects.of(traefikservice.RESOURCE.group_kind):
            weighted = native.spec.weighted
            if weighted is not None:
                ref = object_ref(environment, traefikservice.RESOURCE.kind, native.metadata)
                made.static[ref] = _members(weighted.services or [], environment, native.metadata.namespace)
        for native in objects.of(ingressroute.RESOURCE.group_kind):
            made._ingress(native)
        for codec in (httproute.CODEC, grpcroute.CODEC):
            for native in objects.of(codec.resource.group_kind):
                at = (codec.kind, native.metadata.namespace, native.metadata.name)
                for parent in member(native, "spec", "parentRefs") or ():
                    made.gateway[gateway_prefix(*at, parent)] = codec, native
        for ref, names in made.static.items():
            for service in names.services():
                made.users[service].add(ref)
            for leads in names.nested.values():
                made.parents[leads].add(ref)
        return made

    def _ingress(self, native: IngressRoute) -> None:
        metadata = native.metadata
        for index, rule in enumerate(native.spec.routes or []):
            ref = Ref(self.environment, ingressroute.RESOURCE.kind, metadata.namespace, metadata.name, f"rule={index}")
            services = rule.services or []
            routers = list(ingress_router(metadata.namespace, metadata.name, rule.match, index))
            if len(services) == 1 and leads_to(services[0], self.environment, metadata.namespace) is None:
                own = list(ingress_service(metadata.namespace, metadata.name, rule.match, index))
                self.static[ref] = Names({member_names(services)[0]: own}, routers)
            else:
                self.static[ref] = _members(services, self.environment, metadata.namespace)
                self.static[ref].routers = routers

    def grouped(self, services: Iterable[str], routers: Iterable[str]) -> dict[Ref, Names]:
        """The routes that any of these services or routers count, with all their targets."""
        services, routers = set(services), set(routers)
        found: dict[Ref, Names] = {}
        for ref, names in self.static.items():
            present = [router for router in names.routers if router in routers]
            targets = self._resolved(names)
            if targets is None:
                continue
            if present or any(service in services for members in targets.values() for service in members):
                found[ref] = Names(targets, present, names.nested)
        for full in services:
            self._add_gateway(full, found, service=True)
        for full in routers:
            self._add_gateway(full, found, service=False)
        return found

    def _resolved(self, names: Names, depth: int = 0) -> dict[str, list[str]] | None:
        """The services of every target, those of nested TraefikServices too; None where one cannot be told."""
        targets = dict(names.targets)
        for name, leads in names.nested.items():
            inner = self.static.get(leads)
            below = self._resolved(inner, depth + 1) if inner is not None and depth < DEEPEST else None
            if below is None:
                return None
            targets[name] = [service for services in below.values() for service in services]
        return targets

    def _add_gateway(self, full: str, found: dict[Ref, Names], service: bool) -> None:
        parsed = gateway_rule(full)
        route = self._route_of(full)
        if parsed is None or route is None:
            return
        codec, native = route
        index, rest = parsed
        rules = member(native, "spec", "rules") or ()
        if index >= len(rules):
            return
        backends = member(rules[index], "backendRefs") or ()
        if any(one.kind == "TraefikService" for one in backends):
            return  # Traefik uses those services as they are: they have no counter for this route
        part = rule_parts([member(rule, "name") or "" for rule in rules])[index]
        ref = Ref(self.environment, codec.kind, native.metadata.namespace, native.metadata.name, part)
        names = codec.target_names(backends)
        entry = found.setdefault(ref, Names({name: [] for name in names}))
        position = backend_index(rest)
        if service and position is not None and position < len(names):
            entry.targets[names[position]].append(full)
            self.users[full].add(ref)
        elif not service and rest == "":
            entry.routers.append(full)

    def _route_of(self, full: str) -> tuple[Codec, Any] | None:
        position = full.find("-ep-")
        while position >= 0:
            route = self.gateway.get(full[: position + 4])
            if route is not None:
                return route
            position = full.find("-ep-", position + 1)
        return None

    def together_with(self, ref: Ref, names: Names) -> tuple[str, ...]:
        """The other routes whose requests are in the same counters: other holders of a Service, and other routes that
        lead to the same TraefikService. That TraefikService itself, which holds the counters, is not another one."""
        inner = self._below(names)
        others: set[Ref] = set()
        for service in names.services():
            others |= self.users.get(service, set())
        for leads in inner:
            others |= self.parents.get(leads, set())
        return tuple(sorted(str(other) for other in others - inner - {ref}))

    def _below(self, names: Names, depth: int = 0) -> set[Ref]:
        found = set(names.nested.values())
        if depth < DEEPEST:
            for leads in names.nested.values():
                inner = self.static.get(leads)
                found |= self._below(inner, depth + 1) if inner is not None else set()
        return found


def _members(members: list[TraefikRef], environment: str, namespace: str) -> Names:
    """The members by target: Services with the name of their counter, TraefikServices by their ref."""
    made = Names()
    for name, one in zip(member_names(members), members, strict=True):
        leads = leads_to(one, environment, namespace)
        if leads is not None:
            made.targets[name] = []
            made.nested[name] = leads
        else:
            made.targets[name] = [child_service(one.namespace or namespace, one.name, one.port)]
    return made
