"""Taking a step back after another one failed: field by field, by compare-and-set."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from control.asking import READ_SECONDS, WRITE_SECONDS, ask
from control.edit import Change
from control.errors import ControlError, ErrorKind, GuardRefused, PlatformError, Stale
from control.fields import FieldKey, reverse, show, three_ways
from control.model import Snapshot
from control.plan import Reason, StepOutcome, StepResult
from control.ports import Found, Prepared, ProofState, Reader, Writer
from control.proving import read_back, wait_loaded
from control.writing import Attempt

TRIES = 3
"""How often a step is tried to be taken back where somebody else writes the same object at the same time."""


async def take_back(attempt: Attempt, reader: Reader, writer: Writer, because: str) -> StepResult:
    """Undo one step of a plan that failed. Never raises for what a platform does: what stays is named in the result."""
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            return await _once(attempt, reader, writer, because)
        except Stale as error:
            if last:
                return _not_undone(attempt.result, error)
        except ControlError as error:
            return _not_undone(attempt.result, error)
    raise AssertionError("unreachable")


def _not_undone(result: StepResult, error: ControlError) -> StepResult:
    unknown = result.found is Found.UNREACHABLE
    outcome = StepOutcome.UNKNOWN if unknown else StepOutcome.UNDO_FAILED
    return replace(result, outcome=outcome, reason=Reason(error.kind, f"could not be taken back: {error}"))


async def _once(attempt: Attempt, reader: Reader, writer: Writer, because: str) -> StepResult:
    step = attempt.step
    # What is prepared carries the precondition; reading after it sees every change that the precondition would miss.
    prepared = await ask(
        reader.prepare([reverse(c, c.after) for c in step.changes], fresh=True), READ_SECONDS, f"reading {step.object}"
    )
    snapshot = await ask(reader.read_object(step.object), READ_SECONDS, f"reading {step.object}")
    back, foreign = split(step.changes, snapshot)
    if not back and not foreign:
        return replace(attempt.result, outcome=_nothing_left(attempt), found=Found.BEFORE)
    if back and (foreign or len(back) < len(step.changes)):
        prepared = await ask(reader.prepare(back, fresh=True), READ_SECONDS, f"reading {step.object}")
    if back:
        await _write_back(step.object, prepared, back, reader, writer)
    if foreign:
        raise GuardRefused("; ".join(foreign), hint="left as somebody else set them")
    kept = attempt.result.reason
    reason = kept if attempt.failed and kept is not None else Reason(ErrorKind.PLATFORM, because)
    return replace(attempt.result, outcome=StepOutcome.UNDONE, reason=reason, found=Found.BEFORE)


async def _write_back(
    object: str, prepared: Sequence[Prepared], back: Sequence[Change], reader: Reader, writer: Writer
) -> None:
    """Write the old values, and believe only what reading back shows. Raises where they are not in force again."""
    error: ControlError | None = None
    try:
        for one in prepared:
            await ask(writer.write(one), WRITE_SECONDS, f"writing {object}")
    except Stale:
        raise
    except ControlError as problem:
        error = problem
    found = await read_back(reader, object, back, accepted=error is None)
    if found is not Found.AFTER:
        raise error or PlatformError(f"{object}: the old values were written, reading back shows {found.value}")
    for one in prepared:
        loaded = await wait_loaded(reader, one, None, asyncio.Event())
        if loaded.state is ProofState.NO:
            raise PlatformError(f"the data plane did not take the old values back: {loaded.detail}")


def _nothing_left(attempt: Attempt) -> StepOutcome:
    """Nothing of the step is there any more: it never took, or somebody has taken it back."""
    return StepOutcome.FAILED if attempt.failed else StepOutcome.UNDONE


def split(
    changes: Sequence[Change], snapshot: Snapshot, foreign_too: Collection[FieldKey] = ()
) -> tuple[list[Change], list[str]]:
    """(the fields that are still as we set them, turned around; those that somebody else changed, in words).

    Fields in `foreign_too` are turned around whoever set them. Fields that hold their old value already are in neither.
    """
    back: list[Change] = []
    foreign: list[str] = []
    for change, field in zip(changes, three_ways(changes, snapshot), strict=True):
        if field.is_back:
            continue
        if not field.foreign or field.key in foreign_too:
            back.append(reverse(change, field.now))
        else:
            foreign.append(
                f"{change.field} of {change.ref} is {show(field.now)} now, we had set {show(change.after)} "
                f"(before: {show(change.before)})"
            )
    return back, foreign
