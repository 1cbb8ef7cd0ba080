"""An API server in memory: discovery, lists, watches, reviews and guarded JSON Patches over real objects."""

from __future__ import annotations

import asyncio
import json
import re
import time
from calendar import timegm
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import httpx

from adapters.demo.clusters import Native, accept
from adapters.demo.store import Stored
from adapters.kubernetes.jsonpatch import TestFailed, apply

WATCH_SECONDS = 0.5
ARGO = "argocd-controller"
ARGO_SECONDS = 5.0
"""How soon an Application that heals itself restores what it declares."""
TRACKED = "argocd.argoproj.io/tracking-id"
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
    r"^/apis/(?P<group>[^/]+)/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?$"
)
Key = tuple[str, str, str]
"""(plural, namespace, name)"""


class MemoryApi:
    """The objects of one cluster, and what the API server answers about them."""

    def __init__(self, objects: Iterable[Native], clock: Callable[[], float] = time.time) -> None:
        self.objects: dict[Key, Native] = {_key(native): native for native in objects}
        self._clock = clock
        self._declared = {key: native["spec"] for key, native in self.objects.items() if _is_tracked(native)}
        self.version = 1
        self.before_change: Callable[[], None] = lambda: None

    def dump(self) -> dict[str, Any]:
        """The state as JSON."""
        return {"version": self.version, "objects": list(self.objects.values())}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.version = int(state["version"])
        self.objects = {_key(native): native for native in state["objects"]}

    def patch(self, key: Key, ops: list[dict[str, Any]], manager: str) -> tuple[int, Any]:
        """Apply one JSON Patch whole or not at all; the spec's generation grows, and its controller looks at it."""
        native = self.objects.get(key)
        if native is None:
            return 404, _status(404, "NotFound", f'{key[0]} "{key[2]}" not found')
        try:
            after = apply(native, ops)
        except TestFailed:
            return 422, _status(422, "Invalid", "the server rejected our request due to an error in our request")
        if after["spec"] == native["spec"]:
            return 200, native
        self._replace(key, after, manager)
        return 200, self.objects[key]

    def _replace(self, key: Key, after: Native, manager: str) -> None:
        self.before_change()
        self.version += 1
        metadata = after["metadata"]
        metadata["generation"] += 1
        metadata["resourceVersion"] = str(self.version)
        now = time.strftime(TIME, time.gmtime(self._clock()))
        entry = {"manager": manager, "operation": "Update", "time": now, "apiVersion": after["apiVersion"]}
        held = [one for one in metadata.get("managedFields", []) if one["manager"] != manager]
        metadata["managedFields"] = [*held, entry]
        if after["kind"] == "HTTPRoute":
            accept(after)
        self.objects[key] = after

    def drifted(self) -> list[Key]:
        """The objects that Argo CD is about to restore, their change being old enough."""
        now = self._clock()
        return [
            key
            for key, declared in self._declared.items()
            if self.objects[key]["spec"] != declared and now - _changed(self.objects[key]) >= ARGO_SECONDS
        ]

    def heal(self) -> None:
        """What Argo CD's self-heal does: it writes back what Git declares."""
        for key in self.drifted():
            after = deepcopy(self.objects[key])
            after["spec"] = deepcopy(self._declared[key])
            self._replace(key, after, ARGO)


class ApiTransport(httpx.AsyncBaseTransport):
    """The network on which the API server answers, whose state other processes may change, too."""

    def __init__(self, api: MemoryApi, stored: Stored) -> None:
        self._api = api
        self._stored = stored

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await self._look()
        path = request.url.path
        if request.method == "POST":
            return _answer(201, _review(path))
        if path == "/apis":
            return _answer(200, self._discovery())
        if path == "/version":
            return _answer(200, {"gitVersion": "v1.36.3"})
        match = _PATH.match(path)
        if match is None:
            return _answer(404, _status(404, "NotFound", "the server could not find the requested resource"))
        if request.method == "PATCH":
            return await self._patch(match, request)
        if match["name"]:
            return self._get((match["plural"], match["namespace"] or "", match["name"]))
        if request.url.params.get("watch"):
            since = int(request.url.params.get("resourceVersion") or 0)
            return httpx.Response(200, content=self._events(match["plural"], match["namespace"] or "", since))
        return _answer(200, self._list(match["plural"], match["namespace"] or ""))

    async def _look(self) -> None:
        """Take over what others wrote, Argo CD among them."""
        self._stored.refresh()
        if self._api.drifted():
            async with self._stored.changing():
                self._api.heal()

    async def _patch(self, match: re.Match[str], request: httpx.Request) -> httpx.Response:
        ops = json.loads(await request.aread())
        manager = request.url.params.get("fieldManager", "unknown")
        async with self._stored.changing():
            key = (match["plural"], match["namespace"] or "", match["name"])
            return _answer(*self._api.patch(key, ops, manager))

    def _get(self, key: Key) -> httpx.Response:
        native = self._api.objects.get(key)
        if native is None:
            return _answer(404, _status(404, "NotFound", f'{key[0]} "{key[2]}" not found'))
        return _answer(200, native)

    def _list(self, plural: str, namespace: str) -> dict[str, Any]:
        items = [native for key, native in self._api.objects.items() if key[0] == plural and namespace in ("", key[1])]
        return {"kind": "List", "metadata": {"resourceVersion": str(self._api.version)}, "items": items}

    async def _events(self, plural: str, namespace: str, since: int) -> AsyncIterator[bytes]:
        """Changes after `since`, as they come, from whichever process."""
        while True:
            fresh = [
                native
                for native in self._list(plural, namespace)["items"]
                if int(native["metadata"]["resourceVersion"]) > since
            ]
            for native in fresh:
                since = max(since, int(native["metadata"]["resourceVersion"]))
                yield json.dumps({"type": "MODIFIED", "object": native}).encode() + b"\n"
            await asyncio.sleep(WATCH_SECONDS)
            await self._look()

    def _discovery(self) -> dict[str, Any]:
        groups: dict[str, dict[str, set[str]]] = {}
        for native in self._api.objects.values():
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


def _key(native: Native) -> Key:
    return PLURALS[native["kind"]], native["metadata"]["namespace"], native["metadata"]["name"]


def _is_tracked(native: Native) -> bool:
    return TRACKED in native["metadata"].get("annotations", {})


def _changed(native: Native) -> float:
    """When an object was last written, in unix time."""
    times = [entry["time"] for entry in native["metadata"].get("managedFields", [])]
    return max((timegm(time.strptime(text, TIME)) for text in times), default=0.0)


def _answer(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


def _review(path: str) -> dict[str, Any]:
    if path.endswith("selfsubjectreviews"):
        return {"status": {"userInfo": {"username": USER}}}
    return {"status": {"allowed": True}}
