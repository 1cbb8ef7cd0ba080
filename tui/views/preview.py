"""What an edit comes to, for the bars, and staging it; the plan says what is really written."""

from __future__ import annotations

from fractions import Fraction

from control.errors import InvalidValue
from control.model import Route, Weight
from control.model.shares import shares_of
from control.planning.edit import Edit, LimitEdit, Share, SharesEdit
from tui.cells import safe
from tui.staging import Staging, shares_now
from tui.store import Store


def shares_after(route: Route, edit: SharesEdit) -> dict[str, Fraction]:
    """The share of each target after an edit of native weights, of percentages, or of both."""
    now = shares_now(route)
    values = dict(edit.shares)
    for name in values:
        if route.target(name) is None and not route.grid.open_targets:
            raise InvalidValue(f"there is no target '{name}'", hint=", ".join(t.name for t in route.targets))
    if any(isinstance(value, Share) for value in values.values()):
        return {**now, **{n: v.value if isinstance(v, Share) else Fraction(v) / 100 for n, v in values.items()}}
    weights: list[Weight | None] = []
    for target in route.targets:
        value = values.get(target.name, target.weight)
        weights.append(None if isinstance(value, Share) else value)
    shares = shares_of(weights, [t.state for t in route.targets], route.semantics)
    return {t.name: now[t.name] if s is None else s for t, s in zip(route.targets, shares, strict=True)}


def stage_edit(staging: Staging, store: Store, edit: Edit) -> None:
    """Stage an edit of a row of the list. Raises `InvalidValue` for a target that is not there."""
    if isinstance(edit, LimitEdit):
        limit = store.limits[edit.ref].limit if edit.ref in store.limits else None
        if limit is not None and not limit.editable.yes:
            raise InvalidValue(f"{limit.name}: {limit.editable.reason}")
        staging.stage_limit(edit)
        return
    route = store.routes[edit.ref].route
    if not route.editable.yes:
        raise InvalidValue(f"{route.name}: {route.editable.reason}")
    if isinstance(edit, SharesEdit):
        staging.stage_typed(route, dict(edit.shares), shares_after(route, edit))
        return
    for name, state in edit.states:
        if route.target(name) is None:
            raise InvalidValue(f"there is no target '{safe(name)}'")
        staging.stage_state(route, name, state)
