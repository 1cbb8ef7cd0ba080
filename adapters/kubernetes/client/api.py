"""Talking to one API server: bounded requests, paged lists decoded fast, patches as bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from adapters.kubernetes.client.objects import Bare, ListMeta
from adapters.kubernetes.client.refusals import Gone, refusal
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.client.transport import Connection
from control.errors import AuthError, ControlError, Forbidden, NotFound, PlatformError, Unreachable
from control.text import clean

DEADLINE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
PAGE = 500
AT_ONCE = 8
MAXIMUM_RETRY_AFTER = 3
FIELD_MANAGER = "trafficdeck"
USER_AGENT = "trafficdeck"
T = TypeVar("T")
Params = Mapping[str, str | int]
Headers = list[tuple[str, str]]
RENEW_AGAIN_SECONDS = 10.0
"""A credential that was refused though it is new is not asked for again sooner: its program may cost much."""


@dataclass(slots=True)
class Listed(Generic[T]):
    """A whole list. `broken` names objects that could not be decoded."""

    items: list[T] = field(default_factory=list)
    resource_version: str = ""
    broken: list[str] = field(default_factory=list)


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """Keep the cyclic collector still: while many objects are made at once it is half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    what: str
    params: Params | None = None
    content: bytes | None = None
    content_type: str = ""
    accept: str = ""


class CertificateRefused(AuthError):
    """The server ended the TLS handshake for our client certificate, or for want of one."""


class Dropped(Unreachable):
    """The server took the connection and ended it without an answer: that may be all that one hears of a client
    certificate that it does not accept."""


_CERTIFICATE_REFUSED = re.compile(
    r"alert (certificate (expired|required|unknown|revoked)|bad certificate|unknown ca|unsupported certificate)"
    r"|ALERT_(CERTIFICATE_(EXPIRED|REQUIRED|UNKNOWN|REVOKED)|BAD_CERTIFICATE|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)",
    re.IGNORECASE,
)


class _Line:
    """One client, its transport made with one certificate. Closed when it is replaced and nobody uses it any more."""

    def __init__(self, client: httpx.AsyncClient, certificate: object) -> None:
        self.client = client
        self.certificate = certificate
        self.users = 0
        self.replaced = False

    async def left(self) -> None:
        """One user less."""
        self.users -= 1
        if self.replaced and self.users == 0:
            await self.client.aclose()


class Api:
    """One API server over one guarded transport. Opens on first use; `close` is idempotent."""

    def __init__(
        self, connection: Connection, guard: Callable[[httpx.AsyncBaseTransport, str], httpx.AsyncBaseTransport]
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._line: _Line | None = None
        self._opening = asyncio.Lock()
        self._renewing = asyncio.Lock()
        self._renewed_at = float("-inf")
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.server_date = ""
        """The server's clock at its last answer, as HTTP writes it."""

    @property
    def where(self) -> str:
        """Context and server, for messages."""
        return self._connection.what

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        """The client to use for one request. One that was made with another certificate than today's is replaced, and
        whoever uses it still goes on undisturbed."""
        async with self._opening:
            line, certificate = self._line, self._connection.certificate()
            if line is None or line.certificate != certificate:
                raw = await self._connection.open()
                prefix = httpx.URL(self._connection.server).path.rstrip("/")
                encoding = "gzip" if self._connection.compress else "identity"
                client = httpx.AsyncClient(
                    base_url=self._connection.server,
                    transport=self._guard(raw, prefix),
                    headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": encoding},
                    timeout=httpx.Timeout(DEADLINE_SECONDS, connect=CONNECT_SECONDS),
                )
                self._line, old = _Line(client, self._connection.certificate()), line
                if old is not None:
                    old.replaced, old.users = True, old.users + 1
                    await old.left()
                line = self._line
            line.users += 1
        try:
            yield line.client
        finally:
            await line.left()

    async def close(self) -> None:
        """Close the connections."""
        line, self._line = self._line, None
        if line is not None:
            await line.client.aclose()
        if self._connection.release is not None:
            await self._connection.release()

    async def get(self, path: str, params: Params | None = None, what: str = "read", accept: str = "") -> bytes:
        """The body of a GET; tried once more where credentials could be renewed or the server asked us to wait."""
        return await self._patiently(_Call("GET", path, what, params=params, accept=accept))

    async def ping(self) -> None:
        """Is the server there and takes us for somebody? What it says of its version may be forbidden to us."""
        with contextlib.suppress(Forbidden, NotFound):
            await self.get("/version", what="answer")

    async def review(self, path: str, body: Mapping[str, Any]) -> bytes:
        """POST one self-subject review: a question, nothing is stored."""
        content = msgspec.json.encode(body)
        return await self._patiently(_Call("POST", path, "ask for our rights", None, content, "application/json"))

    async def patch(
        self, resource: Resource, namespace: str, name: str, ops: Sequence[Mapping[str, Any]]
    ) -> tuple[bytes, list[str]]:
        """Send one JSON Patch, once: the object as it is now, and the server's warnings (cleaned). Raises `Stale`
        when one of the patch's tests failed: then nothing was written."""
        call = _Call(
            "PATCH",
            resource.path(namespace, name),
            f"patch {resource.plural} {clean(namespace)}/{clean(name)}",
            {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
            msgspec.json.encode(ops),
            "application/json-patch+json",
        )
        answer = await self._once(call, await self._identity())
        if answer.status_code != 200 or is_page(answer):
            raise self._refusal(answer, call.what)
        warnings = [value for name, value in answer.headers.multi_items() if name.lower() == "warning"]
        return answer.content, [clean(text, 300) for text in warnings]

    async def list(self, resource: Resource, namespace: str, kind: type[T], params: Params | None = None) -> Listed[T]:
        """All objects of a resource in `namespace` (empty: everywhere), page by page."""
        try:
            return await self._pages(resource, namespace, kind, params)
        except Gone:
            return await self._pages(resource, namespace, kind, params)

    async def _pages(self, resource: Resource, namespace: str, kind: type[T], params: Params | None) -> Listed[T]:
        listed: Listed[T] = Listed()
        following = ""
        where = f" in {clean(namespace)}" if namespace else ""
        while True:
            query: dict[str, str | int] = {"limit": PAGE, **(params or {})}
            if following:
                query["continue"] = following
            body = await self.get(resource.path(namespace), query, f"list {resource.plural}{where}")
            page = decode_page(body, kind, listed.broken)
            listed.items += page.items or []
            listed.resource_version = page.metadata.resource_version
            following = page.metadata.continue_
            if not following:
                return listed
            await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, params: Params, silence_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """A watch's chunks. Ends with `Unreachable` after `silence_seconds` without a byte."""
        headers = await self._identity()
        try:
            async with self._client() as client:
                request = client.build_request(
                    "GET",
                    path,
                    params=dict(params),
                    headers=headers,
                    timeout=httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
                )
                answer = await client.send(request, stream=True)
                try:
                    if answer.status_code == 401:
                        await self._renew(headers)  # for the next try
                    if answer.status_code != 200 or is_page(answer):
                        await answer.aread()
                        raise self._refusal(answer, "watch")
                    yield answer.aiter_bytes()
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise self._lost(error) from None

    async def _identity(self) -> Headers:
        return await self._connection.headers(False)

    async def _renew(self, refused: Headers) -> bool:
        """Get another credential than the one that was refused, once for all who meet the refusal. True where there
        is one."""
        if not self._connection.renewable:
            return False
        async with self._renewing:
            certificate = self._line.certificate if self._line else None
            if await self._identity() != refused or self._connection.certificate() != certificate:
                return True
            if time.monotonic() < self._renewed_at + RENEW_AGAIN_SECONDS:
                return False
            await self._connection.headers(True)
            self._renewed_at = time.monotonic()
            return await self._identity() != refused or self._connection.certificate() != certificate

    async def _patiently(self, call: _Call) -> bytes:
        headers = await self._identity()
        try:
            answer = await self._once(call, headers)
        except (CertificateRefused, Dropped) as error:
            ours = isinstance(error, CertificateRefused) or self._connection.certificate() is not None
            if not ours or not await self._renew(headers):
                raise
            answer = await self._once(call, await self._identity())
        if answer.status_code == 401 and await self._renew(headers):
            answer = await self._once(call, await self._identity())
        wait = answer.headers.get("Retry-After", "")
        if answer.status_code == 429 and wait.isdecimal() and int(wait) <= MAXIMUM_RETRY_AFTER:
            await asyncio.sleep(int(wait))
            answer = await self._once(call, await self._identity())
        if answer.status_code not in (200, 201) or is_page(answer):
            raise self._refusal(answer, call.what)
        return answer.content

    async def _once(self, call: _Call, identity: Headers) -> httpx.Response:
        headers = list(identity)
        if call.content_type:
            headers.append(("Content-Type", call.content_type))
        if call.accept:
            headers.append(("Accept", call.accept))
        try:
            async with self._slots, asyncio.timeout(DEADLINE_SECONDS), self._client() as client:
                request = client.build_request(
                    call.method, call.path, params=dict(call.params or {}), content=call.content, headers=headers
                )
                answer = await client.send(request)
                self.server_date = answer.headers.get("Date", "")
                return answer
        except TimeoutError:
            raise Unreachable(f"{self.where} gave no answer within {DEADLINE_SECONDS:g} s to {call.what}") from None
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            raise self._lost(error) from None

    def _refusal(self, answer: httpx.Response, what: str) -> ControlError:
        if is_page(answer):
            return AuthError(
                f"{self.where} answers with a web page ({answer.status_code}), not as an API server, to {what}",
                hint="a login page or a proxy stands before it: log in there, or correct the server in the kubeconfig",
            )
        return refusal(answer.status_code, answer.content, what, self.where, answer.headers.get("Retry-After", ""))

    def _lost(self, error: Exception) -> ControlError:
        told = clean(_said(error), 300) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in told or "certificate verify failed" in told:
            return AuthError(
                f"{self.where} does not prove to be itself: {told}",
                hint="check certificate-authority and tls-server-name of the cluster in the kubeconfig",
            )
        if _CERTIFICATE_REFUSED.search(told):
            return CertificateRefused(
                f"{self.where} does not accept our client certificate: {told}",
                hint="it may be missing, have ended, or be of another authority: renew the kubeconfig's credentials",
            )
        if isinstance(error, httpx.TimeoutException):
            return Unreachable(f"{self.where} gave no answer in time")
        if isinstance(error, httpx.ReadError | httpx.RemoteProtocolError) or "EOF occurred in violation" in told:
            return Dropped(f"{self.where} ended the connection without an answer: {told}")
        return Unreachable(f"{self.where} cannot be reached: {told}")


def _said(error: BaseException) -> str:
    """What an error says; where it says nothing itself, what the one that it came from says."""
    seen: BaseException | None = error
    while seen is not None and not str(seen):
        seen = seen.__cause__ or seen.__context__
    return str(seen) if seen is not None else ""


def is_page(answer: httpx.Response) -> bool:
    """Is this something for a browser? Login pages and captive portals answer 200."""
    kind: str = answer.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower() == "text/html"


class Page(msgspec.Struct, Generic[T]):
    """One page of a list."""

    metadata: ListMeta
    items: list[T] | None = None


def decode_page(body: bytes, kind: type[T], broken: list[str]) -> Page[T]:
    """Decode one page; objects that are not as their kind should be are left out and named in `broken`."""
    with gc_paused():
        try:
            return msgspec.json.decode(body, type=Page[kind])  # type: ignore[valid-type]
        except msgspec.ValidationError:
            pass
        except msgspec.DecodeError:
            raise PlatformError("the API server answered with no JSON") from None
        raw = _raw_page(body)
        page: Page[T] = Page(raw.metadata, [])
        for item in raw.items or []:
            try:
                assert page.items is not None
                page.items.append(msgspec.json.decode(item, type=kind))
            except msgspec.ValidationError as error:
                broken.append(f"{_name_of(item)}: {clean(str(error), 200)}")
        return page


def _raw_page(body: bytes) -> Page[msgspec.Raw]:
    try:
        return msgspec.json.decode(body, type=Page[msgspec.Raw])
    except msgspec.ValidationError:
        raise PlatformError("the API server answered with no list") from None


def _name_of(item: msgspec.Raw) -> str:
    try:
        metadata = msgspec.json.decode(item, type=Bare).metadata
    except msgspec.ValidationError:
        return "an object without a name"
    return clean(f"{metadata.namespace}/{metadata.name}")
