"""Which of Traefik's services and routers belong to which route and target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.kubernetes.codecs import httproute, ingressroute, traefikservice
from adapters.kubernetes.codecs.common import object_ref, rule_parts
from adapters.kubernetes.codecs.traefik_members import leads_to, member_names
from adapters.kubernetes.held import Held
from adapters.kubernetes.traefik_names import (
    backend_index,
    child_service,
    gateway_prefix,
    gateway_rule,
    ingress_router,
    ingress_service,
)
from adapters.kubernetes.wire import HTTPRoute, IngressRoute, TraefikRef
from control.ref import Ref


@dataclass(slots=True)
class Names:
    """The services of each target and the routers of one route, by Traefik's full names."""

    targets: dict[str, list[str]] = field(default_factory=dict)
    routers: list[str] = field(default_factory=list)

    def services(self) -> list[str]:
        """All services of the route."""
        return [service for services in self.targets.values() for service in services]


@dataclass(slots=True)
class CountedNames:
    """Tables from what Kubernetes holds; `grouped` fits Traefik's names to them."""

    static: dict[Ref, Names] = field(default_factory=dict)
    """Routes of the CRD provider, whose names follow from the objects alone."""
    gateway: dict[str, HTTPRoute] = field(default_factory=dict)
    """Prefix up to the entry point -> the HTTPRoute."""
    environment: str = ""
    users: dict[str, set[Ref]] = field(default_factory=lambda: defaultdict(set))
    """Service -> every route whose requests it counts."""

    @classmethod
    def of(cls, held: Held, environment: str) -> CountedNames:
        """The tables for what is held."""
        made = cls(environment=environment)
        for native in held.of(traefikservice.RESOURCE.kind):
            weighted = native.spec.weighted
            if weighted is not None:
                ref = object_ref(environment, traefikservice.RESOURCE.kind, native.metadata)
                made.static[ref] = Names(_members(weighted.services or [], environment, native.metadata.namespace))
        for native in held.of(ingressroute.RESOURCE.kind):
            made._ingress(native)
        for native in held.of(httproute.RESOURCE.kind):
            for parent in native.spec.parent_refs or []:
                made.gateway[gateway_prefix(native.metadata.namespace, native.metadata.name, parent)] = native
        for ref, names in made.static.items():
            for service in names.services():
                made.users[service].add(ref)
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
                self.static[ref] = Names(_members(services, self.environment, metadata.namespace), routers)

    def grouped(self, services: Iterable[str], routers: Iterable[str]) -> dict[Ref, Names]:
        """The routes that any of these services or routers count, with all their targets."""
        services, routers = set(services), set(routers)
        found: dict[Ref, Names] = {}
        for ref, names in self.static.items():
            present = [router for router in names.routers if router in routers]
            if present or any(service in services for service in names.services()):
                found[ref] = Names(names.targets, present)
        for full in services:
            self._add_gateway(full, found, service=True)
        for full in routers:
            self._add_gateway(full, found, service=False)
        return found

    def _add_gateway(self, full: str, found: dict[Ref, Names], service: bool) -> None:
        parsed = gateway_rule(full)
        native = self._route_of(full)
        if parsed is None or native is None:
            return
        index, rest = parsed
        rules = native.spec.rules or []
        if index >= len(rules):
            return
        part = rule_parts([rule.name for rule in rules])[index]
        ref = Ref(self.environment, httproute.RESOURCE.kind, native.metadata.namespace, native.metadata.name, part)
        names = httproute.target_names(rules[index].backend_refs or [])
        entry = found.setdefault(ref, Names({name: [] for name in names}))
        position = backend_index(rest)
        if service and position is not None and position < len(names):
            entry.targets[names[position]].append(full)
            self.users[full].add(ref)
        elif not service and rest == "":
            entry.routers.append(full)

    def _route_of(self, full: str) -> HTTPRoute | None:
        position = full.find("-ep-")
        while position >= 0:
            native = self.gateway.get(full[: position + 4])
            if native is not None:
                return native
            position = full.find("-ep-", position + 1)
        return None

    def together_with(self, ref: Ref, names: Names) -> tuple[str, ...]:
        """The other routes whose requests are in the same counters."""
        others: set[Ref] = set()
        for service in names.services():
            others |= self.users.get(service, set()) - {ref}
        return tuple(sorted(str(other) for other in others))


def _members(members: list[TraefikRef], environment: str, namespace: str) -> dict[str, list[str]]:
    """Target -> its Traefik services; a nested TraefikService has no counter of its own, so it has none."""
    found: dict[str, list[str]] = {}
    for name, member in zip(member_names(members), members, strict=True):
        nested = leads_to(member, environment, namespace) is not None
        found[name] = [] if nested else [child_service(member.namespace or namespace, member.name, member.port)]
    return found
