"""A saved plan is believed in nothing but its wishes: which field of what is to go from which value to which.

All else in the file (objects, diffs, owners, bases, what it undoes, effective limits, guards) is made anew on what is
there now. What differs in a way that whoever reviewed the file has not seen refuses it as stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from control.contract.plans import seal
from control.errors import Stale
from control.journal.state import ChangeState
from control.model import Effective, Owner
from control.model.ref import Ref
from control.planning.edit import Change
from control.planning.fields import Row, same, show
from control.planning.plan import Plan, Step
from control.planning.planner import mismatches
from control.planning.undo import steps_to_undo
from control.structs import replace

REPLAN = "look at what is there now and plan anew"


class StalePlan(Stale):
    """A saved plan does not fit what is there. `by_object` has the reasons by native object; "" is the whole plan."""

    def __init__(self, by_object: Mapping[str, list[str]]) -> None:
        self.by_object = {name: "; ".join(reasons) for name, reasons in by_object.items() if reasons}
        first = next((name for name in self.by_object if name), None)
        super().__init__("; ".join(self.by_object.values()), ref=first, hint=REPLAN)


def wishes(saved: Plan) -> list[Change]:
    """The changes that a saved plan asks for. Raises `StalePlan` where it contradicts itself."""
    wrong: dict[str, list[str]] = {}
    changes: dict[tuple[Ref, str], Change] = {}
    for step in saved.steps:
        reasons = wrong.setdefault(step.object, [])
        for change in step.changes:
            if change.ref.environment != step.environment:
                reasons.append(f"{change.ref} is not of {step.environment}, where the file puts it")
            if (change.ref, change.field) in changes:
                reasons.append(f"the file sets {change.field} of {change.ref} twice")
            changes[change.ref, change.field] = change
    _raise(wrong)
    return list(changes.values())


def check_start(saved: Plan, rows: Mapping[Ref, Row]) -> None:
    """Raises `StalePlan` where what is there is not what the plan starts from, or what it names is not there."""
    wrong: dict[str, list[str]] = {}
    for step in saved.steps:
        reasons = wrong.setdefault(step.object, [])
        for ref in dict.fromkeys(change.ref for change in step.changes):
            row = rows.get(ref)
            if row is None:
                reasons.append(f"there is no {ref} any more")
            elif row.object != step.object:
                reasons.append(f"{ref} is in {row.object}, the file says {step.object}")
            elif not row.editable.yes:
                reasons.append(f"{ref} cannot be edited: {row.editable.reason}")
        reasons += mismatches(step.changes, rows)
    _raise(wrong)


def check_undo(saved: Plan, recorded: ChangeState) -> None:
    """Raises `StalePlan` where the plan says that it undoes a change and does something else: an undo is exempt from
    guards."""
    before = {(c.ref, c.field): c.before for step in steps_to_undo(recorded) for c in step.changes}
    wrong: dict[str, list[str]] = {}
    for step in saved.steps:
        reasons = wrong.setdefault(step.object, [])
        for change in step.changes:
            key = (change.ref, change.field)
            if key not in before:
                reasons.append(f"change {recorded.change} did not set {change.field} of {change.ref}: no undo of it")
            elif not same(change.field, change.after, before[key]):
                was = show(before[key])
                reasons.append(
                    f"{change.field} of {change.ref} was {was} before change {recorded.change}, "
                    f"the plan sets {show(change.after)}: no undo of it"
                )
    _raise(wrong)


def check_same(saved: Plan, fresh: Plan) -> Plan:
    """The plan as it is now, under the saved one's name. Raises `StalePlan` where it is not the one that was saved."""
    wrong: dict[str, list[str]] = {"": []}
    now = {step.object: step for step in fresh.steps}
    for step in saved.steps:
        wrong[step.object] = _differences(step, now[step.object]) if step.object in now else _gone(step, now)
    more = sorted(now.keys() - {step.object for step in saved.steps})
    if more:
        wrong[""].append(f"it would also write {', '.join(more)}, which the file does not name")
    _raise(wrong)
    return seal(replace(fresh, plan=saved.plan, reason=saved.reason))


def _gone(step: Step, now: Iterable[str]) -> list[str]:
    return [f"the file writes {step.object}, now the same edits write {', '.join(sorted(now)) or 'nothing'}"]


def _differences(saved: Step, fresh: Step) -> list[str]:
    reasons: list[str] = []
    if saved.base != fresh.base:
        reasons.append(
            f"{saved.object} was changed since the plan was made (base {saved.base}, now {fresh.base}); "
            "nothing was written to it"
        )
    if set(saved.changes) != set(fresh.changes):
        reasons.append(f"{saved.object}: the file's changes are not those that would be made")
    if saved.diff != fresh.diff and not reasons:
        reasons.append(f"{saved.object}: the file's diff is not what would be written{_first_line(saved, fresh)}")
    known = {_owner(owner) for owner in saved.owners}
    reasons += [
        f"{saved.object} has an owner that the file does not name: {owner.kind} {owner.name} ({owner.role.value})"
        for owner in fresh.owners
        if _owner(owner) not in known
    ]
    return [*reasons, *_worse(saved, fresh)]


def _first_line(saved: Step, fresh: Step) -> str:
    was, now = saved.diff.splitlines(), fresh.diff.splitlines()
    for number in range(max(len(was), len(now))):
        one = was[number] if number < len(was) else "nothing"
        other = now[number] if number < len(now) else "nothing"
        if one != other:
            return f": the file says '{one[:120]}', now it is '{other[:120]}'"
    return ""


def _owner(owner: Owner) -> tuple[object, ...]:
    return owner.kind, owner.name, owner.role


def _worse(saved: Step, fresh: Step) -> list[str]:
    """Effective limits that let less through than the plan was made on. Others are shown, no more."""
    now = {one.on: one.after for one in fresh.effective}
    reasons = []
    for one in saved.effective:
        then = now.get(one.on)
        if one.after is not None and then is not None and _lower(then, one.after):
            reasons.append(f"on {one.on} at least {_low(one.after)} would pass, the file says; now it is {_low(then)}")
    return reasons


def _lower(now: Effective, said: Effective) -> bool:
    if now.low is None or said.low is None or now.unit != said.unit or (now.seconds is None) != (said.seconds is None):
        return False
    return now.low / (now.seconds or 1) < said.low / (said.seconds or 1)


def _low(effective: Effective) -> str:
    seconds = f" in {effective.seconds} s" if effective.seconds is not None else ""
    return f"{effective.low} {effective.unit}{seconds}"


def _raise(wrong: Mapping[str, list[str]]) -> None:
    if any(wrong.values()):
        raise StalePlan(wrong)
