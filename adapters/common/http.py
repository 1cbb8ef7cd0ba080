"""Reading a data plane's own HTTP pages: GET only, every wait bounded.

Used for Traefik's API, metrics pages and Prometheus. Nothing here can send anything but GET.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx

from control.errors import AuthError, NotFound, PlatformError, Unreachable
from control.text import clean

DEADLINE_SECONDS = 5.0
MAXIMUM_BYTES = 64 * 1024 * 1024


class _OnlyGet(httpx.AsyncBaseTransport):
    """Lets GET through to `inner` and nothing else."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            raise PlatformError(f"a {request.method} to {place(str(request.url))} was held back: pages are only read")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Pages:
    """Fetches pages of data planes. One per environment; connections are kept and closed by `close`."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    def _made(self) -> httpx.AsyncClient:
        if self._client is None:
            inner = self._transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=10))
            self._client = httpx.AsyncClient(
                transport=_OnlyGet(inner),
                headers={"User-Agent": "trafficdeck", "Accept-Encoding": "gzip"},
                trust_env=False,
                timeout=DEADLINE_SECONDS,
            )
        return self._client

    async def get(
        self, url: str, params: Mapping[str, str | int] | None = None, deadline_seconds: float = DEADLINE_SECONDS
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body and headers of `url`. Raises `Unreachable`, `NotFound` (404), `AuthError` (401, 403) or
        `PlatformError` (any other answer than 200)."""
        try:
            async with asyncio.timeout(deadline_seconds):
                response = await self._made().get(url, params=dict(params or {}))
        except TimeoutError:
            raise Unreachable(f"{place(url)} gave no answer within {deadline_seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(f"{place(url)} cannot be reached: {clean(str(error)) or type(error).__name__}") from None
        return _checked(url, response), response.headers

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _checked(url: str, response: httpx.Response) -> bytes:
    if response.status_code == 200:
        if len(response.content) > MAXIMUM_BYTES:
            raise PlatformError(f"{place(url)} answered with more than {MAXIMUM_BYTES} bytes")
        return response.content
    if response.status_code == 404:
        raise NotFound(f"{place(url)} does not exist there")
    if response.status_code in (401, 403):
        raise AuthError(f"{place(url)} refuses us with {response.status_code}")
    raise PlatformError(f"{place(url)} answered {response.status_code}")


def place(url: str) -> str:
    """`url` without user, password and query, cleaned: what may stand in a message."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return clean(url)
    port = f":{parsed.port}" if parsed.port else ""
    return clean(f"{parsed.scheme}://{parsed.host}{port}{parsed.path}")
