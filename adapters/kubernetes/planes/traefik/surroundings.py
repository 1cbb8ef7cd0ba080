"""What else of a cluster decides where a Middleware applies and whether a route is loaded: Services, Kubernetes' own
Ingresses, GRPCRoutes, and the entry points of a Traefik whose API the deck file names.

All of it is good to have and none of it is a row: what we may not read is named beside the limits that it could bind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.common.http import Pages
from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.discovery import Discovery
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.kinds import middleware
from adapters.kubernetes.planes.traefik.api import TraefikApi
from adapters.kubernetes.planes.traefik.attachments import Key, Named, Use, by_grpc_route, by_ingress, by_service
from adapters.kubernetes.planes.traefik.names import CONTROLLER
from adapters.kubernetes.services import Services
from adapters.kubernetes.wire.core import Ingress, Service
from adapters.kubernetes.wire.gateway_api import Gateway, GatewayClass, GRPCRoute
from control.deck.config import EnvironmentConfig
from control.errors import ControlError
from control.text import clean

SERVICES = Resource("", ("v1",), "services", "Service")
INGRESSES = Resource("networking.k8s.io", ("v1",), "ingresses", "Ingress")
CLASSES = Resource("gateway.networking.k8s.io", ("v1",), "gatewayclasses", "GatewayClass", namespaced=False)
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
    features: frozenset[str] = frozenset()
    """What the classes of Traefik's Gateways say that they support."""
    unseen: tuple[str, ...] = ()
    """The places where a Middleware may be named and that could not be looked at."""

    def named(self, gateways: Mapping[Key, Gateway]) -> list[Named]:
        """The Middlewares that are named here."""
        found = [by_ingress(one) for one in self.ingresses]
        found += [by_service(one) for one in self.services.found.values()]
        found += [by_grpc_route(one, gateways) for one in self.grpc_routes]
        return [*found, list(self.entry_points)]


def _features(one: GatewayClass) -> list[str]:
    """What a class says that it supports, where it is Traefik's."""
    if one.spec.controller_name != CONTROLLER:
        return []
    named = (
        feature.get("name") if isinstance(feature, dict) else feature for feature in one.status.supported_features or ()
    )
    return [name for name in named if isinstance(name, str)]


class Lookout:
    """Reads them, at most once a minute."""

    def __init__(
        self, api: Api, discovery: Discovery, namespaces: Sequence[str], pages: Pages, config: EnvironmentConfig
    ) -> None:
        self._api = api
        self._discovery = discovery
        self._namespaces = tuple(namespaces)
        self._pages = pages
        self._urls = [proxy.api for proxy in config.proxies if proxy.kind == "traefik" and proxy.api]
        self._at: float | None = None

    async def look(self) -> Surroundings | None:
        """Everything; None where the last look still holds."""
        now = time.monotonic()
        if self._at is not None and now < self._at + FRESH_SECONDS:
            return None
        if not await self._has_traefik():
            self._at = now
            return Surroundings()
        services, ingresses, routes, classes, entries = await asyncio.gather(
            self._listed(SERVICES, Service),
            self._listed(INGRESSES, Ingress),
            self._listed(GRPC_ROUTES, GRPCRoute),
            self._listed(CLASSES, GatewayClass, ("",)),
            self._entry_points(),
        )
        self._at = now
        places = (("Services", services), ("Ingresses", ingresses), ("GRPCRoutes", routes))
        unseen = [name for name, (_, away) in places if away]
        unseen += [] if entries is not None else [ENTRY_POINTS]
        read = [namespace for namespace in self._namespaces if namespace not in services[1]]
        return Surroundings(
            Services.of(services[0], read),
            tuple(ingresses[0]),
            tuple(routes[0]),
            tuple(entries or ()),
            frozenset(feature for one in classes[0] for feature in _features(one)),
            tuple(unseen),
        )

    async def _has_traefik(self) -> bool:
        try:
            return await self._discovery.has(middleware.RESOURCE)
        except ControlError:
            return False

    async def _listed(
        self, resource: Resource, wire: type[Any], namespaces: Sequence[str] | None = None
    ) -> tuple[list[Any], set[str]]:
        """The objects of a kind, and the namespaces that could not be read whole."""
        namespaces = self._namespaces if namespaces is None else namespaces
        try:
            if resource.group and not await self._discovery.has(resource):
                return [], set()
        except ControlError:
            return [], set(namespaces)
        found: list[Any] = []
        away: set[str] = set()
        for namespace in namespaces:
            try:
                listed = await self._api.list(resource, namespace, wire)
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
                points = await TraefikApi(self._pages, url).entry_points()
        except (ControlError, TimeoutError):
            return None
        why = "how many routers are on the entry point is not counted"
        return [
            (("", name), Use(clean(f"entry point {point.name}"), None, f"entryPoints.{clean(point.name)}", why))
            for point in points
            for name in point.http.middlewares
        ]
