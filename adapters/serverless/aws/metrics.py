"""What CloudWatch counted: invocations by alias and executed version, errors, throttles.

Every metric asked for costs (about 0.01 USD per 1,000), so answers are kept for a minute, which is also how often they
change. Times are whole minutes; the newest one is left out because it is still being filled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from adapters.serverless.aws.cloud import Cloud, ServiceError
from adapters.serverless.aws.records import Alias, Function, exact
from control.errors import ControlError
from control.model import Counted, TargetCount, Use
from control.model.ref import Ref

Item = tuple[Ref, Function, Alias]
WINDOW_MINUTES = 4
PERIOD = 60
QUERIES = 500
"""How many queries one GetMetricData takes."""
KEEP_SECONDS = 60.0
SOURCE = "CloudWatch AWS/Lambda"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One metric of one alias (or of a function: `ref` None) and where its sum belongs."""

    ref: Ref | None
    function: str
    metric: str
    version: str | None
    dimensions: tuple[tuple[str, str], ...]
    stat: str = "Sum"


_SLOWEST = ("Duration", "p95")
_MILLISECONDS = 1000


class Metrics:
    """The counters of one account and region. `uses` holds what is known of each function's concurrency."""

    def __init__(
        self, cloud: Cloud, keep_seconds: float = KEEP_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._cloud = cloud
        self._keep = keep_seconds
        self._clock = clock
        self._kept: dict[Ref, tuple[float, str, Counted | None]] = {}
        """When each was asked last, with which versions, and what came: None where nothing was counted."""
        self._percentiles = True
        self.uses: dict[str, Use] = {}

    async def count(self, items: Sequence[Item]) -> list[Counted]:
        """The counts of these aliases. One that cannot be counted is absent; CloudWatch out of reach is no error."""
        now = self._clock()
        due = [item for item in items if not self._fresh(item, now)]
        if due:
            try:
                await self._ask(due, now)
            except (ServiceError, ControlError):
                return []
        kept = [self._kept[ref][2] for ref, _, _ in items if ref in self._kept]
        return [counted for counted in kept if counted is not None]

    def _fresh(self, item: Item, now: float) -> bool:
        kept = self._kept.get(item[0])
        return kept is not None and now - kept[0] < self._keep and kept[1] == _shape(item[2])

    async def _ask(self, items: Sequence[Item], now: float) -> None:
        end = int(now) // PERIOD * PERIOD - PERIOD
        start = end - WINDOW_MINUTES * PERIOD
        asked = [query for item in items for query in _queries(*item)]
        asked += [query for name in sorted({item[1].name for item in items}) for query in _function_queries(name)]
        sums: dict[_Asked, Fraction] = {}
        for first in range(0, len(asked), QUERIES):
            batch = asked[first : first + QUERIES]
            sums.update(await self._batch(batch, start, end))
        sums.update(await self._durations(items, start, end))
        by_ref: dict[Ref | None, dict[_Asked, Fraction]] = {}
        for query, value in sums.items():
            by_ref.setdefault(query.ref, {})[query] = value
        for ref, _, alias in items:
            counted = _counted(ref, alias, by_ref.get(ref, {}), float(end), float(end - start))
            self._kept[ref] = (now, _shape(alias), counted)
        self._keep_uses(sums, end, end - start)

    async def _durations(self, items: Sequence[Item], start: int, end: int) -> dict[_Asked, Fraction]:
        """The 95th percentile of each alias's duration; nothing where the endpoint has no percentiles."""
        if not self._percentiles:
            return {}
        metric, stat = _SLOWEST
        asked = [_Asked(ref, item.name, metric, None, _whole(item, alias), stat) for ref, item, alias in items]
        found: dict[_Asked, Fraction] = {}
        try:
            for first in range(0, len(asked), QUERIES):
                found.update(await self._batch(asked[first : first + QUERIES], start, end))
        except (ServiceError, ControlError):
            self._percentiles = False
        return found

    async def _batch(self, batch: Sequence[_Asked], start: int, end: int) -> dict[_Asked, Fraction]:
        arguments: dict[str, Any] = {
            "MetricDataQueries": [_native(index, query) for index, query in enumerate(batch)],
            "StartTime": start,
            "EndTime": end,
        }
        sums: dict[_Asked, Fraction] = {}
        while True:
            answer = await self._cloud.call("cloudwatch", "GetMetricData", arguments)
            for result in answer.get("MetricDataResults") or ():
                query = batch[int(str(result["Id"])[1:])]
                values = [exact(value) for value in result.get("Values") or ()]
                if values:
                    known = sums.get(query, Fraction(0))
                    adds_up = query.stat == "Sum"
                    sums[query] = known + sum(values, Fraction(0)) if adds_up else max([known, *values])
            if not answer.get("NextToken"):
                return sums
            arguments["NextToken"] = answer["NextToken"]

    def _keep_uses(self, sums: dict[_Asked, Fraction], end: int, seconds: int) -> None:
        for query, value in sums.items():
            if query.ref is not None:
                continue
            use = self.uses.get(query.function, Use())
            if query.metric == "ConcurrentExecutions":
                use = Use(value, use.rejected_per_second, float(end))
            else:
                use = Use(use.current, value / seconds, float(end))
            self.uses[query.function] = use


def _shape(alias: Alias) -> str:
    return "+".join(alias.shares)


def _queries(ref: Ref, function: Function, alias: Alias) -> list[_Asked]:
    whole = _whole(function, alias)
    asked = [_Asked(ref, function.name, metric, None, whole) for metric in ("Invocations", "Errors", "Throttles")]
    if alias.weights:
        for version in alias.shares:
            part = (*whole, ("ExecutedVersion", version))
            asked += [_Asked(ref, function.name, metric, version, part) for metric in ("Invocations", "Errors")]
    return asked


def _whole(function: Function, alias: Alias) -> tuple[tuple[str, str], ...]:
    return (("FunctionName", function.name), ("Resource", f"{function.name}:{alias.name}"))


def _function_queries(name: str) -> list[_Asked]:
    whole = (("FunctionName", name),)
    return [
        _Asked(None, name, "ConcurrentExecutions", None, whole, "Maximum"),
        _Asked(None, name, "Throttles", None, whole),
    ]


def _native(index: int, query: _Asked) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in query.dimensions]
    metric = {"Namespace": "AWS/Lambda", "MetricName": query.metric, "Dimensions": dimensions}
    return {"Id": f"q{index}", "MetricStat": {"Metric": metric, "Period": PERIOD, "Stat": query.stat}}


def _counted(ref: Ref, alias: Alias, sums: dict[_Asked, Fraction], end: float, seconds: float) -> Counted | None:
    own = {(query.metric, query.version): value for query, value in sums.items()}
    if not own:
        return None
    zero = Fraction(0)
    total = own.get(("Invocations", None), zero)
    slowest = own.get((_SLOWEST[0], None))
    errors = own.get(("Errors", None), zero)
    if alias.weights:
        targets = tuple(
            (version, TargetCount(own.get(("Invocations", version), zero), own.get(("Errors", version), zero)))
            for version in alias.shares
        )
    else:
        targets = ((alias.version, TargetCount(total, errors)),)
    return Counted(
        ref=ref,
        at=end,
        targets=targets,
        total=total,
        errors=errors,
        throttled=own.get(("Throttles", None), zero),
        p95_seconds=None if slowest is None else slowest / _MILLISECONDS,
        window_seconds=seconds,
        source=SOURCE,
    )
