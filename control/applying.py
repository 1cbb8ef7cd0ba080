"""Doing a plan: the journal first, then step by step: compare, write, read back, wait until loaded, observe."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from control.asking import READ_SECONDS, ask
from control.changelog import ChangeLog, OpenChange, refused
from control.compensating import take_back
from control.errors import ControlError, ErrorKind, GuardRefused, Stale
from control.fields import rows_of
from control.model import Limit, Snapshot
from control.observing import LOOK_SECONDS, OBSERVE_SECONDS, Question, count, observe, questions, refs_of
from control.options import ApplyOptions
from control.plan import (
    GuardResult,
    OnFailure,
    Plan,
    Progress,
    Proof,
    Reason,
    Result,
    ResultOutcome,
    Step,
    StepOutcome,
    StepResult,
    Verdict,
)
from control.planning import ObjectRead, Outlook, Situation, guards_of, mismatches, outlook
from control.ports import Found, Prepared, ProofPart, ProofState, Reader, Writer
from control.proving import UNKNOWN, wait_loaded
from control.ref import Ref
from control.writing import Attempt, ObjectLocks, guarded_write, prepare_step

ProgressCall = Callable[[Progress], Awaitable[None]]
Refresh = Callable[[Sequence[ObjectRead]], Awaitable[Situation]]
"""Fresh reads of objects -> the situation with them merged in."""

AT_ONCE = 16
"""So many objects are read side by side before the first write."""


class Applying:
    """One plan being applied by this process. `stop` ends it before the next step."""

    def __init__(
        self,
        plan: Plan,
        options: ApplyOptions,
        readers: Mapping[str, Reader],
        writers: Mapping[str, Writer],
        log: ChangeLog,
        actor: str,
        situation: Refresh,
        progress: ProgressCall | None = None,
    ) -> None:
        self.plan = plan
        self.options = options
        self.readers = readers
        self.writers = writers
        self.log = log
        self.actor = actor
        self.stop = asyncio.Event()
        self.locks = ObjectLocks(log.journal.path)
        self._refresh = situation
        self._progress = progress
        self._on_failure = options.on_failure or plan.on_failure
        self._is_undo = plan.undo_of is not None
        self._few = asyncio.Semaphore(AT_ONCE)
        self._fresh: list[Prepared] = []
        self._attempts: list[Attempt] = []
        self._situation: Situation | None = None
        self._limits_before: dict[Ref, Limit] = {}

    async def run(self) -> Result:
        """Apply the plan. A refusal is a result; only a journal that cannot be written raises."""
        reasons = await self._preflight()
        if reasons:
            return refused(self.plan, await asyncio.to_thread(self.log.journal.head), reasons)
        reason = self.options.reason or self.plan.reason
        change = await asyncio.to_thread(self.log.open, self.plan, self.actor, reason, self.options.overrides)
        try:
            return await self._run_steps(change)
        except BaseException:
            change.abandon()
            raise

    # --- before anything is written -----------------------------------------------------------------------------------

    async def _preflight(self) -> dict[int, tuple[ErrorKind, str]]:
        """Read every object anew and look at the whole plan again: why it is refused, by step number."""
        answers = await asyncio.gather(*map(self._prepare_fresh, self.plan.steps), return_exceptions=True)
        reasons: dict[int, tuple[ErrorKind, str]] = {}
        read: list[ObjectRead] = []
        for number, answer in enumerate(answers):
            if isinstance(answer, ControlError):
                reasons[number] = (answer.kind, str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self._fresh.append(answer[0])
                step = self.plan.steps[number]
                read.append(ObjectRead(step.environment, step.object, answer[1]))
                rows = rows_of(answer[1])
                self._limits_before.update((ref, row) for ref, row in rows.items() if isinstance(row, Limit))
        if reasons:
            return reasons
        self._situation = await self._refresh(read)
        ahead = await asyncio.to_thread(outlook, self._situation, self._fresh)
        for number, fresh in enumerate(self._fresh):
            against = self._against(fresh, self._situation, ahead)
            if against:
                reasons[number] = (ErrorKind.GUARD, told(against))
        return reasons

    async def _prepare_fresh(self, step: Step) -> tuple[Prepared, Snapshot]:
        reader = self.readers[step.environment]
        async with self._few:
            fresh, snapshot = await asyncio.gather(
                prepare_step(reader, step),
                ask(reader.read_object(step.object), READ_SECONDS, f"reading {step.object}"),
            )
        wrong = mismatches(step.changes, rows_of(snapshot))
        if wrong:
            raise Stale("; ".join(wrong), ref=step.object, hint="plan again on what is there now")
        return fresh, snapshot

    async def _objections(self, number: int, fresh: Prepared) -> list[GuardResult]:
        """The refusing guards of one step as just read, in the state that the whole plan leads to."""
        assert self._situation is not None
        steps = [fresh if index == number else other for index, other in enumerate(self._fresh)]
        ahead = await asyncio.to_thread(outlook, self._situation, steps)
        return self._against(fresh, self._situation, ahead)

    def _against(self, fresh: Prepared, situation: Situation, ahead: Outlook) -> list[GuardResult]:
        found = guards_of(fresh, situation, ahead, self.options.overrides, self._is_undo)
        return [guard for guard in found if guard.verdict is Verdict.REFUSE]

    # --- step by step -------------------------------------------------------------------------------------------------

    async def _run_steps(self, change: OpenChange) -> Result:
        results: list[StepResult] = []
        for number, step in enumerate(self.plan.steps):
            if self.stop.is_set():
                break
            attempt = await self._do(number, step)
            self._attempts.append(attempt)
            results.append(attempt.result)
            await asyncio.to_thread(change.note_step, number, attempt.result)
            if attempt.result.outcome is not StepOutcome.APPLIED:
                break
        failed = next((a for a in self._attempts if a.failed), None)
        if failed is not None and self._on_failure is OnFailure.UNDO:
            results = await self._undo_all(change, failed)
        skipped = [StepResult(step.object, StepOutcome.NOT_STARTED) for step in self.plan.steps[len(results) :]]
        return await asyncio.to_thread(change.close, outcome_of(results, skipped), (*results, *skipped))

    async def _do(self, number: int, step: Step) -> Attempt:
        """One step, as far as it goes. Never raises for what a platform does."""
        reader = self.readers[step.environment]
        await self._tell("journaled", number)
        attempt = await self._write(number, step, reader)
        if attempt.failed or attempt.prepared is None:
            return attempt
        await self._tell("read_back", number)
        loaded = await wait_loaded(reader, attempt.prepared, self.options.timeout_seconds, self.stop)
        attempt.result = replace(attempt.result, proof=self._proof(attempt, loaded, UNKNOWN))
        if loaded.state is ProofState.NO:
            return attempt.fail(ErrorKind.PLATFORM, f"the data plane did not take it: {loaded.detail}")
        if loaded.state is ProofState.PENDING:
            attempt.result = replace(attempt.result, outcome=StepOutcome.IN_PROGRESS)
            return attempt
        await self._tell("loaded", number)
        seen = await self._observe(reader, attempt)
        attempt.result = replace(attempt.result, proof=self._proof(attempt, loaded, seen))
        await self._tell("observed", number)
        return attempt

    async def _write(self, number: int, step: Step, reader: Reader) -> Attempt:
        """Under the object's lock: read anew, compare, judge, write once, read back."""
        attempt = Attempt(step, StepResult(step.object, StepOutcome.APPLIED))
        try:
            async with self.locks.held(step.object):
                counting = asyncio.ensure_future(count(reader, refs_of(self._asked(self._fresh[number])), LOOK_SECONDS))
                try:
                    fresh = await prepare_step(reader, step)
                finally:
                    attempt.baseline = await counting
                against = await self._objections(number, fresh)
                if against:
                    raise GuardRefused(told(against), ref=step.object)
                attempt.prepared = fresh
                await guarded_write(attempt, reader, self.writers[step.environment], self._written(number))
        except ControlError as error:
            attempt.refuse(error)
        return attempt

    def _written(self, number: int) -> Callable[[], Awaitable[None]]:
        return lambda: self._tell("written", number)

    async def _observe(self, reader: Reader, attempt: Attempt) -> ProofPart:
        assert attempt.prepared is not None
        wait = "observed" in (self.options.wait, self.options.require)
        seconds = self.options.timeout_seconds or OBSERVE_SECONDS
        asked = self._asked(attempt.prepared)
        return await observe(reader, asked, attempt.baseline, wait, seconds, self.stop)

    def _asked(self, step: Prepared) -> list[Question]:
        return questions(step, self._limits_before)

    def _proof(self, attempt: Attempt, loaded: ProofPart, seen: ProofPart) -> Proof:
        return Proof(attempt.accepted, loaded, seen)

    async def _undo_all(self, change: OpenChange, failed: Attempt) -> list[StepResult]:
        """Take back in reverse what is in force, the failed step included where reading back says that it is."""
        because = f"taken back because {failed.step.object} failed"
        for number in reversed(range(len(self._attempts))):
            attempt = self._attempts[number]
            if not attempt.may_be_in_force:
                continue
            await asyncio.to_thread(change.note_undo, number, attempt.step.object)
            environment = attempt.step.environment
            async with contextlib.AsyncExitStack() as stack:
                try:
                    await stack.enter_async_context(self.locks.held(attempt.step.object))
                except ControlError as error:
                    attempt.result = replace(
                        attempt.result, outcome=StepOutcome.UNDO_FAILED, reason=Reason(error.kind, str(error))
                    )
                else:
                    attempt.result = await take_back(
                        attempt, self.readers[environment], self.writers[environment], because
                    )
            await asyncio.to_thread(change.note_step, number, attempt.result)
        return [attempt.result for attempt in self._attempts]

    async def _tell(self, stage: str, number: int) -> None:
        """Report a stage and wait for the listener, unless the work is to stop. A broken listener breaks nothing."""
        if self._progress is None:
            return
        told = asyncio.ensure_future(
            self._progress(Progress(stage, number, self.plan.steps[number].object, time.time()))
        )
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({told, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            told.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await told


def told(guards: Sequence[GuardResult]) -> str:
    """The objections in one sentence, each with the name that overrides it."""
    return "; ".join(f"{guard.name}: {guard.message}" for guard in guards)


_IN_FORCE = frozenset({StepOutcome.APPLIED, StepOutcome.IN_PROGRESS, StepOutcome.UNDO_FAILED, StepOutcome.UNKNOWN})


def outcome_of(results: Sequence[StepResult], skipped: Sequence[StepResult]) -> ResultOutcome:
    """What the whole change came to, from its steps."""
    outcomes = [result.outcome for result in results]
    if not outcomes:
        return ResultOutcome.NO_CHANGE
    bad = [o for o in outcomes if o not in (StepOutcome.APPLIED, StepOutcome.IN_PROGRESS)]
    if not bad:
        if StepOutcome.IN_PROGRESS in outcomes:
            return ResultOutcome.IN_PROGRESS
        if skipped:
            return ResultOutcome.PARTLY_APPLIED
        proven = all(r.proof is not None and r.proof.loaded.state is ProofState.YES for r in results)
        return ResultOutcome.APPLIED if proven else ResultOutcome.APPLIED_UNPROVEN
    if any(o in _IN_FORCE for o in outcomes) or any(_still_there(result) for result in results):
        return ResultOutcome.PARTLY_APPLIED
    if all(o is StepOutcome.REFUSED for o in outcomes):
        return ResultOutcome.REFUSED
    return ResultOutcome.ROLLED_BACK


def _still_there(result: StepResult) -> bool:
    """A failed step that reading back found in force, wholly or in part, and that was not taken back."""
    return result.outcome is StepOutcome.FAILED and result.found in (Found.AFTER, Found.OTHER)
