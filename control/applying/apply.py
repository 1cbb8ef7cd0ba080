"""Doing a change, act by act, as its state says: compare, write, read back, wait until loaded, observe, take back.

What is to be done next is said by `control.applying.acts` from the change's records alone, so that a change whose
process ended in the middle is taken up by another as if it were the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from control.applying.acts import Act, Aim, Close, Look, TakeBack, Write, next_act, unclear
from control.applying.compensating import take_back
from control.applying.judging import Judging, Refresh, told
from control.applying.observing import LOOK_SECONDS, OBSERVE_SECONDS, Question, count, observe, questions, refs_of
from control.applying.outcomes import refused
from control.applying.proving import UNKNOWN, wait_loaded
from control.applying.resolving import as_of_now, look_at
from control.applying.telling import ProgressCall, Telling
from control.applying.writing import Attempt, ObjectLocks, guarded_write, see
from control.calls import surely
from control.errors import ControlError, ErrorKind, GuardRefused, JournalError, PlatformError, Unreachable
from control.journal.log import ChangeLog
from control.journal.open_change import OpenChange
from control.planning.options import ApplyOptions
from control.planning.plan import Plan, Reason, Result, ResultOutcome, StepOutcome, StepResult
from control.ports import Found, Prepared, ProofPart, ProofState, Reader, Sink, Written
from control.structs import replace

T = TypeVar("T")


class Applying:
    """One plan being applied by this process. `stop` ends it before the next step."""

    def __init__(
        self,
        plan: Plan,
        options: ApplyOptions,
        readers: Mapping[str, Reader],
        writers: Mapping[str, Sink],
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
        self._locks = ObjectLocks(log.journal)
        self._judging = Judging(plan, readers, options.overrides, situation)
        self._tell = Telling(plan, progress, self.stop)

    async def run(self) -> Result:
        """Apply the plan. A refusal is a result. Raises only before the first write: for a journal that cannot be
        written, or an environment that cannot be read. After it, whatever breaks, the result says what is true."""
        reasons = await self._judging.first(range(len(self.plan.steps)))
        if reasons or self.stop.is_set():
            return refused(self.plan, await asyncio.to_thread(self.log.journal.head), reasons)
        reason = self.options.reason or self.plan.reason
        on_failure = self.options.on_failure
        change = await self._surely(self.log.open, self.plan, self.actor, reason, self.options.overrides, on_failure)
        return await self._carry_out(change, Aim.GO_ON)

    async def take_up(self, change: str, aim: Aim) -> Result:
        """Go on with a change that another process left, or take back what is in force of it. What only the platforms
        know is asked of them first; where one does not answer the change stays as it is. Raises `Locked` while a
        process is at it."""
        return await self._carry_out(await self._surely(self.log.take_up, change), aim)

    async def _carry_out(self, change: OpenChange, aim: Aim) -> Result:
        """One act after the other until nothing is left to do. Never raises once something may be written."""
        try:
            while not isinstance(act := next_act(change.state, Aim.STOP if self._stops(aim) else aim), Close):
                unreached = await self._do(change, act)
                if unreached:
                    act = Close(ResultOutcome.INTERRUPTED, unreached)
                    break
        except Exception as error:  # what is true is not known: it stays open, for resolve
            act = unclear(change.state, broke(error))
        return await self._surely(change.close, act.outcome, act.steps)

    def _stops(self, aim: Aim) -> bool:
        return aim is Aim.GO_ON and self.stop.is_set()

    async def _surely(self, call: Callable[..., T], *arguments: object) -> T:
        return await surely(self.stop, call, *arguments)

    async def _do(self, change: OpenChange, act: Act) -> tuple[StepResult, ...]:
        """Carry out one act and note what came of it. Returns what is known of the steps where a platform that had to
        be asked did not answer."""
        match act:
            case Look(numbers):
                return await self._look(change, numbers)
            case Write(number):
                await self._do_step(change, number)
            case TakeBack(number, because):
                await self._undo_step(change, number, because)
        return ()

    async def _look(self, change: OpenChange, numbers: Iterable[int]) -> tuple[StepResult, ...]:
        numbers = list(numbers)
        results = await asyncio.gather(*(look_at(change.state, number, self.readers) for number in numbers))
        if any(one.found is Found.UNREACHABLE for one in results):
            known = dict(zip(numbers, results, strict=True))
            steps = enumerate(unclear(change.state, "not looked at").steps)
            return tuple(known.get(number, one) for number, one in steps)
        for number, result in zip(numbers, results, strict=True):
            await self._surely(change.note_step, number, as_of_now(result))
        return ()

    # --- a step -------------------------------------------------------------------------------------------------------

    async def _do_step(self, change: OpenChange, number: int) -> None:
        """One step, as far as it goes. Never raises: whatever breaks, what is noted says what is known."""
        step = self.plan.steps[number]
        attempt = Attempt(step, StepResult(step.object, StepOutcome.APPLIED))
        started = time.monotonic()
        try:
            if self._judging.knows(number) or await self._may_go_on(change, number):
                await self._try(change, number, attempt)
            else:
                return
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError):
                self.stop.set()
            await self._settle(attempt, error, started)
        await self._surely(change.note_step, number, attempt.result)

    async def _may_go_on(self, change: OpenChange, number: int) -> bool:
        """Of a change that was taken up: compare and judge all that is left of it before the first write."""
        reasons = await self._judging.first(range(number, len(self.plan.steps)))
        for refusing, why in reasons.items():
            result = StepResult(self.plan.steps[refusing].object, StepOutcome.REFUSED, Reason(*why))
            await self._surely(change.note_step, refusing, result)
        return not reasons

    async def _try(self, change: OpenChange, number: int, attempt: Attempt) -> None:
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
            async with self._locks.held(step.object):
                asked = self._asked(self._judging.prepared(number))
                counting = asyncio.ensure_future(count(reader, refs_of(asked), LOOK_SECONDS))
                try:
                    fresh = await self._judging.still(number)
                finally:
                    attempt.baseline = await counting
                against = await self._judging.objections(number)
                if against:
                    raise GuardRefused(told(against), ref=step.object)
                attempt.prepared = fresh
                await self._note_writing(change, number, fresh)
                await guarded_write(attempt, reader, self.writers[step.environment], self._written(number))
        except ControlError as error:
            if attempt.sent:
                raise
            attempt.refuse(error)

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
        return questions(step, self._judging.limits_before, self._judging.deck.section(step.environment))

    # --- taking back --------------------------------------------------------------------------------------------------

    async def _undo_step(self, change: OpenChange, number: int, because: str) -> None:
        """Take one step back. Never raises: what stays is named in what is noted."""
        one = change.state.steps[number]
        await self._surely(change.note_undo, number, one.step.object)
        environment = one.step.environment
        try:
            async with contextlib.AsyncExitStack() as stack:
                # Without a place for locks nobody of ours can hold one, and the write has its own precondition.
                with contextlib.suppress(JournalError):
                    await stack.enter_async_context(self._locks.held(one.step.object))
                result = await take_back(one, self.readers[environment], self.writers[environment], because)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError):
                self.stop.set()
            why = error if isinstance(error, ControlError) else PlatformError(broke(error))
            known = one.result or StepResult(one.step.object, StepOutcome.UNKNOWN)
            reason = Reason(why.kind, f"could not be taken back: {why}")
            result = replace(known, outcome=StepOutcome.UNDO_FAILED, reason=reason)
        await self._surely(change.note_step, number, result)


def broke(error: BaseException) -> str:
    """A failure of ours in words, without any value that it may hold."""
    return f"the program failed here ({type(error).__name__})"
