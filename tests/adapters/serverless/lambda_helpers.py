"""What the tests of the serverless adapter share: emulators, an administrator's client, a proxy that misbehaves."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from adapters.serverless.aws.adapter import ADAPTER
from adapters.serverless.aws.reader import LambdaReader
from adapters.serverless.aws.section import SECTION as AWS
from adapters.serverless.aws.section import AwsConfig
from adapters.serverless.aws.writer import LambdaWriter
from control.deck.config import EnvironmentConfig
from control.ports import Secrets

REGION = "eu-central-1"
SECRETS = Secrets(lambda what, key: None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(url: str, seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def unavailable(reason: str) -> None:
    """Skip, or fail where nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def ministack_python() -> Path:
    """The interpreter of MiniStack's own environment, made once: it pins another botocore than the product's."""
    from tests.bed import aws
    from tests.bed.errors import BedError

    try:
        return aws.ministack_python()
    except (BedError, OSError, subprocess.SubprocessError) as error:
        unavailable(f"MiniStack could not be installed: {error}")
        raise


def client(service: str, url: str) -> Any:
    """The administrator's client, apart from everything of the product."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="administrator",
        aws_secret_access_key="administrator",
        config=Config(retries={"total_max_attempts": 1}),
    )


def code(number: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", f"def handle(event, context):\n    return {number}\n")
    return buffer.getvalue()


def make_function(admin: Any, name: str, versions: int = 3, role: str = "r") -> None:
    """A function with published versions 1 to `versions` and a secret among its environment variables."""
    admin.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=f"arn:aws:iam::000000000000:role/{role}",
        Handler="handler.handle",
        Code={"ZipFile": code(0)},
        Environment={"Variables": {"API_TOKEN": "hunter2"}},
        Publish=False,
    )
    for number in range(1, versions + 1):
        admin.update_function_code(FunctionName=name, ZipFile=code(number))
        assert admin.publish_version(FunctionName=name)["Version"] == str(number)


def environment(url: str, *functions: str, **endpoints: str) -> EnvironmentConfig:
    """An environment whose services are all at `url`, but for `endpoints`."""
    services = {"lambda": url, "sts": url, "cloudwatch": url} | endpoints
    return EnvironmentConfig("fn", settings=AwsConfig(REGION, None, functions or ("*",), services), section=AWS)


async def opened(config: EnvironmentConfig) -> tuple[LambdaReader, LambdaWriter]:
    reader = ADAPTER.open_reader(config, SECRETS)
    writer = ADAPTER.open_writer(config, SECRETS, reader)
    assert isinstance(reader, LambdaReader)
    assert isinstance(writer, LambdaWriter)
    return reader, writer


class Proxy:
    """Stands before an emulator: keeps a log of (method, path) and, on demand, misbehaves.

    `mode`: "" passes on; "throttle" answers 429 as Lambda's control plane does; "applied_500" passes on and then
    answers 500; "hang" answers nothing for a minute; "answer" gives `answer`.
    `only`: it misbehaves where the path holds this.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.mode = ""
        self.only = ""
        self.answer: tuple[int, str, str] = (400, "", "")
        """For the mode "answer": status, code and message of an error."""
        self.log: list[tuple[str, str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.released = threading.Event()

    @property
    def writes(self) -> list[tuple[str, str, str]]:
        return [line for line in self.log if line[0] not in ("GET", "HEAD") and "/2015-03-31/" in line[1]]

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                if proxy.released.is_set():
                    self.close_connection = True
                    return None
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                signed = self.headers.get("Authorization") or ""
                proxy.log.append((self.command, self.path, signed.partition("Credential=")[2].partition("/")[0]))
                mode = proxy.mode if proxy.only in self.path else ""
                if mode == "answer":
                    status, code, message = proxy.answer
                    text = json.dumps({"Type": "User", "message": message}).encode()
                    if "/2015-03-31/" not in self.path:  # STS speaks XML
                        inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
                        text = f"<ErrorResponse>{inner}</ErrorResponse>".encode()
                    return self.reply(status, text, {"x-amzn-ErrorType": code})
                if mode == "hang":
                    proxy.released.wait(60)
                if mode == "throttle":
                    text = b'{"Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate exceeded"}'
                    return self.reply(429, text, {"x-amzn-ErrorType": "TooManyRequestsException"})
                status, headers, answer = self.pass_on(body)
                if mode == "applied_500" and self.command not in ("GET", "HEAD"):
                    text = b'{"Type":"Service","message":"internal"}'
                    return self.reply(500, text, {"x-amzn-ErrorType": "ServiceException"})
                return self.reply(status, answer, headers)

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return self.answer
                raise AttributeError(name)

            def pass_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
                url = proxy.upstream + self.path
                request = urllib.request.Request(url, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=10) as response:
                        return response.status, dict(response.headers), response.read()
                except urllib.error.HTTPError as error:
                    return error.code, dict(error.headers), error.read()

            def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() in ("content-type", "x-amzn-errortype"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler
