"""Gateway API v1.6. Source: apis/v1/{httproute,grpcroute,gateway,gatewayclass,shared}_types.go."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.kubernetes.client.objects import Metadata, Wire

Number = Any
"""What should be a whole number: an int, or whatever else an object holds in its place."""


class Condition(Wire):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    observed_generation: Number = None
    last_transition_time: str = ""


class ParentRef(Wire):
    name: str = ""
    group: str = "gateway.networking.k8s.io"
    namespace: str = ""
    kind: str = "Gateway"
    section_name: str = ""
    port: int | None = None


class ParentStatus(Wire):
    parent_ref: ParentRef = msgspec.field(default_factory=ParentRef)
    controller_name: str = ""
    conditions: list[Condition] | None = None


class AncestorStatus(Wire):
    controller_name: str = ""
    conditions: list[Condition] | None = None


class PathMatch(Wire):
    type: str = "PathPrefix"
    value: str = "/"


class NamedMatch(Wire):
    name: str = ""
    value: str = ""
    type: str = "Exact"


class RouteMatch(Wire):
    path: PathMatch | None = None
    headers: list[NamedMatch] | None = None
    query_params: list[NamedMatch] | None = None
    method: str | None = None


class BackendRef(Wire):
    name: str = ""
    namespace: str = ""
    group: str = ""
    kind: str = "Service"
    port: int | None = None
    weight: Number = None
    filters: list[RouteFilter] | None = None


class LocalRef(Wire):
    group: str = ""
    kind: str = ""
    name: str = ""


class FractionWire(Wire):
    numerator: int = 0
    denominator: int = 100


class RequestMirror(Wire):
    backend_ref: BackendRef = msgspec.field(default_factory=BackendRef)
    percent: int | None = None
    fraction: FractionWire | None = None


class RouteFilter(Wire):
    type: str = ""
    extension_ref: LocalRef | None = None
    request_mirror: RequestMirror | None = None
    url_rewrite: dict[str, Any] | None = msgspec.field(default=None, name="urlRewrite")


class SessionPersistence(Wire):
    session_name: str = ""
    type: str = "Cookie"


class HTTPRouteRule(Wire):
    name: str = ""
    matches: list[RouteMatch] | None = None
    backend_refs: list[BackendRef] | None = None
    filters: list[RouteFilter] | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(Wire):
    parent_refs: list[ParentRef] | None = None
    use_default_gateways: str | None = None
    hostnames: list[str] | None = None
    rules: list[HTTPRouteRule] | None = None


class HTTPRouteStatus(Wire):
    parents: list[ParentStatus] | None = None


class HTTPRoute(Wire):
    metadata: Metadata
    spec: HTTPRouteSpec = msgspec.field(default_factory=HTTPRouteSpec)
    status: HTTPRouteStatus = msgspec.field(default_factory=HTTPRouteStatus)


class Listener(Wire):
    name: str = ""
    protocol: str = ""
    port: int = 0


class GatewaySpec(Wire):
    gateway_class_name: str = ""
    listeners: list[Listener] | None = None


class Gateway(Wire):
    metadata: Metadata
    spec: GatewaySpec = msgspec.field(default_factory=GatewaySpec)


class GatewayClassSpec(Wire):
    controller_name: str = ""


class GatewayClassStatus(Wire):
    supported_features: list[Any] | None = None
    """Objects with a name; plain names before Gateway API v1.2."""


class GatewayClass(Wire):
    metadata: Metadata
    spec: GatewayClassSpec = msgspec.field(default_factory=GatewayClassSpec)
    status: GatewayClassStatus = msgspec.field(default_factory=GatewayClassStatus)


class GRPCRouteRule(Wire):
    name: str = ""
    matches: list[Any] | None = None
    filters: list[RouteFilter] | None = None
    backend_refs: list[BackendRef] | None = None


class GRPCRouteSpec(Wire):
    parent_refs: list[ParentRef] | None = None
    rules: list[GRPCRouteRule] | None = None


class GRPCRoute(Wire):
    """Of which only the Middlewares that its rules name matter."""

    metadata: Metadata
    spec: GRPCRouteSpec = msgspec.field(default_factory=GRPCRouteSpec)
