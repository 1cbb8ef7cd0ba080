"""What is held of one cluster: decoded objects of every kind, and the snapshot that they make."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from adapters.engine.frame import Read
from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.collect import Around
from adapters.kubernetes.health import Endpoints, with_health
from adapters.kubernetes.kinds import httproute, ingressroute, middleware, traefikservice
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.table import OURS, Kinds
from adapters.kubernetes.owners.owners import NO_SOURCES, Sources, owners_of
from adapters.kubernetes.planes.traefik.attachments import (
    Key,
    Named,
    Use,
    by_http_route,
    by_ingress_route,
    by_parents,
    by_traefik_service,
)
from adapters.kubernetes.planes.traefik.bindings import Instances, bound, uses
from adapters.kubernetes.planes.traefik.surroundings import Surroundings
from adapters.kubernetes.planes.traefik.unloaded import Unloaded
from adapters.kubernetes.wire.gateway_api import Gateway, HTTPRoute
from control.memo import Memo
from control.model import Editable, Limit, Outside, Route, Status, StatusState
from control.planning.fields import AnyRow
from control.structs import replace
from control.text import clean

BREATHE_EVERY = 50
OUTSIDE_SECONDS = 24 * 3600.0
OUR_MANAGER = "trafficdeck"


@dataclass(frozen=True, slots=True)
class Dressed:
    """The rows of one object as they are shown, and everything that they were made of."""

    made_of: tuple[object, ...]
    routes: list[Route]
    limits: list[Limit]


@dataclass(slots=True)
class ObjectStore:
    """Objects by kind and (namespace, name), and what was read around them."""

    kinds: Kinds = OURS
    objects: dict[GroupKind, dict[Key, Any]] = field(default_factory=dict)
    gateways: dict[Key, Gateway] = field(default_factory=dict)
    sources: Sources = NO_SOURCES
    endpoints: Endpoints | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)
    whole: frozenset[tuple[GroupKind, str]] = frozenset()
    """(kind, namespace) that was listed with nothing left out; an empty namespace stands for all."""
    refused: dict[tuple[GroupKind, str], str] = field(default_factory=dict)
    """(kind, namespace) -> why we may not patch there."""
    read_cache: dict[tuple[GroupKind, str], tuple[str, Read]] = field(default_factory=dict)
    dressed: dict[tuple[GroupKind, Key], Dressed] = field(default_factory=dict)
    """(kind, namespace and name) -> its rows when they were last asked for."""
    _named: tuple[Mapping[Key, Gateway], Memo[HTTPRoute, Named]] | None = None

    def of(self, kind: GroupKind) -> Iterable[Any]:
        """The held objects of one kind."""
        return self.objects.get(kind, {}).values()

    def replace(self, key: tuple[GroupKind, str], natives: Iterable[Any]) -> bool:
        """Take a new list of one (kind, namespace). True where anything is otherwise than before."""
        kind, namespace = key
        store = self.objects.setdefault(kind, {})
        before = {name: one for name, one in store.items() if namespace in ("", name[0])}
        now = {(one.metadata.namespace, one.metadata.name): one for one in natives}
        for name in before.keys() - now.keys():
            del store[name]
        store.update(now)
        versions = [{name: one.metadata.resource_version for name, one in side.items()} for side in (before, now)]
        return versions[0] != versions[1]

    def put(self, kind: GroupKind, native: Any) -> None:
        """An object is there, or is otherwise than before."""
        self.objects.setdefault(kind, {})[(native.metadata.namespace, native.metadata.name)] = native

    def drop(self, kind: GroupKind, native: Any) -> None:
        """An object is gone."""
        self.objects.get(kind, {}).pop((native.metadata.namespace, native.metadata.name), None)

    def surround(self, around: Around) -> None:
        """Take what was read around the objects. What is equal to what is held stays the same object."""
        self.sources = _same_if_equal(self.sources, around.sources)
        self.endpoints = _same_if_equal(self.endpoints, around.endpoints)
        self.gateways = _same_if_equal(self.gateways, around.gateways)

    def unloaded(self) -> Unloaded:
        """What Traefik does not load of what is held now, whatever comes and goes later."""
        objects = {kind: dict(natives) for kind, natives in self.objects.items()}
        return Unloaded(objects, self.surroundings.services, self.whole, self.surroundings.features)

    def uses(self, environment: str) -> dict[Key, list[Use]]:
        """Where each Middleware applies."""
        gateways = self.gateways
        if self._named is None or self._named[0] is not gateways:
            remembering = Memo[HTTPRoute, Named](lambda route: by_http_route(route, gateways, environment))
            self._named = gateways, remembering
        ingresses = self.objects.get(ingressroute.RESOURCE.group_kind, {})
        named = [
            *self._named[1](list(self.of(httproute.RESOURCE.group_kind))),
            *(by_ingress_route(one, environment) for one in ingresses.values()),
            by_parents(ingresses, environment),
            *(by_traefik_service(one, environment) for one in self.of(traefikservice.RESOURCE.group_kind)),
            *self.surroundings.named(gateways),
        ]
        return uses(named, self.of(middleware.RESOURCE.group_kind))

    def read(self, codec: Codec, native: Any, environment: str, at: float) -> Read:
        """What a codec makes of one object, from the cache where the object has not changed."""
        metadata: Metadata = native.metadata
        key = (codec.resource.group_kind, metadata.uid)
        cached = self.read_cache.get(key)
        if cached and metadata.resource_version and cached[0] == metadata.resource_version:
            return cached[1]
        made = codec.read(native, environment, at)
        self.read_cache[key] = (metadata.resource_version, made)
        return made

    def forget_gone(self) -> None:
        """Drop cached reads of objects that are no more."""
        alive = {(kind, native.metadata.uid) for kind, natives in self.objects.items() for native in natives.values()}
        self.read_cache = {key: value for key, value in self.read_cache.items() if key in alive}
        self.dressed = {
            (kind, key): one for (kind, key), one in self.dressed.items() if key in self.objects.get(kind, {})
        }


_Kept = TypeVar("_Kept")


def _same_if_equal(before: _Kept, now: _Kept) -> _Kept:
    return before if before == now else now


@dataclass(frozen=True, slots=True)
class RowDecorator:
    """What is put on a codec's bare routes and limits: owners, rights, health, bindings, the time of the read."""

    held: ObjectStore
    used: dict[Key, list[Use]]
    instances: Instances
    at: float
    unloaded: Unloaded

    def routes(self, codec: Codec, native: Any, bare: Iterable[Route]) -> list[Route]:
        """The routes of one object as they are shown."""
        metadata: Metadata = native.metadata
        owners = owners_of(metadata, codec.resource, self.held.sources)
        why = self._refused(codec, metadata)
        made = []
        bare = list(bare)
        for route, fault in zip(bare, self.unloaded.of(native) if bare else (), strict=True):
            editable = Editable(False, why) if why and route.editable.yes else route.editable
            targets = with_health(route.targets, self.held.endpoints)
            status = _with_fault(route.status, fault)
            made.append(
                replace(route, owners=owners, editable=editable, targets=targets, status=status, read_at=self.at)
            )
        return made

    def limits(self, codec: Codec, native: Any, bare: Iterable[Limit]) -> list[Limit]:
        """The limits of one object as they are shown."""
        metadata: Metadata = native.metadata
        owners = owners_of(metadata, codec.resource, self.held.sources)
        why = self._refused(codec, metadata)
        used = self.used.get((metadata.namespace, metadata.name), [])
        made = []
        for limit in bare:
            editable = Editable(False, why) if why and limit.editable.yes else limit.editable
            shared = native.spec.rate_limit is not None and native.spec.rate_limit.redis is not None
            dressed = bound(limit, used, self.instances, shared, ", ".join(self.held.surroundings.unseen))
            status = _with_fault(limit.status, self.unloaded.limit(native))
            made.append(replace(dressed, owners=owners, editable=editable, status=status, read_at=self.at))
        return made

    def kept(self, codec: Codec, native: Any, read: Read) -> Dressed:
        """The rows of a held object: the very same ones as before where nothing that they are made of has changed, so
        that nobody above need look at them again. Their `read_at` stays too; the environment's own says how fresh they
        are."""
        metadata: Metadata = native.metadata
        name = (metadata.namespace, metadata.name)
        used = self.used.get(name) if read.limits else None
        why = self._refused(codec, metadata)
        faults = self.unloaded.of(native)
        around = (self.held.sources, self.held.endpoints, self.held.surroundings.unseen)
        made_of = (read, used, why, faults, self.instances, around)
        found = self.held.dressed.get((codec.resource.group_kind, name))
        if found is None or found.made_of != made_of:
            routes, limits = self.routes(codec, native, read.routes), self.limits(codec, native, read.limits)
            if found is not None:
                routes, limits = _unless_equal(found.routes, routes), _unless_equal(found.limits, limits)
            found = self.held.dressed[(codec.resource.group_kind, name)] = Dressed(made_of, routes, limits)
        return found

    def _refused(self, codec: Codec, metadata: Metadata) -> str:
        refused, kind = self.held.refused, codec.resource.group_kind
        return refused.get((kind, metadata.namespace)) or refused.get((kind, ""), "")


def _with_fault(status: Status, fault: str) -> Status:
    """What Traefik does not load is broken, whatever else is said of it."""
    if not fault:
        return status
    more = f"; {status.detail}" if status.state is StatusState.ERROR else ""
    return Status(StatusState.ERROR, f"Traefik does not load it: {fault}{more}")


def _unless_equal(before: list[AnyRow], now: list[AnyRow]) -> list[AnyRow]:
    """The rows as they are now; those that differ in the time of the read only stay the ones they were."""
    if len(before) != len(now):
        return now
    pairs = zip(before, now, strict=True)
    return [old if replace(new, read_at=old.read_at) == old else new for old, new in pairs]


async def snapshot_parts(
    held: ObjectStore, dress: RowDecorator, environment: str
) -> tuple[list[Route], list[Limit], list[Outside]]:
    """All routes, limits and outside changes; gives way to the event loop as it goes."""
    routes: list[Route] = []
    limits: list[Limit] = []
    outside: list[Outside] = []
    count = 0
    for codec in held.kinds.codecs.values():
        for native in list(held.of(codec.resource.group_kind)):  # a watch may add and take away while we give way
            read = held.read(codec, native, environment, dress.at)
            if read.routes or read.limits:
                dressed = dress.kept(codec, native, read)
                routes += dressed.routes
                limits += dressed.limits
                outside += outside_of(native.metadata, codec, environment)
            count += 1
            if count % BREATHE_EVERY == 0:
                await asyncio.sleep(0)
    return routes, limits, outside


def outside_of(metadata: Metadata, codec: Codec, environment: str) -> list[Outside]:
    """Writes by others within a day, as the API server remembers them: one per manager, the last one."""
    found = []
    since = time.time() - OUTSIDE_SECONDS
    for entry in metadata.managed_fields or []:
        if entry.subresource or entry.manager == OUR_MANAGER or not entry.time:
            continue
        at = _unix(entry.time)
        if at is not None and at >= since:
            name = f"{environment}/{codec.kind}/{metadata.namespace}/{metadata.name}"
            what = "applied" if entry.operation == "Apply" else "updated"
            found.append(Outside(at, clean(entry.manager, 200), clean(name), what, "managedFields"))
    return found


def _unix(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
