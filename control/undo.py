"""Undo: a new plan from the recorded pre-image, field by field, against what is there now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from control.changelog import Recorded
from control.compensating import split
from control.edit import Change, Value
from control.errors import GuardRefused, Locked, Stale
from control.fields import rows_of, same, value_of
from control.model import Snapshot
from control.plan import GuardResult, Step, StepOutcome, Verdict
from control.ports import Found
from control.ref import Ref

CHANGED_SINCE = "changed_since"


def check_undoable(recorded: Recorded) -> None:
    """Raises `Locked` while a change is being applied, and `GuardRefused` where it was interrupted and nobody has
    looked at what is true."""
    if recorded.interrupted:
        raise GuardRefused(
            f"change {recorded.change} was interrupted and nobody knows yet what is true",
            hint=f"run 'trafficdeck resolve {recorded.change}' first",
        )
    if recorded.result is None:
        pid = recorded.process.get("pid")
        raise Locked(f"change {recorded.change} is still being applied by process {pid}", hint="wait for its end")


def steps_to_undo(recorded: Recorded) -> list[Step]:
    """The steps of which something may be in force, last first."""
    found: list[Step] = []
    for number, step in enumerate(recorded.plan.steps):
        result = recorded.step_result(number)
        if result is None or result.outcome in (StepOutcome.NOT_STARTED, StepOutcome.REFUSED, StepOutcome.UNDONE):
            continue
        if result.found is not Found.BEFORE:
            found.append(step)
    return found[::-1]


@dataclass(frozen=True, slots=True)
class UndoField:
    """One field of a change three ways: before it, as it set it, and as it stands."""

    ref: Ref
    field: str
    before: Value
    ours: Value
    now: Value

    @property
    def key(self) -> FieldKey:
        return self.ref, self.field

    @property
    def foreign(self) -> bool:
        """Somebody changed it since: an undo leaves it alone unless it is told to take it back all the same."""
        return not same(self.field, self.now, self.ours) and not same(self.field, self.now, self.before)


FieldKey = tuple[Ref, str]


def three_ways(steps: list[Step], read: Mapping[str, Snapshot]) -> list[UndoField]:
    """Every field of the steps to undo, three ways."""
    found = []
    for step in steps:
        rows = rows_of(read[step.object])
        for change in step.changes:
            row = rows.get(change.ref)
            now = value_of(row, change.field) if row is not None else None
            found.append(UndoField(change.ref, change.field, change.before, change.after, now))
    return found


def changes_back(
    steps: list[Step], read: Mapping[str, Snapshot], foreign_too: Collection[FieldKey] = ()
) -> tuple[list[Change], list[GuardResult]]:
    """(the changes that take the steps back, what is left alone because somebody changed it since).

    `read` has a fresh read of every step's object. Fields in `foreign_too` go back whoever changed them since. Raises
    `Stale` where nothing can be taken back.
    """
    back: list[Change] = []
    foreign: list[str] = []
    for step in steps:
        mine, others = split(step.changes, read[step.object], foreign_too)
        back.extend(mine)
        foreign.extend(others)
    if foreign and not back:
        raise Stale("; ".join(foreign), hint="left as somebody else set it; set the values you want")
    return back, [GuardResult(CHANGED_SINCE, Verdict.WARN, f"{text}; left as it is") for text in foreign]
