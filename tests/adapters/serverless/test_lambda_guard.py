"""Read-only below the screen: the read session refuses every write, before anything is sent."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from lambda_helpers import REGION, Proxy, environment, opened

from adapters.serverless.aws import guard
from adapters.serverless.aws.boto import BotoCloud
from adapters.serverless.aws.operations import CREDENTIALS, READS, WRITES, Operation
from adapters.serverless.aws.section import AwsConfig
from control.errors import ReadOnly

ARGUMENTS: dict[str, dict[str, Any]] = {
    "UpdateAlias": {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"},
    "PutFunctionConcurrency": {"FunctionName": "f", "ReservedConcurrentExecutions": 1},
    "DeleteFunctionConcurrency": {"FunctionName": "f"},
}


def guarded(proxy: Proxy, allowed: frozenset[Operation]) -> Any:
    session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b")
    guard.install(session.events, allowed)
    return session.client("lambda", region_name=REGION, endpoint_url=proxy.url)


def method(client: Any, operation: str) -> Any:
    from botocore import xform_name

    return getattr(client, xform_name(operation))


def test_every_write_operation_has_arguments_here() -> None:
    assert {operation for _, operation in WRITES} == set(ARGUMENTS)


@pytest.mark.parametrize("operation", sorted(ARGUMENTS))
def test_the_read_session_refuses_every_write_of_the_product(proxy: Proxy, operation: str) -> None:
    client = guarded(proxy, READS)
    with pytest.raises(ReadOnly, match=operation):
        method(client, operation)(**ARGUMENTS[operation])
    assert proxy.log == []


@pytest.mark.parametrize("operation", sorted(ARGUMENTS))
def test_the_read_session_signs_no_url_for_a_write(proxy: Proxy, operation: str) -> None:
    from botocore import xform_name

    client = guarded(proxy, READS)
    with pytest.raises(ReadOnly, match=operation):
        client.generate_presigned_url(xform_name(operation), Params=ARGUMENTS[operation])


@pytest.mark.parametrize("operation", sorted(ARGUMENTS))
def test_the_second_net_alone_stops_every_write(proxy: Proxy, operation: str) -> None:
    session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b")
    session.events.register_first("before-send", guard.request_guard(READS))
    client = session.client("lambda", region_name=REGION, endpoint_url=proxy.url)
    with pytest.raises(ReadOnly, match=operation):
        method(client, operation)(**ARGUMENTS[operation])
    assert proxy.log == []


def test_the_second_net_refuses_a_read_that_became_a_write_on_the_wire(proxy: Proxy) -> None:
    session = boto3.session.Session(aws_access_key_id="a", aws_secret_access_key="b")

    def turn(request: Any, **unused: object) -> None:
        request.method = "DELETE"

    session.events.register_first("before-send", guard.request_guard(READS))
    session.events.register("request-created", turn)
    client = session.client("lambda", region_name=REGION, endpoint_url=proxy.url)
    with pytest.raises(ReadOnly, match="DELETE"):
        client.get_alias(FunctionName="f", Name="live")
    assert proxy.log == []


@pytest.mark.parametrize("operation", ["Invoke", "DeleteAlias", "GetPolicy", "PublishVersion"])
def test_neither_session_may_do_anything_else(proxy: Proxy, operation: str) -> None:
    for allowed in (READS, WRITES):
        with pytest.raises(ReadOnly):
            method(guarded(proxy, allowed), operation)()
    assert proxy.log == []


def test_the_write_session_cannot_read(proxy: Proxy) -> None:
    with pytest.raises(ReadOnly):
        guarded(proxy, WRITES).get_alias(FunctionName="f", Name="live")


def test_reads_and_writes_have_nothing_in_common() -> None:
    assert not READS & WRITES
    assert not WRITES & CREDENTIALS


async def test_the_readers_own_cloud_refuses_writes(proxy: Proxy) -> None:
    reader, _ = await opened(environment(proxy.url))
    for operation, arguments in ARGUMENTS.items():
        with pytest.raises(ReadOnly):
            await reader.cloud.call("lambda", operation, arguments)
    assert proxy.log == []
    await reader.close()


async def test_a_service_without_an_endpoint_is_never_asked_elsewhere() -> None:
    from adapters.serverless.aws.cloud import NotOffered

    cloud = BotoCloud("fn", AwsConfig(REGION, endpoints={"lambda": "http://127.0.0.1:1"}), "read")
    with pytest.raises(NotOffered):
        await cloud.call("codedeploy", "ListDeployments", {})
    await cloud.close()
