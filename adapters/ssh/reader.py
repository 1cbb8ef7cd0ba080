"""Reads one environment of hosts: every proxy on every host, side by side; equal rows of several hosts become one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from adapters.ssh.counting import fold
from adapters.ssh.doctor import check_hosts
from adapters.ssh.instance import ProxyInstance, ProxyRead, State, files_with_rows
from adapters.ssh.outside import changed_files
from adapters.ssh.proxies.kinds import KINDS
from adapters.ssh.proxies.protocol import Step, object_name
from adapters.ssh.proxies.table import proxy_for
from adapters.ssh.section import PLATFORM, ProxyConfig
from adapters.ssh.sources import Hosts
from adapters.ssh.watching import watch
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, ControlError, NotFound, Unreachable
from control.model import (
    Access,
    AccessState,
    Counted,
    Environment,
    Limit,
    Missing,
    Outside,
    Reach,
    ReachState,
    Route,
    Snapshot,
)
from control.model.grouping import with_group_rows
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.planning.fields import classify, flattened
from control.ports import Check, Delta, Fetched, Found, NativeText, Prepared, ProofPart, ProofState
from control.text import clean

HOST_DEADLINE = 25.0
"""Seconds that one host may take for one read; every wait inside is shorter."""
_T = TypeVar("_T")


@dataclass(slots=True)
class _Read:
    """What came of reading all hosts."""

    states: list[State] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    errors: dict[str, ControlError] = field(default_factory=dict)
    """Host (or `host proxy`) -> why it is not here."""


class SshReader:
    """`control.ports.Reader` of one environment of hosts. Holds no way to write."""

    def __init__(self, config: EnvironmentConfig, hosts: Hosts, sudo: bool = False) -> None:
        self.name = config.name
        self.config = config
        self.hosts = hosts
        self._sudo = sudo
        self._instances: dict[str, list[ProxyInstance]] = {}
        self._whole: set[str] = set()
        """The hosts of which every proxy could be read."""
        self._confirmed: float | None = None

    # --- reading

    async def read(self, since: Delta | None = None) -> Snapshot:
        """Everything; of what moved `since` the last read, whole hosts, and all that could not be read then."""
        moved = None if since is None or since.everything else {Ref.parse(n).scope for n in since.changed | since.gone}
        found = _Read()
        for host, outcome in zip(
            self.hosts.names, await _settle([self._host(n, moved) for n in self.hosts.names]), strict=True
        ):
            states, outside, errors = outcome if isinstance(outcome, tuple) else ([], [], {host: outcome})
            found.states += states
            found.outside += outside
            found.errors.update(errors)
        if not found.states and found.errors:
            raise self._nothing(found.errors)
        snapshot = Snapshot(
            environment=await self._environment(found),
            routes=tuple(route for state in found.states for route in state.routes),
            limits=tuple(limit for state in found.states for limit in state.limits),
            outside=tuple(found.outside),
            missing=tuple(dict.fromkeys(_missing(found))),
            read_at=min((state.facts.read_at for state in found.states), default=time.time()),
        )
        return with_group_rows(snapshot, self.config)

    async def _host(
        self, name: str, moved: Collection[str] | None
    ) -> tuple[list[State], list[Outside], dict[str, ControlError]]:
        """Every proxy of one host; one that cannot be read costs only itself. A host that did not move is as it was."""
        if moved is not None and name not in moved and name in self._whole:
            kept = [(one.state, one.written) for one in self._instances[name] if one.state is not None]
            return [state for state, _ in kept], [out for kept_ in kept for out in changed_files(*kept_)], {}
        self._whole.discard(name)
        states: list[State] = []
        outside: list[Outside] = []
        errors: dict[str, ControlError] = {}
        known = None
        for instance in await self.instances_on(name):
            instance.known = instance.known or known
            try:
                states.append(await instance.read())
                outside += changed_files(states[-1], instance.written)
            except (Unreachable, AuthError):
                raise
            except ControlError as error:
                errors[f"{name} {instance.kind}"] = error
            known = instance.known
        if not errors:
            self._whole.add(name)
        return states, outside, errors

    async def instances_on(self, name: str) -> list[ProxyInstance]:
        """The proxies of a host: those of the deck file, else those that run there."""
        if name not in self._instances:
            reader = await self.hosts.reader(name)
            proxies = [p for p in self.config.proxies if p.kind in KINDS and (p.hosts is None or name in p.hosts)]
            if not self.config.proxies:
                running = {process.program for process in (await reader.probe()).processes}
                proxies = [ProxyConfig(kind) for kind in KINDS if kind in running]
            self._instances[name] = [
                ProxyInstance(self.name, reader, proxy, proxy_for(proxy.kind), self._siblings(proxy), self._sudo)
                for proxy in proxies
            ]
        return self._instances[name]

    def _siblings(self, proxy: ProxyConfig) -> int:
        return len([name for name in self.hosts.names if proxy.hosts is None or name in proxy.hosts])

    def _nothing(self, errors: dict[str, ControlError]) -> ControlError:
        first = next(iter(errors.values()))
        if len(errors) == 1:
            return first
        kind = type(first) if len({type(error) for error in errors.values()}) == 1 else Unreachable
        return kind("; ".join(str(error) for error in errors.values()))

    async def _environment(self, found: _Read) -> Environment:
        reach = Reach()
        if found.errors:
            why = "; ".join(f"{clean(name)}: {error}" for name, error in found.errors.items())
            reach = Reach(ReachState.DEGRADED, why)
        users = dict.fromkeys([state.facts.discovered.get("user", "") for state in found.states])
        return Environment(
            name=self.name,
            platform=PLATFORM,
            labels=tuple(sorted(self.config.labels.items())),
            production=self.config.production,
            code=self.config.code,
            identity=", ".join(users),
            reach=reach,
            access=_access(found.states),
        )

    def object_of(self, ref: Ref) -> str | None:
        """The file that held the row when its host was last read."""
        states = [instance.state for instance in self._instances.get(ref.scope, ()) if instance.state is not None]
        return next((row.object for state in states for row in _rows(state) if row.ref == ref), None)

    def stands_alone(self, ref: Ref) -> bool:
        """A file tells only together with those that include it."""
        return False

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        """Files, anew: those of one proxy are read together."""
        by_place: dict[tuple[str, str], list[str]] = {}
        for name in objects:
            ref = Ref.parse(name)
            by_place.setdefault((ref.scope, ref.kind), []).append(name)
        places = [self._fetched(host, kind, own) for (host, kind), own in by_place.items()]
        found = {one.object: one for fetched in await asyncio.gather(*places) for one in fetched}
        return [found[name] for name in objects]

    async def _fetched(self, host: str, kind: str, objects: Sequence[str]) -> list[Fetched]:
        """The objects of one kind of proxy on one host. Raises `NotFound` for the first that is not there."""
        wanted, found = set(objects), list[Fetched]()
        for instance in await self._known_instances(host):
            if wanted and instance.proxy.object_kind == kind:
                state = await _bounded(instance.read(rights=True))
                here = [name for name in wanted if _path_in(state, name) is not None]
                found += [instance.fetched(state, name, Ref.parse(name).name) for name in here]
                wanted -= {*here}
        for missing in wanted:
            raise NotFound(f"there is no {missing}", ref=missing)
        return found

    async def _known_instances(self, host: str) -> list[ProxyInstance]:
        if host not in self.hosts.names:
            raise NotFound(f"environment {clean(self.name)} has no host '{clean(host)}'")
        return await self.instances_on(host)

    # --- planning and proof

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        reads: list[ProxyRead] = [*{id(one.native.state): one.native for one in fetched}.values()]
        by_read: dict[int, list[Change]] = {}
        for change in changes:
            by_read.setdefault(self._read_with(change.ref, reads), []).append(change)
        steps = [reads[number].instance.prepare(reads[number].state, own) for number, own in by_read.items()]
        return [step for made in steps for step in made]

    def _read_with(self, ref: Ref, reads: Sequence[ProxyRead]) -> int:
        """Which of these reads is of the proxy that holds a row. Raises `NotFound`."""
        if ref.is_group and len(self.hosts.names) == 1:
            ref = ref.on(self.hosts.names[0])
        numbers = [
            n for n, one in enumerate(reads) if one.instance.host.host == ref.scope and one.instance.holds(ref.kind)
        ]
        with_it = [n for n in numbers if any(row.ref == ref for row in _rows(reads[n].state))]
        if not numbers:
            raise NotFound(f"there is no {ref}", ref=str(ref))
        return (with_it or numbers)[0]

    async def _instance_of(self, ref: Ref) -> ProxyInstance:
        if ref.is_group and len(self.hosts.names) == 1:
            ref = ref.on(self.hosts.names[0])
        candidates = [instance for instance in await self._known_instances(ref.scope) if instance.holds(ref.kind)]
        if len(candidates) > 1:
            for instance in candidates:
                state = instance.state if instance.state is not None else await _bounded(instance.read())
                if any(row.ref == ref for row in _rows(state)):
                    return instance
        if not candidates:
            raise NotFound(f"there is no {ref}", ref=str(ref))
        return candidates[0]

    async def loaded(self, step: Prepared) -> ProofPart:
        payload = step.payload
        if not isinstance(payload, Step):
            return ProofPart(ProofState.UNKNOWN, "the step was not prepared here")
        instance = await self.instance_of_step(payload)
        return await _bounded(instance.proxy.loaded(instance.host, payload))

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        (fetched,) = await self.fetch([object])
        instance, state = fetched.native.instance, fetched.native.state
        if classify(changes, flattened(_rows(state))) is not Found.AFTER:
            return ProofPart(ProofState.NO, f"{object} holds other values")
        path = Ref.parse(object).name
        return await _bounded(instance.proxy.running(instance.host, state.tree, state.runtime, path, changes, recorded))

    async def instance_of_step(self, step: Step) -> ProxyInstance:
        """The proxy that a step is for."""
        for instance in await self._known_instances(step.facts.host):
            if instance.kind == step.facts.proxy.kind and instance.config.config in (None, step.facts.proxy.config):
                return instance
        raise NotFound(f"host {clean(step.facts.host)} has no such proxy")

    async def native(self, ref: Ref) -> NativeText:
        instance, state, name = await self._file_of(ref)
        return instance.native(state, name, Ref.parse(name).name)

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        instance, state, name = await self._file_of(ref)
        return instance.edits_of(state, Ref.parse(name).name, original, text)

    async def _file_of(self, ref: Ref) -> tuple[ProxyInstance, State, str]:
        """The proxy of a row, read anew, and the object that the row stands in."""
        if ref.is_group:
            ref = await self._first_member(ref)
        instance = await self._instance_of(ref)
        state = await _bounded(instance.read())
        row = next((row for row in _rows(state) if row.ref == ref), None)
        if row is None:
            raise NotFound(f"there is no {ref}", ref=str(ref))
        return instance, state, row.object

    async def _first_member(self, ref: Ref) -> Ref:
        for name in self.hosts.names:
            for instance in self._instances.get(name, ()):
                if instance.state is not None and any(row.ref == ref.on(name) for row in _rows(instance.state)):
                    return ref.on(name)
        return ref.on(self.hosts.names[0])

    # --- what is measured, and how we stand

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        wanted = None if refs is None else set(refs)
        calls = [
            self._count(instance, instance.state, wanted or set())
            for instance in self._read_instances()
            if instance.state is not None
        ]
        counted = [one for outcome in await _settle(calls) if isinstance(outcome, list) for one in outcome]
        counted = fold(counted) if len(self.hosts.names) > 1 else counted
        return [one for one in counted if wanted is None or one.ref in wanted]

    async def _count(self, instance: ProxyInstance, state: State, wanted: set[Ref]) -> list[Counted]:
        limits = [limit for limit in state.limits if limit.ref in wanted]
        return await instance.proxy.count(instance.host, state.facts, state.tree, state.routes, limits)

    def _read_instances(self) -> list[ProxyInstance]:
        return [instance for name in self.hosts.names for instance in self._instances.get(name, ())]

    async def access(self) -> Access:
        if not any(instance.state for instance in self._read_instances()):
            await self.read()
        calls = [
            instance.host.may_write(instance.lifecycle(s), files_with_rows(s), instance.proxy.reloads_always)
            for instance in self._read_instances()
            if (s := instance.state)
        ]
        outcomes = await _settle(calls)
        missing = [outcome.message if isinstance(outcome, ControlError) else outcome for outcome in outcomes if outcome]
        if missing:
            return Access(AccessState.READ_ONLY_BY_ROLE, "; ".join(str(why) for why in missing))
        return Access(AccessState.WRITABLE if calls else AccessState.UNKNOWN)

    async def check(self) -> list[Check]:
        return await check_hosts(self.hosts, self.instances_on)

    def watch(self) -> AsyncIterator[Delta]:
        return watch(self._read_instances, len(self.hosts.names), self._confirm)

    def confirmed_at(self) -> float | None:
        return self._confirmed

    def _confirm(self) -> None:
        self._confirmed = time.time()

    async def close(self) -> None:
        await self.hosts.close()


def _missing(found: _Read) -> Iterator[Missing]:
    """Hosts and proxies that could not be read, and files that a configuration includes and that we may not see."""
    for name, error in found.errors.items():
        yield Missing(clean(name), str(error))
    for state in found.states:
        for path, why in sorted(state.tree.unreadable.items()):
            yield Missing(f"{clean(path)} on {clean(state.facts.host)}", clean(why))


def _rows(state: State) -> tuple[Route | Limit, ...]:
    return (*state.routes, *state.limits)


def _access(states: Sequence[State]) -> Access:
    """From the files that were seen; the reload's right is asked by `access()`."""
    closed = [
        f"{clean(state.facts.host)}: {clean(path)}"
        for state in states
        for path in files_with_rows(state)
        if path in state.tree.facts and not state.tree.facts[path].writable
    ]
    if not states:
        return Access()
    if closed:
        return Access(AccessState.READ_ONLY_BY_ROLE, f"this user may not replace {', '.join(closed[:3])}")
    return Access(AccessState.WRITABLE)


async def _bounded(work: Coroutine[Any, Any, _T]) -> _T:
    try:
        return await asyncio.wait_for(work, HOST_DEADLINE)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {HOST_DEADLINE:.0f} s") from error


async def _settle(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T | ControlError]:
    """Do all side by side; an expected failure is a value."""
    outcomes = await asyncio.gather(*(_bounded(one) for one in work), return_exceptions=True)
    settled: list[_T | ControlError] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, ControlError):
            raise outcome
        settled.append(outcome)
    return settled


def _path_in(state: State, object: str) -> str | None:
    """The path of a native object in what was read of a proxy; None where it is not there."""
    path = Ref.parse(object).name
    return path if path in state.tree.files and object_name(state.facts, path) == object else None
