"""Where each Middleware applies: the routes that name it, and in how many places each of them counts.

Without redis Traefik makes one limiter for every router of every replica (traefik v3.7 server/router/router.go), and
an HTTPRoute's rule makes a router for each match and listener (provider/kubernetes/gateway/httproute.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from adapters.kubernetes.codecs import httproute, ingressroute
from adapters.kubernetes.codecs.common import object_ref, rule_parts
from adapters.kubernetes.wire import Gateway, HTTPRoute, HTTPRouteRule, IngressRoute, Middleware, ParentRef
from control.model import Binding, Domain, Interval, Limit
from control.ref import Ref

Key = tuple[str, str]
_DEEPEST_CHAIN = 8
_WEB = ("HTTP", "HTTPS")


@dataclass(frozen=True, slots=True)
class Use:
    """One route that names a Middleware, and how many routers Traefik makes of it (None: not known)."""

    on: str
    routers: int | None
    location: str


@dataclass(frozen=True, slots=True)
class Instances:
    """How many replicas of the proxy run, and where that is known from."""

    count: int | None
    source: str


Named = list[tuple[Key, Use]]
"""Each Middleware that a route names, and how it is used there."""


def uses(
    routes: Iterable[Named], ingresses: Iterable[Named], middlewares: Iterable[Middleware]
) -> dict[Key, list[Use]]:
    """Middleware (namespace, name) -> the routes that it applies to, through chains too."""
    chains = {
        (m.metadata.namespace, m.metadata.name): [
            (ref.namespace or m.metadata.namespace, ref.name) for ref in m.spec.chain.middlewares or []
        ]
        for m in middlewares
        if m.spec.chain is not None
    }
    found: dict[Key, list[Use]] = {}
    for named, use in chain.from_iterable((*routes, *ingresses)):
        _spread(named, use, chains, found)
    return found


def _spread(named: Key, use: Use, chains: Mapping[Key, list[Key]], found: dict[Key, list[Use]], depth: int = 0) -> None:
    found.setdefault(named, []).append(use)
    if depth < _DEEPEST_CHAIN:
        for link in chains.get(named, ()):
            _spread(link, use, chains, found, depth + 1)


def named_by_route(route: HTTPRoute, gateways: Mapping[Key, Gateway], environment: str) -> Named:
    """The Middlewares that an HTTPRoute's rules name."""
    rules = route.spec.rules or []
    if not any(rule.filters for rule in rules):
        return []
    whole = object_ref(environment, httproute.RESOURCE.kind, route.metadata)
    found: Named = []
    for index, (rule, part) in enumerate(zip(rules, rule_parts([r.name for r in rules]), strict=True)):
        for position, filter_ in enumerate(rule.filters or []):
            ref = filter_.extension_ref
            if ref is not None and ref.group == "traefik.io" and ref.kind == "Middleware":
                on = str(Ref(whole.environment, whole.kind, whole.scope, whole.name, part))
                location = f"spec.rules[{index}].filters[{position}]"
                found.append(((whole.scope, ref.name), Use(on, _routers(rule, route, gateways), location)))
    return found


def _routers(rule: HTTPRouteRule, route: HTTPRoute, gateways: Mapping[Key, Gateway]) -> int | None:
    """Matches times listeners; None where a Gateway could not be read."""
    listeners = 0
    for parent in route.spec.parent_refs or []:
        count = _listeners(parent, gateways.get((parent.namespace or route.metadata.namespace, parent.name)))
        if count is None:
            return None
        listeners += count
    return max(1, len(rule.matches or [])) * max(1, listeners)


def _listeners(parent: ParentRef, gateway: Gateway | None) -> int | None:
    if parent.section_name:
        return 1
    if gateway is None:
        return None
    listeners = gateway.spec.listeners or []
    return sum(1 for one in listeners if one.protocol in _WEB and parent.port in (None, one.port))


def named_by_ingress(ingress: IngressRoute, environment: str) -> Named:
    """The Middlewares that an IngressRoute's rules name."""
    whole = object_ref(environment, ingressroute.RESOURCE.kind, ingress.metadata)
    found: Named = []
    for index, rule in enumerate(ingress.spec.routes or []):
        on = str(Ref(whole.environment, whole.kind, whole.scope, whole.name, f"rule={index}"))
        for position, ref in enumerate(rule.middlewares or []):
            location = f"spec.routes[{index}].middlewares[{position}]"
            found.append(((ref.namespace or whole.scope, ref.name), Use(on, 1, location)))
    return found


def bound(limit: Limit, used: list[Use], instances: Instances, shared: bool) -> Limit:
    """The limit with its bindings, and a word where it is wider or narrower than it looks."""
    bindings = tuple(
        Binding(on=use.on, over=limit.over, domain=_domain(use, instances, shared), location=use.location)
        for use in used
    )
    notes = list(limit.notes)
    if not used:
        notes.append("no HTTPRoute or IngressRoute that we can see uses it")
    elif len(used) > 1:
        notes.append(
            f"used by {len(used)} routes, together"
            if shared
            else f"used by {len(used)} routes, and each counts by itself: one edit changes all of them"
        )
    return replace(limit, bindings=bindings, notes=tuple(notes))


def _domain(use: Use, instances: Instances, shared: bool) -> Domain:
    if shared:
        return Domain("shared store", Interval.exactly(1), "redis")
    routers = use.routers
    low = Fraction((instances.count or 1) * (routers or 1))
    known = instances.count is not None and routers is not None
    words = [instances.source]
    if routers is None:
        words.append("the Gateway's listeners could not be read")
    elif routers > 1:
        words.append(f"{routers} routers of this route")
    return Domain("router×instance", Interval(low, low if known else None), ", ".join(words))
