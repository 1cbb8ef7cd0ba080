"""Answers that no emulator gives, checked by botocore's Stubber against the service models; and CloudWatch on moto."""

from __future__ import annotations

import datetime
import time
from fractions import Fraction
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from lambda_helpers import REGION, client, environment, make_function, opened
from preparing import prepared

from adapters.serverless.aws import fetch
from adapters.serverless.aws.alias import to_route
from adapters.serverless.aws.boto import BotoCloud
from adapters.serverless.aws.metrics import PERIOD, Metrics
from adapters.serverless.aws.prove import loaded
from adapters.serverless.aws.reader import LambdaReader
from adapters.serverless.aws.records import Alias, Function, Place
from adapters.serverless.aws.writer import LambdaWriter
from control.errors import AuthError, Forbidden
from control.model import AccessState, OwnerRole
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofState

ARN = f"arn:aws:lambda:{REGION}:111122223333:function:chat"


class Stubbed:
    """A cloud whose clients answer from queues: service -> the answers, each checked against the service's model."""

    def __init__(self) -> None:
        session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name=REGION)
        nowhere = environment("http://127.0.0.1:1", codedeploy="http://127.0.0.1:1")
        self.cloud = BotoCloud("fn", nowhere.settings, "read")
        self.stubs: dict[str, Stubber] = {}
        for service in ("lambda", "codedeploy", "cloudwatch", "sts"):
            made = session.client(service)
            self.cloud._clients[service] = made
            self.stubs[service] = Stubber(made)
            self.stubs[service].activate()

    def answer(self, service: str, method: str, response: dict[str, Any]) -> None:
        self.stubs[service].add_response(method, response)

    def refuse(self, service: str, method: str, code: str, status: int) -> None:
        self.stubs[service].add_client_error(method, code, "no", status)


def running(stubbed: Stubbed) -> None:
    stubbed.answer("codedeploy", "list_deployments", {"deployments": ["d-1"]})
    info = {"deploymentId": "d-1", "applicationName": "chat-app", "status": "InProgress", "computePlatform": "Lambda"}
    stubbed.answer("codedeploy", "batch_get_deployments", {"deploymentsInfo": [info]})
    stubbed.answer("codedeploy", "list_deployment_targets", {"targetIds": ["chat:live"]})
    moves = {"functionName": "chat", "functionAlias": "live", "currentVersion": "1", "targetVersion": "2"}
    target = {"deploymentTargetType": "LambdaFunction", "lambdaTarget": {"lambdaFunctionInfo": moves}}
    stubbed.answer("codedeploy", "batch_get_deployment_targets", {"deploymentTargets": [target]})


async def test_wire_format_a_running_codedeploy_deployment_is_a_driver() -> None:
    stubbed = Stubbed()
    running(stubbed)
    place = Place("fn", REGION, None, await fetch.deployments(stubbed.cloud))
    function = Function("chat", ARN, (Alias("live", "1"), Alias("next", "2")), None, 0.0)
    live, other = (to_route(place, function, alias) for alias in function.aliases)
    assert [(owner.kind, owner.role) for owner in live.owners] == [("codedeploy", OwnerRole.DRIVER)]
    assert "d-1" in live.owners[0].edit_instead
    assert other.owners == ()
    await stubbed.cloud.close()


async def test_wire_format_a_refused_codedeploy_is_a_doubt_on_every_alias() -> None:
    stubbed = Stubbed()
    stubbed.refuse("codedeploy", "list_deployments", "AccessDeniedException", 403)
    stubbed.refuse("lambda", "get_account_settings", "AccessDeniedException", 403)
    reader = LambdaReader(environment("http://127.0.0.1:1"), stubbed.cloud)
    place = await reader._look_around()
    assert place.account is None
    assert "not known" in place.doubts[0]
    await reader.close()


async def test_wire_format_a_cloudformation_tag_is_a_declared_owner() -> None:
    stubbed = Stubbed()
    tags = {"aws:cloudformation:stack-name": "inference\x1b[31m"}
    configuration = {"FunctionName": "chat", "FunctionArn": ARN, "Environment": {"Variables": {"TOKEN": "hunter2"}}}
    code = {"Location": "https://example/?X-Amz-Signature=hunter2"}
    stubbed.answer("lambda", "get_function", {"Configuration": configuration, "Tags": tags, "Code": code})
    stubbed.answer("lambda", "list_aliases", {"Aliases": [{"Name": "live", "FunctionVersion": "1"}]})
    function = await fetch.function(stubbed.cloud, "chat")
    assert "hunter2" not in repr(function)
    route = to_route(Place("fn", REGION), function, function.aliases[0])
    assert [(owner.kind, owner.role) for owner in route.owners] == [("cloudformation", OwnerRole.DECLARED)]
    assert "\x1b" not in route.owners[0].name
    await stubbed.cloud.close()


async def test_codedeploy_on_moto_without_lambda_deployments_drives_nothing(moto: str) -> None:
    admin = client("codedeploy", moto)
    admin.create_application(applicationName="web", computePlatform="Server")
    admin.create_deployment_group(
        applicationName="web", deploymentGroupName="g", serviceRoleArn="arn:aws:iam::123456789012:role/codedeploy"
    )
    admin.create_deployment(applicationName="web", deploymentGroupName="g")
    aws = environment("http://127.0.0.1:1", codedeploy=moto).settings
    assert aws is not None
    cloud = BotoCloud("fn", aws, "read")
    assert await fetch.deployments(cloud) == ()
    await cloud.close()


@pytest.mark.parametrize(
    ("weights", "status", "state"),
    [
        ({"1": 1.0}, "IN_PROGRESS", ProofState.PENDING),
        ({}, "IN_PROGRESS", ProofState.PENDING),
        ({}, "FAILED", ProofState.NO),
        ({}, "READY", ProofState.YES),
    ],
)
async def test_wire_format_transient_weights_of_provisioned_concurrency_are_pending(
    weights: dict[str, float], status: str, state: ProofState
) -> None:
    stubbed = Stubbed()
    provisioned = {
        "ProvisionedConcurrencyConfigs": [
            {
                "FunctionArn": f"{ARN}:live",
                "Status": status,
                "RequestedProvisionedConcurrentExecutions": 2,
                "StatusReason": "no capacity",
            }
        ]
    }
    configuration = {"FunctionName": "chat", "FunctionArn": ARN}
    before = {"Name": "live", "FunctionVersion": "1", "RevisionId": "r1"}
    versions = {"Versions": [{"Version": "1"}, {"Version": "2"}]}
    stubbed.answer("codedeploy", "list_deployments", {"deployments": []})
    for method, answer in (
        ("get_account_settings", {"AccountLimit": {"ConcurrentExecutions": 9, "UnreservedConcurrentExecutions": 9}}),
        ("get_function", {"Configuration": configuration}),
        ("list_versions_by_function", versions),
        ("list_provisioned_concurrency_configs", provisioned),
        ("list_aliases", {"Aliases": [before]}),
    ):
        stubbed.answer("lambda", method, answer)
    stubbed.cloud._workers._size = 1
    reader = LambdaReader(environment("http://127.0.0.1:1"), stubbed.cloud)
    ref = Ref("fn", "LambdaAlias", REGION, "chat:live")
    changes = [Change(ref, f"targets/{name}/share", None, Fraction(share)) for name, share in (("1", 0), ("2", 1))]
    (step,) = await prepared(reader, changes)
    assert step.deadline_seconds == 900
    after = {"Name": "live", "FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": weights}}
    stubbed.answer("lambda", "get_alias", after)
    stubbed.answer("lambda", "list_provisioned_concurrency_configs", provisioned)
    assert (await loaded(stubbed.cloud, step)).state is state
    await reader.close()


async def test_wire_format_a_refused_write_names_the_right_and_is_remembered() -> None:
    stubbed = Stubbed()
    stubbed.refuse("lambda", "update_alias", "AccessDeniedException", 403)
    reader = LambdaReader(environment("http://127.0.0.1:1"), stubbed.cloud)
    writer = LambdaWriter(reader, stubbed.cloud)
    function = Function("chat", ARN, (Alias("live", "1", (("2", Fraction(1, 2)),), "r1"),), None, 0.0)
    reader._sweep.functions["chat"] = function
    from adapters.serverless.aws.prepare import prepare

    ref = Ref("fn", "LambdaAlias", REGION, "chat:live")
    changes = [Change(ref, f"targets/{name}/share", None, Fraction(share)) for name, share in (("1", 0), ("2", 1))]
    step = prepare(Place("fn", REGION), function, ref, changes)
    with pytest.raises(Forbidden, match="lambda:UpdateAlias"):
        await writer.write(step)
    assert (await reader.access()).state is AccessState.READ_ONLY_BY_ROLE
    await reader.close()


async def test_wire_format_expired_credentials_name_the_command() -> None:
    stubbed = Stubbed()
    stubbed.refuse("lambda", "list_functions", "ExpiredTokenException", 403)
    with pytest.raises(AuthError, match="aws sso login"):
        await fetch.function_names(stubbed.cloud, ["*"], REGION)
    await stubbed.cloud.close()


# --- CloudWatch (moto keeps what is put there) ------------------------------------------------------------------------


def put(moto: str, metric: str, value: float, at: float, **dimensions: str) -> None:
    client("cloudwatch", moto).put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": text} for name, text in dimensions.items()],
                "Timestamp": datetime.datetime.fromtimestamp(at, datetime.UTC),
                "Value": value,
            }
        ],
    )


async def test_synthetic_cloudwatch_figures_become_a_window_count(moto: str) -> None:
    function = Function("counted", ARN, (Alias("live", "1", (("2", Fraction(3, 10)),)),), 5, 0.0)
    at = int(time.time()) // PERIOD * PERIOD - 2 * PERIOD
    whole = {"FunctionName": "counted", "Resource": "counted:live"}
    put(moto, "Invocations", 1000, at, **whole)
    put(moto, "Errors", 7, at, **whole)
    put(moto, "Throttles", 3, at, **whole)
    put(moto, "Invocations", 690, at, **whole, ExecutedVersion="1")
    put(moto, "Invocations", 310, at, **whole, ExecutedVersion="2")
    put(moto, "ConcurrentExecutions", 4, at, FunctionName="counted")
    put(moto, "Throttles", 480, at, FunctionName="counted")
    aws = environment("http://127.0.0.1:1", cloudwatch=moto).settings
    assert aws is not None
    cloud = BotoCloud("fn", aws, "read")
    metrics = Metrics(cloud)
    ref = Ref("fn", "LambdaAlias", REGION, "counted:live")
    (counted,) = await metrics.count([(ref, function, function.aliases[0])])
    assert {name: count.requests for name, count in counted.targets} == {"1": 690, "2": 310}
    assert (counted.total, counted.errors, counted.throttled, counted.window_seconds) == (1000, 7, 3, 240)
    assert metrics.uses["counted"].current == 4
    assert metrics.uses["counted"].rejected_per_second == 2
    await cloud.close()


async def test_a_percentile_that_an_endpoint_lacks_costs_only_itself(moto: str) -> None:
    function = Function("slow", ARN, (Alias("live", "1"),), None, 0.0)
    at = int(time.time()) // PERIOD * PERIOD - 2 * PERIOD
    put(moto, "Invocations", 10, at, FunctionName="slow", Resource="slow:live")
    put(moto, "Duration", 700, at, FunctionName="slow", Resource="slow:live")
    aws = environment("http://127.0.0.1:1", cloudwatch=moto).settings
    assert aws is not None
    cloud = BotoCloud("fn", aws, "read")
    metrics = Metrics(cloud)
    ref = Ref("fn", "LambdaAlias", REGION, "slow:live")
    (counted,) = await metrics.count([(ref, function, function.aliases[0])])
    assert (counted.total, counted.p95_seconds) == (10, None)
    await cloud.close()


async def test_wire_format_a_percentile_is_in_milliseconds() -> None:
    stubbed = Stubbed()
    function = Function("slow", ARN, (Alias("live", "1"),), None, 0.0)
    stubbed.answer("cloudwatch", "get_metric_data", {"MetricDataResults": [{"Id": "q0", "Values": [10.0]}]})
    stubbed.answer("cloudwatch", "get_metric_data", {"MetricDataResults": [{"Id": "q0", "Values": [700.5, 650.0]}]})
    metrics = Metrics(stubbed.cloud)
    ref = Ref("fn", "LambdaAlias", REGION, "slow:live")
    (counted,) = await metrics.count([(ref, function, function.aliases[0])])
    assert counted.p95_seconds == Fraction(7005, 10_000)
    await stubbed.cloud.close()


async def test_a_quiet_alias_is_asked_for_no_more_often_than_a_busy_one() -> None:
    stubbed, now = Stubbed(), [1000.0]
    function = Function("quiet", ARN, (Alias("live", "1"),), None, 0.0)
    item = (Ref("fn", "LambdaAlias", REGION, "quiet:live"), function, function.aliases[0])
    for _ in range(2):
        stubbed.answer("cloudwatch", "get_metric_data", {"MetricDataResults": []})
    metrics = Metrics(stubbed.cloud, clock=lambda: now[0])
    assert await metrics.count([item]) == []
    now[0] += 30
    assert await metrics.count([item]) == [], "every metric asked for costs: a third answer is not there"
    await stubbed.cloud.close()


async def test_an_unreachable_cloudwatch_is_absent_and_no_error(ministack: str) -> None:
    make_function(client("lambda", ministack), "uncounted", versions=1)
    client("lambda", ministack).create_alias(FunctionName="uncounted", Name="live", FunctionVersion="1")
    reader, _ = await opened(environment(ministack, "uncounted", cloudwatch="http://127.0.0.1:1"))
    assert len((await reader.read()).routes) == 1
    assert await reader.count() == []
    await reader.close()
