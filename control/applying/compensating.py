"""Taking a step back after another one failed: field by field, by compare-and-set."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from control.applying.proving import read_back, wait_loaded, wait_running
from control.applying.writing import not_running
from control.calls import WRITE_SECONDS, ask, fetch_one, prepare
from control.errors import ControlError, ErrorKind, GuardRefused, PlatformError, Stale
from control.journal.state import StepState
from control.planning.edit import Change
from control.planning.fields import FieldKey, reverse, show, three_ways
from control.planning.plan import Reason, Step, StepOutcome, StepResult
from control.ports import Fetched, Found, Prepared, ProofState, Reader, Sink
from control.structs import replace

TRIES = 3
"""How often a step is tried to be taken back where somebody else writes the same object at the same time."""


async def take_back(one: StepState, reader: Reader, writer: Sink, because: str) -> StepResult:
    """Undo one step of a plan that failed. Never raises for what a platform does: what stays is named in the result."""
    known = _known(one)
    for last in (False,) * (TRIES - 1) + (True,):
        try:
            return await _once(one, reader, writer, because)
        except Stale as error:
            if last:
                return _not_undone(known, error)
        except ControlError as error:
            return _not_undone(known, error)
    raise AssertionError("unreachable")


def _known(one: StepState) -> StepResult:
    return one.result or StepResult(one.step.object, StepOutcome.UNKNOWN)


def _not_undone(result: StepResult, error: ControlError) -> StepResult:
    unknown = result.found is Found.UNREACHABLE or isinstance(error, _NotProved)
    outcome = StepOutcome.UNKNOWN if unknown else StepOutcome.UNDO_FAILED
    return replace(result, outcome=outcome, reason=Reason(error.kind, f"could not be taken back: {error}"))


class _NotProved(PlatformError):
    """The old values are written, and nothing shows that they run."""


async def _once(one: StepState, reader: Reader, writer: Sink, because: str) -> StepResult:
    step = one.step
    prepared, back, foreign = await _prepared(step, reader)
    if back:
        await _write_back(step.object, prepared, back, reader, writer)
    if foreign:
        raise GuardRefused("; ".join(foreign), hint="left as somebody else set them")
    if not back:
        return await _gone_already(one, reader)
    known = _known(one)
    reason = known.reason if one.failed and known.reason is not None else Reason(ErrorKind.PLATFORM, because)
    return replace(known, outcome=StepOutcome.UNDONE, reason=reason, found=Found.BEFORE)


async def _prepared(step: Step, reader: Reader) -> tuple[Sequence[Prepared], list[Change], list[str]]:
    """(the write that takes back what is still ours, those fields, the others in words), all by one reading."""
    fetched = await fetch_one(reader, step.object)
    back, foreign = split(step.changes, fetched)
    if not back:
        return (), back, foreign
    prepared = await prepare(reader, [fetched], back)
    if any(each.object != step.object for each in prepared):
        raise Stale(f"{step.object} no longer holds what the plan changed", ref=step.object)
    return prepared, back, foreign


async def _write_back(
    object: str, prepared: Sequence[Prepared], back: Sequence[Change], reader: Reader, writer: Sink
) -> None:
    """Write the old values, and believe only what reading back shows. Raises where they are not in force again."""
    error: ControlError | None = None
    after: Fetched | None = None
    try:
        for each in prepared:
            after = (await ask(writer.write(each), WRITE_SECONDS, f"writing {object}")).after
    except Stale:
        raise
    except ControlError as problem:
        error, after = problem, None
    found = await read_back(reader, object, back, accepted=error is None, after=after)
    if found is not Found.AFTER:
        raise error or PlatformError(f"{object}: the old values were written, reading back shows {found.value}")
    for each in prepared:
        loaded = await wait_loaded(reader, each, None, asyncio.Event())
        if loaded.state is ProofState.NO:
            raise PlatformError(f"the data plane did not take the old values back: {loaded.detail}")
        if loaded.state is not ProofState.YES:
            raise _NotProved(f"the old values were written and read back; {not_running(loaded)}")


async def _gone_already(one: StepState, reader: Reader) -> StepResult:
    """Nothing of the step is there any more: it never took, or somebody has taken it back."""
    step, recorded = one.step, one.recorded or {}
    back = [reverse(change, change.after) for change in step.changes]
    part = await wait_running(reader, step.object, back, recorded)
    if part.state is ProofState.NO:
        raise PlatformError(f"{step.object} holds the old values; {not_running(part)}")
    if part.state is not ProofState.YES:
        raise _NotProved(f"{step.object} holds the old values; {not_running(part)}")
    outcome = StepOutcome.FAILED if one.failed else StepOutcome.UNDONE
    return replace(_known(one), outcome=outcome, found=Found.BEFORE)


def split(
    changes: Sequence[Change], read: Fetched, foreign_too: Collection[FieldKey] = ()
) -> tuple[list[Change], list[str]]:
    """(the fields that are still as we set them, turned around; those that somebody else changed, in words).

    Fields in `foreign_too` are turned around whoever set them. Fields that hold their old value already are in neither.
    """
    back: list[Change] = []
    foreign: list[str] = []
    for change, field in zip(changes, three_ways(changes, read), strict=True):
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
