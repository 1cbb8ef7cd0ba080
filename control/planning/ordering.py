"""The order of steps: receivers are made ready first, then traffic moves from the inside out, then donors are cut."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from enum import IntEnum
from fractions import Fraction

from control.model import Limit, Special, TargetState
from control.model.graph import Graph
from control.model.ref import GROUP_SCOPE, Ref
from control.planning.edit import Change, split_field
from control.planning.fields import Row, burst_of
from control.planning.plan import OnFailure
from control.ports import Prepared


class Turn(IntEnum):
    """When a step has its turn."""

    OPEN = 0
    """Limits raised, targets brought back."""
    SHIFT = 1
    CLOSE = 2
    """Limits lowered, targets drained."""


def rate(limit: Limit) -> Fraction | float:
    """How much a limit lets through, for comparing one limit with itself: per second where it has a window.

    Not a number where the amount is not understood: such a one is never edited, and compares with nothing.
    """
    if isinstance(limit.amount, Special):
        return math.inf if limit.amount is Special.UNLIMITED else Fraction(0)
    if limit.amount is None:
        return math.nan
    seconds = limit.window.seconds if limit.window is not None else None
    return limit.amount / seconds if seconds else limit.amount


def limit_turn(before: Limit, after: Limit) -> Turn:
    """Raised or lowered? The rate decides, then the burst."""
    if rate(after) != rate(before):
        return Turn.OPEN if rate(after) > rate(before) else Turn.CLOSE
    return Turn.OPEN if (burst_of(after) or 0) > (burst_of(before) or 0) else Turn.CLOSE


def route_turn(changes: Sequence[Change]) -> Turn:
    """Of all changes of one route. Weights that only go to 0 are a drain, weights that only come from 0 a return."""
    states = [change for change in changes if split_field(change.field)[1] == "state"]
    if any(change.after is TargetState.ACTIVE for change in states):
        return Turn.OPEN
    weights = [change for change in changes if change not in states]
    if not weights:
        return Turn.CLOSE
    if all(change.after in (0, None) for change in weights):
        return Turn.CLOSE
    if all(change.before in (0, None) for change in weights):
        return Turn.OPEN
    return Turn.SHIFT


def turn_of(step: Prepared, before: Mapping[Ref, Row], after: Mapping[Ref, Row]) -> Turn:
    """The earliest turn of anything in the step: it is one write, and what must be ready first decides."""
    turns: list[Turn] = []
    for ref in dict.fromkeys(change.ref for change in step.changes):
        was, will = before.get(ref), after.get(ref)
        if isinstance(was, Limit) and isinstance(will, Limit):
            turns.append(limit_turn(was, will))
        else:
            turns.append(route_turn([change for change in step.changes if change.ref == ref]))
    return min(turns, default=Turn.SHIFT)


def ordered(
    steps: Sequence[Prepared], before: Mapping[Ref, Row], after: Mapping[Ref, Row], graph: Graph
) -> list[Prepared]:
    """The steps in the order in which they are done; within a class as given."""

    def key(step: Prepared) -> tuple[int, int]:
        turn = turn_of(step, before, after)
        height = max((graph.height(change.ref) for change in step.changes), default=0)
        return int(turn), height if turn is Turn.SHIFT else 0

    return sorted(steps, key=key)


def default_on_failure(
    steps: Sequence[Prepared], before: Mapping[Ref, Row], after: Mapping[Ref, Row], groups: Container[Ref]
) -> OnFailure:
    """`stop` only where every step is the same edit on many hosts, a drain, or a tightened limit: undoing those would
    send traffic back to what is sick. `groups` are the refs of group rows."""
    edits = [_edit_of(step) for step in steps]
    for step, edit in zip(steps, edits, strict=True):
        on_hosts = all(change.ref.on(GROUP_SCOPE) in groups for change in step.changes)
        on_many_hosts = on_hosts and edits.count(edit) > 1
        if not on_many_hosts and not _only_closes(step, before, after):
            return OnFailure.UNDO
    return OnFailure.STOP if steps else OnFailure.UNDO


def _edit_of(step: Prepared) -> tuple[tuple[Ref, str, object], ...]:
    return tuple((change.ref.on(GROUP_SCOPE), change.field, change.after) for change in step.changes)


def _only_closes(step: Prepared, before: Mapping[Ref, Row], after: Mapping[Ref, Row]) -> bool:
    for ref in dict.fromkeys(change.ref for change in step.changes):
        was, will = before.get(ref), after.get(ref)
        own = [change for change in step.changes if change.ref == ref]
        turn = limit_turn(was, will) if isinstance(was, Limit) and isinstance(will, Limit) else route_turn(own)
        if turn is not Turn.CLOSE:
            return False
    return True
