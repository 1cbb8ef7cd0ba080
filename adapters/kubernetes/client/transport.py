"""The two ways to an API server: one that only reads, below every call site, and one that writes.

Reading lets through GET, HEAD and POST to the self-subject reviews ("what may I do"), nothing else, no dry-run. It
also holds back what a GET could do beyond reading traffic settings: running commands in pods, reaching through a
proxy subresource, reading secrets.
"""

from __future__ import annotations

import os
import re
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from adapters.kubernetes.client.credentials import Credential, Credentials
from adapters.kubernetes.client.kubeconfig import Cluster, Context
from adapters.kubernetes.client.proxying import environment_proxy, shown
from control.errors import AuthError, ReadOnly
from control.text import clean

_REVIEWS = frozenset(
    {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    }
)
_NEVER = frozenset({"exec", "attach", "portforward", "proxy", "secrets"})
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
KEEP_ALIVE = httpx.Limits(max_connections=24, max_keepalive_connections=8, keepalive_expiry=30.0)


def may_read(method: str, path: str, query: str = "") -> bool:
    """Is this request one that can only read?"""
    if "dryRun" in query:
        return False
    if method in ("GET", "HEAD"):
        return _NEVER.isdisjoint(path.split("/"))
    return method == "POST" and path in _REVIEWS


class ReadOnlyTransport(httpx.AsyncBaseTransport):
    """Lets reading requests through to `inner`; anything else raises `ReadOnly` and is never sent."""

    def __init__(self, inner: httpx.AsyncBaseTransport, prefix: str = "") -> None:
        self._inner = inner
        self._prefix = prefix

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(self._prefix)
        if not may_read(request.method, path, request.url.query.decode("ascii", "replace")):
            raise ReadOnly(f"a {request.method} to {clean(path, 200)} was held back: this connection only reads")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


HeaderMaker = Callable[[bool], Awaitable[list[tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one API server. `open` makes a raw transport; `headers(renew)` the identity's headers."""

    server: str
    open: Callable[[], Awaitable[httpx.AsyncBaseTransport]]
    headers: HeaderMaker
    renewable: bool = False
    what: str = ""
    """What it is, for messages: context and server."""
    certificate: Callable[[], object] = lambda: None
    """What a transport is made with; where it differs, `open` makes another."""
    compress: bool = True
    namespace: str | None = None
    """The context's own namespace, for hints."""
    release: Callable[[], Awaitable[None]] | None = None
    """Ends what may still be going on behind `headers`."""
    pages: Callable[[], httpx.AsyncBaseTransport] | None = None
    """A transport for the data planes' own pages; None for the network."""


def connect(context: Context, reload: Callable[[], Context] | None = None) -> Connection:
    """The connection that a kubeconfig context describes; `reload` reads it again. Sends nothing yet."""
    user_again = (lambda: reload().user) if reload is not None else None
    credentials = Credentials(context.name, context.cluster, context.user, user_again)
    proxy = context.cluster.proxy or environment_proxy(context.cluster.server)
    through = f" through the proxy {shown(proxy)}" if proxy else ""

    async def opened() -> httpx.AsyncBaseTransport:
        return _http(context.cluster, await credentials.held(), proxy)

    return Connection(
        context.cluster.server,
        opened,
        lambda renew: credentials.headers(renew),
        credentials.renewable,
        f"context '{clean(context.name)}' at {shown(context.cluster.server)}{through}",
        certificate=lambda: credentials.certificate,
        compress=context.cluster.compress,
        namespace=context.namespace,
        release=credentials.close,
    )


def _http(cluster: Cluster, credential: Credential, proxy: str | None) -> httpx.AsyncHTTPTransport:
    try:
        return httpx.AsyncHTTPTransport(verify=_tls(cluster, credential), limits=KEEP_ALIVE, proxy=proxy, retries=0)
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise AuthError(f"the proxy of cluster '{clean(cluster.name)}' cannot be used: {clean(str(error))}") from None


class _NamedContext(ssl.SSLContext):
    """Asks for, and checks, one server name, whatever host is dialled: also inside a proxy's tunnel."""

    server_name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.server_name or server_hostname, session)


def _tls(cluster: Cluster, credential: Credential) -> ssl.SSLContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name = cluster.server_name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    # A certificate that is trusted by itself is trusted, as in Go: an intermediate authority alone is enough.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if cluster.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif cluster.authority is not None:
        try:
            # Notes between the certificates may be of any kind of text.
            found = _CERTIFICATE.findall(cluster.authority)
            context.load_verify_locations(cadata=b"\n".join(found).decode("ascii"))
        except (ssl.SSLError, ValueError):
            raise AuthError(f"the certificate authority of cluster '{clean(cluster.name)}' is no certificate") from None
    else:
        context.load_default_certs()
    if credential.certificate is not None:
        _load_pair(context, *credential.certificate, cluster.name)
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes, cluster: str) -> None:
    """Put a client certificate into `context`. OpenSSL reads files only, so the pair lies in one for a moment, 0600."""

    def no_password() -> str:
        raise AuthError(
            f"the client key for cluster '{clean(cluster)}' is encrypted",
            hint="put an unencrypted key or an exec plugin into the kubeconfig",
        )

    descriptor, name = tempfile.mkstemp(prefix="trafficdeck-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate + b"\n" + key)
        context.load_cert_chain(name, password=no_password)
    except (ssl.SSLError, ValueError):
        raise AuthError(f"the client certificate for cluster '{clean(cluster)}' cannot be used") from None
    finally:
        os.unlink(name)  # noqa: PTH108 - gone before anything else can fail
