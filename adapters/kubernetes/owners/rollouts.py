"""Which routes an Argo Rollouts Rollout drives: by Traefik's own trafficRouting, and by each way in which the Gateway
API plugin selects routes: one name, a list of names, a label selector.

Source: rollouts-plugin-trafficrouter-gatewayapi v0.15 pkg/plugin: all of them may stand side by side; a selector looks
in the plugin's namespace, else in the Rollout's own, and an empty one selects every route there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from adapters.kubernetes.client.objects import Metadata

IN_PROGRESS = "rollouts.argoproj.io/gatewayapi-canary"
"""A label that the plugin puts on a route for as long as a canary is under way."""
Route = tuple[str, str, str]
"""(kind, namespace, name)"""


@dataclass(frozen=True, slots=True)
class Driver:
    """A Rollout or a Canary."""

    tool: str
    """`argo-rollouts` or `flagger`."""
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a label selector, as `matchExpressions` have it."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels fit. An operator that nobody knows fits nothing, as the API refuses it."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value is not None and value in self.values
        if self.operator == "NotIn":
            return value is None or value not in self.values
        if self.operator == "Exists":
            return value is not None
        return self.operator == "DoesNotExist" and value is None


@dataclass(frozen=True, slots=True)
class Selection:
    """Routes of a kind in a namespace that a driver selects by their labels."""

    kind: str
    namespace: str
    requirements: tuple[Requirement, ...]
    driver: Driver

    def has(self, kind: str, metadata: Metadata) -> bool:
        """Whether an object is one of them."""
        if (kind, metadata.namespace) != (self.kind, self.namespace):
            return False
        labels = metadata.labels or {}
        return all(requirement.holds(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class Driven:
    """What the Rollouts and Canaries of a cluster drive."""

    named: Mapping[Route, tuple[Driver, ...]] = field(default_factory=dict)
    selected: tuple[Selection, ...] = ()

    def drivers(self, kind: str, metadata: Metadata) -> list[Driver]:
        """Everybody who drives an object, each once."""
        found = [*self.named.get((kind, metadata.namespace, metadata.name), ())]
        found += [one.driver for one in self.selected if one.has(kind, metadata)]
        return list(dict.fromkeys(found))


class _Wire(msgspec.Struct, rename="camel"):
    pass


class _Routed(_Wire):
    name: str = ""


class _Expression(_Wire):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class _Selector(_Wire):
    match_labels: dict[str, str] | None = None
    match_expressions: list[_Expression] | None = None


class _GatewayPlugin(_Wire):
    http_route: str | None = msgspec.field(default=None, name="httpRoute")
    http_routes: list[_Routed] | None = msgspec.field(default=None, name="httpRoutes")
    http_route_selector: _Selector | None = msgspec.field(default=None, name="httpRouteSelector")
    namespace: str | None = None


class _TraefikRouting(_Wire):
    weighted_traefik_service_name: str = ""


class _Routing(_Wire):
    plugins: dict[str, msgspec.Raw] | None = None
    traefik: _TraefikRouting | None = None


class _CanaryStrategy(_Wire):
    traffic_routing: _Routing | None = None


class _Strategy(_Wire):
    canary: _CanaryStrategy | None = None


class _RolloutSpec(_Wire):
    strategy: _Strategy | None = None


class Rollout(_Wire):
    metadata: Metadata
    spec: _RolloutSpec = msgspec.field(default_factory=_RolloutSpec)


def driven_by(rollouts: Iterable[Rollout], others: Iterable[tuple[Route, Driver]] = ()) -> Driven:
    """All that Rollouts drive, and what others are known to."""
    named: dict[Route, tuple[Driver, ...]] = {}
    selected: list[Selection] = []
    for route, driver in others:
        named[route] = (*named.get(route, ()), driver)
    for one in rollouts:
        driver = Driver("argo-rollouts", one.metadata.namespace, one.metadata.name)
        for route in _named(one):
            named[route] = (*named.get(route, ()), driver)
        selected += _selected(one, driver)
    return Driven(named, tuple(selected))


def _routing(rollout: Rollout) -> _Routing:
    strategy = rollout.spec.strategy
    routing = strategy.canary.traffic_routing if strategy and strategy.canary else None
    return routing or _Routing()


def _plugins(rollout: Rollout) -> Iterator[_GatewayPlugin]:
    for raw in (_routing(rollout).plugins or {}).values():
        try:
            yield msgspec.json.decode(raw, type=_GatewayPlugin)
        except msgspec.DecodeError:
            continue  # another plugin's own shape


def _named(rollout: Rollout) -> Iterator[Route]:
    traefik = _routing(rollout).traefik
    if traefik is not None and traefik.weighted_traefik_service_name:
        yield "TraefikService", rollout.metadata.namespace, traefik.weighted_traefik_service_name
    for plugin in _plugins(rollout):
        names = [plugin.http_route, *(route.name for route in plugin.http_routes or [])]
        for name in dict.fromkeys(names):
            if name:
                yield "HTTPRoute", plugin.namespace or rollout.metadata.namespace, name


def _selected(rollout: Rollout, driver: Driver) -> Iterator[Selection]:
    for plugin in _plugins(rollout):
        selector = plugin.http_route_selector
        if selector is not None:
            labels = (selector.match_labels or {}).items()
            requirements = [Requirement(key, "In", (value,)) for key, value in labels]
            requirements += [
                Requirement(one.key, one.operator, tuple(one.values or ())) for one in selector.match_expressions or []
            ]
            yield Selection("HTTPRoute", plugin.namespace or rollout.metadata.namespace, tuple(requirements), driver)
