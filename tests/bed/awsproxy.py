"""The one address of all AWS services: records writes, passes each call to the emulator that is faithful for it.

`python -m tests.bed.awsproxy LISTEN_HOST PORT LOG ROUTES` where ROUTES is JSON `{"lambda": "host:port", …, "": …}`.
Faults are asked for with `PUT /_bed/faults {"throttle": 15 | null, "fail_after_apply": N}`: more than so many calls a
second are refused as AWS does, and the next N writes are applied but answered with a 500.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.bed.writelog import WriteLog

UPSTREAM_SECONDS = 30.0
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
_READS = ("Get", "List", "Describe", "BatchGet", "Lookup", "Search", "Test")
_LAMBDA = (
    ("PUT", r"/functions/[^/]+/aliases/[^/]+$", "UpdateAlias"),
    ("POST", r"/functions/[^/]+/aliases$", "CreateAlias"),
    ("DELETE", r"/functions/[^/]+/aliases/[^/]+$", "DeleteAlias"),
    ("PUT", r"/functions/[^/]+/concurrency$", "PutFunctionConcurrency"),
    ("DELETE", r"/functions/[^/]+/concurrency$", "DeleteFunctionConcurrency"),
    ("PUT", r"/functions/[^/]+/provisioned-concurrency", "PutProvisionedConcurrencyConfig"),
    ("POST", r"/functions/[^/]+/invocations$", "Invoke"),
    ("POST", r"/functions/[^/]+/versions$", "PublishVersion"),
)


@dataclass
class Request:
    """One HTTP request, whole."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def caller(self) -> str:
        """The access key that signed it."""
        found = _CREDENTIAL.search(self.headers.get("authorization", ""))
        return found[1] if found else "anonymous"

    @property
    def service(self) -> str:
        """The service by its signing name (`lambda`, `monitoring`, `codedeploy`, …); empty for an unsigned call."""
        found = _CREDENTIAL.search(self.headers.get("authorization", ""))
        return found[2] if found else ""

    @property
    def operation(self) -> str:
        """The API's name of what is asked, or the HTTP method where it is not told."""
        if target := self.headers.get("x-amz-target"):
            return target.rpartition(".")[2]
        if "/operation/" in self.path:
            return self.path.rpartition("/operation/")[2].partition("?")[0]
        if self.method == "POST" and "form-urlencoded" in self.headers.get("content-type", ""):
            return parse_qs(self.body.decode(errors="replace")).get("Action", [self.method])[0]
        path = self.path.partition("?")[0]
        return next(
            (name for verb, form, name in _LAMBDA if verb == self.method and re.search(form, path)), self.method
        )

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD") and not self.operation.startswith(_READS)


@dataclass
class Proxy:
    routes: dict[str, str]
    log: WriteLog
    throttle: int | None = None
    fail_after_apply: int = 0
    targets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Deployment id -> `{"function", "alias"}`: what the CodeDeploy emulator does not keep."""
    recent: list[float] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            if request:
                writer.write(await self.answer(request))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def answer(self, request: Request) -> bytes:
        if request.path.startswith("/_bed/"):
            return self._control(request)
        if request.writes:
            self.log.add(request.caller, request.operation, f"{request.service}{request.path}")
        if self._too_fast():
            return _answer(429, {"Type": "User", "message": "Rate exceeded"}, "TooManyRequestsException")
        if request.service == "codedeploy" and request.operation.endswith("DeploymentTargets"):
            return _answer(200, self._deployment_targets(request))
        answer = await self._forward(request)
        if request.writes and self.fail_after_apply > 0:
            self.fail_after_apply -= 1
            return _answer(500, {"Type": "Service", "message": "internal error"}, "ServiceException")
        return answer

    def _too_fast(self) -> bool:
        now = time.monotonic()
        self.recent = [at for at in self.recent if at > now - 1.0]
        if self.throttle is not None and len(self.recent) >= self.throttle:
            return True
        self.recent.append(now)
        return False

    def _control(self, request: Request) -> bytes:
        """`/_bed/faults` and `/_bed/targets`: what the bed itself asks of this proxy."""
        if request.method == "PUT":
            wanted: dict[str, Any] = json.loads(request.body)
            if request.path == "/_bed/targets":
                self.targets = wanted
            else:
                self.throttle = wanted.get("throttle", self.throttle)
                self.fail_after_apply = int(wanted.get("fail_after_apply", self.fail_after_apply))
        return _answer(200, {"throttle": self.throttle, "fail_after_apply": self.fail_after_apply})

    def _deployment_targets(self, request: Request) -> dict[str, Any]:
        """What moto does not implement: the function and alias that a deployment moves."""
        identifier = json.loads(request.body or b"{}").get("deploymentId", "")
        target = self.targets.get(identifier)
        if request.operation == "ListDeploymentTargets":
            return {"targetIds": [f"{target['function']}:{target['alias']}"] if target else []}
        if target is None:
            return {"deploymentTargets": []}
        info = {"functionName": target["function"], "functionAlias": target["alias"]}
        moved = {"deploymentId": identifier, "targetId": ":".join(info.values()), "lambdaFunctionInfo": info}
        return {"deploymentTargets": [{"deploymentTargetType": "LambdaTarget", "lambdaTarget": moved}]}

    async def _forward(self, request: Request) -> bytes:
        host, _, port = self.routes.get(request.service, self.routes[""]).rpartition(":")
        try:
            async with asyncio.timeout(UPSTREAM_SECONDS):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(request.raw)
                answer = await reader.read(-1)
                writer.close()
                return answer
        except (OSError, TimeoutError):
            return _answer(503, {"message": "the emulator does not answer"}, "ServiceUnavailableException")


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """One request, its head rewritten to close the connection afterwards."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {}
    kept = [lines[0]]
    for line in lines[1:]:
        name, found, value = line.partition(":")
        if found:
            headers[name.strip().lower()] = value.strip()
            if name.strip().lower() not in ("connection", "expect"):
                kept.append(line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    raw = "\r\n".join([*kept, "Connection: close", "", ""]).encode("latin-1") + body
    return Request(method, path, headers, body, raw)


def _answer(status: int, content: dict[str, Any], error: str | None = None) -> bytes:
    body = json.dumps({**content, **({"__type": error} if error else {})}).encode()
    kind = f"x-amzn-errortype: {error}\r\n" if error else ""
    head = f"HTTP/1.1 {status} Bed\r\ncontent-type: application/json\r\n{kind}content-length: {len(body)}\r\n"
    return (head + "connection: close\r\n\r\n").encode() + body


async def serve(host: str, port: int, log: Path, routes: dict[str, str]) -> None:
    proxy = Proxy(routes, WriteLog(log))
    server = await asyncio.start_server(proxy.handle, host, port, limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])))
