"""What is to be done about a change, from its state alone.

One function drives them all: a change that is being applied, one that is taken back because a step failed, one whose
process died, one that its process left in progress. Between any two acts the process may end, and whoever takes the
change up again reads the same state and goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from control.applying.outcomes import outcome_of
from control.errors import ErrorKind
from control.journal.state import ChangeState, Phase, StepState
from control.planning.plan import OnFailure, Reason, ResultOutcome, StepOutcome, StepResult


class Aim(StrEnum):
    """What whoever is at a change wants of it."""

    GO_ON = "go_on"
    """Do what is left of it, or take it back where a step fails and it says so."""
    STOP = "stop"
    """Begin no further step."""
    GO_BACK = "go_back"
    """Take back all of it that is in force."""
    STATE = "state"
    """Write nothing: look at all of it and say what is true."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the platforms what is true of these steps."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Write:
    """Do this step."""

    step: int


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Take this step back."""

    step: int
    because: str


@dataclass(frozen=True, slots=True)
class Close:
    """All that is wanted is done: this is what it came to."""

    outcome: ResultOutcome
    steps: tuple[StepResult, ...]


Act = Look | Write | TakeBack | Close


def next_act(state: ChangeState, aim: Aim) -> Act:
    """The one thing to do now."""
    if aim is Aim.STATE:
        return Look(tuple(range(len(state.steps))))
    unsure = state.in_doubt or _in_progress(state)
    if unsure:
        return Look(unsure)
    failed = state.failed
    if aim is Aim.GO_BACK or state.going_back or (failed is not None and state.on_failure is OnFailure.UNDO):
        back = [number for number, one in enumerate(state.steps) if one.may_be_in_force and not one.tried_back]
        if back:
            return TakeBack(back[-1], _because(failed))
    elif aim is Aim.GO_ON and failed is None:
        number = _first_waiting(state.steps)
        if number is not None:
            return Write(number)
    return close(state)


def close(state: ChangeState) -> Close:
    """What a change has come to where nothing more is done about it."""
    results = [_result(one) for one in state.steps]
    begun = [one for one in results if one.outcome is not StepOutcome.NOT_STARTED]
    return Close(outcome_of(begun, len(begun) < len(results)), tuple(results))


def _in_progress(state: ChangeState) -> tuple[int, ...]:
    """The steps that the platform was still at when an earlier process left the change."""
    if not state.unfinished:
        return ()
    return tuple(n for n, one in enumerate(state.steps) if one.outcome is StepOutcome.IN_PROGRESS)


def _first_waiting(steps: Sequence[StepState]) -> int | None:
    """The step to begin now: the first that waits, if all before it are done."""
    for number, one in enumerate(steps):
        if one.phase is Phase.WAITING:
            return number
        if one.outcome is not StepOutcome.APPLIED:
            return None
    return None


def _because(failed: StepState | None) -> str:
    return "taken back" if failed is None else f"taken back because {failed.step.object} failed"


def _result(one: StepState) -> StepResult:
    if one.result is None or one.phase is Phase.WAITING:
        return StepResult(one.step.object, StepOutcome.NOT_STARTED)
    return one.result


def unclear(state: ChangeState, why: str) -> Close:
    """The change as it is left open where what is true of it cannot be said now."""
    reason = Reason(ErrorKind.PLATFORM, why)
    return Close(ResultOutcome.INTERRUPTED, tuple(_unclear(one, reason) for one in state.steps))


def _unclear(one: StepState, reason: Reason) -> StepResult:
    if one.result is not None:
        return one.result
    outcome = StepOutcome.NOT_STARTED if one.phase is Phase.WAITING else StepOutcome.UNKNOWN
    return StepResult(one.step.object, outcome, reason)
