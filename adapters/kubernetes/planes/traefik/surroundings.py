"""What else of a cluster decides where a Middleware applies and whether a route is loaded: Services, Kubernetes' own
Ingresses, GRPCRoutes, and the entry points of a Traefik whose API the deck file names.

All of it is good to have and none of it is a row: what we may not read is named beside the limits that it could bind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.planes.plane import Cluster, Key, Use
from adapters.kubernetes.planes.traefik.api import TraefikApi, proxies_of
from adapters.kubernetes.planes.traefik.attachments import Named, by_grpc_route, by_ingress, by_service
from adapters.kubernetes.planes.traefik.services import Services
from adapters.kubernetes.wire.core import Ingress, Service
from adapters.kubernetes.wire.gateway_api import Gateway, GRPCRoute
from control.errors import ControlError
from control.text import clean

SERVICES = Resource("", ("v1",), "services", "Service")
INGRESSES = Resource("networking.k8s.io", ("v1",), "ingresses", "Ingress")
GRPC_ROUTES = Resource("gateway.networking.k8s.io", ("v1",), "grpcroutes", "GRPCRoute")
FRESH_SECONDS = 60.0
ENTRY_POINT_SECONDS = 2.0
"""How long a read of the cluster waits for Traefik's own configuration."""
ENTRY_POINTS = "Traefik's entry points (name its API under proxies)"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was read, at some moment."""

    services: Services = field(default_factory=Services)
    ingresses: tuple[Ingress, ...] = ()
    grpc_routes: tuple[GRPCRoute, ...] = ()
    entry_points: tuple[tuple[Key, Use], ...] = ()
    unseen: tuple[str, ...] = ()
    """The places where a Middleware may be named and that could not be looked at."""

    def named(self, gateways: Mapping[Key, Gateway], environment: str) -> list[Named]:
        """The Middlewares that are named here."""
        found = [by_ingress(one) for one in self.ingresses]
        found += [by_service(one) for one in self.services.found.values()]
        found += [by_grpc_route(one, gateways, environment) for one in self.grpc_routes]
        return [*found, list(self.entry_points)]


class Lookout:
    """Reads them, at most once a minute."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._urls = [proxy.api for proxy in proxies_of(cluster.config) if proxy.api]
        self._at: float | None = None

    async def look(self) -> Surroundings | None:
        """Everything; None where the last look still holds."""
        now = time.monotonic()
        if self._at is not None and now < self._at + FRESH_SECONDS:
            return None
        services, ingresses, routes, entries = await asyncio.gather(
            self._listed(SERVICES, Service),
            self._listed(INGRESSES, Ingress),
            self._listed(GRPC_ROUTES, GRPCRoute),
            self._entry_points(),
        )
        self._at = now
        places = (("Services", services), ("Ingresses", ingresses), ("GRPCRoutes", routes))
        unseen = [name for name, (_, away) in places if away]
        unseen += [] if entries is not None else [ENTRY_POINTS]
        read = [namespace for namespace in self._cluster.namespaces if namespace not in services[1]]
        return Surroundings(
            Services.of(services[0], read),
            tuple(ingresses[0]),
            tuple(routes[0]),
            tuple(entries or ()),
            tuple(unseen),
        )

    async def _listed(self, resource: Resource, wire: type[Any]) -> tuple[list[Any], set[str]]:
        """The objects of a kind, and the namespaces that could not be read whole."""
        namespaces = self._cluster.namespaces
        try:
            served = await self._cluster.discovery.served(resource)
        except ControlError:
            return [], set(namespaces)
        if served is None:
            return [], set()
        found: list[Any] = []
        away: set[str] = set()
        for namespace in namespaces:
            try:
                listed = await self._cluster.api.list(served, namespace, wire)
            except ControlError:
                away.add(namespace)
                continue
            found += listed.items
            if listed.broken:
                away.add(namespace)
        return found, away

    async def _entry_points(self) -> Named | None:
        """What entry points put before every router on them; None where no Traefik tells."""
        answers = await asyncio.gather(*(self._of_one(url) for url in self._urls))
        told = [answer for answer in answers if answer is not None]
        if not told:
            return None
        found: dict[tuple[Key, str], Use] = {}
        for answer in told:
            for key, use in answer:
                found.setdefault((key, use.on), use)
        return [(key, use) for (key, _), use in found.items()]

    async def _of_one(self, url: str) -> Named | None:
        try:
            async with asyncio.timeout(ENTRY_POINT_SECONDS):
                points = await TraefikApi(self._cluster.pages, url).entry_points()
        except (ControlError, TimeoutError):
            return None
        why = "how many routers are on the entry point is not counted"
        return [
            (("", name), Use(clean(f"entry point {point.name}"), None, f"entryPoints.{clean(point.name)}", why))
            for point in points
            for name in point.http.middlewares
        ]
