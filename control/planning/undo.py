"""Undo: a new plan from the recorded pre-image, field by field, against what is there now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from control.applying.compensating import split
from control.errors import GuardRefused, Locked, Stale
from control.journal.recorded import Recorded
from control.model import Snapshot
from control.planning.edit import Change
from control.planning.fields import FieldKey
from control.planning.plan import GuardResult, Step, StepOutcome, Verdict
from control.ports import IDENTITY, Found

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


def identities(recorded: Recorded) -> dict[str, str]:
    """Native object -> which one it was when the change wrote it, where the platform has an identity that outlives
    edits and ends with the object (a uid)."""
    found = {}
    for number, step in enumerate(recorded.plan.steps):
        uid = recorded.writing.get(number, {}).get(IDENTITY)
        if isinstance(uid, str) and uid:
            found[step.object] = uid
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
