"""One guarded write and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from control.applying.proving import UNKNOWN, read_back, wait_running
from control.calls import WRITE_SECONDS, ask, fetch_one, prepare
from control.errors import ControlError, ErrorKind, Locked, ReadOnly, Stale, Unreachable
from control.journal.port import Journal
from control.model import Counted
from control.model.ref import Ref
from control.planning.fields import reverse
from control.planning.plan import Proof, Reason, Step, StepOutcome, StepResult
from control.ports import Fetched, Found, Prepared, ProofPart, ProofState, Reader, Sink, Written
from control.structs import replace

LOCK_SECONDS = 15.0
"""How long a step waits for another process of ours that is writing the same object."""


@dataclass(slots=True)
class Attempt:
    """One step of a plan and how far it got."""

    step: Step
    result: StepResult
    prepared: Prepared | None = None
    baseline: Mapping[Ref, Counted] = field(default_factory=dict)
    sent: bool = False
    """Whether something may have been written: from here on only the platform knows."""
    accepted: ProofPart = UNKNOWN
    loaded: ProofPart = UNKNOWN

    @property
    def failed(self) -> bool:
        good = (StepOutcome.APPLIED, StepOutcome.IN_PROGRESS, StepOutcome.NOT_STARTED)
        return self.result.outcome not in good

    def fail(self, kind: ErrorKind, message: str) -> None:
        """It was written, read back as it was meant, and the data plane refuses it."""
        self.result = replace(self.result, outcome=StepOutcome.FAILED, found=Found.AFTER, reason=Reason(kind, message))

    def refuse(self, error: ControlError) -> None:
        """Nothing was written."""
        self.result = replace(self.result, outcome=StepOutcome.REFUSED, reason=Reason(error.kind, str(error)))

    def prove(self, loaded: ProofPart, seen: ProofPart) -> None:
        """It is in force; what the data plane and its traffic say of it."""
        self.loaded = loaded
        self.result = replace(self.result, proof=Proof(self.accepted, loaded, seen))


@dataclass(frozen=True, slots=True)
class Compared:
    """A step's object as it was read before the write, which is what the plan was made on, and the step on it."""

    fetched: Fetched
    prepared: Prepared
    at: float
    """By the monotonic clock."""


async def compare(reader: Reader, step: Step) -> Compared:
    """Read a step's object anew and make the step ready. Raises `Stale` where it is not what the plan was made on."""
    at = time.monotonic()
    fetched = await fetch_one(reader, step.object)
    if fetched.base != step.base:
        raise Stale(
            f"{step.object} was changed since the plan was made (base {step.base}, now {fetched.base}); "
            "nothing was written to it",
            ref=step.object,
            hint="plan again on what is there now",
        )
    answers = await prepare(reader, [fetched], step.changes)
    if [one.object for one in answers] != [step.object]:
        raise Stale(f"{step.object} no longer holds what the plan changes", ref=step.object, hint="plan again")
    return Compared(fetched, answers[0], at)


async def guarded_write(attempt: Attempt, reader: Reader, writer: Sink, written: Callable[[], Awaitable[None]]) -> None:
    """Write once and read back, after an error too: then only the platform knows.

    Raises `Stale`, `Locked` and `ReadOnly`, which say that nothing was written.
    """
    assert attempt.prepared is not None
    error, answer = None, Written("")
    started = time.monotonic()
    attempt.sent = True
    try:
        answer = await ask(writer.write(attempt.prepared), WRITE_SECONDS, f"writing {attempt.step.object}")
        await written()
    except (Stale, Locked, ReadOnly):
        attempt.sent = False
        raise
    except ControlError as problem:
        error = problem
    await see(attempt, reader, error, answer, started)


async def see(attempt: Attempt, reader: Reader, error: ControlError | None, answer: Written, started: float) -> None:
    """Read back what came of a write that was sent (`started` by the monotonic clock), and say so in the attempt."""
    assert attempt.prepared is not None
    step = attempt.step
    # Where no answer came the write may still be under way: that the old values are there is not believed at once.
    may_follow = error is None or isinstance(error, Unreachable)
    found = await read_back(reader, step.object, step.changes, accepted=may_follow, after=answer.after)
    seconds = time.monotonic() - started
    if found is Found.AFTER and (error is None or isinstance(error, Unreachable)):
        note = answer.said if error is None else f"no answer to the write ({error.message}), reading back shows it"
        attempt.accepted = ProofPart(ProofState.YES, note, seconds)
        return
    outcome = StepOutcome.UNKNOWN if found is Found.UNREACHABLE else StepOutcome.FAILED
    reason = _why(error, found)
    if found is Found.BEFORE:
        # What holds the old values again need not be what runs: a file that was put back may not have been loaded.
        back = [reverse(change, change.after) for change in step.changes]
        running = await wait_running(reader, step.object, back, attempt.prepared.recorded)
        if running.state is not ProofState.YES:
            outcome = StepOutcome.UNDO_FAILED if running.state is ProofState.NO else StepOutcome.UNKNOWN
            reason = replace(reason, message=f"{reason.message}; {not_running(running)}")
    attempt.result = replace(attempt.result, outcome=outcome, found=found, reason=reason)


def not_running(part: ProofPart) -> str:
    """That the old values are there and not known to be what runs, in words."""
    if part.state is ProofState.NO:
        return f"the data plane does not run them: {part.detail}"
    return f"whether the data plane runs them is not known: {part.detail or 'it cannot be asked'}"


def _why(error: ControlError | None, found: Found) -> Reason:
    """Why a write counts as failed, and what is there now."""
    now = {
        Found.BEFORE: "reading back shows the old values",
        Found.AFTER: "reading back shows the new values all the same",
        Found.OTHER: "reading back shows neither the old nor the new values",
        Found.UNREACHABLE: "it could not be read back, so what is there is not known",
    }[found]
    if error is None:
        kind = ErrorKind.UNREACHABLE if found is Found.UNREACHABLE else ErrorKind.PLATFORM
        return Reason(kind, f"the platform accepted the write, but {now}")
    return Reason(error.kind, f"{error}; {now}")


class ObjectLocks:
    """Locks per native object among the processes that share one journal. Correctness comes from each write's own
    precondition; these only keep our own people from racing each other."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @contextlib.asynccontextmanager
    async def held(self, object: str) -> AsyncIterator[None]:
        """Hold the lock of one object. Raises `Locked` after `LOCK_SECONDS`."""
        lock = self._journal.object_lock(object)
        await asyncio.to_thread(lock.take, LOCK_SECONDS, object)
        try:
            yield
        finally:
            lock.release()
