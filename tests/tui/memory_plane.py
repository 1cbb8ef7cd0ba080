"""A `ControlPlane` over platforms in memory that hold the rows of a fleet: planning, guards, applying, the proof, the
journal, undo, watching and measuring are the real ones.

The adapters are rows and not native objects, since the screen must also bear what no platform here would give: hostile
names, numbers that nobody understood, two thousand rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import AuthError, ControlError, Forbidden, InvalidValue, Unreachable
from control.fleet.views import Inventory, Seen
from control.model import (
    Access,
    AccessState,
    Counted,
    Limit,
    Missing,
    Outside,
    Reach,
    ReachState,
    Route,
    Snapshot,
    TargetCount,
)
from control.model.ref import Ref
from control.model.shares import shares_of
from control.plane import ControlPlane, WriterFactory
from control.planning.edit import Change, Edit, SharesEdit, split_field
from control.planning.options import ApplyOptions
from control.planning.plan import Plan, Progress, Result
from control.ports import NativeText, Prepared, ProofPart, Reader, Writer, Written
from control.structs import replace
from tests.control.fake_adapter import FakeReader, FakeWriter, Native, Store
from tests.tui import fleets
from tui.arm import SessionArm
from tui.session import Session

ACTOR = "alice@deck"
REFUSALS: dict[str, type[ControlError]] = {one.kind.value: one for one in (Unreachable, Forbidden, AuthError)}


def natives_of(fleet: Inventory, environment: str) -> dict[str, Native]:
    """The objects of one environment, each with its rows."""
    natives: dict[str, Native] = {}
    for row in (*fleet.routes.values(), *fleet.limits.values()):
        if row.environment == environment:
            native = natives.setdefault(row.object, {"version": 1, "routes": {}, "limits": {}})
            native["routes" if isinstance(row, Route) else "limits"][str(row.ref)] = row
    return natives


def counted_of(ref: Ref, seen: Seen) -> Counted:
    """Counters that show just this, over a window of their own."""
    traffic, seconds = seen.traffic, fleets.WINDOW_SECONDS
    total = None if traffic.rps is None else traffic.rps * seconds

    def part(ratio: Fraction | None) -> Fraction | None:
        return None if total is None or ratio is None else total * ratio

    targets = tuple((name, TargetCount(share * seen.requests)) for name, share in seen.shares.items())
    return Counted(
        ref, time.time(), targets, total, part(traffic.error_ratio), part(traffic.throttled_ratio),
        traffic.p95_seconds, float(seconds), traffic.source,
    )  # fmt: skip


class MemoryReader(FakeReader):
    """One environment of a fleet."""

    def __init__(self, config: EnvironmentConfig, fleet: Inventory) -> None:
        super().__init__(config, Store())
        self.refused: ControlError | None = None
        """Raised by every answer, where it is there."""
        self.answering = asyncio.Event()
        """Until it is set, every answer is on its way."""
        self.samples: dict[Ref, Counted] | None = None
        """Counters in place of those that show what the fleet says."""
        self.outside: tuple[Outside, ...] = ()
        self.missing: tuple[Missing, ...] = ()
        self.seen: Mapping[Ref, Seen] = {}
        self._rows: dict[tuple[Ref, int], Route | Limit] = {}
        """Rows as they were told: the same as long as their object has not changed."""
        self.put(fleet)

    def put(self, fleet: Inventory) -> None:
        """What somebody else makes of the environment."""
        environment = fleet.environments[self.name].environment
        reach = environment.reach
        gone = reach.state is ReachState.UNREACHABLE
        awaited = fleet.environments[self.name].is_awaited
        self.environment = replace(environment, reach=Reach()) if gone or awaited else environment
        self.as_of = fleet.environments[self.name].read_at if gone else None
        fresh = natives_of(fleet, self.name)
        known = self.store.get()
        for name, native in fresh.items():
            if name in known:
                native["version"] = known[name]["version"]
                native["version"] += known[name] != native
        self.store = Store(fresh)
        self.seen = {ref: seen for ref, seen in fleet.seen.items() if ref.environment == self.name}
        self.outside = tuple(one for one in fleet.outside if one.object.partition("/")[0] == self.name)
        lacking = [one for one in fleet.missing if one.environment == self.name]
        self.missing = tuple(Missing(*one.why.split(": ", 1)) for one in lacking)
        kinds = {one.environment: REFUSALS[one.kind] for one in fleet.unreached}
        self.refused = kinds.get(self.name, Unreachable)(reach.why) if gone and not awaited else None
        self.last_session: Snapshot | None = None
        if awaited:
            self.answering.clear()
            if fleet.environments[self.name].read_at is not None:
                told = replace(self.snapshot(fresh), environment=environment)
                self.last_session = replace(told, read_at=fleet.environments[self.name].read_at)
        else:
            self.answering.set()

    def change(self, changes: Sequence[Change]) -> None:
        """What somebody else sets."""
        for change in changes:
            self.store.change(self._object_of(self.store.get(), change), partial(self._edit, change=change))
        self.touched.set()

    def _told(self, row: Route | Limit, version: int, at: float) -> Route | Limit:
        told = self._rows.get((row.ref, version))
        if told is None or replace(told, base=row.base, read_at=row.read_at) != row:
            told = self._rows[row.ref, version] = replace(row, base=f"base-{version}", read_at=at)
        return told

    def snapshot(self, native: Native, only: str | None = None) -> Snapshot:
        at = time.time() if self.as_of is None else self.as_of
        rows = [
            self._told(row, one["version"], at)
            for name, one in native.items()
            if only in (None, name)
            for row in (*one["routes"].values(), *one["limits"].values())
        ]
        return Snapshot(
            self.environment,
            tuple(row for row in rows if isinstance(row, Route)),
            tuple(row for row in rows if isinstance(row, Limit)),
            at,
            self.outside,
            self.missing,
        )

    @staticmethod
    def _edit(new: Native, change: Change) -> None:
        name, what = split_field(change.field)
        key = str(change.ref)
        value: Any = change.after
        if name is None:
            row: Limit = new["limits"][key]
            if what == "window" and row.window is not None:
                value = replace(row.window, seconds=value)
            elif what == "burst" and row.burst is not None:
                value = replace(row.burst, native=value, at_once=Fraction(value))
            new["limits"][key] = replace(row, **{what: value})
            return
        route: Route = new["routes"][key]
        if what == "weight" and isinstance(value, Fraction) and value.denominator == 1:
            value = int(value)
        targets = [replace(t, **{what: value}) if t.name == name else t for t in route.targets]
        shares = shares_of([t.weight for t in targets], [t.state for t in targets], route.semantics)
        shared = tuple(replace(t, share=share) for t, share in zip(targets, shares, strict=True))
        new["routes"][key] = replace(route, targets=shared)

    async def _answer(self, fault: str = "ok") -> None:
        await self.answering.wait()
        await super()._answer(fault)
        if self.refused is not None:
            raise self.refused

    async def native(self, ref: Ref) -> NativeText:
        await self._answer()
        return NativeText(str(ref), "yaml", f"kind: {ref.kind}\nmetadata:\n  name: {ref.name}\nspec: {{}}")

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        """`weight: N` after the original text is an edit of the first target; `wrong` is refused."""
        added = text.removeprefix(original).strip()
        if added.endswith("wrong"):
            raise InvalidValue("line 5: 'wrong' cannot be changed here")
        weight = added.rpartition("weight: ")[2]
        rows = (row for one in self.store.get().values() for row in one["routes"].values())
        route: Route = next(row for row in rows if row.ref == ref)
        return [SharesEdit(ref, ((route.targets[0].name, int(weight)),))] if weight else []

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        await self._answer()
        if self.samples is not None:
            found = list(self.samples.values())
        else:
            found = [counted_of(ref, seen) for ref, seen in self.seen.items()]
        return [one for one in found if refs is None or one.ref in refs]

    async def loaded(self, step: Prepared) -> ProofPart:
        return replace(await super().loaded(step), detail="2 of 2 replicas")

    async def access(self) -> Access:
        return Access(AccessState.WRITABLE)


class MemoryWriter(FakeWriter):
    """Writes as `FakeWriter` does; watches tell of it."""

    async def write(self, step: Prepared) -> Written:
        said = await super().write(step)
        self.reader.touched.set()
        return said


class MemoryPlane(ControlPlane):
    """The control plane over a fleet in memory. It remembers what it was asked to apply."""

    def __init__(
        self, deck: DeckConfig, readers: Mapping[str, Reader], writers: WriterFactory | None, actor: str
    ) -> None:
        super().__init__(deck, readers, writers, actor)
        self.applied: list[tuple[Plan, ApplyOptions]] = []

    @property
    def readers(self) -> dict[str, MemoryReader]:
        return self._readers  # type: ignore[return-value]

    def with_writers(self, writers: WriterFactory) -> MemoryPlane:
        armed = MemoryPlane(self.deck, self._readers, writers, self.actor)
        armed._store, armed.applied = self._store, self.applied
        return armed

    async def apply(
        self,
        plan: Plan,
        options: ApplyOptions = ApplyOptions(),  # noqa: B008
        progress: Callable[[Progress], Awaitable[None]] | None = None,
        stop: asyncio.Event | None = None,
    ) -> Result:
        self.applied.append((plan, options))
        return await super().apply(plan, options, progress, stop)

    def put(self, fleet: Inventory) -> None:
        """What others make of the platforms, as their watches bring it."""
        for reader in self.readers.values():
            reader.put(fleet)
            reader.touched.set()

    def held(self, ref: Ref) -> Any:
        """A row as the platform holds it."""
        for native in self.readers[ref.environment].store.get().values():
            if (row := {**native["routes"], **native["limits"]}.get(str(ref))) is not None:
                return row
        raise AssertionError(f"there is no {ref}")

    async def begun(self) -> None:
        """Every environment read once that answers or did before; those of the last session are told as such."""
        refusals = {name: reader.refused for name, reader in self.readers.items()}
        for reader in self.readers.values():
            reader.refused = None
        await self.refresh([name for name, reader in self.readers.items() if reader.answering.is_set()])
        for name, reader in self.readers.items():
            reader.refused = refusals[name]
            if reader.last_session is not None:
                self._store.state(name).take(reader.last_session, from_cache=True)
        await self.refresh([name for name, refusal in refusals.items() if refusal is not None])
        await self.measure()


def plane_of(fleet: Inventory, folder: Path) -> MemoryPlane:
    """The control plane over a fleet; its journal is in `folder`."""
    environments = [view.environment for view in fleet.environments.values()]
    services = {name: view.routes for name, view in fleet.services.items()}
    deck = fleets.deck_of(environments, services, journal=folder / "journal.db")
    readers = {config.name: MemoryReader(config, fleet) for config in deck.environments}
    return MemoryPlane(deck, readers, None, ACTOR)


def session_of(plane: MemoryPlane, folder: Path, *, read_only: bool = False) -> Session:
    """A session over it; every environment may be armed."""

    def writer(config: EnvironmentConfig, reader: Reader) -> Writer:
        return MemoryWriter(plane.readers[config.name])

    arm = None if read_only else SessionArm(plane, plane.readers, writer)
    return Session(plane, plane.deck, folder, folder, arm)
