"""Kubeconfig files, credentials and exec plugins: every mistake says what, where and what to do."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from adapters.kubernetes.client import credentials as credentials_module
from adapters.kubernetes.client.credentials import Credentials
from adapters.kubernetes.client.kubeconfig import Cluster, User, contexts, load
from adapters.kubernetes.client.transport import connect
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import KubernetesConfig
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, ControlError, DeckError, ErrorKind, Unreachable

CLUSTER = Cluster("c", "https://127.0.0.1:1")


def config(folder: Path, user: dict[str, Any], name: str = "config", **cluster: Any) -> Path:
    path = folder / name
    document = {
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "inference"}},
            {"name": "lost", "context": {"cluster": "nowhere", "user": "u"}},
        ],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def plugin(folder: Path, script: str) -> dict[str, Any]:
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}


def test_the_current_context_is_the_default(tmp_path: Path) -> None:
    context = load(str(config(tmp_path, {"token": "t"})), None)
    assert (context.name, context.namespace) == ("one", "inference")
    assert context.cluster.server == "https://127.0.0.1:6443"
    assert "'t'" not in repr(context)


def test_kubeconfig_lists_are_merged_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = config(tmp_path, {"token": "first"}, "first")
    second = tmp_path / "second"
    document = yaml.safe_load(config(tmp_path, {"token": "second"}, "second").read_text())
    document["contexts"].append({"name": "two", "context": {"cluster": "c", "user": "u"}})
    second.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'missing'}:{second}")
    assert load(None, "two").user.token == "first"
    assert contexts() == ["lost", "one", "two"]


@pytest.mark.parametrize(
    ("write", "context", "words"),
    [
        (None, None, ["does not exist", "config"]),
        ("{}", None, ["no current context"]),
        ("a: [", None, ["line", "no YAML"]),
        ("- a", None, ["holds no kubeconfig"]),
        ("config", "three", ["no context 'three'", "it has: lost, one"]),
        ("config", "lost", ["nowhere"]),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, write: str | None, context: str | None, words: list[str]) -> None:
    path = tmp_path / "config"
    if write == "config":
        config(tmp_path, {})
    elif write is not None:
        path.write_text(write)
    with pytest.raises(DeckError) as caught:
        load(str(path), context)
    for word in words:
        assert word in str(caught.value)


def test_no_kubeconfig_at_all_names_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(DeckError, match="nothing"):
        load(None, None)


@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        ({"auth-provider": {"name": "gcp"}}, {}, "auth-provider"),
        ({"client-certificate": "gone.pem"}, {}, "gone.pem"),
        ({"exec": {"args": []}}, {}, "no command"),
        ({}, {"server": "ftp://127.0.0.1"}, "no usable server"),
        ({}, {"certificate-authority-data": "%%%"}, "base64"),
    ],
)
def test_bad_users_and_clusters(tmp_path: Path, user: Any, cluster: Any, words: str) -> None:
    with pytest.raises(DeckError, match=words):
        load(str(config(tmp_path, user, **cluster)), None)


async def test_a_reader_of_a_missing_file_says_so_at_its_first_call(tmp_path: Path) -> None:
    section = KubernetesConfig(kubeconfig=str(tmp_path / "gone"))
    reader = KubernetesReader(EnvironmentConfig("env", settings=section))
    with pytest.raises(ControlError) as caught:
        await reader.read()
    assert caught.value.kind is ErrorKind.DECK
    await reader.close()


async def test_an_unreachable_server_costs_seconds_at_most(tmp_path: Path) -> None:
    path = config(tmp_path, {"token": "t"}, server="https://127.0.0.1:1")
    reader = KubernetesReader(EnvironmentConfig("env", settings=KubernetesConfig(kubeconfig=str(path))))
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"context 'one' at https://127.0.0.1:1"):
        await reader.read()
    assert time.monotonic() - started < 5
    (check,) = await reader.check()
    assert check.state == "fail"
    await reader.close()


async def test_a_token_file_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    made = Credentials("one", CLUSTER, User("u", token_file=file))
    assert await made.headers() == [("Authorization", "Bearer first")]
    file.write_text("second")
    assert await made.headers() == [("Authorization", "Bearer first")]
    assert await made.headers(renew=True) == [("Authorization", "Bearer second")]
    monkeypatch.setattr(credentials_module, "TOKEN_FILE_SECONDS", 0.0)
    await made.headers(renew=True)
    file.write_text("third")
    assert await made.headers() == [("Authorization", "Bearer third")]
    file.unlink()
    with pytest.raises(AuthError, match="token file"):
        await made.headers()


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "\u200bzero"])
async def test_a_token_that_is_none_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(AuthError) as caught:
        await Credentials("one", CLUSTER, User("u", token=token)).headers()
    assert token not in str(caught.value)


async def test_an_exec_plugin_gives_a_token_and_prints_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = """
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["spec"]["interactive"] is False
assert sys.stdin.read() == ""
print("\\x1b[31mlog in at https://evil\\x07", file=sys.stderr)
count = open("count", "a+"); count.write("x"); count.close()
expiry = "2000-01-01T00:00:00Z" if os.environ.get("OLD") else "2999-01-01T00:00:00Z"
print(json.dumps({"status": {"token": "from-plugin", "expirationTimestamp": expiry}}))
"""
    body = plugin(tmp_path, script.replace('"count"', repr(str(tmp_path / "count"))))
    context = load(str(config(tmp_path, {"exec": body})), None)
    made = Credentials("one", context.cluster, context.user)
    for _ in range(3):
        assert await made.headers() == [("Authorization", "Bearer from-plugin")]
    assert (tmp_path / "count").read_text() == "x"
    expired = {**body, "env": [{"name": "OLD", "value": "1"}]}
    context = load(str(config(tmp_path, {"exec": expired})), None)
    made = Credentials("one", context.cluster, context.user)
    await made.headers()
    await made.headers()
    assert (tmp_path / "count").read_text() == "xxx"
    out, err = capfd.readouterr()
    assert out == err == ""


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("print('s3cret', file=sys.stderr); print('s3cret'); sys.exit(3)", "exit code 3"),
        ("print('s3cret')", "no credential"),
        ("print('{}')", "no credential"),
        ("import time; time.sleep(30)", "did not end"),
    ],
)
async def test_an_exec_plugin_that_fails_is_told_without_its_output(
    tmp_path: Path, script: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials_module, "PLUGIN_DEADLINE_SECONDS", 1.0)
    context = load(str(config(tmp_path, {"exec": plugin(tmp_path, script)})), None)
    with pytest.raises(AuthError, match=words) as caught:
        await Credentials("one", context.cluster, context.user).headers()
    assert "s3cret" not in str(caught.value)
    assert "kubectl --context one" in (caught.value.hint or "")


async def test_a_missing_exec_plugin_gives_its_install_hint(tmp_path: Path) -> None:
    body = {"command": "no-such-plugin-here", "installHint": "install it from the tool page"}
    body |= {"apiVersion": "client.authentication.k8s.io/v1beta1"}
    context = load(str(config(tmp_path, {"exec": body})), None)
    with pytest.raises(AuthError, match="not installed") as caught:
        await Credentials("one", context.cluster, context.user).headers()
    assert caught.value.hint == "install it from the tool page"


async def test_basic_and_impersonation_headers() -> None:
    user = User("u", username="a", password="b", impersonate=(("Impersonate-User", "other"),))
    headers = await Credentials("one", CLUSTER, user).headers()
    assert headers == [("Impersonate-User", "other"), ("Authorization", "Basic " + base64.b64encode(b"a:b").decode())]


def certificate(folder: Path, name: str, *extra: str) -> tuple[Path, Path]:
    """A self-signed pair for 127.0.0.1, or for the name given."""
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command, "-days", "2", "-subj", f"/CN={name}", *extra], check=True, capture_output=True)
    return pem, key


@pytest.fixture
async def tls_server(tmp_path: Path) -> Any:
    """A TLS server for the name `api.test` that demands a client certificate and answers every request."""
    import ssl

    pem, key = certificate(tmp_path, "api.test", "-addext", "subjectAltName=DNS:api.test")
    client, client_key = certificate(tmp_path, "client")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(client))
    context.load_cert_chain(pem, key)
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"gitVersion": "v1"}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield f"https://127.0.0.1:{port}", pem, client, client_key
    server.close()


def tls_reader(path: Path) -> KubernetesReader:
    return KubernetesReader(EnvironmentConfig("env", settings=KubernetesConfig(kubeconfig=str(path))))


async def test_client_certificates_authorities_and_server_names(tmp_path: Path, tls_server: Any) -> None:
    server, ca, client, key = tls_server
    data = base64.b64encode
    by_data = {
        "client-certificate-data": data(client.read_bytes()).decode(),
        "client-key-data": data(key.read_bytes()).decode(),
    }
    by_file = {"client-certificate": client.name, "client-key": key.name}
    trust: dict[str, Any] = {"server": server, "certificate-authority": str(ca), "tls-server-name": "api.test"}
    for user in (by_data, by_file):
        reader = tls_reader(config(tmp_path, user, **trust))
        assert b"v1" in await reader.api.get("/version")
        await reader.close()
    insecure = tls_reader(config(tmp_path, by_file, server=server, **{"insecure-skip-tls-verify": True}))
    assert b"v1" in await insecure.api.get("/version")
    await insecure.close()
    wrong = tls_reader(config(tmp_path, by_file, server=server, **{"certificate-authority": str(ca)}))
    with pytest.raises(AuthError, match="does not prove to be itself"):
        await wrong.api.get("/version")
    await wrong.close()
    none = tls_reader(config(tmp_path, {}, **trust))
    with pytest.raises((AuthError, Unreachable), match=r"client certificate|without an answer"):
        await none.api.get("/version")
    await none.close()


async def test_a_proxy_of_the_kubeconfig_is_used(tmp_path: Path) -> None:
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    path = config(tmp_path, {"token": "t"}, server="https://10.255.255.1:6443", **{"proxy-url": url})
    reader = tls_reader(path)
    with pytest.raises(Unreachable):
        await reader.api.get("/version")
    await reader.close()
    proxy.close()
    assert asked == ["CONNECT 10.255.255.1:6443 HTTP/1.1\r\n"]


async def test_a_renewed_credential_is_used_once_after_a_401() -> None:
    tokens: list[str] = []

    class Server(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            tokens.append(request.headers["Authorization"])
            return httpx.Response(200 if tokens[-1].endswith("new") else 401, json={})

    from adapters.kubernetes.client.api import Api
    from adapters.kubernetes.client.transport import Connection, ReadOnlyTransport

    current = ["old"]

    async def headers(renew: bool) -> list[tuple[str, str]]:
        if renew:
            current[0] = "new"
        return [("Authorization", f"Bearer {current[0]}")]

    async def opened() -> httpx.AsyncBaseTransport:
        return Server()

    api = Api(Connection("https://a.invalid", opened, headers, renewable=True, what="it"), ReadOnlyTransport)
    await api.get("/version")
    assert tokens == ["Bearer old", "Bearer new"]
    await api.close()


def test_connecting_reads_no_network(tmp_path: Path) -> None:
    connection = connect(load(str(config(tmp_path, {"token": "t"})), None))
    assert connection.what == "context 'one' at https://127.0.0.1:6443"
