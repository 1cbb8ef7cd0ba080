"""AWS Lambda in memory: the answers that the codecs read, with RevisionId enforced as AWS does.

`MemoryAws` is the account and region; `MemoryCloud` is one session on it, with the same allow-lists as the real one.
State goes out with `dump` and comes back with `load`, as plain JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from adapters.serverless.aws.cloud import ServiceError
from adapters.serverless.aws.operations import WRITES, Operation
from control.errors import ReadOnly, Unreachable

PAGE = 50
Dimensions = tuple[tuple[str, str], ...]
Counts = Callable[[str, Dimensions, int, int], float | None]
"""(metric, dimensions, start, end) -> what CloudWatch holds for those seconds, or None for no data point."""


class MemoryAws:
    """One account and region. Change `unreachable` and `delay_seconds` to make it sick."""

    def __init__(self, region: str, account: str = "111122223333", concurrency: int = 1000) -> None:
        self.region = region
        self.account = account
        self.concurrency = concurrency
        self.unreachable = ""
        """A reason: while it is set every call fails with it."""
        self.delay_seconds = 0.0
        self.counts: Counts | None = None
        """Where CloudWatch's figures come from; None for no metrics at all."""
        self.functions: dict[str, dict[str, Any]] = {}
        self.deployments: list[dict[str, str]] = []
        """Running CodeDeploy deployments: id, application, function, alias."""
        self.writes: list[tuple[str, dict[str, Any]]] = []
        """Every write that was asked for, refused ones too: (operation, arguments)."""

    # --- state --------------------------------------------------------------------------------------------------------

    def add_function(self, name: str, versions: int, tags: Mapping[str, str] | None = None, **extra: Any) -> None:
        """A function with versions 1 to `versions`; `extra` are members of its configuration."""
        self.functions[name] = {
            "versions": [str(number) for number in range(1, versions + 1)],
            "tags": dict(tags or {}),
            "reserved": None,
            "aliases": {},
            "configuration": extra,
        }

    def add_alias(self, function: str, name: str, version: str, weights: Mapping[str, float] | None = None) -> None:
        """An alias, with the weight of at most one additional version."""
        self.functions[function]["aliases"][name] = {
            "version": version,
            "weights": dict(weights or {}),
            "serial": 1,
            "description": "",
        }

    def dump(self) -> dict[str, Any]:
        """The state as JSON."""
        return deepcopy({"functions": self.functions, "deployments": self.deployments})

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.functions = deepcopy(state["functions"])
        self.deployments = deepcopy(state["deployments"])

    # --- calls --------------------------------------------------------------------------------------------------------

    def call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one call. Raises `ServiceError` as AWS would answer."""
        if (service, operation) in WRITES:
            self.writes.append((operation, dict(arguments)))
        handler = getattr(self, f"_{service}_{operation}", None)
        if handler is None:
            raise ServiceError(service, operation, "UnknownOperationException", "not in memory", 404)
        try:
            answer: dict[str, Any] = handler(arguments)
        except _Refused as refused:
            raise ServiceError(service, operation, refused.code, refused.message, refused.status) from None
        return answer

    def _arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"

    def _function(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        name = str(arguments["FunctionName"])
        if name not in self.functions:
            raise _Refused("ResourceNotFoundException", f"Function not found: {self._arn(name)}", 404)
        return name, self.functions[name]

    def _alias(self, arguments: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        name, function = self._function(arguments)
        alias = str(arguments["Name"])
        if alias not in function["aliases"]:
            raise _Refused("ResourceNotFoundException", f"Cannot find alias arn: {self._arn(name)}:{alias}", 404)
        return name, alias, function["aliases"][alias]

    def _configuration(self, name: str, version: str = "$LATEST") -> dict[str, Any]:
        suffix = "" if version == "$LATEST" else f":{version}"
        return {
            "FunctionName": name,
            "FunctionArn": self._arn(name) + suffix,
            "Version": version,
            "Role": f"arn:aws:iam::{self.account}:role/{name}",
            "PackageType": "Image",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            **self.functions[name]["configuration"],
        }

    def _alias_answer(self, name: str, alias: str, held: Mapping[str, Any]) -> dict[str, Any]:
        # The revision follows from the content and a serial, so that a dumped and loaded state keeps it.
        digest = hashlib.sha256(f"{name}:{alias}:{held['serial']}:{held}".encode()).hexdigest()
        answer: dict[str, Any] = {
            "AliasArn": f"{self._arn(name)}:{alias}",
            "Name": alias,
            "FunctionVersion": held["version"],
            "Description": held["description"],
            "RevisionId": "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32])),
        }
        if held["weights"]:
            answer["RoutingConfig"] = {"AdditionalVersionWeights": dict(held["weights"])}
        return answer

    def _unreserved(self) -> int:
        return self.concurrency - sum(function["reserved"] or 0 for function in self.functions.values())

    # --- lambda -------------------------------------------------------------------------------------------------------

    def _lambda_ListFunctions(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return _page([self._configuration(name) for name in sorted(self.functions)], arguments, "Functions")

    def _lambda_GetFunction(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, function = self._function(arguments)
        answer: dict[str, Any] = {"Configuration": self._configuration(name), "Tags": dict(function["tags"])}
        if function["reserved"] is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function["reserved"]}
        return answer

    def _lambda_GetFunctionConcurrency(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        _, function = self._function(arguments)
        reserved = function["reserved"]
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def _lambda_ListAliases(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, function = self._function(arguments)
        held = sorted(function["aliases"].items())
        return _page([self._alias_answer(name, alias, item) for alias, item in held], arguments, "Aliases")

    def _lambda_GetAlias(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._alias_answer(*self._alias(arguments))

    def _lambda_ListVersionsByFunction(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, function = self._function(arguments)
        numbers = ["$LATEST", *function["versions"]]
        return _page([self._configuration(name, number) for number in numbers], arguments, "Versions")

    def _lambda_ListProvisionedConcurrencyConfigs(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._function(arguments)
        return {"ProvisionedConcurrencyConfigs": []}

    def _lambda_GetAccountSettings(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        unreserved = self._unreserved()
        limit = {"ConcurrentExecutions": self.concurrency, "UnreservedConcurrentExecutions": unreserved}
        return {"AccountLimit": limit}

    def _lambda_UpdateAlias(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        name, alias, held = self._alias(arguments)
        wanted = arguments.get("RevisionId")
        if wanted and wanted != self._alias_answer(name, alias, held)["RevisionId"]:
            raise _Refused("PreconditionFailedException", "The RevisionId provided does not match the latest", 412)
        weights = (arguments.get("RoutingConfig") or {}).get("AdditionalVersionWeights", held["weights"])
        version = str(arguments.get("FunctionVersion", held["version"]))
        published = self.functions[name]["versions"]
        if len(weights) > 1 or any(not 0 <= weight <= 1 for weight in weights.values()) or version in weights:
            raise _Refused("InvalidParameterValueException", "Invalid AdditionalVersionWeights", 400)
        for number in (version, *weights):
            if number not in published and (weights or number != "$LATEST"):
                raise _Refused("ResourceNotFoundException", f"Function not found: {self._arn(name)}:{number}", 404)
        held.update(version=version, weights=dict(weights), serial=held["serial"] + 1)
        return self._alias_answer(name, alias, held)

    def _lambda_PutFunctionConcurrency(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        _, function = self._function(arguments)
        value = int(arguments["ReservedConcurrentExecutions"])
        if self._unreserved() + (function["reserved"] or 0) - value < 100:
            raise _Refused("InvalidParameterValueException", "UnreservedConcurrentExecution below its minimum", 400)
        function["reserved"] = value
        return {"ReservedConcurrentExecutions": value}

    def _lambda_DeleteFunctionConcurrency(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        _, function = self._function(arguments)
        function["reserved"] = None
        return {}

    # --- around it ----------------------------------------------------------------------------------------------------

    def _sts_GetCallerIdentity(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        arn = f"arn:aws:sts::{self.account}:assumed-role/traffic-operator/deck"
        return {"Account": self.account, "Arn": arn, "UserId": "AROAEXAMPLE:deck"}

    def _codedeploy_ListDeployments(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"deployments": [deployment["id"] for deployment in self.deployments]}

    def _codedeploy_BatchGetDeployments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "deploymentsInfo": [
                {
                    "deploymentId": deployment["id"],
                    "applicationName": deployment["application"],
                    "status": "InProgress",
                    "computePlatform": "Lambda",
                }
                for deployment in self.deployments
                if deployment["id"] in arguments["deploymentIds"]
            ]
        }

    def _codedeploy_ListDeploymentTargets(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        known = [item for item in self.deployments if item["id"] == arguments["deploymentId"]]
        return {"targetIds": [f"{item['function']}:{item['alias']}" for item in known]}

    def _codedeploy_BatchGetDeploymentTargets(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        targets = []
        for target in arguments["targetIds"]:
            function, _, alias = str(target).rpartition(":")
            info = {"functionName": function, "functionAlias": alias}
            targets.append({"deploymentTargetType": "LambdaFunction", "lambdaTarget": {"lambdaFunctionInfo": info}})
        return {"deploymentTargets": targets}

    def _cloudwatch_GetMetricData(self, arguments: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        results = []
        start, end = int(arguments["StartTime"]), int(arguments["EndTime"])
        for query in arguments["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            dimensions = tuple((item["Name"], item["Value"]) for item in metric.get("Dimensions") or ())
            value = None if self.counts is None else self.counts(metric["MetricName"], dimensions, start, end)
            values = [] if value is None else [value]
            results.append({"Id": query["Id"], "Timestamps": values and [start], "Values": values})
        return {"MetricDataResults": results}


class MemoryCloud:
    """`cloud.Cloud` on a `MemoryAws`, letting through what `allowed` names."""

    def __init__(self, aws: MemoryAws, allowed: frozenset[Operation]) -> None:
        self.aws = aws
        self._allowed = allowed

    async def call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As `cloud.Cloud.call`."""
        if (service, operation) not in self._allowed:
            raise ReadOnly(f"{service}:{operation} is not on the list of operations that this AWS session may call")
        if self.aws.delay_seconds:
            await asyncio.sleep(self.aws.delay_seconds)
        if self.aws.unreachable:
            raise Unreachable(f"no answer from AWS {service} in {self.aws.region}: {self.aws.unreachable}")
        return self.aws.call(service, operation, arguments)

    def throttled(self, since: float) -> str:
        """As `cloud` says: nobody is throttled in memory."""
        return ""

    async def close(self) -> None:
        """Nothing to close."""


class _Refused(Exception):
    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def _page(items: list[dict[str, Any]], arguments: Mapping[str, Any], member: str) -> dict[str, Any]:
    start = int(arguments.get("Marker") or 0)
    answer: dict[str, Any] = {member: items[start : start + PAGE]}
    if start + PAGE < len(items):
        answer["NextMarker"] = str(start + PAGE)
    return answer
