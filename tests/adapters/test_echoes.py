"""Servers that echo what they were sent: our own credentials are in no error and no row."""

from __future__ import annotations

import base64
import html
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pytest
import yaml

from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from adapters.serverless.aws import boto
from adapters.serverless.aws.adapter import ADAPTER as AWS
from adapters.serverless.aws.section import SECTION, AwsConfig
from control import own_secrets as ownsecrets
from control.deck.config import EnvironmentConfig
from control.errors import ControlError
from control.ports import Secrets

TOKEN = "eyJhbGciOiJFUzI1NiJ9.c3lzdGVtOnNlcnZpY2VhY2NvdW50.UTJrNWRHVnpkQzF2Ym14NUxXNXZkQzFoTFhKbFlXd3RhMlY1"
PASSWORD = 'corr3ct-"horse"/b&ttery'
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzEXAMPLE"

SAID: dict[str, Callable[[str], str]] = {
    "as it is": lambda s: s,
    "page": lambda s: f"<html><body><pre>{html.escape(s)}</pre></body></html>",
    "percent": lambda s: quote(s, safe=""),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "JSON": json.dumps,
    "cut": lambda s: s[: s.find("Authorization") + 60],
}


class Echo(http.server.BaseHTTPRequestHandler):
    """Refuses everything with the headers that it was sent."""

    say: ClassVar[Callable[[str], str]]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        # Some name that their clients sent, so that it is echoed as the first thing.
        sent = "\n".join(f"{name}: {value}" for name, value in sorted(self.headers.items()))
        message = f"bad request: {type(self).say(sent)}"
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 400, "message": message}
        body = json.dumps(status | {"Message": message, "__type": "Invalid"}).encode()
        if self.headers.get("X-Page") or "<html>" in message:
            body = message.encode()
        self.send_response(400, message.replace("\n", " ")[:200])
        self.send_header("Content-Type", "text/html" if b"<html>" in body else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(params=SAID)
def echo(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that echoes in one way."""
    ownsecrets.forget_all()
    handler = type("Saying", (Echo,), {"say": staticmethod(SAID[request.param])})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    ownsecrets.forget_all()


def holds(text: str, secret: str) -> bool:
    """Whether a piece of a secret is in a text, as it is or coded as the servers here do."""
    pieces = [coded for code in SAID.values() if (coded := code(secret))]
    pieces += [base64.b64encode(b" " * shift + secret.encode()).decode()[4:-4] for shift in range(3)]
    return any(one[at : at + 12] in text for one in pieces for at in range(max(len(one) - 11, 1)) if "html" not in one)


@pytest.mark.parametrize("user", [{"token": TOKEN}, {"username": "deck", "password": PASSWORD}])
async def test_an_api_server_that_echoes(
    echo: str, tmp_path: Path, user: dict[str, str], request: pytest.FixtureRequest
) -> None:
    document = {
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": echo}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    config = KubernetesConfig(kubeconfig=str(tmp_path / "config"))
    reader = KubernetesReader(EnvironmentConfig("k8s", settings=config, section=KUBERNETES))
    try:
        with pytest.raises(ControlError) as caught:
            snapshot = await reader.read()
            raise ControlError(repr(snapshot))
        told = [str(caught.value), *(f"{check.detail} {check.hint}" for check in await reader.check())]
    finally:
        await reader.close()
    secret = user.get("token") or user["password"]
    assert not any(holds(text, secret) for text in told), told
    assert "page" in request.node.name or any(ownsecrets.STRUCK in text for text in told), told
    if "password" in user:
        assert not any(base64.b64encode(f"deck:{PASSWORD}".encode()).decode() in text for text in told)


async def test_an_aws_that_echoes(echo: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    for name, value in (
        ("ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("SECRET_ACCESS_KEY", KEY),
        ("SESSION_TOKEN", TOKEN),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(boto, "_sessions", {})  # those of the process were logged in by other tests
    config = AwsConfig("eu-central-1", None, ("chat",), {"lambda": echo})
    reader = AWS.open_reader(EnvironmentConfig("fn", SECTION, config), Secrets(lambda _what, _key: None))
    try:
        with pytest.raises(ControlError) as caught:
            raise ControlError(repr(await reader.read()))
        told = [str(caught.value), *(f"{check.detail} {check.hint}" for check in await reader.check())]
    finally:
        await reader.close()
    assert not any(holds(text, TOKEN) or holds(text, KEY) for text in told), told
    assert request.node.name.endswith(("[page]", "[cut]")) or any(ownsecrets.STRUCK in text for text in told), told
