"""Kubernetes' own kinds: Services, EndpointSlices, Ingresses."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.kubernetes.client.objects import Metadata, Wire


class EndpointConditions(Wire):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Wire):
    conditions: EndpointConditions | None = None


class EndpointSlice(Wire):
    metadata: Metadata
    endpoints: list[Endpoint] | None = None


class ServicePort(Wire):
    name: str = ""
    port: int = 0


class ServiceSpec(Wire):
    type: str = "ClusterIP"
    ports: list[ServicePort] | None = None


class Service(Wire):
    metadata: Metadata
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)


class IngressHTTP(Wire):
    paths: list[Any] | None = None


class PlainIngressRule(Wire):
    http: IngressHTTP | None = None


class PlainIngressSpec(Wire):
    rules: list[PlainIngressRule] | None = None


class Ingress(Wire):
    """Kubernetes' own Ingress, of which only what its annotations name matters."""

    metadata: Metadata
    spec: PlainIngressSpec = msgspec.field(default_factory=PlainIngressSpec)
