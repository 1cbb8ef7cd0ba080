"""A platform in memory or in one file, which can fail, hang, answer late, lose writes, or apply and answer an error."""

from __future__ import annotations

import asyncio
import copy
import fcntl
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from control.deck.config import EnvironmentConfig
from control.errors import InvalidValue, Locked, NotFound, PlatformError, Stale, Unreachable
from control.model import (
    Access,
    AccessState,
    Binding,
    Burst,
    Counted,
    Domain,
    Environment,
    Grid,
    Health,
    Limit,
    Measure,
    OverLimit,
    Route,
    Semantics,
    Snapshot,
    Special,
    Target,
    TargetCount,
    TargetState,
    Window,
    WindowKind,
)
from control.model.ref import Ref
from control.model.shares import shares_of
from control.planning.edit import Change, Edit, split_field
from control.planning.fields import classify, rows_of
from control.planning.text_edits import edits_between
from control.ports import (
    EVERYTHING,
    Check,
    Delta,
    Fetched,
    Found,
    NativeText,
    Prepared,
    ProofPart,
    ProofState,
    SetField,
    Written,
)

Native = dict[str, Any]
"""{object: {"version": n, "routes": {ref: {target: {weight, state, health}}}, "limits": {ref: {...}}}}"""


def route(**targets: int) -> Native:
    return {name: {"weight": weight, "state": "active", "health": "up"} for name, weight in targets.items()}


def limit(amount: str, seconds: int | None = 1, burst: int | None = None, on: str = "") -> Native:
    return {"amount": amount, "seconds": seconds, "burst": burst, "on": on}


class Store:
    """The platform's state: in memory, or in a file that several processes share."""

    def __init__(self, native: Native | None = None, path: Path | None = None) -> None:
        self._native = native or {}
        self._path = path
        self.writes: list[tuple[str, Native]] = []
        if path is not None and native is not None:
            path.write_text(json.dumps(native))

    def get(self) -> Native:
        if self._path is None:
            return copy.deepcopy(self._native)
        with self._path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return json.loads(file.read())

    def put(self, object: str, base: str, new: Native) -> None:
        if self._path is None:
            self._check(self._native, object, base)
            self._native[object] = copy.deepcopy(new)
            self.writes.append((object, new))
            return
        with self._path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            native = json.loads(file.read())
            self._check(native, object, base)
            native[object] = new
            file.seek(0)
            file.truncate()
            file.write(json.dumps(native))

    @staticmethod
    def _check(native: Native, object: str, base: str) -> None:
        if object not in native or str(native[object]["version"]) != base:
            raise Stale(f"{object} is not at {base}")

    def change(self, object: str, edit: Any) -> None:
        """What somebody else does."""
        new = self.get()[object]
        edit(new)
        new["version"] += 1
        self.put(object, str(new["version"] - 1), new)


@dataclass
class Faults:
    """What goes wrong. Each list is used up from the front; what is not listed goes well."""

    write: list[str] = field(default_factory=list)
    """`refuse`, `error_after`, `silent_after` (applied, no answer), `silent_before`, `lose`, `hang`, `stale`, `ok`."""
    loaded: list[ProofState] = field(default_factory=list)
    running: list[ProofState] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    """`unreachable`, `hang`, `ok`, for `fetch`."""
    late_seconds: float = 0.0
    down: bool = False


def _weight(value: Any) -> Any:
    return int(value) if isinstance(value, Fraction) and value.denominator == 1 else value


class FakeReader:
    def __init__(self, config: EnvironmentConfig, store: Store, faults: Faults | None = None) -> None:
        self.name = config.name
        self.config = config
        self.store = store
        self.faults = faults or Faults()
        self.counters: dict[Ref, dict[str, int]] = {}
        self.closed = False
        self.touched = asyncio.Event()
        self.moved = EVERYTHING
        """What the watch says the next time that something was `touched`."""
        self.told: list[Delta | None] = []
        """What each read was told to have moved."""
        self.default_loaded = ProofState.YES
        self.deadline_seconds = 2.0
        self.objects_read: list[str] = []

    # --- the model ----------------------------------------------------------------------------------------------------

    def _route(self, object: str, version: int, text: str, native: Native) -> Route:
        states = tuple(TargetState(t["state"]) for t in native.values())
        weights = tuple(t["weight"] for t in native.values())
        shares = shares_of(weights, states, Semantics.PROPORTIONAL)
        targets = tuple(
            Target(
                name,
                t["weight"],
                share,
                TargetState(t["state"]),
                Health(t["health"]),
                to=Ref.parse(t["to"]) if "to" in t else None,
                region=t.get("region"),
            )
            for (name, t), share in zip(native.items(), shares, strict=True)
        )
        ref = Ref.parse(text)
        return Route(
            ref,
            "kubernetes",
            ref.name,
            Semantics.PROPORTIONAL,
            Grid(),
            targets,
            object,
            str(version),
            time.time(),
            states=frozenset(TargetState),
        )

    def _limit(self, object: str, version: int, text: str, native: Native) -> Limit:
        ref = Ref.parse(text)
        amount = native["amount"]
        window = Window(WindowKind.BUCKET, Fraction(native["seconds"])) if native["seconds"] else None
        burst = native["burst"]
        bindings = (Binding(native["on"], OverLimit(), Domain("process")),) if native["on"] else ()
        return Limit(
            ref,
            "kubernetes",
            ref.name,
            Measure.REQUESTS if window else Measure.INFLIGHT,
            Special(amount) if amount in ("unlimited", "blocked") else Fraction(amount),
            object,
            str(version),
            time.time(),
            window=window,
            burst=None if burst is None else Burst(burst, Fraction(burst)),
            fields=frozenset({"amount", "window", "burst"}),
            specials=frozenset(Special),
            bindings=bindings,
        )

    def snapshot(self, native: Native, only: str | None = None) -> Snapshot:
        routes, limits = [], []
        for name, one in native.items():
            if only is not None and name != only:
                continue
            routes += [self._route(name, one["version"], ref, r) for ref, r in one.get("routes", {}).items()]
            limits += [self._limit(name, one["version"], ref, r) for ref, r in one.get("limits", {}).items()]
        environment = Environment(self.name, self.config.section.platform)
        return Snapshot(environment, tuple(routes), tuple(limits), time.time())

    # --- the port -----------------------------------------------------------------------------------------------------

    async def _answer(self, fault: str = "ok") -> None:
        await asyncio.sleep(self.faults.late_seconds)
        if self.faults.down or fault == "unreachable":
            raise Unreachable(f"{self.name} does not answer")
        if fault == "hang":
            await asyncio.sleep(3600)

    async def read(self, since: Delta | None = None) -> Snapshot:
        await self._answer()
        self.told.append(since)
        return self.snapshot(self.store.get())

    def object_of(self, ref: Ref) -> str | None:
        return None

    def stands_alone(self, ref: Ref) -> bool:
        return False

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        await self._answer(self.faults.reads.pop(0) if self.faults.reads else "ok")
        self.objects_read += objects
        native = self.store.get()
        for name in objects:
            if name not in native:
                raise NotFound(f"there is no {name}")
        return [self.fetched(native, name) for name in objects]

    def fetched(self, native: Native, object: str) -> Fetched:
        one = self.snapshot(native, object)
        base = str(native[object]["version"])
        return Fetched(object, self.name, base, one.routes, one.limits, one.read_at, native[object])

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        native = {one.object: one.native for one in fetched}
        by_object: dict[str, list[Change]] = {}
        for change in changes:
            by_object.setdefault(self._object_of(native, change), []).append(change)
        return [self._prepared(native, name, own) for name, own in by_object.items()]

    @staticmethod
    def _object_of(native: Native, change: Change) -> str:
        for name, one in native.items():
            if str(change.ref) in one.get("routes", {}) or str(change.ref) in one.get("limits", {}):
                return name
        raise NotFound(f"there is no {change.ref}")

    def _prepared(self, native: Native, object: str, changes: list[Change]) -> Prepared:
        new = copy.deepcopy(native[object])
        diff = []
        for change in changes:
            self._edit(new, change)
            diff.append(f"-{change.field}: {change.before}\n+{change.field}: {change.after}")
        base = str(new["version"])
        if new != native[object]:
            new["version"] += 1
        after = self.snapshot({object: new})
        return Prepared(
            object,
            self.name,
            tuple(changes),
            "\n".join(diff),
            base,
            after.routes,
            after.limits,
            deadline_seconds=self.deadline_seconds,
            recorded={key: native[object][key] for key in ("version", "uid") if key in native[object]},
            writes=tuple(SetField(object, f"/{one.ref}/{one.field}", one.before, one.after) for one in changes),
            payload=new,
        )

    @staticmethod
    def _edit(new: Native, change: Change) -> None:
        name, what = split_field(change.field)
        if name is not None:
            target = new["routes"][str(change.ref)].get(name)
            if target is None:
                raise InvalidValue(f"{change.ref} has no target {name}")
            target[what] = change.after.value if isinstance(change.after, TargetState) else _weight(change.after)
            return
        native = new["limits"][str(change.ref)]
        key = {"window": "seconds"}.get(what, what)
        value = change.after
        native[key] = value.value if isinstance(value, Special) else str(value) if what == "amount" else _weight(value)

    async def native(self, ref: Ref) -> NativeText:
        await self._answer()
        return NativeText(str(ref), "json", json.dumps(self.store.get()))

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        await self._answer()
        return edits_between(*([*s.routes, *s.limits] for s in map(self.snapshot, map(json.loads, (original, text)))))

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        await self._answer()
        now = time.time()
        return [
            Counted(ref, now, tuple((n, TargetCount(Fraction(c))) for n, c in counts.items()))
            for ref, counts in self.counters.items()
            if refs is None or ref in refs
        ]

    async def loaded(self, step: Prepared) -> ProofPart:
        await self._answer()
        return ProofPart(self.faults.loaded.pop(0) if self.faults.loaded else self.default_loaded, "as asked")

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        await self._answer()
        native = self.store.get()[object]
        if classify(changes, rows_of(self.snapshot({object: native}))) is not Found.AFTER:
            return ProofPart(ProofState.NO, "it holds other values")
        if recorded.get("version") == native["version"]:
            return ProofPart(ProofState.YES, "it was never changed")
        state = self.faults.running.pop(0) if self.faults.running else self.default_loaded
        return ProofPart(state, "as asked")

    async def access(self) -> Access:
        return Access(AccessState.WRITABLE)

    async def check(self) -> list[Check]:
        await self._answer()
        return [Check("reach", "ok", "it answers")]

    async def watch(self) -> AsyncIterator[Delta]:
        while True:
            await self.touched.wait()
            self.touched.clear()
            moved, self.moved = self.moved, EVERYTHING
            yield moved

    def confirmed_at(self) -> float | None:
        return None

    async def close(self) -> None:
        self.closed = True


class FakeWriter:
    def __init__(self, reader: FakeReader) -> None:
        self.reader = reader
        self.closed = False

    async def write(self, step: Prepared) -> Written:
        fault = self.reader.faults.write.pop(0) if self.reader.faults.write else "ok"
        await asyncio.sleep(self.reader.faults.late_seconds)
        if fault == "refuse":
            raise PlatformError("the platform refuses; nothing was written")
        if fault == "stale":
            raise Stale("somebody was faster")
        if fault == "locked":
            raise Locked("somebody holds the lock")
        if fault == "silent_before" or self.reader.faults.down:
            raise Unreachable("the connection broke")
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault != "lose":
            self.reader.store.put(step.object, step.base, step.payload)
        if fault == "error_after":
            raise PlatformError("an error after the write")
        if fault == "silent_after":
            raise Unreachable("the connection broke after the write")
        if fault == "down_after":
            self.reader.faults.down = True
            raise Unreachable("the connection broke, and so did all others")
        native = self.reader.store.get()
        return Written(f"version {step.payload['version']}", self.reader.fetched(native, step.object))

    async def close(self) -> None:
        self.closed = True
