"""What a whole change came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from control.errors import ErrorKind
from control.planning.plan import Plan, Reason, Result, ResultOutcome, StepOutcome, StepResult
from control.ports import Found, ProofState

_STAYS = frozenset({StepOutcome.APPLIED, StepOutcome.IN_PROGRESS, StepOutcome.UNDO_FAILED, StepOutcome.UNKNOWN})
"""Outcomes of a step after which it is in force, or may be."""


def refused(plan: Plan, head: str | None, reasons: Mapping[int, tuple[ErrorKind, str]]) -> Result:
    """The result of a plan of which nothing was written; `reasons` are by step number."""
    steps = tuple(
        StepResult(step.object, StepOutcome.REFUSED, Reason(*reasons[number]))
        if number in reasons
        else StepResult(step.object, StepOutcome.NOT_STARTED)
        for number, step in enumerate(plan.steps)
    )
    return Result(None, ResultOutcome.REFUSED, head, steps)


def outcome_of(begun: Sequence[StepResult], is_part: bool) -> ResultOutcome:
    """What a change came to whose steps were done: from those that were begun, and whether these are a part of all."""
    outcomes = [result.outcome for result in begun]
    if not outcomes:
        return ResultOutcome.REFUSED
    bad = [o for o in outcomes if o not in (StepOutcome.APPLIED, StepOutcome.IN_PROGRESS)]
    if not bad:
        if StepOutcome.IN_PROGRESS in outcomes:
            return ResultOutcome.IN_PROGRESS
        return ResultOutcome.PARTLY_APPLIED if is_part else _applied(begun)
    if any(o in _STAYS for o in outcomes) or any(_still_there(result) for result in begun):
        return ResultOutcome.PARTLY_APPLIED
    if all(o is StepOutcome.REFUSED for o in outcomes):
        return ResultOutcome.REFUSED
    return ResultOutcome.ROLLED_BACK


def truth(steps: Sequence[StepResult]) -> ResultOutcome:
    """What a change is whose steps were only looked at."""
    if any(step.found is Found.UNREACHABLE for step in steps):
        return ResultOutcome.INTERRUPTED
    outcomes = {step.outcome for step in steps}
    if outcomes <= {StepOutcome.NOT_STARTED, StepOutcome.UNDONE}:
        return ResultOutcome.ROLLED_BACK
    if outcomes == {StepOutcome.APPLIED}:
        pending = any(step.proof is not None and step.proof.loaded.state is ProofState.PENDING for step in steps)
        return ResultOutcome.IN_PROGRESS if pending else _applied(steps)
    return ResultOutcome.PARTLY_APPLIED


def _applied(steps: Sequence[StepResult]) -> ResultOutcome:
    proven = all(step.proof is not None and step.proof.loaded.state is ProofState.YES for step in steps)
    return ResultOutcome.APPLIED if proven else ResultOutcome.APPLIED_UNPROVEN


def _still_there(result: StepResult) -> bool:
    """A failed step that reading back found in force, wholly or in part, and that was not taken back."""
    return result.outcome is StepOutcome.FAILED and result.found in (Found.AFTER, Found.OTHER)
