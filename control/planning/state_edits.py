"""What an edit of target states means for one route, on what was just read."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from control.errors import ControlError, NotFound
from control.model import Route, Semantics, Target, TargetState, Weight
from control.planning.edit import Change, Share, StateEdit, target_field
from control.planning.share_edits import holds_shares, invalid, native_weight, share_changes
from control.text import clean


def resolve_states(route: Route, edit: StateEdit, remembered: Callable[[str], Weight | None]) -> tuple[Change, ...]:
    """The changes of states, or of weights where the kind drains by weight 0; none where nothing changes.

    `remembered(target name)` is the weight that the journal has from before the target was drained, or None.
    """
    changes: list[Change] = []
    for name, state in edit.states:
        target = route.target(name)
        if target is None:
            names = ", ".join(t.name for t in route.targets)
            raise NotFound(
                clean(f"{route.ref} has no target '{name}'"), ref=str(route.ref), hint=clean(f"its targets are {names}")
            )
        changes += _state_changes(route, target, state, edit.persist, remembered)
    return tuple(changes)


def _state_changes(
    route: Route, target: Target, state: TargetState, persist: bool, remembered: Callable[[str], Weight | None]
) -> list[Change]:
    if state is not TargetState.ACTIVE and state not in route.states:
        return _without_state(route, target, state)
    if target.state is not state:
        return [Change(route.ref, target_field(target.name, "state"), target.state, state, persist)]
    if state is TargetState.ACTIVE and TargetState.DRAINING not in route.states and not target.share:
        return _brought_back(route, target, remembered)
    return []


def _without_state(route: Route, target: Target, state: TargetState) -> list[Change]:
    """A kind that has no such state: draining may be weight 0, everything else is refused with the nearest."""
    by_weight = route.grid.zero and route.semantics in (Semantics.PROPORTIONAL, Semantics.PRIMARY_ADDITIONAL)
    if state is TargetState.DRAINING and by_weight:
        if not holds_shares(route):
            if not target.weight:
                return []
            return [Change(route.ref, target_field(target.name, "weight"), target.weight, 0)]
        return _drained_share(route, target)
    order = (TargetState.DRAINING, TargetState.MAINTENANCE)
    nearest = next((s for s in order if s in route.states or (s is TargetState.DRAINING and by_weight)), None)
    raise invalid(
        route,
        f"{route.kind} has no state '{state.value}'",
        f"the nearest is {target.name}={nearest.value}" if nearest else "change its share with set shares",
    )


def _drained_share(route: Route, target: Target) -> list[Change]:
    others = [t for t in route.targets if t.name != target.name and t.share]
    if not target.share:
        return []
    if len(others) != 1:
        raise invalid(
            route,
            f"'{target.name}' cannot be drained: {len(others)} others have traffic, and one must take its share",
            "say who takes it with set shares",
        )
    asked = {target.name: Share(Fraction(0)), others[0].name: Share(Fraction(1))}
    return list(share_changes(route, asked))


def _brought_back(route: Route, target: Target, remembered: Callable[[str], Weight | None]) -> list[Change]:
    if target.weight:
        return []
    weight: Weight | None = None
    before = "the journal knows none from before"
    try:
        weight = None if holds_shares(route) else remembered(target.name)
    except ControlError as error:
        before = f"changes are not known, so neither is the one it had before: {error.message}"
    if not weight:
        unit = "SHARE%" if holds_shares(route) or route.grid.only_percent else "WEIGHT"
        raise invalid(
            route,
            f"'{target.name}' has no weight, and {before}",
            f"give it one: set shares {route.ref} {target.name}={unit}",
        )
    return [
        Change(route.ref, target_field(target.name, "weight"), target.weight, native_weight(route, target.name, weight))
    ]
