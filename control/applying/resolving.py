"""The truth about a change whose process died: look at the platforms, state it, journal it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from control.applying.proving import UNKNOWN, look, wait_running
from control.applying.writing import not_running
from control.errors import ControlError, ErrorKind
from control.journal.log import ChangeLog
from control.journal.state import ChangeState
from control.planning.fields import reverse
from control.planning.plan import Proof, Reason, Result, ResultOutcome, StepOutcome, StepResult
from control.ports import Found, ProofPart, ProofState, Reader


async def resolve_change(recorded: ChangeState, log: ChangeLog, readers: Mapping[str, Reader], actor: str) -> Result:
    """State what is true of an interrupted change (or of one that left something unknown) and journal it.

    A change of which a platform cannot be reached stays open, so that it can be resolved later.
    """
    change = await asyncio.to_thread(log.reopen, recorded.change)
    closed = False
    try:
        numbered = range(len(recorded.plan.steps))
        steps = await asyncio.gather(*(_found(recorded, number, readers) for number in numbered))
        closed = True
        return await asyncio.to_thread(change.close, truth(steps), tuple(steps), "resolve")
    finally:
        if not closed:
            change.abandon()


async def _found(recorded: ChangeState, number: int, readers: Mapping[str, Reader]) -> StepResult:
    """What is true of one step now, by what the journal recorded before it was written."""
    one = recorded.steps[number]
    step, noted, before = one.step, one.result, one.recorded
    never = before is None and recorded.notes_writing
    reader = readers.get(step.environment)
    if reader is None and never:
        return StepResult(step.object, StepOutcome.NOT_STARTED)
    if reader is None:
        why = Reason(ErrorKind.NOT_FOUND, f"the deck file has no environment '{step.environment}' any more")
        return StepResult(step.object, StepOutcome.UNKNOWN, why, Found.UNREACHABLE)
    try:
        found = await look(reader, step.object, step.changes)
    except ControlError as error:
        if never:
            return StepResult(step.object, StepOutcome.NOT_STARTED)
        return StepResult(step.object, StepOutcome.UNKNOWN, Reason(error.kind, str(error)), Found.UNREACHABLE)
    if never:
        return StepResult(step.object, StepOutcome.NOT_STARTED, None, found)
    if found is Found.OTHER:
        return StepResult(step.object, StepOutcome.UNKNOWN, None, found)
    forward = found is Found.AFTER
    changes = step.changes if forward else [reverse(change, change.after) for change in step.changes]
    part = await wait_running(reader, step.object, changes, before or {})
    if forward:
        accepted = ProofPart(ProofState.YES, "reading back shows it")
        return StepResult(step.object, StepOutcome.APPLIED, None, found, Proof(accepted, part, UNKNOWN))
    if part.state is not ProofState.YES:
        outcome = StepOutcome.UNDO_FAILED if part.state is ProofState.NO else StepOutcome.UNKNOWN
        why = Reason(ErrorKind.PLATFORM, f"{step.object} holds the old values; {not_running(part)}")
        return StepResult(step.object, outcome, why, found)
    begun = noted is not None and noted.outcome is not StepOutcome.NOT_STARTED
    return StepResult(step.object, StepOutcome.UNDONE if begun else StepOutcome.NOT_STARTED, None, found)


def truth(steps: Sequence[StepResult]) -> ResultOutcome:
    """What the whole change is, from what was found."""
    if any(step.found is Found.UNREACHABLE for step in steps):
        return ResultOutcome.INTERRUPTED
    outcomes = {step.outcome for step in steps}
    if outcomes <= {StepOutcome.NOT_STARTED, StepOutcome.UNDONE}:
        return ResultOutcome.ROLLED_BACK
    if outcomes == {StepOutcome.APPLIED}:
        loaded = [step.proof.loaded.state for step in steps if step.proof is not None]
        if ProofState.PENDING in loaded:
            return ResultOutcome.IN_PROGRESS
        proven = all(state is ProofState.YES for state in loaded)
        return ResultOutcome.APPLIED if proven else ResultOutcome.APPLIED_UNPROVEN
    return ResultOutcome.PARTLY_APPLIED
