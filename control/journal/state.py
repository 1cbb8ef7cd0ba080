"""The state of a change: a pure function of its records.

What is open, interrupted, to be followed up or done, which step was begun and what is known of it: all of it is read
here, from the records alone, so that any later process knows of a change what the one that made it knew. What may be
done about it is in `control.applying.acts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from msgspec import UNSET

from control.contract.plans import plan_from_json, result_from_json
from control.journal.events import Closed, NotKnown, Opened, Stepped, Undoing, Writing, read
from control.planning.edit import Change
from control.planning.plan import OnFailure, Plan, Result, ResultOutcome, Step, StepOutcome, StepResult
from control.ports import Found
from control.structs import replace

IN_FORCE = frozenset(
    {
        ResultOutcome.APPLIED,
        ResultOutcome.APPLIED_UNPROVEN,
        ResultOutcome.PARTLY_APPLIED,
        ResultOutcome.IN_PROGRESS,
    }
)
"""Outcomes after which something of the change is in force."""
_GOOD = (StepOutcome.APPLIED, StepOutcome.IN_PROGRESS, StepOutcome.NOT_STARTED)
_DOUBTS = (StepOutcome.UNKNOWN, StepOutcome.UNDO_FAILED, StepOutcome.FAILED)


class Phase(StrEnum):
    """How far a step has come, by the records."""

    WAITING = "waiting"
    """It was not begun, or is known not to have been written."""
    WRITING = "writing"
    """It was about to be written: whether it was, its platform knows."""
    KNOWN = "known"
    """What came of it was noted."""
    UNDOING = "undoing"
    """It was about to be taken back: whether it was, its platform knows."""


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a change."""

    step: Step
    phase: Phase = Phase.WAITING
    recorded: Mapping[str, Any] | None = None
    """What its platform recorded right before it was written; None where that was never noted."""
    result: StepResult | None = None
    """The last that was noted of it."""
    tried_back: bool = False
    """Whether somebody began to take it back."""

    @property
    def outcome(self) -> StepOutcome | None:
        return None if self.result is None else self.result.outcome

    @property
    def failed(self) -> bool:
        return self.result is not None and self.result.outcome not in _GOOD

    @property
    def may_be_in_force(self) -> bool:
        """False only where it is known that nothing of the step is."""
        if self.phase in (Phase.WRITING, Phase.UNDOING):
            return True
        if self.result is None or self.phase is Phase.WAITING:
            return False
        return not self.failed or self.result.found in (Found.AFTER, Found.OTHER, Found.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class ChangeState:
    """One change as the journal has it."""

    change: str
    at: float
    """When it was begun (Unix time)."""
    actor: str
    reason: str
    plan: Plan
    on_failure: OnFailure
    process: Mapping[str, Any]
    """Which process began it."""
    steps: tuple[StepState, ...]
    notes_writing: bool = False
    """Whether a step that is not noted as about to be written is known not to have been begun."""
    going_back: bool = False
    """Whether somebody began to take it back: from then on it only goes back."""
    result: Result | None = None
    """None while it is open."""
    at_work: bool = False
    """While it is open: whether a process is at it. No record can say that: who reads them asks for it."""

    @property
    def outcome(self) -> ResultOutcome:
        if self.result is not None:
            left = self.result.outcome is ResultOutcome.IN_PROGRESS
            return ResultOutcome.APPLIED_UNPROVEN if left else self.result.outcome
        return ResultOutcome.IN_PROGRESS if self.at_work else ResultOutcome.INTERRUPTED

    @property
    def unfinished(self) -> bool:
        """It ended while the platform was still at it: written, and to be followed up."""
        return self.result is not None and self.result.outcome is ResultOutcome.IN_PROGRESS

    @property
    def doubtful(self) -> bool:
        """It ended with something that is not known, or that is in force though it should not be."""
        return self.result is not None and any(step.outcome in _DOUBTS for step in self.result.steps)

    @property
    def interrupted(self) -> bool:
        return self.result is None and not self.at_work

    @property
    def in_doubt(self) -> tuple[int, ...]:
        """The steps of which only the platform knows whether they are in force, by number."""
        return tuple(number for number, one in enumerate(self.steps) if self._is_in_doubt(one))

    def _is_in_doubt(self, one: StepState) -> bool:
        never_noted = one.phase is Phase.WAITING and one.result is None and not self.notes_writing
        return one.phase in (Phase.WRITING, Phase.UNDOING) or never_noted

    @property
    def failed(self) -> StepState | None:
        """The step that failed. None is begun after it, so it is the last of those that are not as they should be."""
        return next((one for one in reversed(self.steps) if one.failed), None)

    def changes(self) -> Iterable[Change]:
        """The changes of all its steps."""
        return (change for step in self.plan.steps for change in step.changes)


class Said(Protocol):
    """A record, whether or not it is in the chain yet."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


def reduce(change: str, records: Iterable[Said], state: ChangeState | None = None) -> ChangeState | None:
    """The state of a change after these records, from that before them. None while nothing opened it. Raises
    `NotKnown` and, for values that this version does not understand, `ControlError`."""
    for record in records:
        state = advance(change, state, record)
    return state


def advance(change: str, state: ChangeState | None, record: Said) -> ChangeState | None:
    """The state after one more record. What was said before the change was opened, or opens it again, counts for
    nothing."""
    event = read(record.kind, record.data)
    if state is None:
        return _begun(change, record.at, event) if isinstance(event, Opened) else None
    match event:
        case Writing(number, recorded):
            return _with(state, number, phase=Phase.WRITING, recorded=recorded)
        case Undoing(number):
            return replace(_with(state, number, phase=Phase.UNDOING, tried_back=True), going_back=True)
        case Stepped(number, noted):
            result = result_from_json({**_NO_RESULT, "steps": [noted]}).steps[0]
            again = {"tried_back": False} if result.outcome is StepOutcome.APPLIED else {}
            return _with(state, number, phase=_phase(result), result=result, **again)
        case Closed(noted):
            return _closed(state, result_from_json(noted))
    return state


_NO_RESULT = {"change": None, "outcome": ResultOutcome.INTERRUPTED.value, "head": None}


def _begun(change: str, at: float, event: Opened) -> ChangeState:
    plan = plan_from_json(event.plan)
    return ChangeState(
        change,
        at if event.noted_at is UNSET else event.noted_at,
        event.actor,
        event.reason,
        plan,
        plan.on_failure if event.on_failure is UNSET else event.on_failure,
        event.process,
        tuple(StepState(step) for step in plan.steps),
        event.notes_writing,
    )


def _phase(result: StepResult) -> Phase:
    return Phase.WAITING if result.outcome is StepOutcome.NOT_STARTED else Phase.KNOWN


def _with(state: ChangeState, number: int, **values: Any) -> ChangeState:
    """One step is otherwise: whatever the change was closed with, somebody is at it again."""
    if not 0 <= number < len(state.steps):
        raise NotKnown("it is of a step that its plan does not have")
    steps = list(state.steps)
    steps[number] = replace(steps[number], **values)
    return replace(state, steps=tuple(steps), result=None)


def _closed(state: ChangeState, result: Result) -> ChangeState:
    """What a result says of a step counts, whatever was noted of it before."""
    said = dict(enumerate(result.steps[: len(state.steps)]))
    steps = (
        replace(one, phase=_phase(said[number]), result=said[number]) if number in said else one
        for number, one in enumerate(state.steps)
    )
    return replace(state, steps=tuple(steps), result=result)
