"""The demo fleet's Lambda side: functions, aliases and reservations, and CloudWatch figures that follow them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adapters.demo.function_data import BITING, REGIONS, STACK
from adapters.demo.simulation import Flow, Simulator, scattered
from adapters.demo.store import Stored
from adapters.serverless.aws.memory import Dimensions, MemoryAws, MemoryCloud
from adapters.serverless.aws.operations import READS, WRITES, Operation
from adapters.serverless.aws.reader import LambdaReader
from adapters.serverless.aws.writer import LambdaWriter
from control.deck.config import EnvironmentConfig
from control.ports import Reader, Writer


def make(environment: str) -> MemoryAws:
    """The account and region of one environment."""
    region, splits = REGIONS[environment]
    aws = MemoryAws(region, account="111122223333" if environment != "fn-lab" else "444455556666")
    for split in splits:
        if split.function not in aws.functions:
            tags = STACK if split.function == "embed-text" else {}
            aws.add_function(split.function, split.versions, tags)
            aws.functions[split.function]["reserved"] = split.reserved
        aws.add_alias(split.function, split.alias, split.main, split.weights)
    if environment == "fn-eu":
        aws.deployments.append(
            {"id": "d-7HQ2KX1ZE", "application": "rerank", "function": "rerank-pairs", "alias": "live"}
        )
    return aws


class StoredCloud(MemoryCloud):
    """A session on an account that other processes may change, too."""

    def __init__(self, aws: MemoryAws, allowed: frozenset[Operation], stored: Stored, traffic: Traffic) -> None:
        super().__init__(aws, allowed)
        self._stored = stored
        self._traffic = traffic

    async def call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As `cloud.Cloud.call`."""
        if (service, operation) not in WRITES:
            self._stored.refresh()
            return await super().call(service, operation, arguments)
        async with self._stored.changing():
            self._traffic.remember()
            return await super().call(service, operation, arguments)


class Traffic:
    """What CloudWatch would hold of one account: minute by minute, after the weights of that minute."""

    def __init__(self, environment: str, aws: MemoryAws, simulator: Simulator) -> None:
        self._environment = environment
        self._aws = aws
        self._simulator = simulator
        self._flows = {
            f"{split.function}:{split.alias}": Flow(f"{environment}/{split.function}:{split.alias}", split.rps, dict)
            for split in REGIONS[environment][1]
        }
        self._changes: list[tuple[float, dict[str, dict[str, float]]]] = []
        aws.counts = self.counts

    def remember(self) -> None:
        """Note the weights up to now; called right before a change."""
        self._changes.append((self._simulator.now(), {key: self._shares(key) for key in self._flows}))

    def counts(self, metric: str, dimensions: Dimensions, start: int, end: int) -> float | None:
        """What CloudWatch holds for a metric in these seconds; None where it holds nothing."""
        names = dict(dimensions)
        if "Resource" not in names:
            return self._of_function(metric, names.get("FunctionName", ""), start, end)
        flow = self._flows.get(names["Resource"])
        if flow is None or flow.rps == 0:
            return None
        if metric == "Duration":
            return round(1600 * _mean_seconds(self._environment, flow))
        ends = range(start + 60, end + 1, 60)
        return sum(self._minute(metric, names["Resource"], flow, names.get("ExecutedVersion"), at) for at in ends)

    def _minute(self, metric: str, resource: str, flow: Flow, version: str | None, end: int) -> float:
        passed, refused = self._admitted(flow, end)
        if metric == "Throttles":
            return refused
        shares = self._shares(resource, end)
        counted = {name: self._of_version(flow, name, share, passed, end) for name, share in shares.items()}
        invoked = counted.get(version, 0.0) if version else sum(counted.values())
        return invoked if metric == "Invocations" else round(invoked * 0.002) if metric == "Errors" else 0.0

    def _of_version(self, flow: Flow, version: str, share: float, passed: float, end: int) -> float:
        return scattered(passed * share, self._simulator.noise(flow.key, version, end))

    def _admitted(self, flow: Flow, end: int) -> tuple[float, float]:
        demand = self._simulator.demand(flow, end - 30) * 60
        reserved = self._aws.functions[flow.key.split("/", 1)[1].partition(":")[0]]["reserved"]
        seconds = _mean_seconds(self._environment, flow)
        most = demand if reserved is None else min(demand, reserved / seconds * 60)
        return most, round(demand - most)

    def _of_function(self, metric: str, function: str, start: int, end: int) -> float | None:
        own = [flow for key, flow in self._flows.items() if key.partition(":")[0] == function and flow.rps]
        if not own:
            return None
        if metric == "Throttles":
            return sum(self._admitted(flow, at)[1] for flow in own for at in range(start + 60, end + 1, 60))
        if metric == "ConcurrentExecutions":
            seconds = _mean_seconds(self._environment, own[0])
            return float(round(sum(self._admitted(flow, end)[0] / 60 for flow in own) * seconds))
        return None

    def _shares(self, resource: str, at: float | None = None) -> dict[str, float]:
        """The split of an alias at a time: as set now, or before the first change after it."""
        for when, before in self._changes:
            if at is not None and at <= when:
                return before.get(resource, {})
        function, _, name = resource.partition(":")
        alias = self._aws.functions[function]["aliases"].get(name)
        if alias is None:
            return {}
        extra = {version: float(weight) for version, weight in alias["weights"].items()}
        return {alias["version"]: 1 - sum(extra.values()), **extra}


def _mean_seconds(environment: str, flow: Flow) -> float:
    function = flow.key.partition("/")[2].partition(":")[0]
    return 12.0 if (environment, function) == BITING else flow.mean_seconds


def open_functions(
    config: EnvironmentConfig, folder: Path, simulator: Simulator
) -> tuple[Reader, Callable[[Reader], Writer]]:
    """One environment's reader, and how to make a writer beside it."""
    aws = make(config.name)
    stored = Stored(folder, config.name, aws.dump, aws.load)
    traffic = Traffic(config.name, aws, simulator)

    def write_beside(reader: Reader) -> Writer:
        assert isinstance(reader, LambdaReader)
        return LambdaWriter(reader, StoredCloud(aws, WRITES, stored, traffic))

    return LambdaReader(config, StoredCloud(aws, READS, stored, traffic)), write_beside
