"""Reading one cluster. Nothing here can write: its connection lets only reading requests through."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from adapters.common.http import Pages
from adapters.kubernetes import doctor
from adapters.kubernetes.access import asked, namespace_hint
from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.discovery import Discovery
from adapters.kubernetes.client.kubeconfig import load, load_again
from adapters.kubernetes.client.objects import decode
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.client.rights import Rights
from adapters.kubernetes.client.transport import Connection, ReadOnlyTransport, connect
from adapters.kubernetes.client.watching import Key, Watcher
from adapters.kubernetes.collect import Collected, Collector, Part
from adapters.kubernetes.edited_text import edits_of
from adapters.kubernetes.kinds.common import NO_SCOPE, namespace_of
from adapters.kubernetes.kinds.table import Kinds
from adapters.kubernetes.object_store import ObjectStore, RowDecorator, snapshot_parts
from adapters.kubernetes.planes.cluster_planes import ClusterPlanes
from adapters.kubernetes.planes.plane import Payload
from adapters.kubernetes.preparing import Native, base_of, recorded_of, steps
from adapters.kubernetes.section import PLATFORM, KubernetesConfig, settings_of
from adapters.kubernetes.shown import as_yaml, tidy
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, ControlError, Forbidden, NotFound, Unreachable, UsageError
from control.model import Access, Counted, Environment, Reach, ReachState, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.ports import EVERYTHING, Check, Delta, Fetched, NativeText, Prepared, ProofPart, ProofState
from control.text import clean

CONFIRM_SECONDS = 5.0
"""How often the server behind silent watches is asked whether it is still there."""
FAILED_SECONDS = 30.0
"""How often a kind that could not be read is tried again while the others are watched."""
AROUND_SECONDS = 10.0
"""For how long what is around the objects, and is not watched, is taken as it was while changes are told one by one."""
YOUNG_SECONDS = 60.0
"""A list that is younger can be watched on from."""


class KubernetesReader:
    """See `control.ports.Reader`. Made without I/O; the kubeconfig is read on first use."""

    def __init__(self, config: EnvironmentConfig, connection: Connection | None = None) -> None:
        self.name = config.name
        self.config = config
        self._given = connection
        self._api: Api | None = None
        self._pages: Pages | None = None
        self._collector: Collector | None = None
        self._rights: Rights | None = None
        self._watcher: Watcher | None = None
        self._store: ObjectStore | None = None
        self.kinds = Kinds(config.kinds)
        self.planes = ClusterPlanes(self)
        """The data planes that use its objects."""
        self._collected = Collected(self.kinds)
        """What the stored objects were listed in; the objects themselves are in `_store`."""
        self._hint = ""
        self._listed_at = self._failed_until = self._around_at = float("-inf")
        self._confirmed: float | None = None
        self._confirming: asyncio.Task[None] | None = None

    # --- connections --------------------------------------------------------------------------------------------------

    @property
    def section(self) -> KubernetesConfig:
        """The deck file's section."""
        return settings_of(self.config)

    def connection(self) -> Connection:
        """How to reach the server; reads the kubeconfig the first time. Raises `DeckError`."""
        if self._given is None:
            config, context = self.section.kubeconfig, self.section.context
            self._given = connect(load(config, context), lambda: load_again(config, context))
        return self._given

    @property
    def api(self) -> Api:
        """The API server, for reading only."""
        if self._api is None:
            self._api = Api(self.connection(), ReadOnlyTransport)
        return self._api

    @property
    def pages(self) -> Pages:
        """The data planes' own pages."""
        if self._pages is None:
            made = self.connection().pages
            self._pages = Pages(made() if made else None)
        return self._pages

    @property
    def rights(self) -> Rights:
        """What we may do."""
        if self._rights is None:
            self._rights = Rights(self.api)
        return self._rights

    @property
    def collector(self) -> Collector:
        """What reads everything."""
        if self._collector is None:
            self._collector = Collector(self.api, self.section.namespaces, self.section.kinds, self.kinds)
        return self._collector

    @property
    def discovery(self) -> Discovery:
        """What the API server has."""
        return self.collector.discovery

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that are read; one empty name stands for all."""
        return self.collector.namespaces

    # --- reading ------------------------------------------------------------------------------------------------------

    async def log_in(self) -> None:
        """Run what gives us our identity, which may take longer than a read."""
        await self.connection().headers(False)

    async def read(self, since: Delta | None = None) -> Snapshot:
        """Everything; from the watched store while its watches are alive, else listed anew."""
        told = since is not None and not since.everything
        store = await self._watched(told) or await self._listed()
        at = time.time()
        late = not told or time.monotonic() > self._around_at + AROUND_SECONDS
        _, access, identity = await asyncio.gather(
            self._look_around(store) if late else asyncio.sleep(0),
            asked(self.config, self.rights, self.collector.namespaces, store),
            self.rights.identity(),
        )
        decorator = RowDecorator(store, self.planes.views(store), at)
        routes, limits, outside = await snapshot_parts(store, decorator, self.name)
        environment, missing = self._environment(identity, access), self._collected.missing(self._hint)
        return Snapshot(environment, tuple(routes), tuple(limits), at, tuple(outside), missing)

    async def _look_around(self, store: ObjectStore) -> None:
        """Read what is around the objects and is not watched."""
        around, _ = await asyncio.gather(self.collector.around(), self.planes.look())
        self._around_at = time.monotonic()
        if around is not None:
            store.surround(around)

    async def _watched(self, told: bool = False) -> ObjectStore | None:
        """The store, where it is followed and the server still answers. What cannot be watched is listed."""
        watcher = self._watcher
        if watcher is None or not watcher.usable or self._store is None:
            return None
        if not told:  # whoever tells what moved is there
            await self.api.ping()
        again = watcher.lost()
        if self._collected.failed and time.monotonic() > self._failed_until:
            self._failed_until = time.monotonic() + FAILED_SECONDS
            again += [key for key in self._collected.failed if key not in again]
        await asyncio.gather(*(self._list_again(key) for key in again))
        return self._store

    async def _list_again(self, key: Key) -> bool:
        """List one kind in one namespace into the store. True where that brought anything new."""
        watcher, store = self._watcher, self._store
        assert watcher is not None and store is not None
        try:
            part = await self.collector.part(key)
        except (Unreachable, AuthError):
            raise
        except ControlError as error:
            self._collected.parts.pop(key, None)
            self._collected.failed[key] = error
            store.whole -= {key}
            part = Part([], "")
            if isinstance(error, NotFound):  # perhaps its definition was taken away
                self.collector.discovery.forget()
                watcher.relist_soon()
        else:
            store.whole = (store.whole - {key}) | ({key} if not part.missing else frozenset())
            self._collected.failed.pop(key, None)
            self._collected.parts[key] = part.without_objects()
        if not watcher.listed(key, part.version, store):
            return False
        return store.replace(key, part.objects)

    async def namespace_hint(self) -> str:
        """What to do in the deck file where not all namespaces may be read."""
        return await namespace_hint(self.collector, self.rights, self.connection().namespace)

    async def _listed(self) -> ObjectStore:
        try:
            collected = await self.collector.everything()
        except Forbidden as error:
            error.hint = await self.namespace_hint() or error.hint
            raise
        if any(isinstance(error, Forbidden) for error in collected.failed.values()):
            self._hint = await self.namespace_hint()
        before = self._store
        store = ObjectStore(self.kinds)
        for key, part in collected.parts.items():
            store.replace(key, part.objects)
            collected.parts[key] = part.without_objects()
        if before is not None:
            store.take_over(before)
        store.whole = frozenset(key for key, part in collected.parts.items() if not part.missing)
        self._collected = collected
        self._store = store
        self._listed_at = time.monotonic()
        if self._watcher is not None:
            self._watcher.restart(collected.versions, store)
        return store

    async def _settled(self) -> ObjectStore:
        """What was read, read first where nothing was."""
        if self._store is None:
            await self.read()
        assert self._store is not None
        return self._store

    def object_of(self, ref: Ref) -> str | None:
        """Rows are named after their objects."""
        return (
            str(ref.whole)
            if ref.environment == self.name and ref.kind in self.kinds.codecs and not ref.is_group
            else None
        )

    def stands_alone(self, ref: Ref) -> bool:
        """Where limits are bound and what a data plane loads is told by the other objects."""
        return False

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        """These objects, anew, and whether we may patch them."""
        store = await self._settled()
        return list(await asyncio.gather(*(self._fetched(Ref.parse(name).whole, store) for name in objects)))

    async def _fetched(self, ref: Ref, store: ObjectStore) -> Fetched:
        body, may_patch = await asyncio.gather(self._get(ref), self._may_patch(ref))
        return self._as_fetched(ref, body, store, may_patch)

    async def _get(self, ref: Ref) -> bytes:
        if ref.environment != self.name:
            raise UsageError(f"{clean(str(ref))} is not of the environment {self.name}")
        resource = await self.collector.resource(self.kinds.codec_of(ref))
        what = f"read {resource.plural} {clean(ref.scope)}/{clean(ref.name)}"
        return await self.api.get(resource.path(namespace_of(ref), ref.name), what=what)

    async def _may_patch(self, ref: Ref) -> bool:
        resource = self.kinds.codec_of(ref).resource
        return await self.rights.may("patch", resource, namespace_of(ref), ref.name) is not False

    def _as_fetched(self, ref: Ref, body: bytes, store: ObjectStore, may_patch: bool) -> Fetched:
        """An object as the server sent it, with what its rows are made of besides."""
        codec, at = self.kinds.codec_of(ref), time.time()
        wire = decode(body, codec.wire)
        read = codec.read(wire, self.name, at)
        decorator = RowDecorator(store, self.planes.views(store), at)
        native = Native(codec, ref, msgspec.json.decode(body), wire, read, decorator, may_patch)
        routes, limits = native.rows(wire)
        return Fetched(str(ref), self.name, base_of(read), tuple(routes), tuple(limits), at, native)

    def answered(self, ref: Ref, body: bytes) -> Fetched | None:
        """An object as the answer to a write has it. None where nothing is known of what is around it."""
        return self._as_fetched(ref, body, self._store, True) if self._store is not None else None

    # --- rights -------------------------------------------------------------------------------------------------------

    async def access(self) -> Access:
        """May we patch the kinds that are here?"""
        return await asked(self.config, self.rights, self.collector.namespaces, await self._settled())

    def _environment(self, identity: str, access: Access) -> Environment:
        config = self.config
        told = [str(one) for one in self._collected.missing(self._hint)[:5]]
        told += self._watcher.unwatched() if self._watcher is not None else []
        return Environment(
            name=config.name,
            platform=PLATFORM,
            labels=tuple(sorted(config.labels.items())),
            production=config.production,
            code=config.code,
            identity=identity,
            reach=Reach(ReachState.DEGRADED if told else ReachState.OK, "; ".join(told)),
            access=access,
        )

    # --- changing -----------------------------------------------------------------------------------------------------

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        """One step for each native object, in the order in which the objects are first named."""
        return steps(fetched, changes)

    async def native(self, ref: Ref) -> NativeText:
        """The object as YAML, without managedFields, secrets masked."""
        body = await self._get(ref.whole)
        return NativeText(str(ref.whole), "yaml", as_yaml(tidy(msgspec.json.decode(body))))

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        """The edits in an edited YAML; see `adapters.kubernetes.edited_text`."""
        return edits_of(self.kinds.codec_of(ref.whole), ref.whole, original, text)

    # --- proof, traffic, change ---------------------------------------------------------------------------------------

    async def loaded(self, step: Prepared) -> ProofPart:
        """What the planes that serve the object say."""
        return await self.planes.loaded(step, self.planes.views(await self._settled()))

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        """Whether the data plane runs the object as it stands. One that has the generation and the uid that it had
        before a write was never written."""
        ref = Ref.parse(object).whole
        body = await self._get(ref)
        if recorded and recorded == recorded_of(msgspec.json.decode(body)):
            return ProofPart(ProofState.YES, "the object was never changed")
        codec = self.kinds.codec_of(ref)
        payload = Payload(codec, ref, (), decode(body, codec.wire))
        step = Prepared(object, self.name, tuple(changes), "", "", payload=payload)
        return await self.loaded(step)

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        """The counters of all planes."""
        return await self.planes.count(await self._settled(), refs)

    async def check(self) -> list[Check]:
        """What doctor says; see `adapters.kubernetes.doctor`."""
        return await doctor.checks(self)

    async def watch(self) -> AsyncIterator[Delta]:
        """What changed, from watches that are resumed and, where too old, listed anew."""
        if self._watcher is None:
            self._watcher = Watcher(self.api, self._list_again, self.collector.watched)
            try:
                if self._store is not None and time.monotonic() < self._listed_at + YOUNG_SECONDS:
                    self._watcher.restart(self._collected.versions, self._store)
                else:
                    await self._listed()
            except ControlError:
                self._watcher.relist_soon()
        watcher = self._watcher
        while True:
            self._confirming = self._confirming or asyncio.create_task(self._confirm_on())
            if await watcher.changed() == "relist":
                try:
                    await self._listed()
                except ControlError:
                    watcher.relist_soon()
                    continue
                yield EVERYTHING
                continue
            moved = watcher.moved()
            named = {self._name_of(*key): gone for key, gone in moved.items()}
            changed = frozenset(name for name, gone in named.items() if not gone)
            yield Delta(changed, frozenset(named) - changed)

    def _name_of(self, kind: GroupKind, namespace: str, name: str) -> str:
        return str(Ref(self.name, self.kinds.by_group_kind[kind].kind, namespace or NO_SCOPE, name))

    def confirmed_at(self) -> float | None:
        """Every stream is open and the server answers: the store has what it has."""
        return self._confirmed

    async def _confirm_on(self) -> None:
        """Ask every few seconds whether the server behind the silent streams is still there."""
        while True:
            await asyncio.sleep(CONFIRM_SECONDS)
            with contextlib.suppress(ControlError):
                if self._watcher is not None and self._watcher.alive:
                    await self.api.ping()
                    self._confirmed = time.time()

    async def close(self) -> None:
        """Close everything. Idempotent."""
        if self._confirming is not None:
            self._confirming.cancel()
        if self._watcher is not None:
            await self._watcher.close()
            self._watcher = None
        if self._api is not None:
            await self._api.close()
        if self._pages is not None:
            await self._pages.close()
