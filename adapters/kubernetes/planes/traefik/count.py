"""Traffic counters of routes: from every Traefik replica's metrics page, summed, or from Prometheus.

Source: traefik v3.7 pkg/observability/metrics/prometheus.go. A service counts what it answered; a router (where
`addRoutersLabels` is on) also counts what its middlewares refused. A Service that several CRD routes use has one
counter for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from adapters.common.http import Pages
from adapters.common.metrics_text import Sample, parse
from adapters.common.prometheus import Prometheus
from adapters.kubernetes.planes.plane import Objects
from adapters.kubernetes.planes.traefik.api import proxies_of
from adapters.kubernetes.planes.traefik.counted_names import CountedNames, Names
from control.deck.config import EnvironmentConfig
from control.errors import ControlError
from control.model import Counted, TargetCount
from control.model.ref import Ref

SERVICE = "traefik_service_requests_total"
ROUTER = "traefik_router_requests_total"
_NAMES = frozenset({SERVICE, ROUTER})
_Series = tuple[str, str, str]
"""(metric, service or router, status code)"""


@dataclass(slots=True)
class Totals:
    """Requests by service and by router, each by status code, since we began to look (or since the proxy did)."""

    services: dict[str, dict[str, Fraction]] = field(default_factory=lambda: defaultdict(dict))
    routers: dict[str, dict[str, Fraction]] = field(default_factory=lambda: defaultdict(dict))
    source: str = ""
    at: float = 0.0


class Counters:
    """Adds up the counters of all replicas; a replica that restarts or is away for a while breaks no sum."""

    def __init__(self, pages: Pages, config: EnvironmentConfig) -> None:
        self._pages = pages
        self._urls = [proxy.metrics for proxy in proxies_of(config) if proxy.metrics]
        self._prometheus = config.prometheus
        self._last: dict[str, dict[_Series, Fraction]] = {}
        self._sums: dict[_Series, Fraction] = defaultdict(Fraction)

    async def count(self, objects: Objects, environment: str, refs: Sequence[Ref] | None) -> list[Counted]:
        """The counters of the routes that can be counted. Raises `Unreachable` where no source answers."""
        totals = await self._totals()
        if totals is None:
            return []
        names = CountedNames.of(objects, environment)
        wanted = set(refs) if refs is not None else None
        grouped = names.grouped(totals.services, totals.routers)
        return [_counted(ref, one, totals, names) for ref, one in grouped.items() if wanted is None or ref in wanted]

    async def _totals(self) -> Totals | None:
        if self._urls:
            return await self._from_replicas()
        if self._prometheus:
            return await self._from_prometheus(Prometheus(self._pages, self._prometheus))
        return None

    async def _from_replicas(self) -> Totals:
        first = not self._last
        answers = await asyncio.gather(*(self._page(url) for url in self._urls), return_exceptions=True)
        away = 0
        for url, answer in zip(self._urls, answers, strict=True):
            if isinstance(answer, ControlError):
                away += 1
                continue
            if isinstance(answer, BaseException):
                raise answer
            self._add(url, answer, first)
        if away == len(self._urls):
            failed = next(answer for answer in answers if isinstance(answer, ControlError))
            raise failed
        missing = f", {away} of them away" if away else ""
        return _totals(self._sums, f"metrics of {len(self._urls)} Traefik{missing}")

    async def _page(self, url: str) -> dict[_Series, Fraction]:
        body, _ = await self._pages.get(url)
        return _series(parse(body.decode("utf-8", "replace"), _NAMES))

    def _add(self, url: str, page: dict[_Series, Fraction], first: bool) -> None:
        """Add what a replica counted since its last page; all of it at the very first, nothing where it joins late."""
        last = self._last.get(url)
        for series, value in page.items():
            if last is None:
                self._sums[series] += value if first else 0
            else:
                before = last.get(series, Fraction(0))
                self._sums[series] += value - before if value >= before else value
        self._last[url] = {**(last or {}), **page}

    async def _from_prometheus(self, server: Prometheus) -> Totals:
        services, routers = await asyncio.gather(
            server.query(f"sum by (service, code) ({SERVICE})"),
            server.query(f"sum by (router, code) ({ROUTER})"),
        )
        named = [Sample(SERVICE, s.labels, s.value) for s in services]
        named += [Sample(ROUTER, s.labels, s.value) for s in routers]
        return _totals(_series(named), "Prometheus")


def _series(samples: Iterable[Sample]) -> dict[_Series, Fraction]:
    found: dict[_Series, Fraction] = defaultdict(Fraction)
    for sample in samples:
        owner = sample.label("service" if sample.name == SERVICE else "router")
        if owner:
            found[(sample.name, owner, sample.label("code"))] += sample.value
    return found


def _totals(sums: Mapping[_Series, Fraction], source: str) -> Totals:
    totals = Totals(source=source, at=time.time())
    for (metric, owner, code), value in sums.items():
        into = totals.services if metric == SERVICE else totals.routers
        into[owner][code] = value
    return totals


def _counted(ref: Ref, names: Names, totals: Totals, all_names: CountedNames) -> Counted:
    targets = tuple(
        (target, _target([totals.services[s] for s in services])) for target, services in names.targets.items()
    )
    served = sum((count.requests for _, count in targets), Fraction(0))
    together = all_names.together_with(ref, names)
    by_router = [totals.routers[router] for router in names.routers]
    if not by_router:
        errors = sum((count.errors or Fraction(0) for _, count in targets), Fraction(0))
        return Counted(ref, totals.at, targets, served, errors, source=totals.source, together_with=together)
    total = sum((value for codes in by_router for value in codes.values()), Fraction(0))
    errors = sum((_errors(codes) for codes in by_router), Fraction(0))
    throttled = None
    if not together:
        answered = sum((totals.services[s].get("429", Fraction(0)) for s in names.services()), Fraction(0))
        refused = sum((codes.get("429", Fraction(0)) for codes in by_router), Fraction(0))
        throttled = max(Fraction(0), refused - answered)
    return Counted(
        ref, totals.at, targets, total, errors, throttled=throttled, source=totals.source, together_with=together
    )


def _target(counters: Sequence[Mapping[str, Fraction]]) -> TargetCount:
    requests = sum((value for codes in counters for value in codes.values()), Fraction(0))
    return TargetCount(requests, sum((_errors(codes) for codes in counters), Fraction(0)))


def _errors(codes: Mapping[str, Fraction]) -> Fraction:
    return sum((value for code, value in codes.items() if code.startswith("5")), Fraction(0))
