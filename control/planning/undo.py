"""Undo: a new plan from the recorded pre-image, field by field, against what is there now."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from control.applying.compensating import split
from control.errors import GuardRefused, Locked, Stale
from control.journal.state import ChangeState
from control.planning.edit import Change
from control.planning.fields import FieldKey
from control.planning.plan import GuardResult, Step, StepOutcome, Verdict
from control.ports import IDENTITY, Fetched, Found

CHANGED_SINCE = "changed_since"


def check_undoable(recorded: ChangeState) -> None:
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


def steps_to_undo(recorded: ChangeState) -> list[Step]:
    """The steps of which something may be in force, last first."""
    nothing = (None, StepOutcome.NOT_STARTED, StepOutcome.REFUSED, StepOutcome.UNDONE)
    begun = [one for one in reversed(recorded.steps) if one.outcome not in nothing]
    return [one.step for one in begun if one.result is None or one.result.found is not Found.BEFORE]


def identities(recorded: ChangeState) -> dict[str, str]:
    """Native object -> which one it was when the change wrote it, where the platform has an identity that outlives
    edits and ends with the object (a uid)."""
    uids = {one.step.object: (one.recorded or {}).get(IDENTITY) for one in recorded.steps}
    return {name: uid for name, uid in uids.items() if isinstance(uid, str) and uid}


def changes_back(
    steps: list[Step], read: Mapping[str, Fetched], foreign_too: Collection[FieldKey] = ()
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
