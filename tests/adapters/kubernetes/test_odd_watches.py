"""Watches that are refused or impossible cost a slow poll with growing pauses, and are said.

The server is a real one on loopback that answers lists rightly and watches as odd servers and proxies do.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_kubeconfig import config, tls_reader
from test_kubernetes_connecting import serving

from adapters.kubernetes.client import watching
from adapters.kubernetes.kinds import httproute
from adapters.kubernetes.reader import KubernetesReader
from control.model import ReachState

SECONDS = 3.0
PLURALS = {"httproutes": "gateway.networking.k8s.io/v1", "middlewares": "traefik.io/v1alpha1"}
STATUS = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
GONE = json.dumps({"type": "ERROR", "object": {**STATUS, "code": 410, "reason": "Expired", "message": "too old"}})


def plain(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines).encode()


def refused(code: int, reason: str, message: str, *headers: str) -> bytes:
    body = json.dumps({**STATUS, "code": code, "reason": reason, "message": message})
    return plain(f"{code} {reason}", body, "Content-Type: application/json", *headers)


ODD = {
    "forbidden": (refused(403, "Forbidden", "cannot watch resource"), "we may not watch"),
    "absent": (refused(404, "NotFound", "could not find"), "could not find"),
    "no such method": (refused(405, "MethodNotAllowed", "not allowed"), "not allowed"),
    "overloaded": (refused(429, "TooManyRequests", "later"), "overloaded"),
    "gone by status": (refused(410, "Expired", "too old"), "410"),
    "gone by event": (plain("200 OK", GONE + "\n", "Content-Type: application/json"), "410"),
    "a web page": (plain("200 OK", "<html>log in</html>", "Content-Type: text/html; charset=utf-8"), "web page"),
    "a web page that says it is not": (plain("200 OK", "<html>log in</html>\n"), "no watch"),
    "a list": (plain("200 OK", '{"kind":"List","metadata":{},"items":[]}\n'), "410"),
    "ends at once": (plain("200 OK", ""), "ends its watches at once"),
    "fails": (refused(500, "InternalError", "broken"), "broken"),
    "bad gateway": (plain("502 Bad Gateway", "<html>no</html>", "Content-Type: text/html"), "web page"),
}


class Odd:
    """Two kinds; `watches` says how a watch of a plural is answered, anything else is followed in silence."""

    def __init__(self) -> None:
        self.watches: dict[str, bytes] = {}
        self.lists: dict[str, int] = dict.fromkeys(PLURALS, 0)
        self.tried: dict[str, int] = dict.fromkeys(PLURALS, 0)
        self.weight = 1

    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        path, _, query = head.split(b" ")[1].decode().partition("?")
        plural = path.rpartition("/")[2]
        if path == "/apis":
            items = [
                {
                    "metadata": {"name": api.partition("/")[0]},
                    "versions": [{"version": api.partition("/")[2], "resources": [{"resource": name}]}],
                }
                for name, api in PLURALS.items()
            ]
            writer.write(plain("200 OK", json.dumps({"kind": "APIGroupDiscoveryList", "items": items})))
        elif plural in PLURALS and "watch=true" in query:
            self.tried[plural] += 1
            odd = self.watches.get(plural)
            if odd is None:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(60)
            else:
                writer.write(odd)
        elif plural in PLURALS:
            self.lists[plural] += 1
            version = str(self.weight)
            metadata = {"name": "one", "namespace": "ml", "uid": "u", "resourceVersion": version}
            backends = [{"name": "a", "port": 80, "weight": self.weight}, {"name": "b", "port": 80}]
            spec: dict[str, Any] = {"rules": [{"backendRefs": backends}]}
            if plural == "middlewares":
                spec = {"rateLimit": {"average": 5}}
            body = {"metadata": {"resourceVersion": version}, "items": [{"metadata": metadata, "spec": spec}]}
            writer.write(plain("200 OK", json.dumps(body)))
        else:
            writer.write(plain("200 OK", json.dumps({"status": {"allowed": True}})))


@pytest.fixture
async def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Odd, KubernetesReader]]:
    monkeypatch.setattr(watching, "FIRST_PAUSE_SECONDS", 0.4)
    monkeypatch.setattr(watching, "SHORTEST_STREAM_SECONDS", 0.3)
    server = Odd()
    async with serving(server.answer) as url:
        reader = tls_reader(config(tmp_path, {"token": "t"}, server=url))
        yield server, reader
        await reader.close()


async def follow(reader: KubernetesReader, seconds: float) -> None:
    """Read whenever the watch says so, as control does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await reader.read()
            async for _ in reader.watch():
                await reader.read()


@pytest.mark.clock
@pytest.mark.parametrize("name", ODD)
async def test_a_watch_that_cannot_be_costs_a_slow_poll_and_is_said(
    odd: tuple[Odd, KubernetesReader], name: str
) -> None:
    server, reader = odd
    server.watches["httproutes"], words = ODD[name]
    await follow(reader, SECONDS)
    # 0.4 + 0.8 + 1.6 s of pauses: the first lists, one beside each pause, never more. It was as fast as it could.
    assert 2 <= server.tried["httproutes"] <= 6
    assert server.lists["httproutes"] <= 9
    assert server.tried["middlewares"] <= 2, "what can be watched is left alone"
    assert server.lists["middlewares"] <= 3
    snapshot = await reader.read()
    assert len(snapshot.routes) == len(snapshot.limits) == 1
    assert snapshot.missing == ()
    reach = snapshot.environment.reach
    assert reach.state is ReachState.DEGRADED
    assert "httproutes.gateway.networking.k8s.io cannot be watched" in reach.why
    assert words in reach.why
    assert "middlewares" not in reach.why
    assert reader.confirmed_at() is None, "what is not watched is not known to hold"


async def test_what_changes_behind_a_refused_watch_is_seen_by_its_poll(odd: tuple[Odd, KubernetesReader]) -> None:
    server, reader = odd
    server.watches["httproutes"] = ODD["forbidden"][0]
    await reader.read()
    watch = reader.watch()
    async with asyncio.timeout(20):
        await anext(watch)
        server.weight = 7
        while True:
            assert reader._store is not None
            (held,) = reader._store.of(httproute.RESOURCE.group_kind)
            if held.spec.rules[0].backend_refs[0].weight == 7:
                break
            await anext(watch)
        server.watches.clear()
        while (await reader.read()).environment.reach.state is not ReachState.OK:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert reader._watcher is not None and reader._watcher.alive


async def test_a_server_that_asks_to_be_left_alone_is(odd: tuple[Odd, KubernetesReader]) -> None:
    server, reader = odd
    server.watches["httproutes"] = refused(429, "TooManyRequests", "later", "Retry-After: 60")
    await follow(reader, 1.5)
    assert server.tried["httproutes"] == 1
    assert "after up to 60 s" in (await reader.read()).environment.reach.why
