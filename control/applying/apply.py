"""Doing a plan: the journal first, then step by step: compare, write, read back, wait until loaded, observe."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from control.applying.compensating import take_back
from control.applying.observing import LOOK_SECONDS, OBSERVE_SECONDS, Question, count, observe, questions, refs_of
from control.applying.outcomes import refused
from control.applying.proving import UNKNOWN, wait_loaded
from control.applying.writing import Attempt, Compared, ObjectLocks, compare, guarded_write, see
from control.calls import surely
from control.errors import ControlError, ErrorKind, GuardRefused, JournalError, PlatformError, Stale, Unreachable
from control.journal.log import ChangeLog
from control.journal.open_change import OpenChange
from control.model import Limit
from control.model.ref import Ref
from control.planning.fields import rows_of
from control.planning.options import ApplyOptions
from control.planning.plan import (
    GuardResult,
    OnFailure,
    Plan,
    Progress,
    Reason,
    Result,
    ResultOutcome,
    Step,
    StepOutcome,
    StepResult,
    Verdict,
)
from control.planning.planner import Outlook, Situation, guards_of, mismatches, outlook
from control.ports import Fetched, Found, Prepared, ProofPart, ProofState, Reader, Writer, Written
from control.structs import replace

ProgressCall = Callable[[Progress], Awaitable[None]]
Refresh = Callable[[Sequence[Fetched]], Awaitable[Situation]]
"""Fresh reads of objects -> the situation with them merged in."""

T = TypeVar("T")

LISTENER_SECONDS = 1.0
"""How long a listener that is told to stop may take to do so."""
AT_ONCE = 16
"""So many objects are read side by side before the first write."""
FRESH_SECONDS = 5.0
"""For so long what was read before the first write is what a step is written on: the write's own precondition refuses
any object but that one. What is older is read again."""


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
        stop: asyncio.Event | None = None,
    ) -> None:
        self.plan = plan
        self.options = options
        self.readers = readers
        self.writers = writers
        self.log = log
        self.actor = actor
        self.stop = stop if stop is not None else asyncio.Event()
        self.locks = ObjectLocks(log.journal)
        self._refresh = situation
        self._progress = progress
        self._on_failure = options.on_failure or plan.on_failure
        self._is_undo = plan.undo_of is not None
        self._few = asyncio.Semaphore(AT_ONCE)
        self._compared: list[Compared] = []
        self._attempts: list[Attempt] = []
        self._situation: Situation | None = None
        self._limits_before: dict[Ref, Limit] = {}

    async def run(self) -> Result:
        """Apply the plan. A refusal is a result. Raises only before the first write: for a journal that cannot be
        written, or an environment that cannot be read. After it, whatever breaks, the result says what is true."""
        reasons = await self._preflight()
        if reasons or self.stop.is_set():
            return refused(self.plan, await asyncio.to_thread(self.log.journal.head), reasons)
        reason = self.options.reason or self.plan.reason
        change = await self._surely(self.log.open, self.plan, self.actor, reason, self.options.overrides)
        try:
            results, skipped = await self._run_steps(change)
            outcome = outcome_of(results, skipped)
        except Exception as error:
            # What is true is not known: it stays open, for resolve, with what is known of single steps.
            known = {attempt.step.object: attempt.result for attempt in self._attempts}
            results = [_unclear(known.get(step.object), step, error) for step in self.plan.steps]
            skipped, outcome = [], ResultOutcome.INTERRUPTED
        return await self._surely(change.close, outcome, (*results, *skipped))

    async def _surely(self, call: Callable[..., T], *arguments: object) -> T:
        return await surely(self.stop, call, *arguments)

    # --- before anything is written -----------------------------------------------------------------------------------

    async def _preflight(self) -> dict[int, tuple[ErrorKind, str]]:
        """Read every object anew and look at the whole plan again: why it is refused, by step number."""
        answers = await asyncio.gather(*map(self._compare, self.plan.steps), return_exceptions=True)
        reasons: dict[int, tuple[ErrorKind, str]] = {}
        for number, answer in enumerate(answers):
            if isinstance(answer, ControlError):
                reasons[number] = (answer.kind, str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self._compared.append(answer)
                rows = rows_of(answer.fetched)
                self._limits_before.update((ref, row) for ref, row in rows.items() if isinstance(row, Limit))
        if reasons:
            return reasons
        self._situation = await self._refresh([one.fetched for one in self._compared])
        ahead = await asyncio.to_thread(outlook, self._situation, [one.prepared for one in self._compared])
        for number, one in enumerate(self._compared):
            against = self._against(one.prepared, self._situation, ahead)
            if against:
                reasons[number] = (ErrorKind.GUARD, told(against))
        return reasons

    async def _compare(self, step: Step) -> Compared:
        async with self._few:
            compared = await compare(self.readers[step.environment], step)
        wrong = mismatches(step.changes, rows_of(compared.fetched))
        if wrong:
            raise Stale("; ".join(wrong), ref=step.object, hint="plan again on what is there now")
        return compared

    async def _objections(self, number: int, fresh: Prepared) -> list[GuardResult]:
        """The refusing guards of one step as just read, in the state that the whole plan leads to."""
        assert self._situation is not None
        steps = [fresh if index == number else other.prepared for index, other in enumerate(self._compared)]
        ahead = await asyncio.to_thread(outlook, self._situation, steps)
        return self._against(fresh, self._situation, ahead)

    def _against(self, fresh: Prepared, situation: Situation, ahead: Outlook) -> list[GuardResult]:
        found = guards_of(fresh, situation, ahead, self.options.overrides, self._is_undo)
        return [guard for guard in found if guard.verdict is Verdict.REFUSE]

    # --- step by step -------------------------------------------------------------------------------------------------

    async def _run_steps(self, change: OpenChange) -> tuple[list[StepResult], list[StepResult]]:
        """(what came of the steps that were begun, those that were not)."""
        for number, step in enumerate(self.plan.steps):
            if self.stop.is_set():
                break
            attempt = await self._do(change, number, step)
            await self._surely(change.note_step, number, attempt.result)
            if attempt.result.outcome is not StepOutcome.APPLIED:
                break
        begun = [a for a in self._attempts if a.result.outcome is not StepOutcome.NOT_STARTED]
        failed = next((a for a in begun if a.failed), None)
        if failed is not None and self._on_failure is OnFailure.UNDO:
            await self._undo_all(change, failed)
        steps = self.plan.steps[len(begun) :]
        return [a.result for a in begun], [StepResult(step.object, StepOutcome.NOT_STARTED) for step in steps]

    async def _do(self, change: OpenChange, number: int, step: Step) -> Attempt:
        """One step, as far as it goes. Never raises: whatever breaks, the attempt says what is known."""
        attempt = Attempt(step, StepResult(step.object, StepOutcome.APPLIED))
        self._attempts.append(attempt)
        started = time.monotonic()
        try:
            await self._carry_out(change, number, attempt)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError):
                self.stop.set()
            await self._settle(attempt, error, started)
        return attempt

    async def _carry_out(self, change: OpenChange, number: int, attempt: Attempt) -> None:
        reader = self.readers[attempt.step.environment]
        await self._tell("journaled", number)
        if self.stop.is_set():
            attempt.result = replace(attempt.result, outcome=StepOutcome.NOT_STARTED)
            return
        await self._write(change, number, attempt, reader)
        if attempt.failed or attempt.prepared is None:
            return
        attempt.prove(UNKNOWN, UNKNOWN)
        await self._tell("read_back", number)
        loaded = await wait_loaded(reader, attempt.prepared, self.options.timeout_seconds, self.stop)
        if loaded.state is ProofState.PENDING and self.stop.is_set():
            loaded = ProofPart(ProofState.UNKNOWN, f"stopped before it was known; {loaded.detail}")
        attempt.prove(loaded, UNKNOWN)
        if loaded.state is ProofState.NO:
            attempt.fail(ErrorKind.PLATFORM, f"the data plane did not take it: {loaded.detail}")
            return
        if loaded.state is ProofState.PENDING:
            attempt.result = replace(attempt.result, outcome=StepOutcome.IN_PROGRESS)
            return
        await self._tell("loaded", number)
        attempt.prove(loaded, await self._observe(reader, attempt))
        await self._tell("observed", number)

    async def _write(self, change: OpenChange, number: int, attempt: Attempt, reader: Reader) -> None:
        """Under the object's lock: compare, judge, journal, write once, read back."""
        step = attempt.step
        try:
            async with self.locks.held(step.object):
                asked = self._asked(self._compared[number].prepared)
                counting = asyncio.ensure_future(count(reader, refs_of(asked), LOOK_SECONDS))
                try:
                    fresh = await self._still(number, reader, step)
                finally:
                    attempt.baseline = await counting
                against = await self._objections(number, fresh)
                if against:
                    raise GuardRefused(told(against), ref=step.object)
                attempt.prepared = fresh
                await self._note_writing(change, number, fresh)
                await guarded_write(attempt, reader, self.writers[step.environment], self._written(number))
        except ControlError as error:
            if attempt.sent:
                raise
            attempt.refuse(error)

    async def _still(self, number: int, reader: Reader, step: Step) -> Prepared:
        """The step on what was read before the first write, or on what is read now where that is long ago."""
        if time.monotonic() - self._compared[number].at > FRESH_SECONDS:
            self._compared[number] = await compare(reader, step)
        return self._compared[number].prepared

    async def _note_writing(self, change: OpenChange, number: int, fresh: Prepared) -> None:
        try:
            await self._surely(change.note_writing, number, fresh.object, fresh.recorded)
        except ControlError as error:
            raise type(error)(f"{fresh.object} was not begun: {error.message}", ref=fresh.object) from error

    async def _settle(self, attempt: Attempt, error: BaseException, started: float) -> None:
        """Something broke, of ours or by being stopped: what is true of the step is asked of its platform."""
        why = "stopped" if isinstance(error, asyncio.CancelledError) else broke(error)
        if attempt.accepted.state is ProofState.YES:
            if attempt.loaded.state is ProofState.UNKNOWN:
                attempt.loaded = ProofPart(ProofState.UNKNOWN, f"{why} before it was known")
            attempt.prove(attempt.loaded, ProofPart(ProofState.UNKNOWN, f"{why} before it was known"))
        elif attempt.sent and attempt.result.found is None:
            reader = self.readers[attempt.step.environment]
            problem = error if isinstance(error, ControlError) else Unreachable(why)
            await see(attempt, reader, problem, Written(""), started)
            if not attempt.failed:
                attempt.prove(ProofPart(ProofState.UNKNOWN, f"{why} before it was known"), UNKNOWN)
        elif attempt.sent:
            return
        elif isinstance(error, asyncio.CancelledError):
            attempt.result = replace(attempt.result, outcome=StepOutcome.NOT_STARTED)
        else:
            attempt.refuse(error if isinstance(error, ControlError) else PlatformError(why))

    def _written(self, number: int) -> Callable[[], Awaitable[None]]:
        return lambda: self._tell("written", number)

    async def _observe(self, reader: Reader, attempt: Attempt) -> ProofPart:
        assert attempt.prepared is not None
        wait = "observed" in (self.options.wait, self.options.require)
        seconds = self.options.timeout_seconds or OBSERVE_SECONDS
        asked = self._asked(attempt.prepared)
        try:
            return await observe(reader, asked, attempt.baseline, wait, seconds, self.stop)
        except Exception as error:  # what cannot be counted fails nothing
            return ProofPart(ProofState.UNKNOWN, broke(error))

    def _asked(self, step: Prepared) -> list[Question]:
        assert self._situation is not None
        return questions(step, self._limits_before, self._situation.deck.section(step.environment))

    async def _undo_all(self, change: OpenChange, failed: Attempt) -> None:
        """Take back in reverse what is in force, the failed step included where reading back says that it is."""
        because = f"taken back because {failed.step.object} failed"
        for number in reversed(range(len(self._attempts))):
            attempt = self._attempts[number]
            if not attempt.may_be_in_force:
                continue
            await self._surely(change.note_undo, number, attempt.step.object)
            try:
                await self._undo(attempt, because)
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError):
                    self.stop.set()
                why = error if isinstance(error, ControlError) else PlatformError(broke(error))
                attempt.result = replace(
                    attempt.result,
                    outcome=StepOutcome.UNDO_FAILED,
                    reason=Reason(why.kind, f"could not be taken back: {why}"),
                )
            await self._surely(change.note_step, number, attempt.result)

    async def _undo(self, attempt: Attempt, because: str) -> None:
        environment = attempt.step.environment
        async with contextlib.AsyncExitStack() as stack:
            # Without a place for locks nobody of ours can hold one, and the write has its own precondition.
            with contextlib.suppress(JournalError):
                await stack.enter_async_context(self.locks.held(attempt.step.object))
            attempt.result = await take_back(attempt, self.readers[environment], self.writers[environment], because)

    async def _tell(self, stage: str, number: int) -> None:
        """Report a stage and wait for the listener, unless the work is to stop. A broken listener breaks nothing."""
        if self._progress is None:
            return
        try:
            listening = self._progress(Progress(stage, number, self.plan.steps[number].object, time.time()))
            told = asyncio.ensure_future(listening)
        except Exception:
            return
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({told, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            told.cancel()
        await asyncio.wait({told}, timeout=LISTENER_SECONDS)
        if told.done() and not told.cancelled():
            told.exception()


def broke(error: BaseException) -> str:
    """A failure of ours in words, without any value that it may hold."""
    return f"the program failed here ({type(error).__name__})"


def _unclear(known: StepResult | None, step: Step, error: Exception) -> StepResult:
    if known is not None:
        return known
    return StepResult(step.object, StepOutcome.NOT_STARTED, Reason(ErrorKind.PLATFORM, broke(error)))


def told(guards: Sequence[GuardResult]) -> str:
    """The objections in one sentence, each with the name that overrides it."""
    return "; ".join(f"{guard.name}: {guard.message}" for guard in guards)


_IN_FORCE = frozenset({StepOutcome.APPLIED, StepOutcome.IN_PROGRESS, StepOutcome.UNDO_FAILED, StepOutcome.UNKNOWN})


def outcome_of(results: Sequence[StepResult], skipped: Sequence[StepResult]) -> ResultOutcome:
    """What the whole change came to, from its steps."""
    outcomes = [result.outcome for result in results]
    if not outcomes:
        return ResultOutcome.REFUSED
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
