"""The truth about a change whose process died: look at the platforms, state it, journal it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from control.asking import READ_SECONDS, ask
from control.changelog import ChangeLog, Recorded
from control.errors import ControlError, ErrorKind
from control.plan import Proof, Reason, Result, ResultOutcome, Step, StepOutcome, StepResult
from control.ports import Found, ProofPart, ProofState, Reader
from control.proving import UNKNOWN, look

_OUTCOMES = {
    Found.BEFORE: StepOutcome.NOT_STARTED,
    Found.AFTER: StepOutcome.APPLIED,
    Found.OTHER: StepOutcome.UNKNOWN,
    Found.UNREACHABLE: StepOutcome.UNKNOWN,
}


async def resolve_change(recorded: Recorded, log: ChangeLog, readers: Mapping[str, Reader], actor: str) -> Result:
    """State what is true of an interrupted change (or one still in progress when its process ended) and journal it.

    A change of which a platform cannot be reached stays open, so that it can be resolved later.
    """
    change = await asyncio.to_thread(log.reopen, recorded.change)
    try:
        numbered = enumerate(recorded.plan.steps)
        steps = await asyncio.gather(*(_found(step, recorded.step_result(n), readers) for n, step in numbered))
        return await asyncio.to_thread(change.close, truth(steps), tuple(steps), "resolve")
    finally:
        change.abandon()


async def _found(step: Step, noted: StepResult | None, readers: Mapping[str, Reader]) -> StepResult:
    """What is true of one step now."""
    reader = readers.get(step.environment)
    if reader is None:
        why = Reason(ErrorKind.NOT_FOUND, f"the deck file has no environment '{step.environment}' any more")
        return StepResult(step.object, StepOutcome.UNKNOWN, why, Found.UNREACHABLE)
    try:
        found = await look(reader, step.object, step.changes)
    except ControlError as error:
        return StepResult(step.object, StepOutcome.UNKNOWN, Reason(error.kind, str(error)), Found.UNREACHABLE)
    result = StepResult(step.object, _OUTCOMES[found], None, found)
    if found is Found.BEFORE and noted is not None and noted.outcome is not StepOutcome.NOT_STARTED:
        return replace(result, outcome=StepOutcome.UNDONE)
    if found is Found.AFTER:
        accepted = ProofPart(ProofState.YES, "reading back shows it")
        return replace(result, proof=Proof(accepted, await _loaded(reader, step), UNKNOWN))
    return result


async def _loaded(reader: Reader, step: Step) -> ProofPart:
    """One look at whether the data plane uses what the step wrote."""
    try:
        prepared = await ask(reader.prepare(step.changes, fresh=True), READ_SECONDS, f"reading {step.object}")
        if len(prepared) != 1:
            return UNKNOWN
        return await ask(reader.loaded(prepared[0]), READ_SECONDS, f"asking whether {step.object} is loaded")
    except ControlError as error:
        return ProofPart(ProofState.UNKNOWN, error.message)


def truth(steps: Sequence[StepResult]) -> ResultOutcome:
    """What the whole change is, from what was found."""
    found = {step.found for step in steps}
    if Found.UNREACHABLE in found:
        return ResultOutcome.INTERRUPTED
    if found <= {Found.BEFORE}:
        return ResultOutcome.ROLLED_BACK
    if found == {Found.AFTER}:
        loaded = [step.proof.loaded.state for step in steps if step.proof is not None]
        if ProofState.PENDING in loaded:
            return ResultOutcome.IN_PROGRESS
        proven = all(state is ProofState.YES for state in loaded)
        return ResultOutcome.APPLIED if proven else ResultOutcome.APPLIED_UNPROVEN
    return ResultOutcome.PARTLY_APPLIED
