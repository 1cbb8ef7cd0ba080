"""Reaching an API server: through proxies, under another name, with identities that are slow, renewed or gone.

The servers are real ones on loopback: TLS, HTTP CONNECT, SOCKS5.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_kubeconfig import certificate, config, plugin, tls_reader

from adapters.kubernetes.client import api as api_module
from adapters.kubernetes.client import credentials as credentials_module
from adapters.kubernetes.client.credentials import Credentials
from adapters.kubernetes.client.kubeconfig import load
from adapters.kubernetes.reader import KubernetesReader
from control.calls import logged_in
from control.errors import AuthError, Unreachable

Answer = Callable[[bytes, asyncio.StreamWriter], Any]


@contextlib.asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """An HTTP server: `answer` gets each request's head, and writes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                await answer(await reader.readuntil(b"\r\n\r\n"), writer)
                await writer.drain()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def told(writer: asyncio.StreamWriter, status: str, body: Any = None) -> None:
    data = json.dumps(body or {}).encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def proxy(kind: str, port: int, seen: list[str]) -> AsyncIterator[str]:
    """A proxy that notes what it is asked for and leads to the server on `port`, whatever its name."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "http":
            head = await reader.readuntil(b"\r\n\r\n")
            seen.append(head.split(b"\r\n")[0].decode())
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            await reader.readexactly(2 + (await reader.readexactly(2))[1] - 2)
            writer.write(b"\x05\x00")
            _, _, _, how = await reader.readexactly(4)
            name = await reader.readexactly((await reader.readexactly(1))[0] if how == 3 else 4)
            asked = name.decode() if how == 3 else ".".join(map(str, name))
            seen.append(f"{asked}:{int.from_bytes(await reader.readexactly(2), 'big')}")
            writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, there_writer), pipe(there_reader, writer))

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    scheme = "http" if kind == "http" else "socks5"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[tuple[int, Path, list[str]]]:
    """A TLS server whose certificate is for `api.test`: its port, the certificate, the names that it was asked for."""
    pem, key = certificate(tmp_path, "api.test", "-addext", "subjectAltName=DNS:api.test")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem, key)
    asked: list[str] = []
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "200 OK", {"gitVersion": "v1"})

    async with serving(answer, tls) as url:
        yield int(url.rpartition(":")[2]), pem, asked


@pytest.mark.parametrize("kind", ["direct", "http", "socks5"])
async def test_the_servers_name_is_asked_for_and_checked_behind_proxies(
    tmp_path: Path, named: tuple[int, Path, list[str]], kind: str
) -> None:
    port, pem, asked = named
    seen: list[str] = []
    cluster: dict[str, Any] = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(pem)}
    async with contextlib.AsyncExitStack() as stack:
        if kind != "direct":
            cluster["proxy-url"] = await stack.enter_async_context(proxy(kind, port, seen))
            cluster["server"] = "https://cluster.invalid:6443"  # the proxy finds it
        reader = tls_reader(config(tmp_path, {"token": "t"}, **cluster, **{"tls-server-name": "api.test"}))
        assert b"v1" in await reader.api.get("/version")
        await reader.close()
        assert asked == ["api.test"]
        wrong = tls_reader(config(tmp_path, {"token": "t"}, **cluster, **{"tls-server-name": "other.test"}))
        with pytest.raises(AuthError, match="does not prove to be itself"):
            await wrong.api.get("/version")
        await wrong.close()
    if kind == "http":
        assert seen[0] == "CONNECT cluster.invalid:6443 HTTP/1.1"
    elif kind == "socks5":
        assert seen[0] == "cluster.invalid:6443"  # the name goes to the proxy, which resolves it


async def test_a_proxy_that_refuses_is_named_without_its_password(tmp_path: Path) -> None:
    async def refuse(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "407 Proxy Authentication Required")

    async with serving(refuse) as url:
        with_password = url.replace("//", "//me:s3cret@")
        path = config(tmp_path, {"token": "t"}, server="https://10.9.9.9:6443", **{"proxy-url": with_password})
        reader = tls_reader(path)
        with pytest.raises(Unreachable, match=f"through the proxy {url}.*407") as caught:
            await reader.api.get("/version")
        assert "s3cret" not in str(caught.value)
        await reader.close()


async def test_an_authority_among_notes_and_one_that_signed_nothing_itself(tmp_path: Path) -> None:
    """Bundles carry remarks; an authority that is trusted alone is enough, as in Go, though another signed it."""
    root, root_key = certificate(tmp_path, "root")
    request = tmp_path / "leaf.csr"
    leaf, leaf_key = tmp_path / "leaf.pem", tmp_path / "leaf.key"
    extension = tmp_path / "names"
    extension.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", str(leaf_key), "-out", str(request)]
    for command in (
        [*openssl, "-subj", "/CN=leaf"],
        ["openssl", "x509", "-req", "-in", str(request), "-CA", str(root), "-CAkey", str(root_key), "-CAcreateserial",
         "-out", str(leaf), "-days", "2", "-extfile", str(extension)],
    ):  # fmt: skip
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(leaf, leaf_key)

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "200 OK")

    async with serving(answer, tls) as url:
        bundle = tmp_path / "bundle.pem"
        bundle.write_text("# Zertifikat für unseren Köder\n" + leaf.read_text())
        reader = tls_reader(config(tmp_path, {"token": "t"}, server=url, **{"certificate-authority": str(bundle)}))
        await reader.api.get("/version")
        await reader.close()


async def test_renewing_disturbs_no_request_under_way(tmp_path: Path) -> None:
    """One token is refused while a list and a watch that it opened are still being answered."""
    going, tokens = asyncio.Event(), tmp_path / "token"
    tokens.write_text("old")

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        first, old = head.split(b"\r\n")[0], b"Bearer old" in head
        if b"/slow" in first:
            await going.wait()
            told(writer, "200 OK", {"slow": True})
        elif b"/watch" in first:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n")
            await writer.drain()
            await going.wait()
            writer.write(b"2\r\nb\n\r\n0\r\n\r\n")
        else:
            told(writer, "401 Unauthorized" if old else "200 OK")

    async with serving(answer) as url:
        reader = tls_reader(config(tmp_path, {"tokenFile": "token"}, server=url))
        slow = asyncio.create_task(reader.api.get("/slow"))

        async def watched() -> bytes:
            async with reader.api.stream("/watch", {}, 5) as chunks:
                return b"".join([chunk async for chunk in chunks])

        watch = asyncio.create_task(watched())
        await asyncio.sleep(0.1)
        tokens.write_text("new")
        await asyncio.gather(*(reader.api.get("/version") for _ in range(5)))
        going.set()
        assert b"slow" in await slow
        assert await watch == b"a\nb\n"
        await reader.close()


COUNTING = """
with open(os.path.join(os.path.dirname(__file__), "count"), "a+") as file:
    file.write("x")
    count = file.tell()
"""


async def test_many_refusals_run_the_plugin_once(tmp_path: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "200 OK" if b"Bearer t2" in head else "401 Unauthorized")

    async with serving(answer) as url:
        script = COUNTING + 'print(json.dumps({"status": {"token": f"t{count}"}}))'
        reader = tls_reader(config(tmp_path, {"exec": plugin(tmp_path, script)}, server=url))
        await asyncio.gather(*(reader.api.get("/version") for _ in range(6)))
        await reader.close()
    assert (tmp_path / "count").read_text() == "xx"


async def test_a_plugins_new_certificate_is_used_and_the_old_connections_finish(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path, "api.test", "-addext", "subjectAltName=IP:127.0.0.1")
    pairs = [certificate(tmp_path, f"client{number}") for number in (1, 2)]
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(b"".join(pair[0].read_bytes() for pair in pairs))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(trusted))
    tls.load_cert_chain(pem, key)
    tls.verify_mode = ssl.CERT_REQUIRED
    seen, begun, going = [], asyncio.Event(), asyncio.Event()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        begun.set()
        name = dict(pair[0] for pair in writer.get_extra_info("peercert")["subject"])["commonName"]
        seen.append(name)
        if b"/slow" in head:
            await going.wait()
        told(writer, "200 OK", {"from": name})

    async with serving(answer, tls) as url:
        script = (
            COUNTING
            + f"""
number = min(count, 2)
pem = open({str(tmp_path)!r} + f"/client{{number}}.pem").read()
key = open({str(tmp_path)!r} + f"/client{{number}}.key").read()
status = {{"clientCertificateData": pem, "clientKeyData": key}}
if count == 1:
    status["expirationTimestamp"] = "2000-01-01T00:00:00Z"
print(json.dumps({{"status": status}}))
"""
        )
        path = config(tmp_path, {"exec": plugin(tmp_path, script)}, server=url, **{"certificate-authority": str(pem)})
        reader = tls_reader(path)
        slow = asyncio.create_task(reader.api.get("/slow"))
        await begun.wait()
        await reader.api.get("/version")
        going.set()
        assert b"client1" in await slow
        assert seen == ["client1", "client2"]
        await reader.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_was_renewed_on_disk_is_taken_up(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """As kubelets and login tools renew theirs: the file changes, the program goes on."""
    pem, key = certificate(tmp_path, "api.test", "-addext", "subjectAltName=IP:127.0.0.1")
    old, new = (certificate(tmp_path, name) for name in ("old", "new"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(new[0]))
    tls.maximum_version = version
    tls.load_cert_chain(pem, key)
    tls.verify_mode = ssl.CERT_REQUIRED

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "200 OK")

    async with serving(answer, tls) as url:
        mine, mine_key = tmp_path / "mine.pem", tmp_path / "mine.key"
        mine.write_bytes(old[0].read_bytes())
        mine_key.write_bytes(old[1].read_bytes())
        user = {"client-certificate": "mine.pem", "client-key": "mine.key"}
        reader = tls_reader(config(tmp_path, user, server=url, **{"certificate-authority": str(pem)}))
        # The server's reason may be lost with the connection.
        with pytest.raises((AuthError, Unreachable), match=r"does not accept our client certificate|without an answer"):
            await reader.api.get("/version")
        mine.write_bytes(new[0].read_bytes())
        mine_key.write_bytes(new[1].read_bytes())
        reader.api._renewed_at = float("-inf")
        await reader.api.get("/version")
        await reader.close()


async def test_a_plugin_slower_than_a_request_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "DEADLINE_SECONDS", 0.5)

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "200 OK" if b"Bearer late" in head else "401 Unauthorized")

    async with serving(answer) as url:
        script = COUNTING + 'import time; time.sleep(1.5); print(json.dumps({"status": {"token": "late"}}))'
        reader = tls_reader(config(tmp_path, {"exec": plugin(tmp_path, script)}, server=url))
        # Whoever gives up leaves the program running: the next who asks has what it gives.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.api.get("/version")
        assert await logged_in(reader) is reader
        await reader.api.get("/version")
        await reader.close()
    assert (tmp_path / "count").read_text() == "x"


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_nobody_waits_for_a_renewal_in_good_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials_module, "REFRESH_AT", 0.0)
    go = tmp_path / "go"
    script = (
        COUNTING
        + f"""
import time
while count > 1 and not os.path.exists({str(go)!r}):
    time.sleep(0.05)
print(json.dumps({{"status": {{"token": f"t{{count}}", "expirationTimestamp": "2999-01-01T00:00:00Z"}}}}))
"""
    )
    context = load(str(config(tmp_path, {"exec": plugin(tmp_path, script)})), None)
    made = Credentials("one", context.cluster, context.user)
    assert await made.headers() == [("Authorization", "Bearer t1")]
    monkeypatch.setattr(credentials_module, "AGAIN_SECONDS", 0.0)
    assert await made.headers() == [("Authorization", "Bearer t1")], "the plugin is at it, and the old one is good"
    monkeypatch.setattr(credentials_module, "AGAIN_SECONDS", 60.0)
    go.touch()
    async with asyncio.timeout(20):
        while await made.headers() != [("Authorization", "Bearer t2")]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (tmp_path / "count").read_text() == "xx"
    await made.close()


async def test_what_a_plugin_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials_module, "PLUGIN_DEADLINE_SECONDS", 1.0)
    script = f"""
import subprocess, time
child = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(60)"])
open(os.path.join(os.path.dirname(__file__), "child"), "w").write(str(child.pid))
time.sleep(60)
"""
    context = load(str(config(tmp_path, {"exec": plugin(tmp_path, script)})), None)
    with pytest.raises(AuthError, match="did not end"):
        await Credentials("one", context.cluster, context.user).headers()
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not lives(child):
            break
        await asyncio.sleep(0.02)
    else:
        os.kill(child, 9)
        pytest.fail("the plugin's child lives on")


async def test_a_plugin_is_told_of_its_cluster(tmp_path: Path) -> None:
    script = 'open(os.path.join(os.path.dirname(__file__), "info"), "w").write(os.environ["KUBERNETES_EXEC_INFO"])\n'
    body = {**plugin(tmp_path, script + 'print(json.dumps({"status": {"token": "t"}}))'), "provideClusterInfo": True}
    cluster = {
        "certificate-authority-data": base64.b64encode(b"pem").decode(),
        "tls-server-name": "api.test",
        "proxy-url": "socks5://127.0.0.1:1080",
        "disable-compression": True,
        "extensions": [
            {"name": "other", "extension": {"a": 1}},
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "ml", "deep": {"of": [1, True]}}},
        ],
    }
    context = load(str(config(tmp_path, {"exec": body}, **cluster)), None)
    await Credentials("one", context.cluster, context.user).headers()
    assert json.loads((tmp_path / "info").read_text()) == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            "cluster": {
                "server": "https://127.0.0.1:6443",
                "tls-server-name": "api.test",
                "certificate-authority-data": cluster["certificate-authority-data"],
                "proxy-url": "socks5://127.0.0.1:1080",
                "disable-compression": True,
                "config": {"audience": "ml", "deep": {"of": [1, True]}},
            },
        },
    }


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1beta1", "status": {"token": "t"}}, "v1beta1"),
        ({"status": {"clientCertificateData": "pem"}}, "no key"),
        ({"status": {"clientKeyData": "key"}}, "no certificate"),
        ({"status": {"expirationTimestamp": "2999-01-01T00:00:00Z"}}, "no credential"),
    ],
)
async def test_what_a_plugin_may_not_answer(tmp_path: Path, answer: dict[str, Any], words: str) -> None:
    context = load(str(config(tmp_path, {"exec": plugin(tmp_path, f"print(json.dumps({answer!r}))")})), None)
    with pytest.raises(AuthError, match=words):
        await Credentials("one", context.cluster, context.user).headers()


def id_token(seconds: float) -> str:
    part = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + seconds}).encode()).decode().rstrip("=")
    return f"e30.{part}.sig"


LOGIN = """\
# mine: do not touch
current-context: one
clusters:
- {name: c, cluster: {server: SERVER}}
users:
- name: other
  user: {auth-provider: {name: oidc, config: {client-id: x, idp-issuer-url: "http://127.0.0.1:1", id-token: keep}}}
- name: u
  user:
    auth-provider:
      name: oidc
      config:
        client-id: kube   # as registered
        client-secret: 'sec/ret'
        idp-issuer-url: ISSUER
        refresh-token: spend-me-once
TOKENcontexts:
- name: one
  context: {cluster: c, user: u}
"""
FLOW = """{"current-context": "one", "clusters": [{"name": "c", "cluster": {"server": "SERVER"}}],
"users": [{"name": "u", "user": {"auth-provider": {"name": "oidc", "config": {"client-id": "kube",
"client-secret": "sec/ret", "idp-issuer-url": "ISSUER", "refresh-token": "spend-me-once"}}}}],
"contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}]}
"""


class Provider:
    """An OIDC provider that takes each refresh token once, and the API server that believes it."""

    def __init__(self, in_form: bool) -> None:
        self.in_form = in_form
        self.valid = "spend-me-once"
        self.spent = 0
        self.token = id_token(3600)
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"openid-configuration" in head:
                    told(writer, "200 OK", {"token_endpoint": f"{self.url}/token"})
                elif head.startswith(b"POST"):
                    size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                    self.grant(head, (await reader.readexactly(size)).decode(), writer)
                else:
                    told(writer, "200 OK" if self.token.encode() in head else "401 Unauthorized")

    def grant(self, head: bytes, form: str, writer: asyncio.StreamWriter) -> None:
        pair = base64.b64encode(b"kube:sec%2Fret")
        known = "client_secret=sec%2Fret" in form if self.in_form else b"Basic " + pair in head
        if not known:
            told(writer, "401 Unauthorized", {"error": "invalid_client"})
        elif f"refresh_token={self.valid}" not in form:
            told(writer, "400 Bad Request", {"error": "invalid_grant"})
        else:
            self.spent += 1
            self.valid = f"next-{self.spent}"
            told(writer, "200 OK", {"id_token": self.token, "refresh_token": self.valid})


@contextlib.asynccontextmanager
async def provider(in_form: bool = False) -> AsyncIterator[Provider]:
    made = Provider(in_form)
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@pytest.mark.parametrize("form", ["there", "absent", "flow"])
async def test_an_oidc_login_is_renewed_and_kept_where_kubectl_finds_it(tmp_path: Path, form: str) -> None:
    async with provider(in_form=form == "absent") as issuer:
        old = f"        id-token: {id_token(-7200)}\n" if form == "there" else ""
        text = (FLOW if form == "flow" else LOGIN).replace("TOKEN", old)
        text = text.replace("ISSUER", issuer.url).replace("SERVER", issuer.url)
        path = tmp_path / "config"
        path.write_text(text)
        path.chmod(0o640)
        readers = [tls_reader(path) for _ in range(2)]
        await asyncio.gather(*(reader.api.get("/version") for reader in readers for _ in range(3)))
        assert issuer.spent == 1, "whoever comes second takes what the first put into the file"
        now = path.read_text()
        left = now.replace(f'"{issuer.token}"', "T").replace('"next-1"', "spend-me-once")
        if form == "there":
            assert left == text.replace(old, "        id-token: T\n")
        elif form == "absent":
            assert left == text.replace("contexts:", "        id-token: T\ncontexts:")
        else:
            assert json.loads(now)["users"][0]["user"]["auth-provider"]["config"]["id-token"] == issuer.token
        assert path.stat().st_mode & 0o777 == 0o640
        assert sorted(file.name for file in os.scandir(tmp_path)) == ["config"]
        for reader in readers:
            await reader.close()


async def test_an_oidc_login_that_cannot_be_renewed_says_why(tmp_path: Path) -> None:
    async with provider() as issuer:
        text = LOGIN.replace("TOKEN", f"        id-token: {id_token(-7200)}\n").replace("SERVER", issuer.url)
        text = text.replace("ISSUER", issuer.url)
        path = tmp_path / "config"

        async def refused(written: str) -> str:
            path.write_text(written)
            reader = tls_reader(path)
            with pytest.raises((AuthError, Unreachable)) as caught:
                await reader.api.get("/version")
            await reader.close()
            assert "spend-me-once" not in str(caught.value) and "sec/ret" not in str(caught.value)
            assert "kubectl" in (caught.value.hint or "")
            assert path.read_text() == written
            return str(caught.value)

        assert "no refresh-token" in await refused(text.replace("refresh-token: spend-me-once", "extra: x"))
        assert "ended 2 h ago" in await refused(text.replace("refresh-token: spend-me-once", "extra: x"))
        assert "invalid_grant" in await refused(text.replace("spend-me-once", "spent"))
        assert "cannot be asked" in await refused(text.replace(f"url: {issuer.url}", "url: http://127.0.0.1:1"))
        assert "cannot be renewed in place" in await refused(f"{text}---\nx: y\n")
        assert issuer.spent == 0, "nothing is spent where the answer could not be kept"


async def test_kubectl_renewed_it_meanwhile(tmp_path: Path) -> None:
    async with provider() as issuer:
        text = LOGIN.replace("ISSUER", "http://127.0.0.1:1").replace("SERVER", issuer.url)
        path = tmp_path / "config"
        path.write_text(text.replace("TOKEN", ""))
        reader = tls_reader(path)
        reader.connection()
        path.write_text(text.replace("TOKEN", f"        id-token: {issuer.token}\n"))
        await reader.api.get("/version")
        await reader.close()


async def test_who_logs_in_anew_elsewhere_is_followed(tmp_path: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "200 OK" if b"Bearer new" in head else "401 Unauthorized")

    async with serving(answer) as url:
        reader = tls_reader(config(tmp_path, {"token": "old"}, server=url))
        config(tmp_path, {"token": "new"}, server=url)
        reader.connection  # noqa: B018 - read on first use
        await reader.api.get("/version")
        config(tmp_path, {"token": "newer"}, server=url)
        await reader.close()


async def test_a_kubeconfig_from_a_pipe_is_read_once(tmp_path: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        told(writer, "401 Unauthorized")

    async with serving(answer) as url:
        text = config(tmp_path, {"token": "old"}, server=url).read_bytes()
        pipe_path = tmp_path / "pipe"
        os.mkfifo(pipe_path)
        writing = asyncio.create_task(asyncio.to_thread(pipe_path.write_bytes, text))
        reader = tls_reader(pipe_path)
        await asyncio.to_thread(reader.connection)
        await writing
        async with asyncio.timeout(20):
            with pytest.raises(AuthError, match="401"):
                await reader.api.get("/version")
        await reader.close()


async def test_a_login_page_in_the_place_of_the_server_is_called_that(tmp_path: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        page = b"<!doctype html><title>Log in</title>"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page) + page)

    async with serving(answer) as url:
        reader: KubernetesReader = tls_reader(config(tmp_path, {"token": "t"}, server=url))
        with pytest.raises(AuthError, match="web page"):
            await reader.read()
        await reader.close()


def test_a_config_is_yaml_that_python_alone_would_misread(tmp_path: Path) -> None:
    """`012:30` is a number to Python's YAML, a text to Go's."""
    path = tmp_path / "config"
    document = yaml.safe_load(config(tmp_path, {"token": "t"}).read_text())
    path.write_text(yaml.safe_dump(document).replace("namespace: inference", "namespace: 12:30"))
    assert load(str(path), None).namespace == "12:30"
