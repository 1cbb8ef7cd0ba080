"""The demo fleet's Traefik replicas: what they run, a moment after Kubernetes says so, and what they counted.

Answers the pages that a real Traefik has: `/api/http/services`, `/api/http/routers`, `/api/http/middlewares/NAME` and
`/metrics`. Names are made by the same rules (`adapters.kubernetes.planes.traefik.names`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.demo.cluster_data import CLUSTERS, GATEWAY, GATEWAY_NAMESPACE, NAMESPACE, Model, inflight_name
from adapters.demo.simulation import Flow, Simulator
from adapters.demo.store import Stored
from adapters.kubernetes.planes.traefik.names import (
    GATEWAY as GATEWAY_PROVIDER,
)
from adapters.kubernetes.planes.traefik.names import (
    child_service,
    crd_names,
    gateway_prefix,
    ingress_router,
    ingress_service,
    normalize,
)
from adapters.kubernetes.wire.gateway_api import ParentRef

ADOPT_SECONDS = 1.2
"""How long a Traefik takes from seeing a change to running it."""
SLOW = {("prod-eu", "whisper"): 4.0}
"""Mean seconds of a request, where a model is slow: with 3 x 16 in flight it cannot keep up with its demand."""
Native = Mapping[str, Any]
Key = tuple[str, str]
"""(kind, name), all in one namespace."""


@dataclass(slots=True)
class Line:
    """One router with the services behind it."""

    flow: Flow
    router: str | None
    service: str | None
    """The weighted service; None where there is but one child."""
    children: list[str]
    targets: list[str]
    middlewares: list[str] = field(default_factory=list)


class TraefikFleet:
    """All replicas of one cluster. `objects` gives what the API server holds now."""

    def __init__(
        self, environment: str, replicas: int, objects: Callable[[], Iterable[Native]], simulator: Simulator
    ) -> None:
        self._environment = environment
        self._replicas = replicas
        self._objects = objects
        self._simulator = simulator
        self._running: dict[Key, Native] = {}
        self._seen: dict[Key, tuple[int, float]] = {}
        self._lines: list[Line] = []

    def page(self, path: str, search: str = "") -> tuple[int, bytes]:
        """Status and body of one page; `search` is a part of the names wanted, in any case."""
        self.adopt()
        if path == "/metrics":
            return 200, self._metrics().encode()
        if path == "/api/http/services":
            return 200, _found(self._services(), search)
        if path == "/api/http/routers":
            return 200, _found((_router(line) for line in self._lines if line.router), search)
        if path.startswith("/api/http/middlewares/"):
            found = self._middleware(path.rpartition("/")[2])
            return (404, b"{}") if found is None else (200, json.dumps(found).encode())
        return 404, b""

    # --- what runs ----------------------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take over objects whose change is old enough."""
        now = self._simulator.now()
        for native in self._objects():
            key = (native["kind"], native["metadata"]["name"])
            generation = int(native["metadata"]["generation"])
            running = self._running.get(key)
            if running is not None and running["metadata"]["generation"] == generation:
                continue
            seen = self._seen.get(key)
            if running is None or (seen and seen[0] == generation and now - seen[1] >= ADOPT_SECONDS):
                self._settle(key[1])
                self._running[key] = native
            elif seen is None or seen[0] != generation:
                self._seen[key] = (generation, now)
        if not self._lines:
            self._lines = [line for model in CLUSTERS[self._environment] for line in self._of_model(model)]
            for line in self._lines:
                self._simulator.add(line.flow)

    def _settle(self, name: str) -> None:
        for line in self._lines:
            if f"/{name}" in line.flow.key:
                self._simulator.settle(line.flow.key)

    def _of_model(self, model: Model) -> Iterator[Line]:
        if model.shape == "HTTPRoute":
            for index, rule in enumerate(model.rules):
                yield self._gateway_line(model, index, rule)
            return
        native = self._running[("IngressRoute", model.name)]
        match = native["spec"]["routes"][0]["match"]
        router = ingress_router(NAMESPACE, model.name, match, 0)[0]
        targets = list(model.backends)
        children = [child_service(NAMESPACE, name, 8000) for name in targets]
        if model.shape == "split":
            key, service = ("TraefikService", f"{model.name}-split"), crd_names(NAMESPACE, f"{model.name}-split")[0]
            path: tuple[str | int, ...] = ("spec", "weighted", "services")
        else:
            key, service = ("IngressRoute", model.name), ingress_service(NAMESPACE, model.name, match, 0)[0]
            path = ("spec", "routes", 0, "services")
        yield Line(self._flow(model, "", model.rps, key, path), router, service, children, targets)

    def _gateway_line(self, model: Model, index: int, rule: str) -> Line:
        parent = ParentRef(name=GATEWAY, namespace=GATEWAY_NAMESPACE)
        digest = hashlib.sha256(f"{self._environment}/{model.name}/{index}".encode()).hexdigest()[:20]
        stem = f"{gateway_prefix('HTTPRoute', NAMESPACE, model.name, parent)}web-{index}-{digest}"
        children = [
            f"{stem}-svc-{normalize(f'{NAMESPACE}-{name}')}-{position}{GATEWAY_PROVIDER}"
            for position, name in enumerate(model.backends)
        ]
        rps = model.rps if len(model.rules) == 1 else model.rps * (0.85 if index == 0 else 0.15)
        key, path = ("HTTPRoute", model.name), ("spec", "rules", index, "backendRefs")
        flow = self._flow(model, f"#{rule}", rps, key, path)
        return Line(flow, stem + GATEWAY_PROVIDER, f"{stem}-wrr{GATEWAY_PROVIDER}", children, list(model.backends))

    def _flow(self, model: Model, part: str, rps: float, key: Key, path: tuple[str | int, ...]) -> Flow:
        def shares() -> dict[str, float]:
            weights = self._weights(key, path)
            total = sum(weights.values())
            return {name: weight / total for name, weight in weights.items()} if total else {}

        seconds = SLOW.get((self._environment, model.name), 0.8)
        return Flow(
            key=f"{self._environment}/{model.name}{part}",
            rps=rps,
            shares=shares,
            error_ratio=dict.fromkeys(model.sick, 1.0),
            limit=lambda: self._admits(model, seconds),
        )

    def _weights(self, key: Key, path: tuple[str | int, ...]) -> dict[str, int]:
        node: Any = self._running[key]
        for part in path:
            node = node[part]
        return {member["name"]: int(member.get("weight", 1)) for member in node}

    def _admits(self, model: Model, seconds: float) -> float | None:
        """What the limit of requests in flight lets through, by Little's law; each replica counts by itself."""
        native = self._running.get(("Middleware", inflight_name(model)))
        if native is None:
            return None
        return float(native["spec"]["inFlightReq"]["amount"]) * self._replicas / seconds

    # --- pages --------------------------------------------------------------------------------------------------------

    def _services(self) -> Iterator[dict[str, Any]]:
        for line in self._lines:
            weights = self._line_weights(line)
            members = [
                {"name": child, "weight": weights.get(target, 0)}
                for child, target in zip(line.children, line.targets, strict=True)
            ]
            yield {
                "name": line.service,
                "status": "enabled",
                "type": "weighted",
                "weighted": {"services": members},
            }
            for child in line.children:
                yield {"name": child, "status": "enabled", "type": "loadbalancer"}

    def _line_weights(self, line: Line) -> dict[str, int]:
        environment, _, rest = line.flow.key.partition("/")
        name, _, rule = rest.partition("#")
        model = next(model for model in CLUSTERS[environment] if model.name == name)
        if model.shape == "HTTPRoute":
            index = model.rules.index(rule)
            return self._weights(("HTTPRoute", name), ("spec", "rules", index, "backendRefs"))
        if model.shape == "split":
            return self._weights(("TraefikService", f"{name}-split"), ("spec", "weighted", "services"))
        return self._weights(("IngressRoute", name), ("spec", "routes", 0, "services"))

    def _middleware(self, full: str) -> dict[str, Any] | None:
        for (kind, name), native in self._running.items():
            if kind == "Middleware" and full in crd_names(NAMESPACE, name):
                spec = native["spec"]
                shown: dict[str, Any] = {"name": full, "status": "enabled", "type": next(iter(spec)).lower()}
                if "rateLimit" in spec:
                    rate = spec["rateLimit"]
                    shown["rateLimit"] = {
                        "average": rate.get("average", 0),
                        "period": rate.get("period", "1s"),
                        "burst": rate.get("burst", 1),
                    }
                if "inFlightReq" in spec:
                    shown["inFlightReq"] = {"amount": spec["inFlightReq"].get("amount", 0)}
                return shown
        return None

    def _metrics(self) -> str:
        lines = ["# TYPE traefik_service_requests_total counter", "# TYPE traefik_router_requests_total counter"]
        for line in self._lines:
            tally = self._simulator.tally(line.flow.key)
            served = failed = 0
            for target, child in zip(line.targets, line.children, strict=True):
                all_, bad = self._part(tally.requests.get(target, 0.0)), self._part(tally.errors.get(target, 0.0))
                served, failed = served + all_ - bad, failed + bad
                if all_:
                    lines += [_sample("service", child, "200", all_ - bad), _sample("service", child, "503", bad)]
            if line.router:
                lines += [_sample("router", line.router, "200", served), _sample("router", line.router, "503", failed)]
                lines.append(_sample("router", line.router, "429", self._part(tally.throttled)))
        return "\n".join(lines) + "\n"

    def _part(self, count: float) -> int:
        return int(count / self._replicas)


class TraefikPages(httpx.AsyncBaseTransport):
    """The network on which the replicas answer."""

    def __init__(self, fleet: TraefikFleet, stored: Stored) -> None:
        self._fleet = fleet
        self._stored = stored

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a GET of one of the pages."""
        self._stored.refresh()
        status, body = self._fleet.page(request.url.path, request.url.params.get("search", ""))
        return httpx.Response(status, content=body, headers={"X-Next-Page": "1"})


def _found(items: Iterable[dict[str, Any]], search: str) -> bytes:
    return json.dumps([item for item in items if search.lower() in item["name"].lower()]).encode()


def _router(line: Line) -> dict[str, Any]:
    return {"name": line.router, "status": "enabled", "service": line.service, "middlewares": line.middlewares}


def _sample(what: str, name: str, code: str, count: int) -> str:
    metric = f"traefik_{what}_requests_total"
    return f'{metric}{{code="{code}",method="POST",protocol="http",{what}="{name}"}} {count}'
