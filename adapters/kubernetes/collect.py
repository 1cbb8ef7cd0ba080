"""One full read of a cluster: every kind that is there, in parallel pages; what fails costs only its own kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from adapters.kubernetes.api import Api, Listed
from adapters.kubernetes.discovery import Discovery
from adapters.kubernetes.health import Endpoints, endpoints_of
from adapters.kubernetes.kinds import CODECS
from adapters.kubernetes.owners import Sources
from adapters.kubernetes.resource import Resource
from adapters.kubernetes.sources import read_sources
from adapters.kubernetes.wire import EndpointSlice, Gateway
from control.errors import ControlError, Forbidden, PlatformError
from control.text import clean

GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
AROUND_FRESH_SECONDS = 60.0


@dataclass(slots=True)
class Collected:
    """Objects of each kind, the version that a watch goes on from, and what could not be read."""

    objects: dict[str, list[Any]] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    """(kind, namespace) -> resource version."""
    missing: list[str] = field(default_factory=list)
    """One sentence for each part that could not be read."""
    failed: list[ControlError] = field(default_factory=list)
    present: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Around:
    """What tells more of the objects: who owns them, which endpoints are ready, what the Gateways listen on."""

    sources: Sources
    endpoints: Endpoints
    gateways: dict[tuple[str, str], Gateway]


class Collector:
    """Reads everything of a cluster that traffic settings are made of."""

    def __init__(self, api: Api, namespaces: Sequence[str]) -> None:
        self._api = api
        self.namespaces = tuple(namespaces) or ("",)
        self.discovery = Discovery(api)
        self._around_at: float | None = None

    async def everything(self) -> Collected:
        """All kinds. Raises the first error where nothing at all could be read."""
        collected = Collected()
        codecs = [codec for codec in CODECS.values() if await self.discovery.has(codec.resource)]
        collected.present = [codec.kind for codec in codecs]
        jobs = [self._kind(collected, codec.resource, codec.wire) for codec in codecs]
        await asyncio.gather(*jobs)
        if collected.failed and not collected.versions:
            raise collected.failed[0]
        return collected

    async def _kind(self, into: Collected, resource: Resource, wire: type[Any]) -> None:
        for namespace in self.namespaces:
            try:
                listed = await self._api.list(resource, namespace, wire)
            except ControlError as error:
                into.failed.append(error)
                into.missing.append(_missing(resource, namespace, error))
                continue
            into.objects.setdefault(resource.kind, []).extend(listed.items)
            into.versions[(resource.kind, namespace)] = listed.resource_version
            if listed.broken:
                into.missing.append(f"{len(listed.broken)} {resource.plural} cannot be understood: {listed.broken[0]}")

    async def around(self) -> Around | None:
        """What surrounds the objects, read at most once a minute; None where the last one still holds."""
        now = time.monotonic()
        if self._around_at is not None and now < self._around_at + AROUND_FRESH_SECONDS:
            return None
        sources, slices, gateways = await asyncio.gather(
            read_sources(self._api, self.discovery),
            self._quietly(SLICES, EndpointSlice),
            self._quietly(GATEWAYS, Gateway, everywhere=True),
        )
        self._around_at = now
        return Around(
            sources,
            endpoints_of(one for listed in slices for one in listed.items),
            {(one.metadata.namespace, one.metadata.name): one for listed in gateways for one in listed.items},
        )

    async def _quietly(self, resource: Resource, wire: type[Any], everywhere: bool = False) -> list[Listed[Any]]:
        """Lists of what is good to have; what we may not read is left out."""
        found = []
        try:
            if not await self.discovery.has(resource):
                return []
            spaces = ("",) if everywhere else self.namespaces
            for namespace in spaces:
                found.append(await self._api.list(resource, namespace, wire))  # noqa: PERF401 - an error keeps the rest
        except ControlError:
            if everywhere and self.namespaces != ("",) and not found:
                return await self._quietly(resource, wire)
        return found


def _missing(resource: Resource, namespace: str, error: ControlError) -> str:
    where = f" in {clean(namespace)}" if namespace else ""
    hint = ""
    if isinstance(error, Forbidden) and not namespace:
        hint = " (name the namespaces that you may read under kubernetes.namespaces)"
    return f"{resource.plural}{where}: {error.message}{hint}"


def decode(body: bytes, wire: type[Any]) -> Any:
    """One object as its wire type. Raises `PlatformError` where it is not of that kind."""
    try:
        return msgspec.json.decode(body, type=wire)
    except msgspec.DecodeError as error:
        raise PlatformError(f"the object cannot be understood: {clean(str(error), 200)}") from None
