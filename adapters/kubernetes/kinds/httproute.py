"""Gateway API HTTPRoute: every rule is a route; weights are proportional, 0 to 1 000 000, 1 by default.

Source: gateway-api v1.6 apis/v1/httproute_types.go. An invalid backend keeps its share, which then gets errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.jsonpatch import Op
from adapters.kubernetes.kinds.common import (
    Codec,
    Native,
    Read,
    base,
    convert,
    guards,
    list_at,
    object_ref,
    rule_index,
    rule_parts,
    unique,
    weight_ops,
)
from adapters.kubernetes.kinds.numbers import not_understood, shares, text, weights
from adapters.kubernetes.route_status import status_of
from adapters.kubernetes.section import PLATFORM
from adapters.kubernetes.shown import MASK, hides
from adapters.kubernetes.wire.gateway_api import (
    BackendRef,
    HTTPRoute,
    HTTPRouteRule,
    NamedMatch,
    RouteFilter,
    RouteMatch,
)
from control.model import Editable, Grid, Mirror, Route, Semantics, Status, Target
from control.model.ref import Ref
from control.planning.edit import Change
from control.text import clean

RESOURCE = Resource(
    "gateway.networking.k8s.io",
    ("v1", "v1beta1"),
    "httproutes",
    "HTTPRoute",
    former_groups=("networking.x-k8s.io",),
)
GRID = Grid(minimum=1, maximum=1_000_000)
NO_BACKENDS = "this rule has no backends"


def read(native: HTTPRoute, environment: str, at: float) -> Read:
    """The routes of one HTTPRoute, one for each rule."""
    rules = native.spec.rules or []
    parts = rule_parts([rule.name for rule in rules])
    whole = object_ref(environment, RESOURCE.kind, native.metadata)
    indexed = [rule.matches for rule, part in zip(rules, parts, strict=True) if part != f"rule={rule.name}"]
    the_base = base(native.metadata, indexed)
    status = status_of(native)
    hosts = native.spec.hostnames or []
    return Read(
        tuple(_route(native, whole, index, parts[index], the_base, status, hosts, at) for index in range(len(rules)))
    )


def _route(
    native: HTTPRoute, whole: Ref, index: int, part: str, the_base: str, status: Status, hosts: list[str], at: float
) -> Route:
    rule = (native.spec.rules or [])[index]
    several = len(native.spec.rules or []) > 1
    name = native.metadata.name
    refs = rule.backend_refs or []
    unclear = not_understood(target_names(refs), [ref.weight for ref in refs])
    return Route(
        ref=Ref(whole.environment, whole.kind, whole.scope, whole.name, part),
        platform=PLATFORM,
        name=clean(f"{name} {part.removeprefix('rule=')}" if several or rule.name else name),
        semantics=Semantics.PROPORTIONAL,
        grid=GRID,
        targets=_targets(rule, whole),
        object=str(whole),
        base=the_base,
        read_at=at,
        matches=_matches(rule, hosts),
        sticky=clean(f"session by {rule.session_persistence.type.lower()}") if rule.session_persistence else "",
        mirrors=_mirrors(rule),
        status=status,
        editable=Editable(False, unclear or NO_BACKENDS) if unclear or not refs else Editable(),
        notes=() if refs else (NO_BACKENDS,),
        location=f"spec.rules[{index}].backendRefs",
    )


def target_names(refs: Sequence[BackendRef]) -> list[str]:
    """Names that tell the backends of one rule apart: the Service's, with port and namespace where they must be."""
    return unique(
        [(ref.name, f"{ref.name}:{ref.port or ''}", f"{ref.namespace}/{ref.name}:{ref.port or ''}") for ref in refs]
    )


def _targets(rule: HTTPRouteRule, whole: Ref) -> tuple[Target, ...]:
    refs = rule.backend_refs or []
    found = weights(ref.weight for ref in refs)
    return tuple(
        Target(
            name=name,
            weight=weight,
            share=share,
            endpoints=(_endpoint(ref, whole.scope),),
            to=_leads_to(ref, whole),
            native="" if weight is not None else text(ref.weight),
        )
        for name, weight, share, ref in zip(target_names(refs), found, shares(found), refs, strict=True)
    )


def _endpoint(ref: BackendRef, namespace: str) -> str:
    kind = "" if ref.kind == "Service" else f"{ref.kind} "
    port = f":{ref.port}" if ref.port else ""
    return clean(f"{kind}{ref.namespace or namespace}/{ref.name}{port}")


def _leads_to(ref: BackendRef, whole: Ref) -> Ref | None:
    if ref.group != "traefik.io" or ref.kind != "TraefikService" or "@" in ref.name:
        return None
    return Ref(whole.environment, "TraefikService", ref.namespace or whole.scope, ref.name)


def _mirrors(rule: HTTPRouteRule) -> tuple[Mirror, ...]:
    """The copies that a rule sends: of all its requests, and of those that one backend gets."""
    refs = rule.backend_refs or []
    of_all = [mirror for mirror, _ in _copies(rule.filters or [])]
    part = shares(weights(ref.weight for ref in refs))
    for share, name, ref in zip(part, target_names(refs), refs, strict=True):
        for mirror, copied in _copies(ref.filters or []):
            told = clean(f"{mirror.name} (from {name})")
            of_all.append(Mirror(told, copied if share is None else copied * share))
    return tuple(of_all)


def _copies(filters: Sequence[RouteFilter]) -> list[tuple[Mirror, Fraction]]:
    found = []
    for filter_ in filters:
        mirror = filter_.request_mirror
        if mirror is None:
            continue
        share = Fraction(1)
        if mirror.percent is not None:
            share = Fraction(mirror.percent, 100)
        elif mirror.fraction is not None and mirror.fraction.denominator > 0:
            share = Fraction(mirror.fraction.numerator, mirror.fraction.denominator)
        found.append((Mirror(clean(mirror.backend_ref.name), share), share))
    return found


def _matches(rule: HTTPRouteRule, hosts: list[str]) -> tuple[str, ...]:
    matches = rule.matches or [RouteMatch()]
    prefix = f"{','.join(hosts)} " if hosts else ""
    return tuple(clean(prefix + _match(match)) for match in matches)


def _match(match: RouteMatch) -> str:
    words = [match.method] if match.method else []
    path = match.path
    if path is None or path.type == "PathPrefix":
        value = path.value if path else "/"
        words.append(value if value.endswith("/") else f"{value}/")
        words[-1] += "*"
    else:
        words.append(path.value if path.type == "Exact" else f"~{path.value}")
    words += [_named("header", header) for header in match.headers or []]
    words += [_named("query", query) for query in match.query_params or []]
    return " ".join(words)


def _named(what: str, match: NamedMatch) -> str:
    value = MASK if hides(match.name, match.value) else match.value
    return f"{what} {match.name}{'=' if match.type == 'Exact' else '~'}{value}"


def edit(native: Native, changes: Sequence[Change]) -> list[Op]:
    """A guarded patch that sets weights in one or more rules."""
    typed = convert(native, HTTPRoute)
    rules = typed.spec.rules or []
    names = [rule.name for rule in rules]
    ops = guards(native)
    by_rule: dict[int, list[Change]] = {}
    for change in changes:
        by_rule.setdefault(rule_index(change.ref, names), []).append(change)
    for index, of_rule in by_rule.items():
        members = list_at(native, "spec", "rules", index, "backendRefs")
        found = target_names(rules[index].backend_refs or [])
        ops += weight_ops(members, found, ("spec", "rules", index, "backendRefs"), of_rule, GRID)
    return ops


CODEC = Codec(RESOURCE, HTTPRoute, "Gateway API route: weights of each rule's backends", read, edit)
