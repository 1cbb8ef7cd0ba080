"""Gateway API HTTPRoute: every rule is a route; weights are proportional, 0 to 1 000 000, 1 by default.

Source: gateway-api v1.6 apis/v1/httproute_types.go. An invalid backend keeps its share, which then gets errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adapters.engine.coded import CodedKind, CodedRoutes, Reads
from adapters.engine.kind import Api, Endpoint, Leads, StatusOf, Targets
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.shown import MASK, hides
from adapters.kubernetes.wire.gateway_api import (
    BackendRef,
    HTTPRoute,
    NamedMatch,
    RouteFilter,
    RouteMatch,
    SessionPersistence,
)
from control.model import Mirror
from control.text import clean

NO_BACKENDS = "this rule has no backends"
BACKENDS = Targets(
    at="backendRefs",
    identity=("name", "{name}:{port}", "{namespace}/{name}:{port}"),
    weight="weight",
    absent=1,
    empty=NO_BACKENDS,
    endpoint=Endpoint(namespace="namespace", kind="kind", port="port"),
    leads=(
        Leads(
            when={"group": "traefik.io", "kind": "TraefikService"},
            kind="TraefikService",
            namespace="namespace",
            foreign="@",
        ),
    ),
)
"""What rules of the Gateway API have for targets."""


def match_words(matches: Sequence[RouteMatch] | None, hosts: Sequence[str] | None) -> tuple[str, ...]:
    """What a rule is for, one text for each of its matches."""
    prefix = f"{','.join(hosts)} " if hosts else ""
    return tuple(clean(prefix + _match(match)) for match in matches or (RouteMatch(),))


def _match(match: RouteMatch) -> str:
    words = [match.method] if match.method else []
    path = match.path
    if path is None or path.type == "PathPrefix":
        value = path.value if path else "/"
        words.append(value if value.endswith("/") else f"{value}/")
        words[-1] += "*"
    else:
        words.append(path.value if path.type == "Exact" else f"~{path.value}")
    words += [named("header", header) for header in match.headers or []]
    words += [named("query", query) for query in match.query_params or []]
    return " ".join(words)


def named(what: str, match: NamedMatch) -> str:
    """A header or a query parameter that is matched, masked where its value looks secret."""
    value = MASK if hides(match.name, match.value) else match.value
    return f"{what} {match.name}{'=' if match.type == 'Exact' else '~'}{value}"


def mirrors(
    names: Sequence[str],
    shares: Sequence[Fraction | None],
    filters: Sequence[RouteFilter] | None,
    backends: Sequence[BackendRef] | None,
) -> tuple[Mirror, ...]:
    """The copies that a rule sends: of all its requests, and of those that one backend gets."""
    found = _copies(filters)
    for share, name, backend in zip(shares, names, backends or (), strict=True):
        for mirror in _copies(backend.filters):
            told = clean(f"{mirror.name} (from {name})")
            found.append(Mirror(told, mirror.share if share is None else mirror.share * share))
    return tuple(found)


def _copies(filters: Sequence[RouteFilter] | None) -> list[Mirror]:
    found = []
    for filter_ in filters or ():
        mirror = filter_.request_mirror
        if mirror is None:
            continue
        share = Fraction(1)
        if mirror.percent is not None:
            share = Fraction(mirror.percent, 100)
        elif mirror.fraction is not None and mirror.fraction.denominator > 0:
            share = Fraction(mirror.fraction.numerator, mirror.fraction.denominator)
        found.append(Mirror(clean(mirror.backend_ref.name), share))
    return found


def sticky(persistence: SessionPersistence | None) -> str:
    """How sessions stick, empty where they do not."""
    return clean(f"session by {persistence.type.lower()}") if persistence else ""


def no_backends(backends: Sequence[BackendRef] | None) -> tuple[str, ...]:
    """A note where a rule has none."""
    return () if backends else (NO_BACKENDS,)


CODEC = Codec(
    CodedKind(
        kind="HTTPRoute",
        title="Gateway API route: weights of each rule's backends",
        api=Api(
            group="gateway.networking.k8s.io",
            versions=("v1", "v1beta1"),
            plural="httproutes",
            former_groups=("networking.x-k8s.io",),
        ),
        wire=HTTPRoute,
        routes=(
            CodedRoutes(
                at="spec.rules",
                name="name",
                distinct="matches",
                matches_by=Reads(match_words, ("matches", "/spec.hostnames")),
                mirrors_by=Reads(mirrors, ("filters", "backendRefs")),
                sticky_by=Reads(sticky, ("sessionPersistence",)),
                notes_by=Reads(no_backends, ("backendRefs",)),
                targets=BACKENDS,
            ),
        ),
        status=StatusOf(shape="parents"),
    )
)
RESOURCE = CODEC.resource


def target_names(backends: Sequence[BackendRef]) -> list[str]:
    """Names that tell the backends of one rule apart: the Service's, with port and namespace where they must be."""
    return CODEC.target_names(backends)
