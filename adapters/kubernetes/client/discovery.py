"""Which kinds an API server has: aggregated discovery, one request (stable since Kubernetes 1.30)."""

from __future__ import annotations

import time

import msgspec

from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.resource import Resource
from control.errors import Forbidden, NotFound, PlatformError

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
FRESH_SECONDS = 120.0


class _Name(msgspec.Struct):
    name: str = ""


class _Resource(msgspec.Struct):
    resource: str = ""
    name: str = ""


class _Version(msgspec.Struct):
    version: str = ""
    resources: list[_Resource] = []


class _Group(msgspec.Struct):
    metadata: _Name = msgspec.field(default_factory=_Name)
    versions: list[_Version] = []


class _Answer(msgspec.Struct):
    kind: str = ""
    items: list[_Group] | None = None


class _Versions(msgspec.Struct):
    versions: list[_Version] = []


class _Resources(msgspec.Struct):
    resources: list[_Resource] = []


class Discovery:
    """What is served, asked at most every two minutes."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._served: dict[tuple[str, str, str], None] | None = None
        """(group, version, plural), in the server's order: the preferred version first."""
        self._until = 0.0
        self.blind = False
        """True where we may not ask what is served: a list that is not found then means that it is not."""

    def forget(self) -> None:
        """Ask anew what is served the next time."""
        self._until = 0.0

    async def has(self, resource: Resource) -> bool:
        """Is this resource served in a version that is understood? True where nobody says: see `blind`."""
        return await self.served(resource) is not None

    async def served(self, resource: Resource) -> Resource | None:
        """The resource in the first of its versions that is served, None where none is. Where nobody says (see
        `blind`), and of the core group, which always is, in the first of all."""
        if not resource.group:
            return resource.at(resource.version)
        if time.monotonic() >= self._until:
            await self._ask()
        for version in resource.versions:
            if await self._has(resource.at(version)):
                return resource.at(version)
        return None

    async def has_group(self, group: str) -> bool:
        """Is anything of an API group served? True where nobody says."""
        if time.monotonic() >= self._until:
            await self._ask()
        if self.blind:
            return True
        if self._served is not None:
            return any(name == group for name, _, _ in self._served)
        try:
            await self._api.get(f"/apis/{group}", what=f"list the versions of {group}")
        except NotFound:
            return False
        return True

    async def versions(self, group: str, plural: str) -> list[str]:
        """The versions in which a group serves a resource, as the server orders them; none where it does not."""
        if time.monotonic() >= self._until:
            await self._ask()
        if self.blind:
            return []
        if self._served is not None:
            return [version for name, version, one in self._served if (name, one) == (group, plural)]
        try:
            body = await self._api.get(f"/apis/{group}", what=f"list the versions of {group}")
            found = msgspec.json.decode(body, type=_Versions).versions
        except (NotFound, msgspec.DecodeError):
            return []
        return [one.version for one in found if await self._has(Resource(group, (one.version,), plural, ""))]

    async def _has(self, resource: Resource) -> bool:
        if self.blind:
            return True
        if self._served is not None:
            return (resource.group, resource.version, resource.plural) in self._served
        return await self._has_plainly(resource)

    async def _ask(self) -> None:
        self.blind = False
        try:
            body = await self._api.get("/apis", accept=_ACCEPT, what="list the API groups")
        except Forbidden:
            self.blind, self._until = True, time.monotonic() + FRESH_SECONDS
            return
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            raise PlatformError(f"{self._api.where} does not answer as an API server does") from None
        self._served = None
        if answer.items is not None:
            self._served = {
                (group.metadata.name, version.version, resource.resource): None
                for group in answer.items
                for version in group.versions
                for resource in version.resources
            }
        self._until = time.monotonic() + FRESH_SECONDS

    async def _has_plainly(self, resource: Resource) -> bool:
        """An older server, without aggregated discovery."""
        path = f"/apis/{resource.group}/{resource.version}"
        try:
            body = await self._api.get(path, what=f"list the kinds of {resource.group}")
            return any(r.name == resource.plural for r in msgspec.json.decode(body, type=_Resources).resources)
        except (NotFound, msgspec.DecodeError):
            return False
