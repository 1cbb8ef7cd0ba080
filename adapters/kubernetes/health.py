"""Health of targets from EndpointSlices: a Service none of whose endpoints serves is down.

Source: discovery.k8s.io/v1 EndpointConditions. `ready` is false for a Pod that terminates, whatever it still does;
`serving` is what it would be without that. Where nobody says it, `ready` is meant, and where nobody says that, yes. An
endpoint that terminates and serves still answers: kube-proxy uses it where no other is left, and planes differ (Traefik
v3.7, measured: for its sticky sessions alone). So it counts as up, and where it is all there is, that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapters.kubernetes.wire.core import EndpointConditions, EndpointSlice
from control.model import Health, Target
from control.structs import replace

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Counted:
    """Endpoints of a Service."""

    ready: int = 0
    leaving: int = 0
    """Those that terminate and still serve."""
    total: int = 0

    def with_one(self, conditions: EndpointConditions) -> Counted:
        """One more endpoint."""
        ready = conditions.ready is not False
        serving = ready if conditions.serving is None else conditions.serving
        leaving = serving and conditions.terminating is True
        return Counted(self.ready + (serving and not leaving), self.leaving + leaving, self.total + 1)

    def told(self, plane: str = "") -> str:
        """For people. `plane`: what the plane does with endpoints that terminate, where they are all there is."""
        leaving = f", {self.leaving} terminating and still serving" if self.leaving else ""
        if self.leaving and not self.ready and plane:
            leaving += f" ({plane})"
        return f"{self.ready} of {self.total} endpoints ready{leaving}"


Endpoints = Mapping[tuple[str, str], Counted]
"""(namespace, Service) -> its endpoints."""


def endpoints_of(slices: Iterable[EndpointSlice]) -> dict[tuple[str, str], Counted]:
    """The endpoints of each Service."""
    found: dict[tuple[str, str], Counted] = {}
    for one in slices:
        service = (one.metadata.labels or {}).get(SERVICE_LABEL)
        if not service:
            continue
        key = (one.metadata.namespace, service)
        counted = found.get(key, Counted())
        for endpoint in one.endpoints or []:
            counted = counted.with_one(endpoint.conditions or EndpointConditions())
        found[key] = counted
    return found


def with_health(targets: Sequence[Target], endpoints: Endpoints | None, plane: str = "") -> tuple[Target, ...]:
    """The targets with what EndpointSlices say of their Services; unknown where there are none. `plane`: see
    `Counted.told`."""
    if not endpoints:
        return tuple(targets)
    return tuple(_one(target, endpoints, plane) for target in targets)


def _one(target: Target, endpoints: Endpoints, plane: str) -> Target:
    if not target.endpoints or " " in target.endpoints[0] or target.to is not None:
        return target
    namespace, _, rest = target.endpoints[0].partition("/")
    seen = endpoints.get((namespace, rest.partition(":")[0]))
    if seen is None:
        return target
    up = seen.ready + seen.leaving > 0
    return replace(target, health=Health.UP if up else Health.DOWN, health_detail=seen.told(plane))
