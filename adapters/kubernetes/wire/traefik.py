"""Traefik v3.7. Source: provider/kubernetes/crd/traefikio/v1alpha1."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.kubernetes.client.objects import Metadata, Wire
from adapters.kubernetes.wire.gateway_api import Number


class Cookie(Wire):
    name: str = ""


class Sticky(Wire):
    cookie: Cookie | None = None


class MiddlewareRef(Wire):
    name: str = ""
    namespace: str = ""


class TraefikRef(Wire):
    """A Service or TraefikService that a Traefik object names. `percent` only in mirrors."""

    name: str = ""
    namespace: str = ""
    kind: str = "Service"
    port: int | str | None = None
    weight: Number = None
    percent: Number = None
    middlewares: list[MiddlewareRef] | None = None


class WeightedSpec(Wire):
    services: list[TraefikRef] | None = None
    sticky: Sticky | None = None


class MirroringSpec(TraefikRef):
    mirrors: list[TraefikRef] | None = None


class FailoverSpec(Wire):
    service: TraefikRef | None = None
    fallback: TraefikRef | None = None


class TraefikServiceSpec(Wire):
    weighted: WeightedSpec | None = None
    highest_random_weight: WeightedSpec | None = None
    mirroring: MirroringSpec | None = None
    failover: FailoverSpec | None = None


class TraefikService(Wire):
    metadata: Metadata
    spec: TraefikServiceSpec = msgspec.field(default_factory=TraefikServiceSpec)


class IngressRule(Wire):
    match: str = ""
    kind: str = "Rule"
    priority: int = 0
    services: list[TraefikRef] | None = None
    middlewares: list[MiddlewareRef] | None = None


class IngressRouteSpec(Wire):
    entry_points: list[str] | None = None
    ingress_class_name: str | None = None
    parent_refs: list[MiddlewareRef] | None = None
    routes: list[IngressRule] | None = None


class IngressRoute(Wire):
    metadata: Metadata
    spec: IngressRouteSpec = msgspec.field(default_factory=IngressRouteSpec)


class IPStrategy(Wire):
    depth: Number = 0
    excluded_ips: list[str] | None = msgspec.field(default=None, name="excludedIPs")
    ipv6_subnet: Number = None


class SourceCriterion(Wire):
    ip_strategy: IPStrategy | None = None
    request_header_name: str = ""
    request_host: bool = False


class RateLimit(Wire):
    average: Number = None
    period: Number = None
    burst: Number = None
    source_criterion: SourceCriterion | None = None
    redis: dict[str, Any] | None = None


class InFlightReq(Wire):
    amount: Number = None
    source_criterion: SourceCriterion | None = None


class Chain(Wire):
    middlewares: list[MiddlewareRef] | None = None


class ErrorPage(Wire):
    service: TraefikRef = msgspec.field(default_factory=TraefikRef)


class MiddlewareSpec(Wire):
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


class Middleware(Wire):
    metadata: Metadata
    spec: MiddlewareSpec = msgspec.field(default_factory=MiddlewareSpec)
