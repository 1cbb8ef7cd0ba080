"""What the control plane keeps of each environment between reads, and how a fresh read of one object is merged in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from control.background import in_background
from control.calls import ENVIRONMENT_SECONDS, ask, logged_in
from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import ControlError, NotFound
from control.fleet.inventory import (
    EnvironmentState,
    StructureCache,
    build_inventory,
    empty_inventory,
    environment_views,
    filled_limit,
    prepared_snapshot,
)
from control.fleet.measuring import Meter
from control.fleet.merging import carried, group_counts
from control.fleet.snapshot_cache import cache_file, load, save
from control.fleet.views import Inventory, Unreached
from control.folders import cache_folder
from control.memo import Memo
from control.model import Counted, Environment, Snapshot
from control.model.ref import Ref
from control.planning.fields import AnyRow
from control.ports import EVERYTHING, Delta, Fetched, Reader
from control.structs import replace

COUNT_SECONDS = 5.0


@dataclass(slots=True)
class FleetStore:
    """The states of all environments and the inventory made of them."""

    deck: DeckConfig
    readers: Mapping[str, Reader]
    states: dict[str, EnvironmentState] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    inventory: Inventory = field(init=False)
    _structures: StructureCache = field(default_factory=StructureCache)
    _taking: threading.Lock = field(default_factory=threading.Lock)
    """Held in worker threads only, for milliseconds: a whole read and a merge must not lose each other's rows."""
    _told: Sequence[tuple[object, ...]] = ()
    """What the inventory was made of."""
    _building: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.inventory = empty_inventory(self.deck)

    async def rebuild(self) -> Inventory:
        """Make the inventory anew from the states, off the event loop, one after the other so that none is lost."""
        async with self._building:
            states = {name: replace(state, confirmed_at=self._confirmed(name)) for name, state in self.states.items()}
            version = self.inventory.version + 1
            told = [(state.snapshot, state.seen, state.unreached, state.from_cache) for state in states.values()]
            if _are_same(told, self._told):  # only how old they are is news
                views = environment_views(self.deck, states)
                self.inventory = replace(self.inventory, version=version, environments=views)
                return self.inventory
            self.inventory = await in_background(build_inventory, self.deck, states, version, self._structures)
            self._told = told
            return self.inventory

    def _confirmed(self, name: str) -> float | None:
        reader = self.readers.get(name)
        return reader.confirmed_at() if reader is not None else None

    def state(self, name: str) -> EnvironmentState:
        return self.states.setdefault(name, EnvironmentState())

    async def read(
        self, name: str, deadline_seconds: float, patient: bool = True, since: Delta = EVERYTHING
    ) -> ControlError | None:
        """Read one environment whole. A failure is kept and returned; the rows of the last good read stay. `patient`
        waits for a slow login first; `since` is what moved since the last read."""
        try:
            reader = await logged_in(self.readers[name]) if patient else self.readers[name]
            snapshot = await ask(reader.read(since), deadline_seconds, f"reading {name}")
        except ControlError as error:
            self.state(name).unreached = Unreached(name, str(error), error.kind.value)
            return error
        state = self.state(name)
        filled = await in_background(prepared_snapshot, snapshot, self.deck.environment(name), state.filled)
        await in_background(self._take_newer, state, filled)
        state.unreached = None
        return None

    def _take_newer(self, state: EnvironmentState, filled: Snapshot) -> None:
        with self._taking:
            if state.snapshot is None or not state.was_read or filled.read_at >= state.snapshot.read_at:
                state.take(filled)

    def known(self, environment: str) -> str:
        """The environment's name. Raises `NotFound` for one that the deck file does not name."""
        if environment not in self.readers:
            raise NotFound(f"there is no environment '{environment}'", hint="the deck file names them")
        return environment

    async def ensure_read(self, names: Sequence[str]) -> None:
        """Read what was never read. Raises where one of these cannot be."""
        missing = [name for name in names if not self.state(self.known(name)).was_read]
        errors = await asyncio.gather(*(self.read(name, ENVIRONMENT_SECONDS) for name in missing))
        if missing:
            await self.rebuild()
        for name, error in zip(missing, errors, strict=True):
            if error is not None:
                error.environment = error.environment or name
                raise error

    # --- the cache of the last session --------------------------------------------------------------------------------

    def _cache_file(self, name: str) -> Path | None:
        return None if self.deck.path is None else cache_file(cache_folder(), self.deck.path, name)

    async def load_cached(self) -> bool:
        """Take the rows of the last session for what was not read yet. True where there were some."""
        return await asyncio.to_thread(self._load_cached)

    def _load_cached(self) -> bool:
        any_cached = False
        for name in self.readers:
            path = self._cache_file(name)
            if path is None or self.state(name).snapshot is not None:
                continue
            snapshot = load(path)
            if snapshot is not None and self.state(name).snapshot is None:
                self.state(name).take(snapshot, from_cache=True)
                any_cached = True
        return any_cached

    async def save_cached(self, name: str) -> None:
        """Keep the rows of one environment for the next session."""
        path, state = self._cache_file(name), self.state(name)
        if path is not None and state.snapshot is not None and state.was_read:
            await asyncio.to_thread(save, path, state.snapshot)

    def merge(self, fetched: Sequence[Fetched]) -> None:
        """Put fresh reads of objects in the place of what was known of them."""
        by_environment: dict[str, list[Fetched]] = {}
        for one in fetched:
            by_environment.setdefault(one.environment, []).append(one)
        for name, own in by_environment.items():
            with self._taking:
                self._merge(name, own)

    def _merge(self, name: str, fetched: Sequence[Fetched]) -> None:
        state = self.state(name)
        in_part = state.in_part or state.snapshot is None
        merged = state.snapshot or self._bare(name, fetched)
        for one in fetched:
            merged = replace(
                merged,
                routes=_merged(merged.routes, one.routes, one.object),
                limits=_merged(merged.limits, one.limits, one.object),
            )
        prepared = prepared_snapshot(merged, self.deck.environment(name), Memo(filled_limit))
        state.take(prepared, state.from_cache, in_part)

    def _bare(self, name: str, fetched: Sequence[Fetched]) -> Snapshot:
        """An environment of which nothing but these objects is known."""
        config = self.deck.environment(name) or EnvironmentConfig(name)
        labels = tuple(sorted(config.labels.items()))
        environment = Environment(name, config.section.platform, labels, config.production, config.code)
        return Snapshot(environment, read_at=min(one.read_at for one in fetched))

    async def count(self, name: str) -> bool:
        """Take one sample of the counters of one environment. False where they could not be asked."""
        state = self.state(name)
        if not state.was_read:
            return False
        try:
            samples = await ask(self.readers[name].count(None), COUNT_SECONDS, f"counting in {name}")
        except ControlError:
            return False
        if samples or state.seen:
            await in_background(self._take, state, samples)
        return True

    def _take(self, state: EnvironmentState, samples: Sequence[Counted]) -> None:
        if state.snapshot is None:
            return
        for sample in (*samples, *group_counts(state.snapshot.routes, samples)):
            self.meter.add(sample)
        rows = [one for route in state.snapshot.routes for one in (route, *route.members)]
        state.seen = {row.ref: seen for row in rows if (seen := self.meter.seen(row)) is not None}


def _merged(known: Iterable[AnyRow], fresh: Sequence[AnyRow], object: str) -> tuple[AnyRow, ...]:
    """Ungrouped rows, those of `object` as freshly read, in the old order."""
    news: dict[Ref, AnyRow] = {one.ref: one for row in fresh for one in _members(row)}
    rows: list[AnyRow] = []
    for row in known:
        for old in _members(row):
            new = news.pop(old.ref, None)
            if new is not None:
                rows.append(carried(new, old))
            elif old.object != object:
                rows.append(old)
    rows.extend(news.values())
    return tuple(rows)


def _members(row: AnyRow) -> tuple[AnyRow, ...]:
    return row.members or (row,)


def _are_same(now: Sequence[tuple[object, ...]], before: Sequence[tuple[object, ...]]) -> bool:
    """Whether they are the same objects: comparing what is in them would cost more than making all anew."""
    return len(now) == len(before) and all(
        one is other for new, old in zip(now, before, strict=True) for one, other in zip(new, old, strict=True)
    )
