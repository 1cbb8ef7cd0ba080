"""What a running Caddy answers on its admin endpoint: its configuration, upstreams, metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from adapters.common.metrics_text import parse as metrics
from adapters.ssh.client.ports import HostReader
from adapters.ssh.proxies.caddy.program import PAGES, PROGRAM
from adapters.ssh.proxies.protocol import Runtime
from control.errors import PlatformError
from control.text import clean

CONFIG, METRICS, _UPSTREAMS = PAGES
_HEALTHY = "caddy_reverse_proxy_upstreams_healthy"
_SECONDS = "caddy_http_request_duration_seconds_count"
POLICY = "weighted_round_robin"


async def page(host: HostReader, socket: str, path: str) -> str:
    """A page of the admin endpoint. Raises as `HostReader.ask`, and `PlatformError` for another status than 200."""
    name = "127.0.0.1" if socket.startswith("/") else socket
    answer = await host.ask(PROGRAM.name, socket, f"GET {path} HTTP/1.0\r\nHost: {name}\r\n\r")
    head, mark, body = answer.partition("\r\n\r\n")
    words = head.split(None, 2)
    if not mark or words[1:2] != ["200"]:
        raise PlatformError(f"host {clean(host.host)}: {path} of Caddy's admin endpoint answers {clean(head[:80])!r}")
    return body


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """One `reverse_proxy` as it runs. `weights` is None where its policy has none."""

    server: str
    dials: tuple[str, ...]
    weights: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Running:
    known: bool = False
    proxies: tuple[RunningProxy, ...] = ()
    healthy: Mapping[str, bool] = field(default_factory=dict)
    """Upstream -> what its health checks say, where it has some."""

    def weights_of(self, dials: tuple[str, ...]) -> list[tuple[int, ...] | None]:
        """The weights of all that run with these upstreams, sorted."""
        return sorted((p.weights for p in self.proxies if p.dials == dials), key=repr)


def parse(runtime: Runtime | None) -> Running:
    """`known` is false where the process could not be asked."""
    if runtime is None or not runtime.answers.get(CONFIG):
        return Running()
    return _parse(runtime.answers[CONFIG], runtime.answers.get(METRICS, ""))


@lru_cache(maxsize=64)
def _parse(config: str, counted: str) -> Running:
    try:
        servers = json.loads(config)["apps"]["http"]["servers"]
    except (ValueError, KeyError, TypeError):
        return Running(known=config.strip() == "null" or config.strip().startswith("{"))
    found = tuple(
        proxy for name, server in _items(servers) for proxy in _proxies(str(name), server) if isinstance(server, dict)
    )
    healthy = {s.label("upstream"): s.value == 1 for s in metrics(counted, {_HEALTHY})}
    return Running(True, found, healthy)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    yield from value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()


def _proxies(server: str, value: Any) -> Iterator[RunningProxy]:
    if isinstance(value, dict) and value.get("handler") == "reverse_proxy":
        upstreams = value.get("upstreams") or []
        balancing = value.get("load_balancing")
        policy = (balancing.get("selection_policy") if isinstance(balancing, dict) else None) or {}
        weights = policy.get("weights") if policy.get("policy") == POLICY else None
        yield RunningProxy(
            server,
            tuple(str(one.get("dial", "")) for one in upstreams if isinstance(one, dict)),
            tuple(weights) if isinstance(weights, list) and all(isinstance(w, int) for w in weights) else None,
        )
    for _, inner in _items(value):
        yield from _proxies(server, inner)


def requests_by_server(counted: str) -> dict[str, tuple[Fraction, Fraction]]:
    """Server -> (requests that its `reverse_proxy` answered, those with a status from 500)."""
    found: dict[str, tuple[Fraction, Fraction]] = {}
    for sample in metrics(counted, {_SECONDS}):
        if sample.label("handler") == "reverse_proxy":
            total, errors = found.get(sample.label("server"), (Fraction(0), Fraction(0)))
            failed = sample.value if sample.label("code").startswith("5") else Fraction(0)
            found[sample.label("server")] = (total + sample.value, errors + failed)
    return found
