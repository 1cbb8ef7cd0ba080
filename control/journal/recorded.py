"""A change as its entries tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from control.contract.plans import plan_from_json, result_from_json
from control.journal.records import Entry
from control.planning.edit import Change
from control.planning.plan import Plan, Result, ResultOutcome, StepOutcome, StepResult

DONE = frozenset(
    {
        ResultOutcome.APPLIED,
        ResultOutcome.APPLIED_UNPROVEN,
        ResultOutcome.PARTLY_APPLIED,
        ResultOutcome.IN_PROGRESS,
    }
)
"""Outcomes after which something of the change is in force."""


@dataclass(slots=True)
class Recorded:
    """One change as the journal has it."""

    change: str
    at: float
    actor: str
    reason: str
    plan: Plan
    process: Mapping[str, Any]
    noted: dict[int, StepResult] = field(default_factory=dict)
    """What was noted of single steps while the change was open."""
    writing: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """The steps that were about to be written, each with what its platform recorded right before."""
    notes_writing: bool = False
    """Whether a step that is not in `writing` is known not to have been begun; earlier versions did not note it."""
    result: Result | None = None
    """None while it is open."""
    held: bool = False
    """While it is open: does a process hold its lock?"""

    @property
    def outcome(self) -> ResultOutcome:
        if self.result is not None:
            left = self.result.outcome is ResultOutcome.IN_PROGRESS
            return ResultOutcome.APPLIED_UNPROVEN if left else self.result.outcome
        return ResultOutcome.IN_PROGRESS if self.held else ResultOutcome.INTERRUPTED

    @property
    def unfinished(self) -> bool:
        """It ended while the platform was still at it: written, and to be followed up."""
        return self.result is not None and self.result.outcome is ResultOutcome.IN_PROGRESS

    @property
    def doubtful(self) -> bool:
        """It ended with something that is not known, or that is in force though it should not be."""
        doubts = (StepOutcome.UNKNOWN, StepOutcome.UNDO_FAILED, StepOutcome.FAILED)
        return self.result is not None and any(step.outcome in doubts for step in self.result.steps)

    @property
    def interrupted(self) -> bool:
        return self.result is None and not self.held

    def step_result(self, number: int) -> StepResult | None:
        """The last that is known of one step, or None."""
        if self.result is not None and number < len(self.result.steps):
            return self.result.steps[number]
        return self.noted.get(number)

    def changes(self) -> Iterable[Change]:
        """The changes of all its steps."""
        return (change for step in self.plan.steps for change in step.changes)


def opened(entry: Entry) -> Recorded:
    """A change from its opening entry."""
    data = entry.data
    return Recorded(
        entry.change,
        data.get("noted_at", entry.at),
        data["actor"],
        data["reason"],
        plan_from_json(data["plan"]),
        data.get("process", {}),
        notes_writing=bool(data.get("notes_writing")),
    )


def add(recorded: Recorded, entry: Entry) -> None:
    """What a later entry says of it."""
    if entry.kind == "step":
        result = result_from_json({**_EMPTY_RESULT, "steps": [entry.data["result"]]})
        recorded.noted[int(entry.data["step"])] = result.steps[0]
    elif entry.kind == "writing":
        recorded.writing[int(entry.data["step"])] = entry.data.get("recorded", {})
    elif entry.kind in ("close", "resolve") and entry.data.get("closes", True):
        recorded.result = result_from_json(entry.data["result"])


_EMPTY_RESULT = {"change": None, "outcome": ResultOutcome.INTERRUPTED.value, "head": None}
