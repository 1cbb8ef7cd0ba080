"""An API server in memory: discovery, lists, watches, reviews and guarded JSON Patches over real objects.

It answers as a real one does: a patch is taken whole or not at all, a changed spec raises the generation, every change
raises the resource version, an HTTPRoute's controller looks at what it has not seen. State goes out with `dump` and
comes back with `load`, as plain JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from email.utils import formatdate
from typing import Any

import httpx

from adapters.kubernetes.jsonpatch import TestFailed, apply

Native = dict[str, Any]
Key = tuple[str, str, str]
"""(plural, namespace, name)"""
WATCH_SECONDS = 0.5
TIME = "%Y-%m-%dT%H:%M:%SZ"
USER = "oidc:operator@example"
PLURALS = {
    "HTTPRoute": "httproutes",
    "Gateway": "gateways",
    "TraefikService": "traefikservices",
    "IngressRoute": "ingressroutes",
    "Middleware": "middlewares",
    "EndpointSlice": "endpointslices",
    "Application": "applications",
}
_PATH = re.compile(
    r"^/apis/(?P<group>[^/]+)/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?$"
)


def key_of(native: Native) -> Key:
    """Where an object is kept."""
    return PLURALS[native["kind"]], native["metadata"]["namespace"], native["metadata"]["name"]


def accept(route: Native, at: str = "2026-01-01T00:00:00Z") -> None:
    """What a Gateway's controller does when it has seen an HTTPRoute: conditions of its present generation."""
    for parent in route.get("status", {}).get("parents", ()):
        parent["conditions"] = [
            {
                "type": kind,
                "status": "True",
                "reason": kind,
                "message": "",
                "observedGeneration": route["metadata"]["generation"],
                "lastTransitionTime": at,
            }
            for kind in ("Accepted", "ResolvedRefs")
        ]


class MemoryApi:
    """One cluster. Change `unreachable` and `delay_seconds` to make it sick, `allowed` to take rights away."""

    def __init__(self, objects: Iterable[Native], clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[Key, Native] = {key_of(native): native for native in objects}
        self.clock = clock
        self.version = 1
        self.unreachable = ""
        """A reason: while it is set every request fails with it."""
        self.delay_seconds = 0.0
        self.allowed = True
        """What every self-subject access review answers."""
        self.writes: list[tuple[Key, list[dict[str, Any]]]] = []
        """Every patch that was asked for, refused ones too."""
        self.before_change: Callable[[], None] = lambda: None

    def dump(self) -> dict[str, Any]:
        """The state as JSON."""
        return {"version": self.version, "objects": list(self.objects.values())}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.version = int(state["version"])
        self.objects = {key_of(native): native for native in state["objects"]}

    def patch(self, key: Key, ops: list[dict[str, Any]], manager: str) -> tuple[int, Any]:
        """Apply one JSON Patch whole or not at all: the HTTP status and the object, or a Status."""
        self.writes.append((key, ops))
        native = self.objects.get(key)
        if native is None:
            return 404, _status(404, "NotFound", f'{key[0]} "{key[2]}" not found')
        try:
            after = apply(native, ops)
        except TestFailed:
            return 422, _status(422, "Invalid", "the server rejected our request due to an error in our request")
        if after["spec"] == native["spec"]:
            return 200, native
        self.replace(key, after, manager)
        return 200, self.objects[key]

    def replace(self, key: Key, after: Native, manager: str) -> None:
        """Somebody writes a new spec: the generation grows and the write is remembered."""
        self.before_change()
        self.version += 1
        metadata = after["metadata"]
        metadata["generation"] += 1
        metadata["resourceVersion"] = str(self.version)
        now = time.strftime(TIME, time.gmtime(self.clock()))
        entry = {"manager": manager, "operation": "Update", "time": now, "apiVersion": after["apiVersion"]}
        held = [one for one in metadata.get("managedFields", []) if one["manager"] != manager]
        metadata["managedFields"] = [*held, entry]
        if after["kind"] == "HTTPRoute":
            accept(after, now)
        self.objects[key] = after

    def listed(self, plural: str, namespace: str) -> list[Native]:
        """The objects of a kind in a namespace, or in all."""
        return [native for key, native in self.objects.items() if key[0] == plural and namespace in ("", key[1])]

    def discovery(self) -> dict[str, Any]:
        """The aggregated discovery of the kinds that have objects."""
        groups: dict[str, dict[str, set[str]]] = {}
        for native in self.objects.values():
            group, _, version = native["apiVersion"].partition("/")
            groups.setdefault(group, {}).setdefault(version, set()).add(PLURALS[native["kind"]])
        items = [
            {
                "metadata": {"name": group},
                "versions": [
                    {"version": version, "resources": [{"resource": plural} for plural in sorted(plurals)]}
                    for version, plurals in versions.items()
                ],
            }
            for group, versions in groups.items()
        ]
        return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items}


class MemoryTransport(httpx.AsyncBaseTransport):
    """The network on which a `MemoryApi` answers: what `Connection.open` gives."""

    def __init__(self, api: MemoryApi) -> None:
        self.api = api

    async def look(self) -> None:
        """Called before every answer; a transport that keeps its state elsewhere takes it over here."""

    async def patched(self, key: Key, ops: list[dict[str, Any]], manager: str) -> tuple[int, Any]:
        """Do one patch."""
        return self.api.patch(key, ops, manager)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await asyncio.sleep(self.api.delay_seconds)
        if self.api.unreachable:
            raise httpx.ConnectError(self.api.unreachable)
        await self.look()
        path = request.url.path
        if request.method == "POST":
            return _answer(201, self._review(path))
        if path == "/apis":
            return _answer(200, self.api.discovery())
        if path == "/version":
            return _answer(200, {"gitVersion": "v1.36.3"})
        match = _PATH.match(path)
        if match is None:
            return _answer(404, _status(404, "NotFound", "the server could not find the requested resource"))
        return await self._object(match, request)

    async def _object(self, match: re.Match[str], request: httpx.Request) -> httpx.Response:
        plural, namespace, name = match["plural"], match["namespace"] or "", match["name"] or ""
        if request.method == "PATCH":
            ops = json.loads(await request.aread())
            manager = request.url.params.get("fieldManager", "unknown")
            return _answer(*await self.patched((plural, namespace, name), ops, manager))
        if name:
            native = self.api.objects.get((plural, namespace, name))
            if native is None:
                return _answer(404, _status(404, "NotFound", f'{plural} "{name}" not found'))
            return _answer(200, native)
        if request.url.params.get("watch"):
            since = int(request.url.params.get("resourceVersion") or 0)
            return httpx.Response(200, content=self._events(plural, namespace, since))
        version = str(self.api.version)
        items = self.api.listed(plural, namespace)
        return _answer(200, {"kind": "List", "metadata": {"resourceVersion": version}, "items": items})

    async def _events(self, plural: str, namespace: str, since: int) -> AsyncIterator[bytes]:
        """Changes after `since`, as they come."""
        told = -1
        while not self.api.unreachable:
            if self.api.version == told:
                await asyncio.sleep(WATCH_SECONDS)
                await self.look()
                continue
            told = self.api.version
            versions = [(int(one["metadata"]["resourceVersion"]), one) for one in self.api.listed(plural, namespace)]
            for version, native in versions:
                if version > since:
                    yield json.dumps({"type": "MODIFIED", "object": native}).encode() + b"\n"
            since = max([since, *(version for version, _ in versions)])
            await asyncio.sleep(WATCH_SECONDS)
            await self.look()
        raise httpx.ReadError(self.api.unreachable)

    def _review(self, path: str) -> dict[str, Any]:
        if path.endswith("selfsubjectreviews"):
            return {"status": {"userInfo": {"username": USER}}}
        return {"status": {"allowed": self.api.allowed}}


def _answer(status: int, body: Any) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Date": formatdate(usegmt=True)}
    return httpx.Response(status, content=json.dumps(body).encode(), headers=headers)


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
