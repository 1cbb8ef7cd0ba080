"""Where objects name Middlewares: rules, single backends, services, parents, annotations, entry points.

Sources: traefik v3.7 provider/kubernetes/{crd/kubernetes_http.go,gateway/httproute.go,gateway/grpcroute.go,
ingress/annotations.go}. A name with `@kubernetescrd` is Traefik's own full name of one; with another provider's name it
is none of ours. What a member names is looked for in the namespace of its Service. A TraefikService carries none: what
is named beside one that is a member, Traefik passes over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.kinds import grpcroute, httproute, ingressroute, traefikservice
from adapters.kubernetes.kinds.common import object_ref, rule_parts
from adapters.kubernetes.planes.plane import Key, Use
from adapters.kubernetes.planes.traefik.names import CRD, crd_names
from adapters.kubernetes.wire.core import Ingress, Service
from adapters.kubernetes.wire.gateway_api import Gateway, GRPCRoute, HTTPRoute, ParentRef, RouteFilter
from adapters.kubernetes.wire.traefik import IngressRoute, Middleware, MiddlewareRef, TraefikRef, TraefikService
from control.model.ref import Ref
from control.text import clean

_WEB = ("HTTP", "HTTPS")
ROUTER_ANNOTATION = "traefik.ingress.kubernetes.io/router.middlewares"
SERVICE_ANNOTATION = "traefik.ingress.kubernetes.io/service.middlewares"
LISTENERS = "the Gateway's listeners could not be read"


Named = list[tuple[Key, Use]]
"""Each Middleware that an object names (a name may still end in `@provider`), and how it is used there."""


class Names:
    """Finds Middlewares by what objects call them."""

    def __init__(self, middlewares: Iterable[Middleware]) -> None:
        self._keys = {(one.metadata.namespace, one.metadata.name) for one in middlewares}
        self._full = {full: key for key in self._keys for full in crd_names(*key)}

    def key(self, named: Key) -> Key | None:
        """Which Middleware is meant; None for another provider's, and for a full name that none has."""
        if "@" not in named[1]:
            return named
        return self._full.get(named[1]) if named[1].endswith(CRD) else None

    def has(self, key: Key) -> bool:
        """Whether there is such a Middleware."""
        return key in self._keys


def _refs(refs: Sequence[MiddlewareRef] | None, namespace: str) -> list[Key]:
    return [(ref.namespace or namespace, ref.name) for ref in refs or []]


def extension(filter_: RouteFilter) -> str:
    """The name of the Middleware that a filter is, empty for other filters."""
    ref = filter_.extension_ref
    return ref.name if ref is not None and ref.group == "traefik.io" and ref.kind == "Middleware" else ""


# --- Gateway API ------------------------------------------------------------------------------------------------------


def by_http_route(route: HTTPRoute, gateways: Mapping[Key, Gateway], environment: str) -> Named:
    """The Middlewares that an HTTPRoute's rules and backends name."""
    rules = route.spec.rules or []
    if not any(rule.filters or any(ref.filters for ref in rule.backend_refs or []) for rule in rules):
        return []
    whole = object_ref(environment, httproute.RESOURCE.kind, route.metadata)
    found: Named = []
    for index, (rule, part) in enumerate(zip(rules, rule_parts([r.name for r in rules]), strict=True)):
        on = str(Ref(whole.environment, whole.kind, whole.scope, whole.name, part))
        matches = max(1, len(rule.matches or []))
        use = _of_gateway(on, f"spec.rules[{index}]", matches, route.spec.parent_refs, whole.scope, gateways)
        found += _by_filters(rule.filters, use, whole.scope)
        for position, ref in enumerate(rule.backend_refs or []):
            if ref.kind == "Service":
                at = replace(use, location=f"{use.location}.backendRefs[{position}]")
                found += _by_filters(ref.filters, at, whole.scope)
    return found


def by_grpc_route(route: GRPCRoute, gateways: Mapping[Key, Gateway], environment: str) -> Named:
    """The Middlewares that a GRPCRoute's rules and backends name."""
    found: Named = []
    whole = object_ref(environment, grpcroute.CODEC.kind, route.metadata)
    rules = route.spec.rules or []
    for index, (rule, part) in enumerate(zip(rules, rule_parts([rule.name for rule in rules]), strict=True)):
        on = str(Ref(whole.environment, whole.kind, whole.scope, whole.name, part))
        matches = max(1, len(rule.matches or []))
        use = _of_gateway(on, f"spec.rules[{index}]", matches, route.spec.parent_refs, whole.scope, gateways)
        found += _by_filters(rule.filters, use, whole.scope)
        for position, ref in enumerate(rule.backend_refs or []):
            at = replace(use, location=f"{use.location}.backendRefs[{position}]")
            found += _by_filters(ref.filters, at, whole.scope)
    return found


def _of_gateway(
    on: str,
    location: str,
    matches: int,
    parents: Sequence[ParentRef] | None,
    namespace: str,
    gateways: Mapping[Key, Gateway],
) -> Use:
    """A rule makes a router for each match and listener; None where a Gateway could not be read."""
    listeners = 0
    for parent in parents or []:
        count = _listeners(parent, gateways.get((parent.namespace or namespace, parent.name)))
        if count is None:
            return Use(on, None, location, LISTENERS)
        listeners += count
    return Use(on, matches * max(1, listeners), location)


def _listeners(parent: ParentRef, gateway: Gateway | None) -> int | None:
    if parent.section_name:
        return 1
    if gateway is None:
        return None
    listeners = gateway.spec.listeners or []
    return sum(1 for one in listeners if one.protocol in _WEB and parent.port in (None, one.port))


def _by_filters(filters: Sequence[RouteFilter] | None, use: Use, namespace: str) -> Named:
    return [
        ((namespace, extension(one)), replace(use, location=f"{use.location}.filters[{position}]"))
        for position, one in enumerate(filters or [])
        if extension(one)
    ]


# --- Traefik's own kinds ----------------------------------------------------------------------------------------------


def by_ingress_route(ingress: IngressRoute, environment: str) -> Named:
    """The Middlewares that an IngressRoute's rules and their services name."""
    whole = object_ref(environment, ingressroute.RESOURCE.kind, ingress.metadata)
    found: Named = []
    for index, rule in enumerate(ingress.spec.routes or []):
        on = _rule(whole, index)
        for position, key in enumerate(_refs(rule.middlewares, whole.scope)):
            found.append((key, Use(on, 1, f"spec.routes[{index}].middlewares[{position}]")))
        for position, member in enumerate(rule.services or []):
            found += _by_member(member, Use(on, 1, f"spec.routes[{index}].services[{position}]"), whole.scope)
    return found


def by_traefik_service(service: TraefikService, environment: str) -> Named:
    """The Middlewares that the members of a TraefikService name."""
    whole = object_ref(environment, traefikservice.RESOURCE.kind, service.metadata)
    return [
        named
        for location, member in members_of(service)
        for named in _by_member(member, Use(str(whole), 1, location), whole.scope)
    ]


def _by_member(member: TraefikRef, use: Use, namespace: str) -> Named:
    if member.kind not in ("", "Service"):
        return []
    return [
        (key, replace(use, location=f"{use.location}.middlewares[{position}]"))
        for position, key in enumerate(_refs(member.middlewares, member.namespace or namespace))
    ]


def members_of(service: TraefikService) -> list[tuple[str, TraefikRef]]:
    """All members of the one shape that Traefik takes, each with the place where it stands."""
    spec = service.spec
    if spec.weighted is not None:
        return _listed("spec.weighted.services", spec.weighted.services)
    if spec.mirroring is not None:
        return [("spec.mirroring", spec.mirroring), *_listed("spec.mirroring.mirrors", spec.mirroring.mirrors)]
    if spec.highest_random_weight is not None:
        return _listed("spec.highestRandomWeight.services", spec.highest_random_weight.services)
    if spec.failover is not None:
        both = (("spec.failover.service", spec.failover.service), ("spec.failover.fallback", spec.failover.fallback))
        return [(location, member) for location, member in both if member is not None]
    return []


def _listed(location: str, members: Sequence[TraefikRef] | None) -> list[tuple[str, TraefikRef]]:
    return [(f"{location}[{index}]", member) for index, member in enumerate(members or [])]


def by_parents(ingresses: Mapping[Key, IngressRoute], environment: str) -> Named:
    """What the rules of a parent name holds for the requests that it hands to its children: one count for all."""
    found: Named = []
    for child in ingresses.values():
        whole = object_ref(environment, ingressroute.RESOURCE.kind, child.metadata)
        for key in ancestors(child, ingresses):
            told = clean(f"IngressRoute {key[0]}/{key[1]}")
            for named, use in by_ingress_route(ingresses[key], environment):
                for index in range(len(child.spec.routes or [])):
                    location = f"{told} {use.location}"
                    at = f"{use.on} {use.location}"
                    found.append((named, Use(_rule(whole, index), 1, location, through=told, counted_at=at)))
    return found


def ancestors(child: IngressRoute, ingresses: Mapping[Key, IngressRoute]) -> list[Key]:
    """The parents of an IngressRoute and theirs, nearest first, each once; those that are not there are left out."""
    found: list[Key] = []
    wanted = parents_of(child)
    while wanted:
        key = wanted.pop(0)
        parent = ingresses.get(key)
        if parent is not None and key not in found and parent is not child:
            found.append(key)
            wanted += parents_of(parent)
    return found


def parents_of(ingress: IngressRoute) -> list[Key]:
    """The IngressRoutes that an IngressRoute names as its parents."""
    return _refs(ingress.spec.parent_refs, ingress.metadata.namespace)


def _rule(whole: Ref, index: int) -> str:
    return str(Ref(whole.environment, whole.kind, whole.scope, whole.name, f"rule={index}"))


# --- annotations ------------------------------------------------------------------------------------------------------


def by_ingress(ingress: Ingress) -> Named:
    """What Kubernetes' own Ingress names in its annotation: a router for each of its paths."""
    rules = ingress.spec.rules or []
    paths = sum(len(rule.http.paths or []) if rule.http else 1 for rule in rules)
    return _annotated(ingress.metadata, ROUTER_ANNOTATION, "Ingress", max(1, paths))


def by_service(service: Service) -> Named:
    """What a Service names in its annotation, for the Ingresses that lead to it."""
    return _annotated(service.metadata, SERVICE_ANNOTATION, "Service", 1)


def _annotated(metadata: Metadata, annotation: str, kind: str, routers: int) -> Named:
    named = (metadata.annotations or {}).get(annotation, "")
    use = Use(clean(f"{kind} {metadata.namespace}/{metadata.name}"), routers, f"annotation {annotation}")
    return [((metadata.namespace, one.strip()), use) for one in named.split(",") if one.strip()]
