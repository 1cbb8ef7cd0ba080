"""One full read of a cluster: every kind that is there, in parallel pages; what fails costs only its own kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from adapters.kubernetes.client.api import Api, Listed
from adapters.kubernetes.client.discovery import Discovery
from adapters.kubernetes.client.resource import GroupKind, Resource
from adapters.kubernetes.client.unread import unread
from adapters.kubernetes.client.watching import Key, Watched
from adapters.kubernetes.health import Endpoints, endpoints_of
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.table import OURS, Kinds
from adapters.kubernetes.owners.owners import Sources
from adapters.kubernetes.owners.sources import read_sources
from adapters.kubernetes.wire.core import EndpointSlice
from adapters.kubernetes.wire.gateway_api import Gateway, GatewayClass
from control.errors import ControlError, DeckError, Forbidden, NotFound
from control.model import Missing
from control.structs import replace
from control.text import clean

GATEWAYS = Resource("gateway.networking.k8s.io", ("v1", "v1beta1"), "gateways", "Gateway")
CLASSES = Resource("gateway.networking.k8s.io", ("v1", "v1beta1"), "gatewayclasses", "GatewayClass", namespaced=False)
NAMESPACES = "/api/v1/namespaces"
SLICES = Resource("discovery.k8s.io", ("v1",), "endpointslices", "EndpointSlice")
AROUND_FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """One kind in one namespace, as it was listed."""

    objects: list[Any]
    version: str
    """The resource version that a watch goes on from."""
    missing: tuple[Missing, ...] = ()
    """Objects that could not be understood."""

    def without_objects(self) -> Part:
        """What is left to know of it when its objects are held elsewhere."""
        return replace(self, objects=[])


@dataclass(slots=True)
class Collected:
    """What was read of a cluster, and what could not be."""

    kinds: Kinds = OURS
    parts: dict[Key, Part] = field(default_factory=dict)
    failed: dict[Key, ControlError] = field(default_factory=dict)
    unread: list[Missing] = field(default_factory=list)
    """Objects of versions and groups that are not read."""

    @property
    def versions(self) -> dict[Key, str]:
        """What watches go on from."""
        return {key: part.version for key, part in self.parts.items()}

    def missing(self, hint: str = "") -> tuple[Missing, ...]:
        """Everything that the lists lack; `hint` says what to do about what is forbidden."""
        told = []
        for space in dict.fromkeys(namespace for _, namespace in self.failed):
            errors = [(kind, error) for (kind, namespace), error in self.failed.items() if namespace == space]
            none_read = not any(namespace == space for _, namespace in self.parts)
            if space and none_read and all(isinstance(error, Forbidden | NotFound) for _, error in errors):
                told.append(Missing(f"namespace {clean(space)}", _why(errors[0][1], hint)))
            else:
                where = f" in {clean(space)}" if space else ""
                told += [
                    Missing(f"{self.kinds.by_group_kind[kind].resource.qualified}{where}", _why(error, hint))
                    for kind, error in errors
                ]
        return (*told, *(one for part in self.parts.values() for one in part.missing), *self.unread)


def _why(error: ControlError, hint: str) -> str:
    return f"{error.message} ({hint})" if hint and isinstance(error, Forbidden) else error.message


@dataclass(frozen=True, slots=True)
class Around:
    """What tells more of the objects: who owns them, which endpoints are ready, what the Gateways listen on
    and whose they are."""

    sources: Sources
    endpoints: Endpoints
    gateways: dict[tuple[str, str], Gateway]
    classes: dict[str, GatewayClass]


class Collector:
    """Reads everything of a cluster that traffic settings are made of. Raises `DeckError` for a kind that is none."""

    def __init__(self, api: Api, namespaces: Sequence[str], only: Sequence[str] = (), kinds: Kinds = OURS) -> None:
        self._api = api
        self.namespaces = tuple(namespaces) or ("",)
        self._kinds = kinds
        unknown = [kind for kind in only if kind not in kinds.codecs]
        if unknown:
            raise DeckError(
                f"kubernetes.kinds names '{clean(unknown[0])}', which is no kind that is read",
                hint=f"kinds: {', '.join(kinds.codecs)}",
            )
        self.codecs = [codec for codec in kinds.codecs.values() if not only or codec.kind in only]
        """The kinds that were asked for."""
        self.discovery = Discovery(api)
        self._served: dict[GroupKind, Resource] = {}
        self._around_at: float | None = None

    def watched(self, kind: GroupKind) -> Watched:
        """A kind that was listed, in the version in which it was."""
        codec = self._kinds.by_group_kind[kind]
        return Watched(self._served.get(kind, codec.resource), codec.wire)

    async def resource(self, codec: Codec) -> Resource:
        """A kind in the version that is served, the preferred one where none is."""
        served = await self.discovery.served(codec.resource) or codec.resource
        self._served[served.group_kind] = served
        return served

    def spaces(self, resource: Resource) -> tuple[str, ...]:
        """The namespaces in which a kind is listed; a kind that has none is listed everywhere."""
        return self.namespaces if resource.namespaced else ("",)

    async def everything(self) -> Collected:
        """All kinds that are asked for and installed. Raises the first error where nothing at all could be read."""
        collected = Collected(self._kinds)
        codecs = [codec for codec in self.codecs if await self.discovery.has(codec.resource)]
        keys = [(one.resource.group_kind, space) for one in codecs for space in self.spaces(one.resource)]
        answers = await asyncio.gather(*(self.part(key) for key in keys), return_exceptions=True)
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, Part):
                collected.parts[key] = answer
            elif self.discovery.blind and isinstance(answer, NotFound):
                continue  # a kind that is not installed
            elif isinstance(answer, ControlError):
                collected.failed[key] = answer
            else:
                raise answer
        if collected.failed and not collected.parts:
            raise next(iter(collected.failed.values()))
        await self._look_for(collected)
        collected.unread = await self.unread()
        return collected

    async def unread(self) -> list[Missing]:
        """What is there of the kinds that are asked for and is not read."""
        return await unread(self._api, self.discovery, [codec.resource for codec in self.codecs], self.namespaces)

    async def part(self, key: Key) -> Part:
        """One kind in one namespace."""
        codec = self._kinds.by_group_kind[key[0]]
        resource = await self.resource(codec)
        listed = await self._api.list(resource, key[1], codec.wire)
        if not listed.broken:
            return Part(listed.items, listed.resource_version)
        where = f" in {clean(key[1])}" if key[1] else ""
        what = f"{len(listed.broken)} {codec.resource.qualified}{where}"
        return Part(
            listed.items, listed.resource_version, (Missing(what, f"cannot be understood: {listed.broken[0]}"),)
        )

    async def _look_for(self, collected: Collected) -> None:
        """A namespace that is named and does not exist lists as an empty one: ask where nothing was found."""
        for space in self.namespaces:
            keys = [key for key in collected.parts if key[1] == space]
            if not space or any(collected.parts[key].objects for key in keys):
                continue
            error = await self._absent(space)
            if error is not None:
                for key in keys:
                    collected.failed[key] = error
                    del collected.parts[key]

    async def _absent(self, namespace: str) -> NotFound | None:
        try:
            await self._api.get(f"{NAMESPACES}/{quote(namespace, safe='')}", what=f"find the namespace {namespace}")
        except NotFound as error:
            # Only the server's own word: others answer 404 to what they do not know.
            return error if f'namespaces "{namespace}" not found' in error.message else None
        except ControlError:
            return None
        return None

    async def around(self) -> Around | None:
        """What surrounds the objects, read at most once a minute; None where the last one still holds."""
        now = time.monotonic()
        if self._around_at is not None and now < self._around_at + AROUND_FRESH_SECONDS:
            return None
        sources, slices, gateways, classes = await asyncio.gather(
            read_sources(self._api, self.discovery, self.namespaces),
            self._quietly(SLICES, EndpointSlice),
            self._quietly(GATEWAYS, Gateway, everywhere=True),
            self._quietly(CLASSES, GatewayClass),
        )
        self._around_at = now
        return Around(
            sources,
            endpoints_of(one for listed in slices for one in listed.items),
            {(one.metadata.namespace, one.metadata.name): one for listed in gateways for one in listed.items},
            {one.metadata.name: one for listed in classes for one in listed.items},
        )

    async def _quietly(self, resource: Resource, wire: type[Any], everywhere: bool = False) -> list[Listed[Any]]:
        """Lists of what is good to have; what we may not read is left out."""
        lists = []
        try:
            served = await self.discovery.served(resource)
            if served is None:
                return []
            spaces = ("",) if everywhere else self.spaces(resource)
        except ControlError:
            return []
        for namespace in spaces:
            try:
                lists.append(await self._api.list(served, namespace, wire))
            except ControlError:
                if everywhere and self.namespaces != ("",):
                    return await self._quietly(resource, wire)
        return lists
