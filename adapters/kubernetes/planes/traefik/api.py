"""Traefik's own API: what one running Traefik process really uses.

Source: traefik v3.7.13 pkg/api (criterion.go, handler_http.go): `search` is a case-insensitive substring of name or
rule, `page`/`per_page` page the answer, `X-Next-Page` is 1 on the last page.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from adapters.common.http import Pages, place
from adapters.kubernetes.section import ProxyConfig
from control.deck.config import EnvironmentConfig
from control.errors import NotFound, PlatformError

PAGE = 500
MAXIMUM_PAGES = 200
T = TypeVar("T")


class WeightedMember(msgspec.Struct):
    name: str = ""
    weight: int | None = None


class Weighted(msgspec.Struct):
    services: list[WeightedMember] = []


class Service(msgspec.Struct):
    """A service as Traefik runs it. `name` ends in `@provider`."""

    name: str = ""
    status: str = ""
    type: str = ""
    error: list[str] = []
    weighted: Weighted | None = None
    server_status: dict[str, str] = msgspec.field(default_factory=dict, name="serverStatus")


class Router(msgspec.Struct):
    name: str = ""
    status: str = ""
    rule: str = ""
    service: str = ""
    middlewares: list[str] = []
    entry_points: list[str] = msgspec.field(default_factory=list, name="entryPoints")
    error: list[str] = []


class RateLimit(msgspec.Struct):
    average: int = 0
    period: Any = None
    burst: int = 1


class InFlightReq(msgspec.Struct):
    amount: int = 0


class Middleware(msgspec.Struct):
    name: str = ""
    status: str = ""
    error: list[str] = []
    rate_limit: RateLimit | None = msgspec.field(default=None, name="rateLimit")
    in_flight_req: InFlightReq | None = msgspec.field(default=None, name="inFlightReq")


class EntryPointHTTP(msgspec.Struct):
    middlewares: list[str] = []


class EntryPoint(msgspec.Struct):
    name: str = ""
    http: EntryPointHTTP = msgspec.field(default_factory=EntryPointHTTP)


class TraefikApi:
    """One Traefik process whose API is at `url` (without `/api`)."""

    def __init__(self, pages: Pages, url: str) -> None:
        self._pages = pages
        self.url = url.rstrip("/").removesuffix("/api")

    @property
    def place(self) -> str:
        """Where it is, as it may be shown."""
        return place(self.url)

    async def services(self, search: str = "") -> list[Service]:
        """The HTTP services whose name or rule contains `search`."""
        return await self._all("services", search, Service)

    async def routers(self, search: str = "") -> list[Router]:
        """The HTTP routers whose name or rule contains `search`."""
        return await self._all("routers", search, Router)

    async def entry_points(self) -> list[EntryPoint]:
        """The entry points of its own configuration."""
        body, _ = await self._pages.get(f"{self.url}/api/entrypoints")
        return self._decoded(body, list[EntryPoint])

    async def middleware(self, name: str) -> Middleware | None:
        """One HTTP middleware by its full name (`ns-name@kubernetescrd`), None where it is not loaded."""
        try:
            body, _ = await self._pages.get(f"{self.url}/api/http/middlewares/{name}")
        except NotFound:
            return None
        return self._decoded(body, Middleware)

    async def _all(self, what: str, search: str, kind: type[T]) -> list[T]:
        found: list[T] = []
        page = 1
        for _ in range(MAXIMUM_PAGES):
            params: dict[str, str | int] = {"page": page, "per_page": PAGE}
            if search:
                params["search"] = search
            body, headers = await self._pages.get(f"{self.url}/api/http/{what}", params)
            found += self._decoded(body, list[kind])  # type: ignore[valid-type]
            following = headers.get("X-Next-Page", "1")
            page = int(following) if following.isdecimal() and following.isascii() else 1
            if page <= 1:
                return found
        raise PlatformError(f"Traefik at {self.place} has more than {PAGE * MAXIMUM_PAGES} {what}")

    def _decoded(self, body: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            raise PlatformError(f"{self.place} does not answer as Traefik's API does") from None


def proxies_of(config: EnvironmentConfig) -> list[ProxyConfig]:
    """The replicas that the deck file names."""
    return [proxy for proxy in config.proxies if proxy.kind == "traefik"]
