"""Health of targets from EndpointSlices: a Service none of whose endpoints is ready is down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from adapters.kubernetes.wire import EndpointSlice
from control.model import Health, Target

SERVICE_LABEL = "kubernetes.io/service-name"
Endpoints = Mapping[tuple[str, str], tuple[int, int]]
"""(namespace, Service) -> (ready, all)."""


def endpoints_of(slices: Iterable[EndpointSlice]) -> dict[tuple[str, str], tuple[int, int]]:
    """Ready and all endpoints of each Service. An unknown readiness counts as ready, as the API has it."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for one in slices:
        service = (one.metadata.labels or {}).get(SERVICE_LABEL)
        if not service:
            continue
        ready, total = found.get((one.metadata.namespace, service), (0, 0))
        endpoints = one.endpoints or []
        good = sum(1 for endpoint in endpoints if endpoint.conditions.ready is not False)
        found[(one.metadata.namespace, service)] = (ready + good, total + len(endpoints))
    return found


def with_health(targets: Sequence[Target], endpoints: Endpoints | None) -> tuple[Target, ...]:
    """The targets with what EndpointSlices say of their Services; unknown where there are none."""
    if not endpoints:
        return tuple(targets)
    return tuple(_one(target, endpoints) for target in targets)


def _one(target: Target, endpoints: Endpoints) -> Target:
    if not target.endpoints or " " in target.endpoints[0] or target.to is not None:
        return target
    namespace, _, rest = target.endpoints[0].partition("/")
    seen = endpoints.get((namespace, rest.partition(":")[0]))
    if seen is None:
        return target
    ready, total = seen
    detail = f"{ready} of {total} endpoints ready"
    return replace(target, health=Health.UP if ready else Health.DOWN, health_detail=detail)
