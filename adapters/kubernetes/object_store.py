"""What is held of one cluster: decoded objects of every kind, and the rows that they make."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from adapters.engine.frame import Read
from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.collect import Around
from adapters.kubernetes.health import Endpoints, with_health
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.table import OURS, Kinds
from adapters.kubernetes.owners.owners import NO_SOURCES, Sources, owners_of
from adapters.kubernetes.planes.cluster_planes import Views
from adapters.kubernetes.planes.plane import Key, Use, View
from adapters.kubernetes.wire.gateway_api import Gateway, GatewayClass
from control.model import Editable, Limit, Outside, Route, Status, StatusState
from control.planning.fields import AnyRow
from control.structs import replace
from control.text import clean

BREATHE_EVERY = 50
OUTSIDE_SECONDS = 24 * 3600.0
OUR_MANAGER = "trafficdeck"


@dataclass(frozen=True, slots=True)
class Decorated:
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
    classes: dict[str, GatewayClass] = field(default_factory=dict)
    sources: Sources = NO_SOURCES
    endpoints: Endpoints | None = None
    whole: frozenset[tuple[GroupKind, str]] = frozenset()
    """(kind, namespace) that was listed with nothing left out; an empty namespace stands for all."""
    refused: dict[tuple[GroupKind, str], str] = field(default_factory=dict)
    """(kind, namespace) -> why we may not patch there."""
    read_cache: dict[tuple[GroupKind, str], tuple[str, Read]] = field(default_factory=dict)
    decorated: dict[tuple[GroupKind, Key], Decorated] = field(default_factory=dict)
    """(kind, namespace and name) -> its rows when they were last asked for."""

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
        self.classes = _same_if_equal(self.classes, around.classes)

    def take_over(self, before: ObjectStore) -> None:
        """What surrounds the objects, and what was made of those that are the same, as an earlier store has it."""
        self.sources, self.endpoints = before.sources, before.endpoints
        self.gateways, self.classes = before.gateways, before.classes
        self.read_cache, self.decorated = before.read_cache, before.decorated
        self.forget_gone()

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
        self.decorated = {
            (kind, key): one for (kind, key), one in self.decorated.items() if key in self.objects.get(kind, {})
        }


_Kept = TypeVar("_Kept")


def _same_if_equal(before: _Kept, now: _Kept) -> _Kept:
    return before if before == now else now


@dataclass(frozen=True, slots=True)
class RowDecorator:
    """What is put on a codec's bare routes and limits: owners, rights, health, bindings, what planes say of them, the
    time of the read."""

    store: ObjectStore
    views: Views
    at: float

    def routes(self, codec: Codec, native: Any, bare: Sequence[Route]) -> list[Route]:
        """The routes of one object as they are shown."""
        if not bare:
            return []
        views = self.views.of(codec.resource.group_kind, native)
        return self._routes(codec, native, bare, views, _faults(views, native))

    def _routes(
        self, codec: Codec, native: Any, bare: Sequence[Route], views: Sequence[View], faults: Sequence[Sequence[str]]
    ) -> list[Route]:
        metadata: Metadata = native.metadata
        owners = owners_of(metadata, codec.resource, self.store.sources)
        why = self._refused(codec, metadata)
        leaving = next((view.leaving for view in views if view.leaving), "")
        made = []
        for route, fault in zip(bare, _told(views, faults, len(bare)), strict=True):
            editable = Editable(False, why) if why and route.editable.yes else route.editable
            targets = with_health(route.targets, self.store.endpoints, leaving)
            status = _with_fault(route.status, fault)
            made.append(
                replace(route, owners=owners, editable=editable, targets=targets, status=status, read_at=self.at)
            )
        return made

    def limits(self, codec: Codec, native: Any, bare: Sequence[Limit]) -> list[Limit]:
        """The limits of one object as they are shown."""
        if not bare:
            return []
        views = self.views.of(codec.resource.group_kind, native)
        return self._limits(codec, native, bare, views, _faults(views, native))

    def _limits(
        self, codec: Codec, native: Any, bare: Sequence[Limit], views: Sequence[View], faults: Sequence[Sequence[str]]
    ) -> list[Limit]:
        metadata: Metadata = native.metadata
        owners = owners_of(metadata, codec.resource, self.store.sources)
        why = self._refused(codec, metadata)
        used = self._used(codec, metadata)
        made = []
        for limit, fault in zip(bare, _told(views, faults, len(bare)), strict=True):
            editable = Editable(False, why) if why and limit.editable.yes else limit.editable
            bound = views[0].bound(limit, native, used, domain_of(codec, limit))
            status = _with_fault(limit.status, fault)
            made.append(replace(bound, owners=owners, editable=editable, status=status, read_at=self.at))
        return made

    def kept(self, codec: Codec, native: Any, read: Read) -> Decorated:
        """The rows of a held object: the very same ones as before where nothing that they are made of has changed, so
        that nobody above need look at them again. Their `read_at` stays too; the environment's own says how fresh they
        are."""
        metadata: Metadata = native.metadata
        views = self.views.of(codec.resource.group_kind, native)
        used = self._used(codec, metadata) if read.limits else None
        why = self._refused(codec, metadata)
        faults = _faults(views, native)
        planes = [(view.name, view.made_of, told) for view, told in zip(views, faults, strict=True)]
        made_of = (read, used, why, planes, self.store.sources, self.store.endpoints)
        key = (codec.resource.group_kind, (metadata.namespace, metadata.name))
        before = self.store.decorated.get(key)
        if before is not None and before.made_of == made_of:
            return before
        routes = self._routes(codec, native, read.routes, views, faults) if read.routes else []
        limits = self._limits(codec, native, read.limits, views, faults) if read.limits else []
        if before is not None:
            routes, limits = _unless_equal(before.routes, routes), _unless_equal(before.limits, limits)
        made = self.store.decorated[key] = Decorated(made_of, routes, limits)
        return made

    def _used(self, codec: Codec, metadata: Metadata) -> Sequence[Use]:
        return self.views.uses.get((codec.resource.group_kind, (metadata.namespace, metadata.name)), ())

    def _refused(self, codec: Codec, metadata: Metadata) -> str:
        refused, kind = self.store.refused, codec.resource.group_kind
        return refused.get((kind, metadata.namespace)) or refused.get((kind, ""), "")


def domain_of(codec: Codec, limit: Limit) -> str:
    """Where the kind says that a limit is counted; empty where it does not say."""
    sections = codec.data.limits
    within = (one for one in sections if len(sections) == 1 or limit.location.startswith(one.at or one.amount))
    return next((one.domain for one in within), "")


def _faults(views: Sequence[View], native: Any) -> list[list[str]]:
    """What each plane says of the rows of an object."""
    return [view.faults(native) for view in views]


def _told(views: Sequence[View], faults: Sequence[Sequence[str]], count: int) -> list[str]:
    """For each row, which plane does not load it, and why; empty for none."""
    told = [""] * count
    for view, of_rows in zip(views, faults, strict=True):
        for index, fault in enumerate(of_rows):
            if fault and not told[index]:
                told[index] = f"{view.name} does not load it: {fault}"
    return told


def _with_fault(status: Status, fault: str) -> Status:
    """What a plane does not load is broken, whatever else is said of it."""
    if not fault:
        return status
    more = f"; {status.detail}" if status.state is StatusState.ERROR else ""
    return Status(StatusState.ERROR, f"{fault}{more}")


def _unless_equal(before: list[AnyRow], now: list[AnyRow]) -> list[AnyRow]:
    """The rows as they are now; those that differ in the time of the read only stay the ones they were."""
    if len(before) != len(now):
        return now
    pairs = zip(before, now, strict=True)
    return [old if replace(new, read_at=old.read_at) == old else new for old, new in pairs]


async def snapshot_parts(
    store: ObjectStore, decorator: RowDecorator, environment: str
) -> tuple[list[Route], list[Limit], list[Outside]]:
    """All routes, limits and outside changes; gives way to the event loop as it goes."""
    routes: list[Route] = []
    limits: list[Limit] = []
    outside: list[Outside] = []
    count = 0
    for codec in store.kinds.codecs.values():
        for native in list(store.of(codec.resource.group_kind)):  # a watch may add and take away while we give way
            read = store.read(codec, native, environment, decorator.at)
            if read.routes or read.limits:
                rows = decorator.kept(codec, native, read)
                routes += rows.routes
                limits += rows.limits
                outside += outside_of(native.metadata, codec, environment)
            count += 1
            if count % BREATHE_EVERY == 0:
                await asyncio.sleep(0)
    return routes, limits, outside


def outside_of(metadata: Metadata, codec: Codec, environment: str) -> list[Outside]:
    """Writes by others within a day, as the API server remembers them: one per manager, the last one."""
    writes = []
    since = time.time() - OUTSIDE_SECONDS
    for entry in metadata.managed_fields or []:
        if entry.subresource or entry.manager == OUR_MANAGER or not entry.time:
            continue
        at = _unix(entry.time)
        if at is not None and at >= since:
            name = f"{environment}/{codec.kind}/{metadata.namespace}/{metadata.name}"
            what = "applied" if entry.operation == "Apply" else "updated"
            writes.append(Outside(at, clean(entry.manager, 200), clean(name), what, "managedFields"))
    return writes


def _unix(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
