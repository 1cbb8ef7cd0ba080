"""The emulators behind the recording proxy: writes are recorded, faults come on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed import aws
from tests.bed.description import Bed
from tests.bed.layout import Layout

pytestmark = pytest.mark.bed


def client(bed: Bed, service: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=bed.aws[0].endpoint,
        region_name=aws.REGION,
        aws_access_key_id="checker",
        aws_secret_access_key="checker",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )


@pytest.fixture
def layout(bed: Bed) -> Iterator[Layout]:
    found = Layout(bed.dir, int((bed.dir / "block").read_text()))
    yield found
    aws.control(found, "faults", {"throttle": None, "fail_after_apply": 0})


def writes(bed: Bed) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in Path(bed.aws[0].write_log).read_text().splitlines()]
    return [(line["by"], line["verb"]) for line in lines if line["by"] == "checker"]


def alias(bed: Bed) -> dict[str, Any]:
    found: dict[str, Any] = client(bed, "lambda").get_alias(FunctionName="chat", Name="live")
    return found


def set_weight(bed: Bed, weight: float) -> None:
    found = alias(bed)
    client(bed, "lambda").update_alias(
        FunctionName="chat",
        Name="live",
        FunctionVersion=found["FunctionVersion"],
        RoutingConfig={"AdditionalVersionWeights": {"3": weight}},
        RevisionId=found["RevisionId"],
    )


def test_reads_leave_no_line_and_writes_leave_one_each(bed: Bed) -> None:
    before = writes(bed)
    functions = client(bed, "lambda")
    assert {item["FunctionName"] for item in functions.list_functions()["Functions"]} == {"chat", "chat-batch"}
    versions = functions.list_versions_by_function(FunctionName="chat")["Versions"]
    assert {item["Version"] for item in versions} == {"$LATEST", "1", "2", "3"}
    assert functions.get_function_concurrency(FunctionName="chat")["ReservedConcurrentExecutions"] == 50
    assert client(bed, "sts").get_caller_identity()["Account"]
    assert writes(bed) == before
    weights = alias(bed)["RoutingConfig"]["AdditionalVersionWeights"]
    set_weight(bed, 0.25)
    set_weight(bed, weights["3"])
    assert writes(bed)[len(before) :] == [("checker", "UpdateAlias")] * 2


def test_codedeploy_says_which_alias_it_moves(bed: Bed) -> None:
    deploy = client(bed, "codedeploy")
    (identifier,) = deploy.list_deployments(includeOnlyStatuses=["Created", "InProgress"])["deployments"]
    targets = deploy.list_deployment_targets(deploymentId=identifier)["targetIds"]
    found = deploy.batch_get_deployment_targets(deploymentId=identifier, targetIds=targets)["deploymentTargets"]
    info = found[0]["lambdaTarget"]["lambdaFunctionInfo"]
    assert (info["functionName"], info["functionAlias"]) == ("chat-batch", "live")


@pytest.mark.clock
def test_throttling_on_demand(bed: Bed, layout: Layout) -> None:
    from botocore.exceptions import ClientError

    aws.control(layout, "faults", {"throttle": 5})
    functions = client(bed, "lambda")
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        for _ in range(30):
            functions.get_alias(FunctionName="chat", Name="live")


def test_applied_but_answered_with_an_error(bed: Bed, layout: Layout) -> None:
    from botocore.exceptions import ClientError

    weight = alias(bed)["RoutingConfig"]["AdditionalVersionWeights"]["3"]
    aws.control(layout, "faults", {"fail_after_apply": 1})
    with pytest.raises(ClientError, match="ServiceException"):
        set_weight(bed, 0.25)
    assert alias(bed)["RoutingConfig"]["AdditionalVersionWeights"] == {"3": 0.25}
    set_weight(bed, weight)
