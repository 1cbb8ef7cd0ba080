"""The truth about a change whose process died: look at the platforms, state it, journal it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from control.applying.acts import Aim, Look, next_act
from control.applying.outcomes import truth
from control.applying.proving import UNKNOWN, look, wait_running
from control.applying.writing import not_running
from control.errors import ControlError, ErrorKind
from control.journal.log import ChangeLog
from control.journal.state import ChangeState
from control.planning.fields import reverse
from control.planning.plan import Proof, Reason, Result, StepOutcome, StepResult
from control.ports import Found, ProofPart, ProofState, Reader
from control.structs import replace


async def resolve_change(change: str, log: ChangeLog, readers: Mapping[str, Reader]) -> Result:
    """State what is true of an interrupted change (or of one that left something unknown) and journal it.

    A change of which a platform cannot be reached stays open, so that it can be resolved later.
    """
    taken = await asyncio.to_thread(log.take_up, change)
    closed = False
    try:
        act = next_act(taken.state, Aim.STATE)
        assert isinstance(act, Look)
        steps = await asyncio.gather(*(look_at(taken.state, number, readers) for number in act.steps))
        closed = True
        return await asyncio.to_thread(taken.close, truth(steps), tuple(steps), "resolve")
    finally:
        if not closed:
            taken.abandon()


async def look_at(state: ChangeState, number: int, readers: Mapping[str, Reader]) -> StepResult:
    """What is true of one step now, by what the journal recorded before it was written."""
    one = state.steps[number]
    step, before = one.step, one.recorded
    never = before is None and state.notes_writing
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
    begun = one.outcome not in (None, StepOutcome.NOT_STARTED)
    return StepResult(step.object, StepOutcome.UNDONE if begun else StepOutcome.NOT_STARTED, None, found)


def as_of_now(result: StepResult) -> StepResult:
    """What a look says of a step that the change goes on from: in force is not yet done, where it is not loaded."""
    loaded = result.proof.loaded if result.proof is not None else UNKNOWN
    if result.outcome is StepOutcome.APPLIED and loaded.state is ProofState.PENDING:
        return replace(result, outcome=StepOutcome.IN_PROGRESS)
    if result.outcome is StepOutcome.APPLIED and loaded.state is ProofState.NO:
        why = Reason(ErrorKind.PLATFORM, f"the data plane did not take it: {loaded.detail}")
        return replace(result, outcome=StepOutcome.FAILED, reason=why)
    return result
