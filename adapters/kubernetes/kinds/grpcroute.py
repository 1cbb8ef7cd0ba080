"""Gateway API GRPCRoute: every rule is a route; weights are proportional, 0 to 1 000 000, 1 by default.

Source: gateway-api v1.6 apis/v1/grpcroute_types.go. A rule without matches takes every call.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.engine.coded import CodedKind, CodedRoutes, Reads
from adapters.engine.kind import Api, StatusOf
from adapters.kubernetes.client.objects import Wire
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.httproute import BACKENDS, mirrors, named, no_backends, sticky
from adapters.kubernetes.wire.gateway_api import BackendRef, NamedMatch, RouteFilter, SessionPersistence
from control.text import clean


class Method(Wire):
    """A service, a method or both; a regular expression each where the type says so."""

    type: str = "Exact"
    service: str = ""
    method: str = ""


class Match(Wire):
    method: Method | None = None
    headers: list[NamedMatch] | None = None


def match_words(matches: Sequence[Match] | None, hosts: Sequence[str] | None) -> tuple[str, ...]:
    """Which calls a rule is for, one text for each of its matches."""
    prefix = f"{','.join(hosts)} " if hosts else ""
    return tuple(clean(prefix + _match(match)) for match in matches or (Match(),))


def _match(match: Match) -> str:
    method = match.method or Method()
    path = f"/{method.service or '*'}/{method.method or '*'}"
    words = [path if method.type == "Exact" else f"~{path}"]
    return " ".join([*words, *(named("header", header) for header in match.headers or ())])


CODEC = Codec(
    CodedKind(
        kind="GRPCRoute",
        title="Gateway API route of gRPC calls: weights of each rule's backends",
        api=Api(group="gateway.networking.k8s.io", versions=("v1", "v1alpha2"), plural="grpcroutes"),
        routes=(
            CodedRoutes(
                at="spec.rules",
                name="name",
                distinct="matches",
                matches_by=Reads(match_words, ("matches", "/spec.hostnames"), (list[Match], list[str])),
                mirrors_by=Reads(mirrors, ("filters", "backendRefs"), (list[RouteFilter], list[BackendRef])),
                sticky_by=Reads(sticky, ("sessionPersistence",), (SessionPersistence,)),
                notes_by=Reads(no_backends, ("backendRefs",), (list[BackendRef],)),
                targets=BACKENDS,
            ),
        ),
        status=StatusOf(shape="parents"),
    )
)
