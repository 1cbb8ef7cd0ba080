"""What Traefik does not load of the objects that we hold, and why: told from the objects alone, without its API.

Sources: traefik v3.7 provider/kubernetes/{crd,gateway}, server/{middleware,router,service}, middlewares/extractor.go;
each verdict is compared with a running Traefik (tests/adapters/kubernetes/test_unloaded.py). Only what is certain is
said: a kind or a namespace that could not be listed is missing nothing, and what hangs on Traefik's own configuration
(other namespaces, other providers, classes, empty Services) is left to it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.engine.numbers import text, whole
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.kinds import ingressroute, middleware, period, traefikservice
from adapters.kubernetes.planes.plane import Key
from adapters.kubernetes.planes.traefik.attachments import Names, extension, members_of, parents_of
from adapters.kubernetes.planes.traefik.names import CONTROLLER, child_service
from adapters.kubernetes.planes.traefik.services import Services
from adapters.kubernetes.route_status import current
from adapters.kubernetes.wire.gateway_api import HTTPRoute, HTTPRouteRule, RouteFilter
from adapters.kubernetes.wire.traefik import (
    IngressRoute,
    IngressRule,
    Middleware,
    MiddlewareSpec,
    SourceCriterion,
    TraefikRef,
    TraefikService,
)
from control.text import clean

CLASSES = (None, "", "traefik")
"""The classes of IngressRoutes that a Traefik without a class of its own loads; others are another one's business."""
_FILTERS = frozenset(
    {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "ExtensionRef"}
)
_FEATURES = {"RequestMirror": "HTTPRouteRequestMirror", "CORS": "HTTPRouteCORS"}
"""Filters that v3.7 does not take, and what a later one would say that it supports."""
_TRAEFIK_SERVICES = traefikservice.RESOURCE.group_kind
_MIDDLEWARES = middleware.RESOURCE.group_kind
_INGRESSES = ingressroute.RESOURCE.group_kind


def own_fault(spec: MiddlewareSpec) -> str:
    """Why Traefik refuses a Middleware for what it says itself; empty where it takes it."""
    types = spec.types()
    if len(types) > 1:
        return f"it holds {' and '.join(types)}, and Traefik takes one type for each Middleware"
    if spec.plugin is not None and len(spec.plugin) != 1:
        return f"it holds {len(spec.plugin)} plugins, and Traefik takes one for each Middleware"
    if spec.rate_limit is not None:
        if period.parse(spec.rate_limit.period) is None:
            return f"its period {text(spec.rate_limit.period)} is no duration that Traefik takes"
        return _criterion_fault(spec.rate_limit.source_criterion)
    return _criterion_fault(spec.in_flight_req.source_criterion) if spec.in_flight_req is not None else ""


def _criterion_fault(criterion: SourceCriterion | None) -> str:
    if criterion is None:
        return ""
    named = ["ipStrategy"] if criterion.ip_strategy is not None else []
    named += ["requestHeaderName"] if criterion.request_header_name else []
    named += ["requestHost"] if criterion.request_host else []
    if len(named) > 1:
        return f"its sourceCriterion holds {' and '.join(named)}, and Traefik takes one"
    strategy = criterion.ip_strategy
    if strategy is None:
        return ""
    if not whole(strategy.depth or 0):
        for one in strategy.excluded_ips or []:
            if not _is_network(one):
                return clean(f"its sourceCriterion excludes {one}, which is no address")
    subnet = None if strategy.ipv6_subnet is None else whole(strategy.ipv6_subnet)
    if subnet is not None and not 0 < subnet <= 128 and not (strategy.excluded_ips and not strategy.depth):
        return f"its sourceCriterion counts by {subnet} bits of IPv6, which has 128"
    return ""


def _is_network(told: str) -> bool:
    try:
        ipaddress.ip_network(told, strict=False)
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class Unloaded:
    """Faults of the objects of one cluster, each found once. An empty text is no fault that we know of."""

    objects: Mapping[GroupKind, Mapping[Key, Any]]
    services: Services
    listed: frozenset[tuple[GroupKind, str]]
    """(kind, namespace) that was read whole; an empty namespace stands for all."""
    features: frozenset[str] = frozenset()
    """What the Traefiks of this cluster say that they support."""
    names: Names = field(init=False)
    _middlewares: dict[Key, str] = field(default_factory=dict)
    _traefik_services: dict[Key, str] = field(default_factory=dict)
    _shared: dict[str, set[tuple[Key, ...]]] | None = None
    _children: dict[Key, list[Key]] | None = None

    def __post_init__(self) -> None:
        self.names = Names(self._of(_MIDDLEWARES).values())

    def _of(self, kind: GroupKind) -> Mapping[Key, Any]:
        return self.objects.get(kind, {})

    def _would_know(self, kind: GroupKind, namespace: str) -> bool:
        return (kind, "") in self.listed or (kind, namespace) in self.listed

    # --- Middlewares --------------------------------------------------------------------------------------------------

    def named_middleware(self, named: Key, above: tuple[Key, ...] = ()) -> str:
        """Why what is called so is not loaded, as a sentence about whoever names it."""
        key = self.names.key(named)
        if key is None:
            if named[1].endswith("@kubernetescrd") and self._would_know(_MIDDLEWARES, ""):
                return clean(f"there is no Middleware {named[1]}")
            return ""
        if not self.names.has(key):
            known = self._would_know(_MIDDLEWARES, key[0])
            return clean(f"there is no Middleware {key[0]}/{key[1]}") if known else ""
        fault = self.middleware(key, above)
        return clean(f"its Middleware {key[0]}/{key[1]} is not loaded: {fault}") if fault else ""

    def middleware(self, key: Key, above: tuple[Key, ...] = ()) -> str:
        """Why a Middleware is not loaded."""
        if key in above:
            told = " to ".join(f"{one[0]}/{one[1]}" for one in (*above[above.index(key) :], key))
            return clean(f"its chain goes round in a circle: {told}")
        if key not in self._middlewares:
            fault = self._middleware(self._of(_MIDDLEWARES)[key], key, above)
            if above and fault:
                return fault  # it may be the circle's, which is told from where one enters it
            self._middlewares[key] = fault
        return self._middlewares[key]

    def _middleware(self, native: Middleware, key: Key, above: tuple[Key, ...]) -> str:
        fault = own_fault(native.spec)
        if fault:
            return fault
        if native.spec.errors is not None:
            return self._member(native.spec.errors.service, key[0], ())
        for ref in (native.spec.chain.middlewares if native.spec.chain else None) or []:
            fault = self.named_middleware((ref.namespace or key[0], ref.name), (*above, key))
            if fault:
                return fault
        return ""

    # --- Services -----------------------------------------------------------------------------------------------------

    def traefik_service(self, key: Key, above: tuple[Key, ...] = ()) -> str:
        """Why a TraefikService is not loaded."""
        if key in above:
            told = " to ".join(f"{one[0]}/{one[1]}" for one in (*above[above.index(key) :], key))
            return clean(f"its members go round in a circle: {told}")
        if key not in self._traefik_services:
            fault = self._traefik_service(self._of(_TRAEFIK_SERVICES)[key], key, above)
            if above and fault:
                return fault
            self._traefik_services[key] = fault
        return self._traefik_services[key]

    def _traefik_service(self, native: TraefikService, key: Key, above: tuple[Key, ...]) -> str:
        spec = native.spec
        shapes = (spec.weighted, spec.mirroring, spec.highest_random_weight, spec.failover)
        if all(shape is None for shape in shapes):
            return "it has no shape: neither weighted, mirroring, highestRandomWeight nor failover"
        if spec.weighted is None and spec.mirroring is not None:
            for mirror in spec.mirroring.mirrors or []:
                share = traefikservice.percent(mirror)
                if share is not None and not 0 <= share <= 100:
                    return clean(f"its mirror {mirror.name} gets {share} percent, and Traefik takes 0 to 100")
        for _, member in members_of(native):
            fault = self._member(member, key[0], (*above, key)) or self._member_middlewares(member, key[0], False)
            if fault:
                return fault
        return ""

    def _member(self, member: TraefikRef, namespace: str, above: tuple[Key, ...]) -> str:
        """Why whatever has this member is not loaded."""
        if "@" in member.name:
            return ""
        key = (member.namespace or namespace, member.name)
        if member.kind == _TRAEFIK_SERVICES.kind:
            return self._named_traefik_service(key, above)
        return self.services.fault(key, member.port)

    def _named_traefik_service(self, key: Key, above: tuple[Key, ...] = ()) -> str:
        if key not in self._of(_TRAEFIK_SERVICES):
            known = self._would_know(_TRAEFIK_SERVICES, key[0])
            return clean(f"there is no TraefikService {key[0]}/{key[1]}") if known else ""
        fault = self.traefik_service(key, above)
        return clean(f"its TraefikService {key[0]}/{key[1]} is not loaded: {fault}") if fault else ""

    def _member_middlewares(self, member: TraefikRef, namespace: str, alone: bool) -> str:
        """Why the Middlewares that stand beside a Service keep it from being loaded. Traefik keeps one definition for
        all who name a Service and port, except where it is the only one of a rule: where they differ it is not known
        which one it keeps."""
        if member.kind == _TRAEFIK_SERVICES.kind or not member.middlewares or "@" in member.name:
            return ""
        at = member.namespace or namespace
        if not alone and len(self._definitions().get(child_service(at, member.name, member.port), ())) > 1:
            return ""
        found = (self.named_middleware((ref.namespace or at, ref.name)) for ref in member.middlewares)
        return next((fault for fault in found if fault), "")

    def _definitions(self) -> dict[str, set[tuple[Key, ...]]]:
        """Traefik's name of each Service that is one of several -> the different lists of Middlewares beside it."""
        if self._shared is None:
            self._shared = {}
            for (namespace, _), native in self._of(_INGRESSES).items():
                for rule in native.spec.routes or []:
                    if len(rule.services or []) > 1:
                        for member in rule.services or []:
                            self._define(member, namespace)
            for (namespace, _), native in self._of(_TRAEFIK_SERVICES).items():
                for _, member in members_of(native):
                    self._define(member, namespace)
        return self._shared

    def _define(self, member: TraefikRef, namespace: str) -> None:
        if member.kind == _TRAEFIK_SERVICES.kind or self._shared is None:
            return
        at = member.namespace or namespace
        beside = tuple((ref.namespace or at, ref.name) for ref in member.middlewares or [])
        self._shared.setdefault(child_service(at, member.name, member.port), set()).add(beside)

    # --- routes -------------------------------------------------------------------------------------------------------

    def split(self, native: TraefikService) -> str:
        """Why a TraefikService as it is given here, which may be a planned one, is not loaded."""
        return self._traefik_service(native, (native.metadata.namespace, native.metadata.name), ())

    def limit(self, native: Middleware) -> str:
        """Why a Middleware as it is given here is not loaded."""
        return self._middleware(native, (native.metadata.namespace, native.metadata.name), ())

    def ingress_rules(self, native: IngressRoute) -> list[str]:
        """For each rule of an IngressRoute, why it is not loaded."""
        rules = native.spec.routes or []
        if native.spec.ingress_class_name not in CLASSES:
            return [""] * len(rules)
        whole_fault = self._parents(native)
        return [whole_fault or self._ingress_rule(native, rule) for rule in rules]

    def _parents(self, native: IngressRoute) -> str:
        parents = parents_of(native)
        if not parents:
            return ""
        if native.spec.entry_points:
            return "it has a parent and names entry points too, which only a route without a parent may"
        told = []
        for key in parents:
            parent = self._of(_INGRESSES).get(key)
            if parent is None:
                if self._would_know(_INGRESSES, key[0]):
                    return clean(f"there is no IngressRoute {key[0]}/{key[1]}, its parent")
                return ""
            faults = [self._ingress_rule(parent, rule) for rule in parent.spec.routes or []]
            if not faults or not all(faults):
                return ""
            told.append(clean(f"its parent IngressRoute {key[0]}/{key[1]} is not loaded: {faults[0]}"))
        return told[0]

    def _ingress_rule(self, native: IngressRoute, rule: IngressRule) -> str:
        namespace = native.metadata.namespace
        if rule.kind not in ("", "Rule"):
            return clean(f"its kind is {rule.kind}, and Traefik takes Rule")
        if not rule.match:
            return "its match is empty"
        services = rule.services or []
        children = self._children_of((namespace, native.metadata.name))
        if not services and not children:
            return "it has no service, and no IngressRoute names it as its parent"
        if services and children:
            return clean(f"it has services of its own, and IngressRoute {'/'.join(children[0])} names it as its parent")
        fault = self._middlewares_of(rule, namespace)
        for member in services:
            fault = fault or self._member(member, namespace, ())
            fault = fault or self._member_middlewares(member, namespace, len(services) == 1)
        return fault

    def _middlewares_of(self, rule: IngressRule, namespace: str) -> str:
        found = (self.named_middleware((ref.namespace or namespace, ref.name)) for ref in rule.middlewares or [])
        return next((fault for fault in found if fault), "")

    def _children_of(self, key: Key) -> list[Key]:
        if self._children is None:
            self._children = {}
            for child, native in self._of(_INGRESSES).items():
                for parent in parents_of(native):
                    self._children.setdefault(parent, []).append(child)
        return self._children.get(key, [])

    def http_rules(self, native: HTTPRoute) -> list[str]:
        """For each rule of an HTTPRoute that Traefik serves, why it is not loaded (its conditions do not tell)."""
        faults = [self._http_rule(rule, native.metadata.namespace) for rule in native.spec.rules or []]
        if any(faults) and not any(parent.controller_name == CONTROLLER for parent in current(native)):
            return [""] * len(faults)
        return faults

    def of(self, native: Any) -> list[str]:
        """For each row of an object, why it is not loaded; an object may be a planned one."""
        if isinstance(native, HTTPRoute):
            return self.http_rules(native)
        if isinstance(native, IngressRoute):
            return self.ingress_rules(native)
        if isinstance(native, TraefikService):
            return [self.split(native)]
        return [self.limit(native)] if isinstance(native, Middleware) else []

    def _http_rule(self, rule: HTTPRouteRule, namespace: str) -> str:
        if rule.matches == []:
            return "its list of matches is empty, of which Traefik makes no router"
        fault = self._filters(rule.filters, namespace)
        for ref in rule.backend_refs or []:
            if fault:
                return fault
            if ref.kind == "Service" and ref.group == "":
                fault = self._filters(ref.filters, namespace)
                fault = clean(f"of its backend {ref.name}: {fault}") if fault else ""
            elif ref.kind == _TRAEFIK_SERVICES.kind and "@" not in ref.name:
                fault = self._named_traefik_service((ref.namespace or namespace, ref.name))
        return fault

    def _filters(self, filters: list[RouteFilter] | None, namespace: str) -> str:
        for one in filters or []:
            fault = self._filter(one, namespace)
            if fault:
                return fault
        return ""

    def _filter(self, one: RouteFilter, namespace: str) -> str:
        if one.type not in _FILTERS:
            if _FEATURES.get(one.type) in self.features:
                return ""
            return clean(
                f"Traefik (v3.7) takes no filter of the type {one.type}: what comes by it is answered with 500"
            )
        if one.type == "URLRewrite" and not one.url_rewrite:
            return "its URLRewrite filter is empty, which Traefik refuses: it answers 500"
        if one.type != "ExtensionRef":
            return ""
        name = extension(one)
        if name:
            return self.named_middleware((namespace, name))
        ref = one.extension_ref
        kind = f"{ref.kind} of {ref.group}" if ref is not None else "nothing"
        return clean(
            f"its ExtensionRef filter names a {kind}, and Traefik takes a Middleware of traefik.io: it answers 500"
        )


def nothing() -> Unloaded:
    """Where nothing is held, nothing is known."""
    return Unloaded({}, Services(), frozenset())
