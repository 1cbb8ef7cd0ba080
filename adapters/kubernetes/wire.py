"""The parts of native objects that are decoded: only fields that are used, everything else is passed over.

Sources: Gateway API v1.6 httproute_types.go, Traefik v3.7 provider/kubernetes/crd/traefikio/v1alpha1. A list of JSON
that is `null` or absent is an empty one. Numbers of Traefik's kinds are decoded as they come (`Number`): what they mean
is said by `codecs.numbers`, so that one that nobody understands does not hide its object.
"""

from __future__ import annotations

from typing import Any

import msgspec

Number = Any
"""What should be a whole number: an int, or whatever else an object holds in its place."""


class _Wire(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    pass


class OwnerReference(_Wire):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    controller: bool = False


class ManagedFields(_Wire):
    manager: str = ""
    operation: str = ""
    time: str = ""
    subresource: str = ""


class Metadata(_Wire):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    managed_fields: list[ManagedFields] | None = None
    deletion_timestamp: str | None = None


class Bare(_Wire):
    """Any object, of which only the metadata matters."""

    metadata: Metadata


class ListMeta(_Wire):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Condition(_Wire):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    observed_generation: int | None = None
    last_transition_time: str = ""


class ParentRef(_Wire):
    name: str = ""
    group: str = "gateway.networking.k8s.io"
    namespace: str = ""
    kind: str = "Gateway"
    section_name: str = ""
    port: int | None = None


class ParentStatus(_Wire):
    parent_ref: ParentRef = msgspec.field(default_factory=ParentRef)
    controller_name: str = ""
    conditions: list[Condition] | None = None


class PathMatch(_Wire):
    type: str = "PathPrefix"
    value: str = "/"


class NamedMatch(_Wire):
    name: str = ""
    value: str = ""
    type: str = "Exact"


class RouteMatch(_Wire):
    path: PathMatch | None = None
    headers: list[NamedMatch] | None = None
    query_params: list[NamedMatch] | None = None
    method: str | None = None


class BackendRef(_Wire):
    name: str = ""
    namespace: str = ""
    group: str = ""
    kind: str = "Service"
    port: int | None = None
    weight: Number = None
    filters: list[RouteFilter] | None = None


class LocalRef(_Wire):
    group: str = ""
    kind: str = ""
    name: str = ""


class FractionWire(_Wire):
    numerator: int = 0
    denominator: int = 100


class RequestMirror(_Wire):
    backend_ref: BackendRef = msgspec.field(default_factory=BackendRef)
    percent: int | None = None
    fraction: FractionWire | None = None


class RouteFilter(_Wire):
    type: str = ""
    extension_ref: LocalRef | None = None
    request_mirror: RequestMirror | None = None
    url_rewrite: dict[str, Any] | None = msgspec.field(default=None, name="urlRewrite")


class SessionPersistence(_Wire):
    session_name: str = ""
    type: str = "Cookie"


class HTTPRouteRule(_Wire):
    name: str = ""
    matches: list[RouteMatch] | None = None
    backend_refs: list[BackendRef] | None = None
    filters: list[RouteFilter] | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(_Wire):
    parent_refs: list[ParentRef] | None = None
    use_default_gateways: str | None = None
    hostnames: list[str] | None = None
    rules: list[HTTPRouteRule] | None = None


class HTTPRouteStatus(_Wire):
    parents: list[ParentStatus] | None = None


class HTTPRoute(_Wire):
    metadata: Metadata
    spec: HTTPRouteSpec = msgspec.field(default_factory=HTTPRouteSpec)
    status: HTTPRouteStatus = msgspec.field(default_factory=HTTPRouteStatus)


class Listener(_Wire):
    name: str = ""
    protocol: str = ""
    port: int = 0


class GatewaySpec(_Wire):
    gateway_class_name: str = ""
    listeners: list[Listener] | None = None


class Gateway(_Wire):
    metadata: Metadata
    spec: GatewaySpec = msgspec.field(default_factory=GatewaySpec)


class GatewayClassSpec(_Wire):
    controller_name: str = ""


class GatewayClassStatus(_Wire):
    supported_features: list[Any] | None = None
    """Objects with a name; plain names before Gateway API v1.2."""


class GatewayClass(_Wire):
    metadata: Metadata
    spec: GatewayClassSpec = msgspec.field(default_factory=GatewayClassSpec)
    status: GatewayClassStatus = msgspec.field(default_factory=GatewayClassStatus)


class Cookie(_Wire):
    name: str = ""


class Sticky(_Wire):
    cookie: Cookie | None = None


class MiddlewareRef(_Wire):
    name: str = ""
    namespace: str = ""


class TraefikRef(_Wire):
    """A Service or TraefikService that a Traefik object names. `percent` only in mirrors."""

    name: str = ""
    namespace: str = ""
    kind: str = "Service"
    port: int | str | None = None
    weight: Number = None
    percent: Number = None
    middlewares: list[MiddlewareRef] | None = None


class WeightedSpec(_Wire):
    services: list[TraefikRef] | None = None
    sticky: Sticky | None = None


class MirroringSpec(TraefikRef):
    mirrors: list[TraefikRef] | None = None


class FailoverSpec(_Wire):
    service: TraefikRef | None = None
    fallback: TraefikRef | None = None


class TraefikServiceSpec(_Wire):
    weighted: WeightedSpec | None = None
    highest_random_weight: WeightedSpec | None = None
    mirroring: MirroringSpec | None = None
    failover: FailoverSpec | None = None


class TraefikService(_Wire):
    metadata: Metadata
    spec: TraefikServiceSpec = msgspec.field(default_factory=TraefikServiceSpec)


class IngressRule(_Wire):
    match: str = ""
    kind: str = "Rule"
    priority: int = 0
    services: list[TraefikRef] | None = None
    middlewares: list[MiddlewareRef] | None = None


class IngressRouteSpec(_Wire):
    entry_points: list[str] | None = None
    ingress_class_name: str | None = None
    parent_refs: list[MiddlewareRef] | None = None
    routes: list[IngressRule] | None = None


class IngressRoute(_Wire):
    metadata: Metadata
    spec: IngressRouteSpec = msgspec.field(default_factory=IngressRouteSpec)


class IPStrategy(_Wire):
    depth: Number = 0
    excluded_ips: list[str] | None = msgspec.field(default=None, name="excludedIPs")
    ipv6_subnet: Number = None


class SourceCriterion(_Wire):
    ip_strategy: IPStrategy | None = None
    request_header_name: str = ""
    request_host: bool = False


class RateLimit(_Wire):
    average: Number = None
    period: Number = None
    burst: Number = None
    source_criterion: SourceCriterion | None = None
    redis: dict[str, Any] | None = None


class InFlightReq(_Wire):
    amount: Number = None
    source_criterion: SourceCriterion | None = None


class Chain(_Wire):
    middlewares: list[MiddlewareRef] | None = None


class ErrorPage(_Wire):
    service: TraefikRef = msgspec.field(default_factory=TraefikRef)


class MiddlewareSpec(_Wire):
    """Every type that a Middleware can be of: Traefik takes exactly one."""

    rate_limit: RateLimit | None = None
    in_flight_req: InFlightReq | None = None
    chain: Chain | None = None
    errors: ErrorPage | None = None
    plugin: dict[str, Any] | None = None
    add_prefix: Any = None
    strip_prefix: Any = None
    strip_prefix_regex: Any = None
    replace_path: Any = None
    replace_path_regex: Any = None
    ip_white_list: Any = None
    ip_allow_list: Any = None
    headers: Any = None
    encoded_characters: Any = None
    redirect_regex: Any = None
    redirect_scheme: Any = None
    basic_auth: Any = None
    digest_auth: Any = None
    forward_auth: Any = None
    buffering: Any = None
    circuit_breaker: Any = None
    compress: Any = None
    pass_tls_client_cert: Any = msgspec.field(default=None, name="passTLSClientCert")
    retry: Any = None
    content_type: Any = None
    grpc_web: Any = None

    def types(self) -> list[str]:
        """The types that it holds, as its object names them."""
        names = zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
        return [encoded for field, encoded in names if getattr(self, field) is not None]


class Middleware(_Wire):
    metadata: Metadata
    spec: MiddlewareSpec = msgspec.field(default_factory=MiddlewareSpec)


class EndpointConditions(_Wire):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(_Wire):
    conditions: EndpointConditions | None = None


class EndpointSlice(_Wire):
    metadata: Metadata
    endpoints: list[Endpoint] | None = None


class ServicePort(_Wire):
    name: str = ""
    port: int = 0


class ServiceSpec(_Wire):
    type: str = "ClusterIP"
    ports: list[ServicePort] | None = None


class Service(_Wire):
    metadata: Metadata
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class IngressHTTP(_Wire):
    paths: list[Any] | None = None


class PlainIngressRule(_Wire):
    http: IngressHTTP | None = None


class PlainIngressSpec(_Wire):
    rules: list[PlainIngressRule] | None = None


class Ingress(_Wire):
    """Kubernetes' own Ingress, of which only what its annotations name matters."""

    metadata: Metadata
    spec: PlainIngressSpec = msgspec.field(default_factory=PlainIngressSpec)


class GRPCRouteRule(_Wire):
    name: str = ""
    matches: list[Any] | None = None
    filters: list[RouteFilter] | None = None
    backend_refs: list[BackendRef] | None = None


class GRPCRouteSpec(_Wire):
    parent_refs: list[ParentRef] | None = None
    rules: list[GRPCRouteRule] | None = None


class GRPCRoute(_Wire):
    """Of which only the Middlewares that its rules name matter."""

    metadata: Metadata
    spec: GRPCRouteSpec = msgspec.field(default_factory=GRPCRouteSpec)


class Cause(_Wire):
    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(_Wire):
    causes: list[Cause] | None = None
    retry_after_seconds: int = 0


class ApiStatus(_Wire):
    """What an API server answers when it refuses, and the body of a watch's ERROR event."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)


class WatchEvent(_Wire):
    type: str
    object: msgspec.Raw
