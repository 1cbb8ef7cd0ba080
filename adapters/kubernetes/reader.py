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
from adapters.kubernetes.client.kubeconfig import load, load_again
from adapters.kubernetes.client.objects import decode
from adapters.kubernetes.client.rights import Rights
from adapters.kubernetes.client.transport import Connection, ReadOnlyTransport, connect
from adapters.kubernetes.client.watching import Key, Watcher
from adapters.kubernetes.collect import Collected, Collector, Part
from adapters.kubernetes.edited_text import edits_of
from adapters.kubernetes.kinds.common import namespace_of
from adapters.kubernetes.kinds.table import Kinds
from adapters.kubernetes.object_store import ObjectStore, RowDecorator, snapshot_parts
from adapters.kubernetes.planes.traefik.bindings import Instances
from adapters.kubernetes.planes.traefik.count import Counters
from adapters.kubernetes.planes.traefik.loaded import Payload, loaded
from adapters.kubernetes.planes.traefik.surroundings import Lookout
from adapters.kubernetes.preparing import Native, base_of, recorded_of, steps
from adapters.kubernetes.section import PLATFORM, KubernetesConfig, settings_of
from adapters.kubernetes.shown import as_yaml, tidy
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, ControlError, Forbidden, NotFound, Unreachable, UsageError
from control.model import Access, Counted, Environment, Reach, ReachState, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.ports import Check, Fetched, NativeText, Prepared, ProofPart, ProofState
from control.text import clean

CONFIRM_SECONDS = 5.0
"""How often the server behind silent watches is asked whether it is still there."""
FAILED_SECONDS = 30.0
"""How often a kind that could not be read is tried again while the others are watched."""
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
        self._lookout: Lookout | None = None
        self._rights: Rights | None = None
        self._watcher: Watcher | None = None
        self._counters: Counters | None = None
        self._held: ObjectStore | None = None
        self.kinds = Kinds(config.kinds)
        self._collected = Collected(self.kinds)
        """What the held objects were listed in; the objects themselves are in `_held`."""
        self._hint = ""
        self._listed_at = self._failed_until = float("-inf")
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
    def lookout(self) -> Lookout:
        """What reads around the objects."""
        if self._lookout is None:
            discovery, namespaces = self.collector.discovery, self.collector.namespaces
            self._lookout = Lookout(self.api, discovery, namespaces, self.pages, self.config)
        return self._lookout

    @property
    def counters(self) -> Counters:
        """What counts traffic."""
        if self._counters is None:
            self._counters = Counters(self.pages, self.config)
        return self._counters

    # --- reading ------------------------------------------------------------------------------------------------------

    async def log_in(self) -> None:
        """Run what gives us our identity, which may take longer than a read."""
        await self.connection().headers(False)

    async def read(self) -> Snapshot:
        """Everything; from the watched store while its watches are alive, else listed anew."""
        held = await self._watched() or await self._listed()
        at = time.time()
        around, surroundings, access, identity = await asyncio.gather(
            self.collector.around(),
            self.lookout.look(),
            asked(self.config, self.rights, self.collector.namespaces, held),
            self.rights.identity(),
        )
        if around is not None:
            held.surround(around)
        if surroundings is not None:
            held.surroundings = surroundings
        dress = RowDecorator(held, held.uses(self.name), self.instances(), at, held.unloaded())
        routes, limits, outside = await snapshot_parts(held, dress, self.name)
        environment, missing = self._environment(identity, access), self._collected.missing(self._hint)
        return Snapshot(environment, tuple(routes), tuple(limits), at, tuple(outside), missing)

    async def _watched(self) -> ObjectStore | None:
        """The store, where it is followed and the server still answers. What cannot be watched is listed."""
        watcher = self._watcher
        if watcher is None or not watcher.usable or self._held is None:
            return None
        await self.api.ping()
        again = watcher.lost()
        if self._collected.failed and time.monotonic() > self._failed_until:
            self._failed_until = time.monotonic() + FAILED_SECONDS
            again += [key for key in self._collected.failed if key not in again]
        await asyncio.gather(*(self._list_again(key) for key in again))
        return self._held

    async def _list_again(self, key: Key) -> bool:
        """List one kind in one namespace into the store. True where that brought anything new."""
        watcher, held = self._watcher, self._held
        assert watcher is not None and held is not None
        try:
            part = await self.collector.part(key)
        except (Unreachable, AuthError):
            raise
        except ControlError as error:
            self._collected.parts.pop(key, None)
            self._collected.failed[key] = error
            held.whole -= {key}
            part = Part([], "")
            if isinstance(error, NotFound):  # perhaps its definition was taken away
                self.collector.discovery.forget()
                watcher.relist_soon()
        else:
            held.whole = (held.whole - {key}) | ({key} if not part.missing else frozenset())
            self._collected.failed.pop(key, None)
            self._collected.parts[key] = part.without_objects()
        if not watcher.listed(key, part.version, held):
            return False
        return held.replace(key, part.objects)

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
        before = self._held
        held = ObjectStore(self.kinds)
        for key, part in collected.parts.items():
            held.replace(key, part.objects)
            collected.parts[key] = part.without_objects()
        if before is not None:
            held.sources, held.endpoints, held.gateways = before.sources, before.endpoints, before.gateways
            held.surroundings = before.surroundings
            held.read_cache, held.dressed = before.read_cache, before.dressed
            held.forget_gone()
        held.whole = frozenset(key for key, part in collected.parts.items() if not part.missing)
        self._collected = collected
        self._held = held
        self._listed_at = time.monotonic()
        if self._watcher is not None:
            self._watcher.restart(collected.versions, held)
        return held

    async def _settled(self) -> ObjectStore:
        """What is held, read first where nothing is."""
        if self._held is None:
            await self.read()
        assert self._held is not None
        return self._held

    def object_of(self, ref: Ref) -> str | None:
        """Rows are named after their objects."""
        return (
            str(ref.whole)
            if ref.environment == self.name and ref.kind in self.kinds.codecs and not ref.is_group
            else None
        )

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        """These objects, anew, and whether we may patch them."""
        held = await self._settled()
        return list(await asyncio.gather(*(self._fetched(Ref.parse(name).whole, held) for name in objects)))

    async def _fetched(self, ref: Ref, held: ObjectStore) -> Fetched:
        body, may_patch = await asyncio.gather(self._get(ref), self._may_patch(ref))
        return self._as_fetched(ref, body, held, may_patch)

    async def _get(self, ref: Ref) -> bytes:
        if ref.environment != self.name:
            raise UsageError(f"{clean(str(ref))} is not of the environment {self.name}")
        resource = await self.collector.resource(self.kinds.codec_of(ref))
        what = f"read {resource.plural} {clean(ref.scope)}/{clean(ref.name)}"
        return await self.api.get(resource.path(namespace_of(ref), ref.name), what=what)

    async def _may_patch(self, ref: Ref) -> bool:
        return await self.rights.may("patch", self.kinds.codec_of(ref).resource, ref.scope, ref.name) is not False

    def _as_fetched(self, ref: Ref, body: bytes, held: ObjectStore, may_patch: bool) -> Fetched:
        """An object as the server sent it, with what its rows are made of besides."""
        codec, at = self.kinds.codec_of(ref), time.time()
        wire = decode(body, codec.wire)
        read = codec.read(wire, self.name, at)
        used = held.uses(self.name) if read.limits else {}
        decorator = RowDecorator(held, used, self.instances(), at, held.unloaded())
        native = Native(codec, ref, msgspec.json.decode(body), wire, read, decorator, may_patch)
        routes, limits = native.rows(wire)
        return Fetched(str(ref), self.name, base_of(read), tuple(routes), tuple(limits), at, native)

    def answered(self, ref: Ref, body: bytes) -> Fetched | None:
        """An object as the answer to a write has it. None where nothing is known of what is around it."""
        return self._as_fetched(ref, body, self._held, True) if self._held is not None else None

    def instances(self) -> Instances:
        """How many Traefik replicas run: as many as the deck file names."""
        count = sum(1 for proxy in self.config.proxies if proxy.kind == "traefik")
        if count:
            return Instances(count, f"deck file: {count} Traefik {'proxy' if count == 1 else 'proxies'}")
        return Instances(None, "how many Traefik replicas run is not known: name each under proxies in the deck file")

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
        """What the data plane itself says; see `adapters.kubernetes.planes.traefik.loaded`."""
        return await loaded(step, self.api, self.pages, self.config, (await self._settled()).unloaded().of)

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
        return await loaded(step, self.api, self.pages, self.config, (await self._settled()).unloaded().of)

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        """Counters from Traefik's metrics or Prometheus; see `adapters.kubernetes.planes.traefik.count`."""
        held = await self._settled()
        return await self.counters.count(held, self.name, refs)

    async def check(self) -> list[Check]:
        """What doctor says; see `adapters.kubernetes.doctor`."""
        return await doctor.checks(self)

    async def watch(self) -> AsyncIterator[None]:
        """Yield after changes, from watches that are resumed and, where too old, listed anew."""
        if self._watcher is None:
            self._watcher = Watcher(self.api, self._list_again, self.collector.watched)
            try:
                if self._held is not None and time.monotonic() < self._listed_at + YOUNG_SECONDS:
                    self._watcher.restart(self._collected.versions, self._held)
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
            yield

    def confirmed_at(self) -> float | None:
        """Every stream is open and the server answers: what is held is what it has."""
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


def _key(native: Any) -> tuple[str, str]:
    return native.metadata.namespace, native.metadata.name
