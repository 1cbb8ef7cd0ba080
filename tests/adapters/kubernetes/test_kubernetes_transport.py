"""The reading transport, the writing transport, refusals and pages, over transports that record."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kubernetes.client.api import Api, decode_page
from adapters.kubernetes.client.objects import Bare
from adapters.kubernetes.client.refusals import Busy, refusal
from adapters.kubernetes.client.transport import Connection, ReadOnlyTransport, may_read
from adapters.kubernetes.client.watching import lines
from adapters.kubernetes.kinds import httproute
from adapters.kubernetes.kinds.table import OURS
from adapters.kubernetes.wire.gateway_api import HTTPRoute
from adapters.kubernetes.writer import PatchTransport
from control.errors import (
    AuthError,
    Forbidden,
    InvalidValue,
    NotFound,
    PlatformError,
    ReadOnly,
    Stale,
    Unreachable,
)

ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/a/httproutes/b"
ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Recorder(httpx.AsyncBaseTransport):
    def __init__(self, *answers: httpx.Response) -> None:
        self.seen: list[httpx.Request] = []
        self.answers = list(answers)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return self.answers.pop(0) if self.answers else httpx.Response(200, json={})


def api(recorder: Recorder) -> Api:
    async def opened() -> httpx.AsyncBaseTransport:
        return recorder

    async def headers(renew: bool) -> list[tuple[str, str]]:
        return []

    return Api(Connection("https://a.invalid/k8s/clusters/c1", opened, headers, what="here"), ReadOnlyTransport)


@given(
    st.sampled_from(["PUT", "PATCH", "DELETE", "POST", "CONNECT", "OPTIONS", "TRACE", "patch"]), st.text(max_size=30)
)
def test_no_writing_method_passes(method: str, path: str) -> None:
    assert not may_read(method, "/apis/" + path)


@pytest.mark.parametrize(
    ("method", "path", "query", "passes"),
    [
        ("GET", ROUTES, "", True),
        ("HEAD", ROUTES, "", True),
        ("GET", ROUTES, "dryRun=All", False),
        ("POST", ACCESS, "", True),
        ("POST", ACCESS, "dryRun=All", False),
        ("POST", ACCESS + "/x", "", False),
        ("POST", ROUTES, "", False),
        ("PATCH", ROUTES, "dryRun=All", False),
        ("GET", "/api/v1/namespaces/a/pods/b/exec", "command=sh", False),
        ("GET", "/api/v1/namespaces/a/services/b/proxy/admin", "", False),
        ("GET", "/api/v1/namespaces/a/secrets/b", "", False),
    ],
)
async def test_what_a_reading_connection_lets_through(method: str, path: str, query: str, passes: bool) -> None:
    recorder = Recorder()
    async with httpx.AsyncClient(transport=ReadOnlyTransport(recorder, "/k8s")) as client:
        url = f"https://a.invalid/k8s{path}" + (f"?{query}" if query else "")
        if passes:
            await client.request(method, url)
        else:
            with pytest.raises(ReadOnly):
                await client.request(method, url)
    assert len(recorder.seen) == passes


@pytest.mark.parametrize(
    ("method", "path", "query", "passes"),
    [
        ("PATCH", ROUTES, "fieldManager=trafficdeck", True),
        ("PATCH", ROUTES, "", False),
        ("DELETE", ROUTES, "fieldManager=trafficdeck", False),
        ("PUT", ROUTES, "fieldManager=trafficdeck", False),
        ("PATCH", ROUTES + "/status", "fieldManager=trafficdeck", False),
        ("PATCH", "/api/v1/namespaces/a/pods/b", "fieldManager=trafficdeck", False),
    ],
)
async def test_what_a_writing_connection_lets_through(method: str, path: str, query: str, passes: bool) -> None:
    recorder = Recorder()
    async with httpx.AsyncClient(transport=PatchTransport(OURS, recorder)) as client:
        url = f"https://a.invalid{path}" + (f"?{query}" if query else "")
        if passes:
            await client.request(method, url)
        else:
            with pytest.raises(ReadOnly):
                await client.request(method, url)
    assert len(recorder.seen) == passes


async def test_a_patch_over_the_reading_connection_never_leaves() -> None:
    recorder = Recorder()
    client = api(recorder)
    with pytest.raises(ReadOnly):
        await client.patch(httproute.RESOURCE, "a", "b", [])
    assert recorder.seen == []
    await client.close()


def status(code: int, message: str = "no", causes: list[dict[str, str]] | None = None) -> bytes:
    return msgspec.json.encode(
        {"kind": "Status", "code": code, "message": message, "details": {"causes": causes or []}}
    )


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (401, status(401), AuthError, "log in again"),
        (403, status(403, "User x cannot patch httproutes"), Forbidden, "cannot patch httproutes"),
        (404, status(404), NotFound, ""),
        (409, status(409), Stale, "plan again"),
        (422, status(422), Stale, "nothing was written"),
        (422, status(422, "m", [{"field": "spec.x", "message": "too large"}]), InvalidValue, "spec.x: too large"),
        (422, status(422, 'admission webhook "w" denied the request: no more than 50'), InvalidValue, "more than 50"),
        (409, status(409, 'admission webhook "w" denied the request: frozen'), InvalidValue, "frozen"),
        (403, status(403, 'admission webhook "w" denied the request: not you'), Forbidden, "not you"),
        (
            401,
            status(401, "x is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
            InvalidValue,
            "denied request: no",
        ),
        (500, status(500, 'Internal error occurred: failed calling webhook "w": refused'), PlatformError, "webhook"),
        (429, status(429), Busy, "try again in 7 s"),
        (503, status(503), Unreachable, ""),
        (500, b"\x1b[31m<html>", Unreachable, ""),
        (400, status(400, "strict decoding"), PlatformError, "strict decoding"),
    ],
)
def test_refusals(code: int, body: bytes, kind: type[Exception], words: str) -> None:
    error = refusal(code, body, "patch httproutes a/b", "here", "7")
    assert type(error) is kind
    assert words in str(error)
    assert "\x1b" not in str(error)


def page(names: list[Any], following: str = "") -> httpx.Response:
    items = [{"metadata": {"name": name}} for name in names]
    return httpx.Response(200, json={"metadata": {"resourceVersion": "9", "continue": following}, "items": items})


async def test_lists_follow_their_pages_and_begin_anew_where_a_token_expired() -> None:
    gone = httpx.Response(410, content=status(410, "expired"))
    recorder = Recorder(page(["a"], "t1"), gone, page(["a"], "t2"), page(["b"]))
    client = api(recorder)
    listed = await client.list(httproute.RESOURCE, "", Bare)
    assert [one.metadata.name for one in listed.items] == ["a", "b"]
    assert listed.resource_version == "9"
    assert [request.url.params.get("continue") for request in recorder.seen] == [None, "t1", None, "t2"]
    assert recorder.seen[0].headers["accept-encoding"] == "gzip"
    await client.close()


def test_an_object_that_is_broken_costs_only_itself() -> None:
    broken: list[str] = []
    body = b'{"metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"},"spec":{"rules":3}}]}'
    found = decode_page(body, HTTPRoute, broken)
    assert [one.metadata.name for one in found.items or []] == ["a"]
    assert broken[0].startswith("/b: ")
    with pytest.raises(PlatformError):
        decode_page(b"<html>", HTTPRoute, [])


async def test_a_short_retry_after_is_waited_for_when_reading() -> None:
    recorder = Recorder(httpx.Response(429, headers={"Retry-After": "0"}, json={}), httpx.Response(200, json={}))
    client = api(recorder)
    await client.get("/version")
    assert len(recorder.seen) == 2
    await client.close()


@given(
    st.lists(st.binary(min_size=1, max_size=12).map(lambda b: b.replace(b"\n", b"x")), max_size=6), st.integers(1, 9)
)
async def test_lines_come_whole_however_they_were_cut(wanted: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in wanted)

    async def chunks() -> Any:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    assert [line async for line in lines(chunks())] == wanted


def test_importing_the_adapter_is_cheap() -> None:
    script = (
        "import sys, adapters.kubernetes.adapter as a\n"
        "assert a.ADAPTER.section.key == 'kubernetes'\n"
        "print([m for m in ('httpx', 'yaml', 'kubernetes', 'ssl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"
