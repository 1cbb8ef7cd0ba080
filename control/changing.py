"""Changes from edits to results: plans, saved plans, undo, applying, and the truth about what was cut off."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from control.applying.acts import Aim
from control.applying.aftermath import observe_on
from control.applying.apply import Applying
from control.applying.outcomes import refused
from control.applying.resolving import resolve_change
from control.applying.telling import ProgressCall
from control.background import in_background
from control.calls import PLAN_SECONDS, ask, finish, logged_in, prepare
from control.deck.config import DeckConfig, ServiceConfig
from control.errors import ControlError, NotFound, ReadOnly
from control.fleet.inventory import find_row
from control.fleet.store import FleetStore
from control.journal.history import History
from control.journal.log import ChangeLog
from control.journal.state import ChangeState
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.planning.fields import FieldKey, UndoField, flattened, three_ways
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.permission import check_overrides, check_writable, confirmation_missing
from control.planning.plan import Plan, Result, ResultOutcome, Step
from control.planning.planner import Situation, make_plan, resolve, row_of
from control.planning.saved_plans import check_same, check_start, check_undo, wishes
from control.planning.silence import blocked, from_environment, kept
from control.planning.undo import changes_back, check_undoable, identities, steps_to_undo
from control.ports import Fetched, Prepared, ProofPart, Reader, Sink, WriterFactory

BESIDE_DEADLINE = 4.0
"""How long a plan waits for environments that it does not touch but whose rows tell its headroom."""


class Changing:
    """What `control.plane` does with a change. `writers` is None in read-only mode."""

    def __init__(
        self,
        deck: DeckConfig,
        readers: Mapping[str, Reader],
        writers: WriterFactory | None,
        store: FleetStore,
        log: ChangeLog,
        history: History,
        actor: str,
    ) -> None:
        self._deck = deck
        self._readers = readers
        self._writers = writers
        self._store = store
        self._log = log
        self._history = history
        self._actor = actor

    async def plan(self, edits: Sequence[Edit], options: PlanOptions) -> Plan:
        """Resolve edits against fresh reads into one plan. Sends nothing that writes.

        Raises `Silent` where an environment that does not answer would hold up the edits of others; `leave_out` of the
        options plans without it.
        """
        check_overrides(options.overrides)
        edits = kept(edits, options.leave_out)
        try:
            return await self._plan(edits, options)
        except ControlError as error:
            raise blocked(error, edits, {one.environment for one in self._store.inventory.unreached}) from error

    async def _plan(self, edits: Sequence[Edit], options: PlanOptions) -> Plan:
        fetched = await self._fetch_rows([edit.ref for edit in edits])
        situation = await self._situation(fetched)
        changes = await asyncio.to_thread(resolve, edits, situation.inventory, self._history.remembered_weight)
        prepared = await self._prepare(fetched, changes)
        return await in_background(make_plan, prepared, situation, options)

    async def replan(self, saved: Plan, overrides: Sequence[str] = ()) -> Plan:
        """What a saved plan comes to now: its wishes planned anew, effective limits and guards with them. Raises
        `savedplans.StalePlan` where that is not what was saved; guards that refuse are in the plan."""
        check_overrides(overrides)
        changes = wishes(saved)
        names = list(dict.fromkeys(change.ref.environment for change in changes))
        await self._read_whole(names)
        rows = [find_row(self._store.inventory, change.ref) for change in changes]
        objects = [(row.environment, row.object) for row in rows if row is not None]
        recorded = None if saved.undo_of is None else await asyncio.to_thread(self._log.get, saved.undo_of)
        fetched = await self._fetch(objects)
        situation = await self._situation(fetched, recorded)
        inventory = situation.inventory
        check_start(saved, flattened((*inventory.routes.values(), *inventory.limits.values())))
        if recorded is not None:
            check_undoable(recorded)
            check_undo(saved, recorded)
        prepared = await self._prepare(fetched, changes)
        options = PlanOptions(saved.on_failure, tuple(overrides), saved.reason)
        return check_same(saved, await in_background(make_plan, prepared, situation, options, saved.undo_of))

    async def undo_plan(
        self, change: str | None = None, foreign_too: Collection[FieldKey] = (), overrides: Sequence[str] = ()
    ) -> Plan:
        """The plan that takes a change back (the caller's own last one by default), field by field.

        Fields that somebody changed since are left alone and named, but for those in `foreign_too`.
        """
        check_overrides(overrides)
        recorded, steps, fetched = await self._to_undo(change)
        situation = await self._situation(fetched, recorded)
        changes, left_alone = changes_back(steps, {one.object: one for one in fetched}, foreign_too)
        prepared = await self._prepare(fetched, changes)
        options = PlanOptions(overrides=tuple(overrides), reason=f"undo of {recorded.change}")
        return await in_background(make_plan, prepared, situation, options, recorded.change, left_alone)

    async def undo_fields(self, change: str | None = None) -> list[UndoField]:
        """The fields of a change three ways (before, as it set them, as they stand), read anew."""
        _, steps, fetched = await self._to_undo(change)
        by_object = {one.object: one for one in fetched}
        return [field for step in steps for field in three_ways(step.changes, by_object[step.object])]

    async def _to_undo(self, change: str | None) -> tuple[ChangeState, list[Step], list[Fetched]]:
        recorded = await asyncio.to_thread(self._recorded, change)
        check_undoable(recorded)
        steps = steps_to_undo(recorded)
        names = list(dict.fromkeys(step.environment for step in steps))
        await self._read_whole(names)
        return recorded, steps, await self._fetch((step.environment, step.object) for step in steps)

    def _recorded(self, change: str | None) -> ChangeState:
        return self._log.get(change) if change is not None else self._history.last_of(self._actor)

    async def _prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        """The changes as steps on what was fetched, environment by environment, in the order as given."""
        by_environment: dict[str, list[Change]] = {}
        for change in changes:
            by_environment.setdefault(change.ref.environment, []).append(change)
        steps: list[Prepared] = []
        for name, own in by_environment.items():
            read = [one for one in fetched if one.environment == name]
            steps += await from_environment(name, prepare(self._readers[self._store.known(name)], read, own))
        return steps

    async def apply(
        self, plan: Plan, options: ApplyOptions, progress: ProgressCall | None, stop: asyncio.Event | None
    ) -> Result:
        """Do a plan: journal, then step by step. Raises `ReadOnly` where no writer can be made. Setting `stop` ends it
        before the next step, with the result of what was done; the step in flight is finished. Cancelling the task
        does the same, and raises `CancelledError` when the journal says the truth."""
        return await self._do(plan, options, progress, stop, lambda applying: applying.run())

    async def take_up(
        self,
        change: str,
        aim: Aim | None,
        options: ApplyOptions,
        progress: ProgressCall | None,
        stop: asyncio.Event | None,
    ) -> Result:
        """Go on with a change that another process left open or unfinished, or take back what is in force of it. One
        that is done is told as it is recorded. Raises `Locked` while a process is at it, and else as `apply` does."""
        state = await asyncio.to_thread(self._log.get, change)
        if state.result is not None and not state.unfinished:
            return state.result
        work = partial(Applying.take_up, change=change, aim=aim or Aim.GO_ON)
        return await self._do(state.plan, options, progress, stop, work)

    async def _do(
        self,
        plan: Plan,
        options: ApplyOptions,
        progress: ProgressCall | None,
        stop: asyncio.Event | None,
        work: Callable[[Applying], Coroutine[Any, Any, Result]],
    ) -> Result:
        if self._writers is None:
            raise ReadOnly("this is a read-only session: nothing can be written", hint="start without --read-only")
        if not plan.steps:
            return Result(None, ResultOutcome.NO_CHANGE, await asyncio.to_thread(self._log.journal.head))
        check_writable(plan, self._deck, options)
        reasons = confirmation_missing(plan, self._deck, options)
        if reasons:
            return refused(plan, await asyncio.to_thread(self._log.journal.head), reasons)
        undone = None if plan.undo_of is None else await asyncio.to_thread(self._log.get, plan.undo_of)
        if undone is not None:
            check_undoable(undone)
        situation = partial(self._situation, undone=undone)
        unknown = [step.environment for step in plan.steps if not self._is_planned_on(step)]
        with contextlib.suppress(ControlError):
            await self._store.ensure_read([*dict.fromkeys(unknown)])
        async with contextlib.AsyncExitStack() as stack:
            writers = self._open_writers(plan, self._writers, stack)
            log, actor = self._log, self._actor
            applying = Applying(plan, options, self._readers, writers, log, actor, situation, progress, stop)
            return await finish(work(applying), applying.stop)

    def _is_planned_on(self, step: Step) -> bool:
        """Whether what was read to plan a step is here: all of its environment, or rows that stand alone in it."""
        reader = self._readers.get(step.environment)
        if reader is None or not self._store.state(step.environment).in_part:
            return False
        refs = [change.ref for change in step.changes]
        return all(reader.stands_alone(ref) and find_row(self._store.inventory, ref) is not None for ref in refs)

    def observe_on(self, step: Step) -> AsyncIterator[ProofPart]:
        """Count on for a step that was applied, until the traffic says yes or no; see `control.applying.aftermath`."""
        reader = self._readers[self._store.known(step.environment)]
        section = self._deck.section(step.environment)
        return observe_on(reader, step.object, step.changes, self._store.inventory.limits, section)

    def _open_writers(self, plan: Plan, make: WriterFactory, stack: contextlib.AsyncExitStack) -> dict[str, Sink]:
        writers: dict[str, Sink] = {}
        for name in dict.fromkeys(step.environment for step in plan.steps):
            config = self._deck.environment(name)
            if config is None or name not in self._readers:
                raise NotFound(f"there is no environment '{name}'", hint="the deck file names them")
            writers[name] = make(config, self._readers[name])
            stack.push_async_callback(_closed, writers[name])
        return writers

    async def resolve(self, change: str | None = None) -> list[Result]:
        """Look at the platforms for each change of which something is not known, state what is true and journal it.

        These are the interrupted ones, and those that their process left unfinished. Of a named change that left
        something in doubt it is stated anew; one that did not is told as it is recorded, as are those whose outcome
        the journal has only now been given.
        """
        taken = {one.change for one in await asyncio.to_thread(self._log.take_in)}
        recorded = await asyncio.to_thread(self._to_resolve, change, taken)
        results: list[Result] = []
        for one in recorded:
            named = one.change == change or one.change in taken
            if one.interrupted or one.unfinished or (named and one.doubtful):
                results.append(await resolve_change(one.change, self._log, self._readers))
            elif named and one.result is not None:
                results.append(one.result)
        return results

    def _to_resolve(self, change: str | None, taken: set[str]) -> list[ChangeState]:
        """The named change, or all that may need it. Raises `NotFound`."""
        if change is not None:
            return [self._log.get(change)]
        unfinished = {one.change: one for one in self._history.unfinished()}
        return [*unfinished.values(), *(self._log.get(name) for name in sorted(taken - set(unfinished)))]

    # --- what is read for it ------------------------------------------------------------------------------------------

    async def _fetch_rows(self, refs: Sequence[Ref]) -> list[Fetched]:
        """The objects of these rows, read anew. Their environments are read whole first, where they were not yet and
        where more of them tells than those objects."""
        names = list(dict.fromkeys(ref.environment for ref in refs))
        found: list[Fetched] = []
        alone = set[str]()
        for name in names:
            named = self._standing_alone(name, [ref for ref in refs if ref.environment == name])
            with contextlib.suppress(NotFound):  # which the whole environment tells better
                if named:
                    await from_environment(name, logged_in(self._readers[name]))
                found += await self._fetch((name, object_) for object_ in named)
                alone |= {name} if named else set()
        await self._read_whole(names, alone)
        rows = [row_of(self._store.inventory, ref) for ref in refs if ref.environment not in alone]
        return found + await self._fetch((one.environment, one.object) for row in rows for one in row.members or (row,))

    def _standing_alone(self, name: str, refs: Sequence[Ref]) -> list[str]:
        """The objects of an environment that was not read which tell all that a plan on these rows needs of it: their
        own, and those that their services name. None where that is not known."""
        reader = self._readers[self._store.known(name)]
        if self._store.state(name).was_read:
            return []
        wanted: list[Ref | None] = [*refs]
        for service in self._deck.services:
            globs = [*service.routes, *([service.front.route] if service.front is not None else ())]
            if any(fnmatchcase(str(ref), glob) for ref in refs for glob in globs):
                wanted += [_named_by(glob, refs[0]) for glob in globs if glob.partition("/")[0] == name]
        objects = [reader.object_of(ref) if ref is not None and reader.stands_alone(ref) else None for ref in wanted]
        return list(dict.fromkeys(one for one in objects if one is not None)) if None not in objects else []

    async def _fetch(self, objects: Iterable[tuple[str, str]]) -> list[Fetched]:
        """(environment, object)s read anew, each once. Raises for the first that cannot be read."""
        by_environment: dict[str, dict[str, None]] = {}
        for environment, name in objects:
            by_environment.setdefault(self._store.known(environment), {})[name] = None
        answers = await asyncio.gather(
            *(
                from_environment(name, ask(self._readers[name].fetch([*own]), PLAN_SECONDS, f"planning in {name}"))
                for name, own in by_environment.items()
            )
        )
        return [one for fetched in answers for one in fetched]

    async def _situation(self, fetched: Sequence[Fetched], undone: ChangeState | None = None) -> Situation:
        """Merge fresh reads in and say what plans are made on; `undone` is the change that a plan takes back."""
        await in_background(self._store.merge, fetched)
        inventory = await self._store.rebuild()
        longest = max((config.guards.cool_down_seconds for config in self._deck.environments), default=0)
        unknown = ""
        last: Mapping[Ref, float] = {}
        try:
            last, unknown = await asyncio.to_thread(self._history.last_change_at, time.time() - longest)
        except ControlError as error:
            unknown = error.message
        which = identities(undone) if undone is not None else {}
        return Situation(self._deck, inventory, last, time.time(), unknown, which)

    async def _read_whole(self, names: Sequence[str], told: Collection[str] = ()) -> None:
        """Read these environments where they were not yet, but for those of which all was `told`, and what is beside
        them. Raises where one of these cannot be read."""
        await self._store.ensure_read([name for name in names if name not in told])
        await self._read_beside(names, told)

    async def _read_beside(self, names: Sequence[str], told: Collection[str] = ()) -> None:
        """Read, as far as they answer, the other environments of the services that these belong to, but for those of
        which all was `told`."""
        involved = [_environments_of(service) for service in self._deck.services]
        beside = {name for one in involved if one & set(names) for name in one} - set(told)
        missing = [name for name in beside if name in self._readers and not self._store.state(name).was_read]
        if missing:
            await asyncio.gather(*(self._store.read(name, BESIDE_DEADLINE, patient=False) for name in missing))
            await self._store.rebuild()


def _environments_of(service: ServiceConfig) -> set[str]:
    """The environments that a service's globs and front name."""
    named = {pattern.split("/", 1)[0] for pattern in service.routes}
    if service.front is not None:
        named |= {*service.front.targets.values(), service.front.route.split("/", 1)[0]}
    return named


def _named_by(glob: str, ref: Ref) -> Ref | None:
    """The row that a glob names, where nothing but its scope may be any: then it is that of `ref`."""
    environment, _, rest = glob.partition("/")
    kind, _, rest = rest.partition("/")
    scope, _, name = rest.partition("/")
    if any(mark in part for part in (environment, kind, name) for mark in "*?[") or scope not in ("*", ref.scope):
        return None
    return Ref.parse(f"{environment}/{kind}/{ref.scope}/{name}")


async def _closed(writer: Sink) -> None:
    with contextlib.suppress(Exception):
        await writer.close()
