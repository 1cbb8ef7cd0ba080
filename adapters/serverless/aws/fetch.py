"""Reads records from AWS over `cloud`: pages followed, one function at a time, past the boundary of `records`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from adapters.serverless.aws.cloud import Cloud, NotOffered, ServiceError
from adapters.serverless.aws.failures import read_failure
from adapters.serverless.aws.records import (
    Account,
    Alias,
    Deployment,
    Function,
    Provisioned,
    Version,
    alias_from,
    function_from,
    provisioned_from,
    version_from,
)
from control.errors import ControlError
from control.model import Missing
from control.text import clean

RUNNING = ("Created", "Queued", "InProgress", "Baking", "Ready")
BATCH = 25
"""How many ids BatchGetDeployments and BatchGetDeploymentTargets take."""


async def pages(
    cloud: Cloud, operation: str, arguments: Mapping[str, Any], items: str, what: str
) -> AsyncIterator[dict[str, Any]]:
    """All items of a paged Lambda list. `items` is the member that holds them."""
    marker: str | None = None
    while True:
        more = {"Marker": marker} if marker else {}
        answer = await _ask(cloud, "lambda", operation, {**arguments, **more}, what)
        for item in answer.get(items) or ():
            yield item
        marker = answer.get("NextMarker")
        if not marker:
            return


async def _ask(cloud: Cloud, service: str, operation: str, arguments: Mapping[str, Any], what: str) -> dict[str, Any]:
    try:
        return await cloud.call(service, operation, arguments)
    except ServiceError as error:
        raise read_failure(error, what) from None


async def function_names(cloud: Cloud, globs: Sequence[str], region: str) -> list[str]:
    """The names of the functions that the deck's globs take, sorted."""
    names = [
        str(item["FunctionName"])
        async for item in pages(cloud, "ListFunctions", {}, "Functions", f"the functions of {region}")
    ]
    return sorted(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def absent(names: Sequence[str], globs: Sequence[str], region: str) -> tuple[Missing, ...]:
    """The functions that the deck file names, each by its whole name, and that are not there."""
    named = [glob for glob in globs if not any(character in glob for character in "*?[")]
    return tuple(
        Missing(f"function {clean(name)}", f"there is none of this name in {clean(region)}")
        for name in dict.fromkeys(named)
        if name not in names
    )


async def function(cloud: Cloud, name: str) -> Function:
    """One function with its aliases. Raises `NotFound`."""
    what = f"function {clean(name)}"
    answer = await _ask(cloud, "lambda", "GetFunction", {"FunctionName": name}, what)
    aliases = [
        alias_from(item)
        async for item in pages(cloud, "ListAliases", {"FunctionName": name}, "Aliases", f"the aliases of {what}")
    ]
    return function_from(answer, tuple(aliases), time.time())


async def alias(cloud: Cloud, name: str, alias_name: str) -> Alias:
    """One alias. Raises `NotFound`."""
    what = f"alias {clean(name)}:{clean(alias_name)}"
    return alias_from(await _ask(cloud, "lambda", "GetAlias", {"FunctionName": name, "Name": alias_name}, what))


async def reserved(cloud: Cloud, name: str) -> int | None:
    """The reservation of one function; None where there is none. Raises `NotFound`."""
    what = f"the concurrency of {clean(name)}"
    answer = await _ask(cloud, "lambda", "GetFunctionConcurrency", {"FunctionName": name}, what)
    value = answer.get("ReservedConcurrentExecutions")
    return None if value is None else int(value)


async def versions(cloud: Cloud, name: str) -> tuple[Version, ...]:
    """All versions of one function, `$LATEST` among them."""
    return tuple(
        [
            version_from(item)
            async for item in pages(
                cloud, "ListVersionsByFunction", {"FunctionName": name}, "Versions", f"the versions of {clean(name)}"
            )
        ]
    )


async def provisioned(cloud: Cloud, name: str) -> tuple[Provisioned, ...]:
    """The provisioned concurrency of one function's aliases and versions; empty where it may not be asked."""
    what = f"the provisioned concurrency of {clean(name)}"
    try:
        found = pages(
            cloud,
            "ListProvisionedConcurrencyConfigs",
            {"FunctionName": name},
            "ProvisionedConcurrencyConfigs",
            what,
        )
        return tuple([provisioned_from(item) async for item in found])
    except ControlError:
        # Only a warning hangs on it, and some endpoints answer "none" with an error.
        return ()


async def account(cloud: Cloud) -> Account | None:
    """The account's concurrency in this region; None where it may not be asked."""
    try:
        limit = (await cloud.call("lambda", "GetAccountSettings", {}))["AccountLimit"]
    except (ServiceError, NotOffered, KeyError):
        return None
    return Account(int(limit["ConcurrentExecutions"]), int(limit["UnreservedConcurrentExecutions"]))


async def identity(cloud: Cloud) -> str:
    """The ARN of who we are; empty where it cannot be told."""
    try:
        return clean(str((await cloud.call("sts", "GetCallerIdentity", {})).get("Arn") or ""))
    except (ServiceError, NotOffered):
        return ""


async def deployments(cloud: Cloud) -> tuple[Deployment, ...]:
    """The CodeDeploy deployments that move aliases now. Raises `ServiceError` and the errors of `cloud`: what could not
    be asked is a doubt that the caller must show."""
    identifiers: list[str] = []
    token: str | None = None
    while True:
        arguments: dict[str, Any] = {"includeOnlyStatuses": list(RUNNING)}
        answer = await cloud.call("codedeploy", "ListDeployments", arguments | ({"nextToken": token} if token else {}))
        identifiers += answer.get("deployments") or []
        token = answer.get("nextToken")
        if not token:
            break
    found: list[Deployment] = []
    for start in range(0, len(identifiers), BATCH):
        batch = identifiers[start : start + BATCH]
        answer = await cloud.call("codedeploy", "BatchGetDeployments", {"deploymentIds": batch})
        for info in answer.get("deploymentsInfo") or ():
            if info.get("computePlatform") == "Lambda":
                found += await _targets(cloud, info)
    return tuple(found)


async def _targets(cloud: Cloud, info: Mapping[str, Any]) -> list[Deployment]:
    identifier = str(info["deploymentId"])
    listed = await cloud.call("codedeploy", "ListDeploymentTargets", {"deploymentId": identifier})
    targets = listed.get("targetIds") or []
    if not targets:
        return []
    answer = await cloud.call(
        "codedeploy", "BatchGetDeploymentTargets", {"deploymentId": identifier, "targetIds": targets[:BATCH]}
    )
    moved = []
    for target in answer.get("deploymentTargets") or ():
        moves = (target.get("lambdaTarget") or {}).get("lambdaFunctionInfo") or {}
        moved.append(
            Deployment(
                identifier=clean(identifier),
                application=clean(str(info.get("applicationName") or "")),
                status=clean(str(info.get("status") or "")),
                function=moves.get("functionName"),
                alias=moves.get("functionAlias"),
            )
        )
    return moved
