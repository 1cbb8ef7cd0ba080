"""Traefik as a plane: what it loads of its cluster's objects, where its limits count, what its pages tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.kinds import httproute, ingressroute, middleware, traefikservice
from adapters.kubernetes.planes.plane import (
    Cluster,
    Instances,
    Key,
    Objects,
    Payload,
    Surrounding,
    Use,
    Uses,
    View,
)
from adapters.kubernetes.planes.traefik.api import TraefikApi, proxies_of
from adapters.kubernetes.planes.traefik.attachments import (
    Named,
    by_http_route,
    by_ingress_route,
    by_parents,
    by_traefik_service,
)
from adapters.kubernetes.planes.traefik.bindings import bound, uses
from adapters.kubernetes.planes.traefik.count import Counters
from adapters.kubernetes.planes.traefik.loaded import loaded
from adapters.kubernetes.planes.traefik.names import CONTROLLER
from adapters.kubernetes.planes.traefik.surroundings import INGRESSES, SERVICES, Lookout, Surroundings
from adapters.kubernetes.planes.traefik.unloaded import Unloaded
from adapters.kubernetes.section import ProxyConfig
from adapters.kubernetes.wire.gateway_api import Gateway, GatewayClass, HTTPRoute
from adapters.kubernetes.wire.traefik import Middleware
from control.deck.config import EnvironmentConfig
from control.errors import ControlError
from control.memo import Memo
from control.model import Counted, Limit
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Check, ProofPart

NAME = "Traefik"
_LOOKED_AT = (ingressroute.RESOURCE.group_kind, middleware.RESOURCE.group_kind, traefikservice.RESOURCE.group_kind)
"""What decides whether an object is loaded."""


@dataclass(frozen=True, slots=True)
class TraefikView:
    """See `adapters.kubernetes.planes.plane.View`."""

    unloaded: Unloaded
    instances: Instances
    unseen: tuple[str, ...]
    """The places that could not be looked at."""
    name: str = NAME
    leaving: str = "Traefik sends them no new sessions"

    @property
    def made_of(self) -> tuple[object, ...]:
        """How many replicas there are, and what was not looked at."""
        return self.instances, self.unseen

    def faults(self, native: Any) -> list[str]:
        """Told from the objects alone."""
        return self.unloaded.of(native)

    def bound(self, limit: Limit, native: Any, used: Sequence[Use], domain: str) -> Limit:
        """Without redis every router of every replica counts by itself."""
        rate = native.spec.rate_limit if isinstance(native, Middleware) else None
        shared = rate is not None and rate.redis is not None
        return bound(limit, used, self.instances, shared, ", ".join(self.unseen))


class TraefikPlane:
    """See `adapters.kubernetes.planes.plane.Plane`."""

    surroundings = (
        Surrounding(SERVICES, "a Service or port that is not there is not told on the routes that name it"),
        Surrounding(INGRESSES, "a Middleware that only Ingresses name looks unused"),
    )

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lookout = Lookout(cluster)
        self._surroundings = Surroundings()
        self._counters: Counters | None = None
        self._named: tuple[Mapping[Key, Gateway], Memo[HTTPRoute, Named]] | None = None

    async def look(self) -> None:
        """Services, Ingresses, GRPCRoutes and entry points, at most once a minute."""
        self._surroundings = await self._lookout.look() or self._surroundings

    def uses(self, objects: Objects) -> Uses:
        """Where each Middleware applies."""
        environment, gateways = self._cluster.config.name, objects.gateways
        if self._named is None or self._named[0] is not gateways:
            memo = Memo[HTTPRoute, Named](lambda route: by_http_route(route, gateways, environment))
            self._named = gateways, memo
        ingresses = objects.objects.get(ingressroute.RESOURCE.group_kind, {})
        named = [
            *self._named[1](list(objects.of(httproute.RESOURCE.group_kind))),
            *(by_ingress_route(one, environment) for one in ingresses.values()),
            by_parents(ingresses, environment),
            *(by_traefik_service(one, environment) for one in objects.of(traefikservice.RESOURCE.group_kind)),
            *self._surroundings.named(gateways, environment),
        ]
        kind = middleware.RESOURCE.group_kind
        return {(kind, key): used for key, used in uses(named, objects.of(kind)).items()}

    def view(self, objects: Objects) -> View:
        """What it says of these objects, whatever comes and goes later."""
        around = self._surroundings
        held: dict[GroupKind, dict[Key, Any]] = {kind: dict(objects.objects.get(kind, {})) for kind in _LOOKED_AT}
        unloaded = Unloaded(held, around.services, objects.whole, features_of(objects.classes.values()))
        return TraefikView(unloaded, instances_of(self._cluster.config), around.unseen)

    async def loaded(self, payload: Payload, changes: Sequence[Change], view: View) -> ProofPart:
        """What its replicas run."""
        return await loaded(payload, changes, self._cluster, view.faults)

    async def count(self, objects: Objects, refs: Sequence[Ref] | None) -> list[Counted]:
        """What its replicas counted, or Prometheus."""
        if self._counters is None:
            self._counters = Counters(self._cluster.pages, self._cluster.config)
        return await self._counters.count(objects, self._cluster.config.name, refs)

    async def checks(self) -> list[Check]:
        """Whether each replica that the deck file names answers."""
        proxies = proxies_of(self._cluster.config)
        if not proxies:
            hint = "name each Traefik replica under proxies: {kind: traefik, api: URL, metrics: URL}"
            return [Check("data plane", "warn", "no proxy is named: loaded and observed stay unknown", hint)]
        return [await self._check(f"traefik {index}", proxy) for index, proxy in enumerate(proxies)]

    async def _check(self, name: str, proxy: ProxyConfig) -> Check:
        pages = self._cluster.pages
        try:
            if proxy.api:
                await TraefikApi(pages, proxy.api).middleware("trafficdeck-doctor@internal")
            if proxy.metrics:
                await pages.get(proxy.metrics)
        except ControlError as error:
            return Check(name, "fail", error.message, error.hint or "is its API enabled, and reachable from here?")
        lacks = [what for what, url in (("api", proxy.api), ("metrics", proxy.metrics)) if not url]
        detail = f"answers; {' and '.join(lacks)} not named" if lacks else "API and metrics answer"
        return Check(name, "warn" if lacks else "ok", detail)


PLANE = TraefikPlane


def instances_of(config: EnvironmentConfig) -> Instances:
    """How many replicas run: as many as the deck file names."""
    count = len(proxies_of(config))
    if count:
        return Instances(count, f"deck file: {count} Traefik {'proxy' if count == 1 else 'proxies'}")
    return Instances(None, "how many Traefik replicas run is not known: name each under proxies in the deck file")


def features_of(classes: Iterable[GatewayClass]) -> frozenset[str]:
    """What its classes of Gateways say that they support."""
    listed = [one.status.supported_features or () for one in classes if one.spec.controller_name == CONTROLLER]
    named = (feature.get("name") if isinstance(feature, dict) else feature for one in listed for feature in one)
    return frozenset(name for name in named if isinstance(name, str))
