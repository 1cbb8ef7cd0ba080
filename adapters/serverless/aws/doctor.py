"""What `trafficdeck doctor` says of an AWS environment."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase

from adapters.serverless.aws import fetch
from adapters.serverless.aws.cloud import Cloud, NotOffered, ServiceError
from adapters.serverless.aws.metrics import PERIOD
from adapters.serverless.aws.section import AwsConfig
from control.errors import ControlError
from control.ports import Check


async def check(cloud: Cloud, config: AwsConfig) -> list[Check]:
    """Reach and functions, identity, the account's pool, and what a missing right costs."""
    checks = [await _identity(cloud)]
    reach = await _functions(cloud, config)
    checks.append(reach)
    if reach.state == "fail":
        return checks
    checks.append(await _pool(cloud))
    checks.append(
        await _optional(
            cloud,
            ("codedeploy", "ListDeployments", {"includeOnlyStatuses": ["InProgress"]}),
            "CodeDeploy can be asked which aliases it drives",
            "an alias that CodeDeploy is moving is not recognised",
        )
    )
    now = int(time.time()) // PERIOD * PERIOD
    query = {
        "Id": "q0",
        "MetricStat": {"Metric": {"Namespace": "AWS/Lambda", "MetricName": "Invocations"}, "Period": 60, "Stat": "Sum"},
    }
    checks.append(
        await _optional(
            cloud,
            ("cloudwatch", "GetMetricData", {"MetricDataQueries": [query], "StartTime": now - 300, "EndTime": now}),
            "CloudWatch can be asked for the measured split",
            "measured splits, errors and throttles are not shown",
        )
    )
    return checks


async def _identity(cloud: Cloud) -> Check:
    try:
        answer = await cloud.call("sts", "GetCallerIdentity", {})
    except ControlError as error:
        state = "warn" if isinstance(error, NotOffered) else "fail"
        return Check("identity", state, error.message, error.hint or "")
    except ServiceError as error:
        return Check("identity", "warn", f"{error.code}: {error.message}")
    return Check("identity", "ok", str(answer.get("Arn") or ""))


async def _functions(cloud: Cloud, config: AwsConfig) -> Check:
    try:
        names = await fetch.function_names(cloud, config.functions, config.region)
    except ControlError as error:
        return Check("functions", "fail", error.message, error.hint or "")
    globs = ", ".join(config.functions)
    idle = [glob for glob in config.functions if not any(fnmatchcase(name, glob) for name in names)]
    if idle:
        told = f"no function in {config.region} matches {', '.join(idle)}"
        return Check("functions", "warn", told, "correct 'functions' in the deck file")
    return Check("functions", "ok", f"{len(names)} in {config.region} match {globs}")


async def _pool(cloud: Cloud) -> Check:
    account = await fetch.account(cloud)
    if account is None:
        return Check(
            "account pool", "warn", "lambda:GetAccountSettings is refused", "how much can be reserved is not known"
        )
    return Check("account pool", "ok", f"{account.unreserved} of {account.limit} executions are unreserved")


async def _optional(cloud: Cloud, call: tuple[str, str, dict[str, object]], good: str, cost: str) -> Check:
    service, operation, arguments = call
    try:
        await cloud.call(service, operation, arguments)
    except ServiceError as error:
        return Check(service, "warn", f"{error.code or error.status}: {error.message}", cost)
    except ControlError as error:
        return Check(service, "warn", error.message, cost)
    return Check(service, "ok", good)
