"""An API server in memory: discovery, lists, watches, reviews and guarded JSON Patches over real objects.

It answers as a real one does (the same requests are sent to both: tests/adapters/kubernetes/test_memory_and_real.py): a
patch is taken whole or not at all, a changed spec raises the generation, every change raises the resource version, what
the schema refuses is refused. An HTTPRoute's controller looks at what it has not seen. State goes out with `dump` and
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

from adapters.engine.operations import TestFailed, apply
from adapters.kubernetes.memory.schemas import causes, mended, unknown_fields

Native = dict[str, Any]
Key = tuple[str, str, str]
"""(plural, namespace, name)"""
WATCH_SECONDS = 0.5
TIME = "%Y-%m-%dT%H:%M:%SZ"
USER = "oidc:operator@example"
PATCH = "application/json-patch+json"
PLURALS = {
    "HTTPRoute": "httproutes",
    "GRPCRoute": "grpcroutes",
    "Gateway": "gateways",
    "TraefikService": "traefikservices",
    "IngressRoute": "ingressroutes",
    "Middleware": "middlewares",
    "EndpointSlice": "endpointslices",
    "Application": "applications",
    "Rollout": "rollouts",
    "Kustomization": "kustomizations",
    "HelmRelease": "helmreleases",
    "GitRepository": "gitrepositories",
    "Service": "services",
    "Ingress": "ingresses",
}
_PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?$"
)
_KEPT = ("name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp", "managedFields")
"""Metadata that the server itself keeps: what a client writes there is passed over."""


def key_of(native: Native) -> Key:
    """Where an object is kept."""
    return PLURALS[native["kind"]], native["metadata"]["namespace"], native["metadata"]["name"]


def accept(route: Native, at: str = "2026-01-01T00:00:00Z") -> None:
    """What a Gateway's controller does when it has seen an HTTPRoute: conditions of its present generation."""
    for parent in (route.get("status") or {}).get("parents") or ():
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
        self.installed: set[str] = set()
        """The kinds that are served, by plural; a kind that no object is left of stays served."""
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
            return 404, self.not_found(*key)
        try:
            after = mended(apply(native, ops))
        except TestFailed:
            return 422, _status(422, "Invalid", "the server rejected our request due to an error in our request")
        name = after["metadata"].get("name")
        if name != key[2]:
            told = f"the name of the object ({name}) does not match the name on the URL ({key[2]})"
            return 400, _status(400, "BadRequest", told)
        refused = self._refused(after)
        if refused is not None:
            return 422, refused
        kept = {field: native["metadata"][field] for field in _KEPT if field in native["metadata"]}
        after["metadata"] = {**after["metadata"], **kept}
        if after["spec"] != native["spec"]:
            self.replace(key, after, manager)
        elif after["metadata"] != native["metadata"]:
            self._stamp(after, manager)
            self.objects[key] = after
        return 200, self.objects[key]

    def _refused(self, after: Native) -> Native | None:
        strange = [
            {"reason": "FieldValueInvalid", "message": f'unknown field "{field}"', "field": "patch"}
            for field in unknown_fields(after)
        ]
        found = strange or causes(after)
        if not found:
            return None
        group = after["apiVersion"].rpartition("/")[0]
        told = "; ".join(f"{cause['field']}: {cause['message']}" for cause in found)
        whole = _status(422, "Invalid", f'{after["kind"]}.{group} "{after["metadata"]["name"]}" is invalid: {told}')
        return {**whole, "details": {"name": after["metadata"]["name"], "group": group, "causes": found}}

    def replace(self, key: Key, after: Native, manager: str) -> None:
        """Somebody writes a new spec: the generation grows and the write is remembered."""
        self.before_change()
        after["metadata"]["generation"] += 1
        now = self._stamp(after, manager)
        if after["kind"] == "HTTPRoute":
            accept(after, now)
        self.objects[key] = after

    def _stamp(self, after: Native, manager: str) -> str:
        """Give a new resource version, and remember who wrote when; the time."""
        self.version += 1
        metadata = after["metadata"]
        metadata["resourceVersion"] = str(self.version)
        now = time.strftime(TIME, time.gmtime(self.clock()))
        entry = {"manager": manager, "operation": "Update", "time": now, "apiVersion": after["apiVersion"]}
        held = [one for one in metadata.get("managedFields", []) if one["manager"] != manager]
        metadata["managedFields"] = [*held, entry]
        return now

    def not_found(self, plural: str, namespace: str, name: str) -> Native:
        """The Status of an object that is not there."""
        groups = {key[0]: one["apiVersion"].rpartition("/")[0] for key, one in self.objects.items()}
        qualified = f"{plural}.{groups[plural]}" if groups.get(plural) else plural
        return _status(404, "NotFound", f'{qualified} "{name}" not found')

    def serves(self, plural: str) -> bool:
        """Whether this kind is installed: one that an object has been of."""
        self.installed |= {key[0] for key in self.objects}
        return plural in self.installed

    def listed(self, plural: str, namespace: str) -> list[Native]:
        """The objects of a kind in a namespace, or in all."""
        return [native for key, native in self.objects.items() if key[0] == plural and namespace in ("", key[1])]

    def discovery(self) -> dict[str, Any]:
        """The aggregated discovery of the kinds that have objects."""
        groups: dict[str, dict[str, set[str]]] = {}
        for native in self.objects.values():
            group, _, version = native["apiVersion"].rpartition("/")
            if not group:
                continue  # `/apis` does not tell of the core group
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
            return self._review(path)
        if path == "/apis":
            return _answer(200, self.api.discovery())
        if path == "/version":
            return _answer(200, {"gitVersion": "v1.36.3"})
        match = _PATH.match(path)
        if match is None or not self.api.serves(match["plural"]):
            return httpx.Response(404, text="404 page not found\n")
        return await self._object(match, request)

    async def _object(self, match: re.Match[str], request: httpx.Request) -> httpx.Response:
        plural, namespace, name = match["plural"], match["namespace"] or "", match["name"] or ""
        if request.method == "PATCH":
            return await self._patch((plural, namespace, name), request)
        if request.method != "GET":
            return _answer(
                405, _status(405, "MethodNotAllowed", "the server does not allow this method on the resource")
            )
        if name:
            native = self.api.objects.get((plural, namespace, name))
            if native is None:
                return _answer(404, self.api.not_found(plural, namespace, name))
            return _answer(200, native)
        if request.url.params.get("watch"):
            since = int(request.url.params.get("resourceVersion") or 0)
            return httpx.Response(200, content=self._events(plural, namespace, since))
        return self._list(plural, namespace, request)

    async def _patch(self, key: Key, request: httpx.Request) -> httpx.Response:
        kind = request.headers.get("Content-Type", "")
        if kind != PATCH:
            told = f"the body of the request was in an unknown format - accepted media types include: {PATCH}"
            return _answer(415, _status(415, "UnsupportedMediaType", told))
        try:
            ops = json.loads(await request.aread())
        except ValueError as error:
            return _answer(400, _status(400, "BadRequest", f"error decoding patch: {error}"))
        if not isinstance(ops, list):
            return _answer(400, _status(400, "BadRequest", "error decoding patch: it is no list"))
        return _answer(*await self.patched(key, ops, request.url.params.get("fieldManager") or "unknown"))

    def _list(self, plural: str, namespace: str, request: httpx.Request) -> httpx.Response:
        """One page, in the order of namespace and name; `continue` is where the next one begins."""
        items = sorted(self.api.listed(plural, namespace), key=lambda one: key_of(one)[1:])
        begin, limit = request.url.params.get("continue", "0"), request.url.params.get("limit", "0")
        if not begin.isdecimal() or not limit.isdecimal():
            return _answer(400, _status(400, "BadRequest", "continue key is not valid"))
        end = int(begin) + int(limit) if int(limit) else len(items)
        metadata = {"resourceVersion": str(self.api.version)}
        if end < len(items):
            metadata |= {"continue": str(end)}
        return _answer(200, {"kind": "List", "metadata": metadata, "items": items[int(begin) : end]})

    async def _events(self, plural: str, namespace: str, since: int) -> AsyncIterator[bytes]:
        """Changes after `since`, as they come."""
        told = -1
        known: dict[Key, Native] | None = None
        while not self.api.unreachable:
            if self.api.version == told and known is not None and known.keys() <= self.api.objects.keys():
                await asyncio.sleep(WATCH_SECONDS)
                await self.look()
                continue
            told = self.api.version
            now = {key_of(native): native for native in self.api.listed(plural, namespace)}
            for key, native in now.items():
                if int(native["metadata"]["resourceVersion"]) > since:
                    what = "ADDED" if known is not None and key not in known else "MODIFIED"
                    yield json.dumps({"type": what, "object": native}).encode() + b"\n"
            for key, native in (known or {}).items():
                if key not in now:
                    yield json.dumps({"type": "DELETED", "object": native}).encode() + b"\n"
            since = max([since, *(int(native["metadata"]["resourceVersion"]) for native in now.values())])
            known = now
            await asyncio.sleep(WATCH_SECONDS)
            await self.look()
        raise httpx.ReadError(self.api.unreachable)

    def _review(self, path: str) -> httpx.Response:
        if path.endswith("/selfsubjectreviews"):
            return _answer(201, {"status": {"userInfo": {"username": USER}}})
        if path.endswith("/selfsubjectaccessreviews"):
            return _answer(201, {"status": {"allowed": self.api.allowed}})
        return httpx.Response(404, text="404 page not found\n")


def _answer(status: int, body: Any) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Date": formatdate(usegmt=True)}
    return httpx.Response(status, content=json.dumps(body).encode(), headers=headers)


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
