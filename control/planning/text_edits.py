"""Edits from an edited native text: what it says now against what it said, as far as the model covers it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from control.errors import InvalidValue
from control.model import Limit, Route, Weight
from control.model.ref import Ref
from control.planning.edit import Change, Edit, LimitEdit, Share, SharesEdit, StateEdit, target_field
from control.planning.fields import Row, burst_of, value_of
from control.text import clean

ONLY = "only weights, shares, states and limits can be changed here"


def edits_between(before: Sequence[Row], after: Sequence[Row]) -> list[Edit]:
    """The edits that lead from one reading of a native object to another one of its edited text.

    Raises `InvalidValue` where a route, limit or target came or went.
    """
    old, new = {row.ref: row for row in before}, {row.ref: row for row in after}
    for ref in [*(old.keys() - new.keys()), *(new.keys() - old.keys())]:
        verb = "is gone from" if ref in old else "is new in"
        raise InvalidValue(f"{ref} {verb} the text: {ONLY}", ref=str(ref))
    edits: list[Edit] = []
    for ref, row in old.items():
        other = new[ref]
        if isinstance(row, Route) and isinstance(other, Route):
            edits += _of_route(row, other)
        elif isinstance(row, Limit) and isinstance(other, Limit):
            edits += _of_limit(row, other)
    return edits


def _of_route(before: Route, after: Route) -> list[Edit]:
    names = [target.name for target in before.targets]
    if names != [target.name for target in after.targets]:
        raise InvalidValue(f"the targets of {before.ref} are others or in another order: {ONLY}", ref=str(before.ref))
    shares: list[tuple[str, Weight | Share]] = []
    states = []
    for old, new in zip(before.targets, after.targets, strict=True):
        if before.grid.only_percent:
            if old.share != new.share and new.share is not None:
                shares.append((new.name, Share(new.share)))
        elif old.weight != new.weight:
            if new.weight is None:
                raise InvalidValue(f"{before.ref} needs a weight for {new.name}", ref=str(before.ref))
            shares.append((new.name, new.weight))
        if old.state is not new.state:
            states.append((new.name, new.state))
    edits: list[Edit] = []
    if shares:
        edits.append(SharesEdit(before.ref, tuple(shares)))
    if states:
        edits.append(StateEdit(before.ref, tuple(states), persist=True))
    return edits


def _of_limit(before: Limit, after: Limit) -> list[Edit]:
    amount = after.amount if after.amount != before.amount else None
    old, new = (limit.window.seconds if limit.window else None for limit in (before, after))
    window = new if new != old else None
    burst = burst_of(after) if burst_of(after) != burst_of(before) else None
    if amount is None and window is None and burst is None:
        return []
    return [LimitEdit(before.ref, amount, window, burst)]


def changes_of(edits: Sequence[Edit], rows: Sequence[Row]) -> list[Change]:
    """The same as changes of these rows, unresolved: for an adapter that looks what text they would make."""
    by_ref: dict[Ref, Row] = {row.ref: row for row in rows}
    changes: list[Change] = []
    for edit in edits:
        row = by_ref[edit.ref]
        pairs: list[tuple[str, object, bool]] = []
        if isinstance(edit, SharesEdit):
            for name, value in edit.shares:
                what = "share" if isinstance(value, Share) else "weight"
                pairs.append((target_field(name, what), value.value if isinstance(value, Share) else value, False))
        elif isinstance(edit, StateEdit):
            pairs += [(target_field(name, "state"), state, edit.persist) for name, state in edit.states]
        else:
            values = (("amount", edit.amount), ("window", edit.window_seconds), ("burst", edit.burst))
            pairs += [(field, value, False) for field, value in values if value is not None]
        changes += [Change(edit.ref, field, value_of(row, field), value, keep) for field, value, keep in pairs]  # type: ignore[arg-type]
    return changes


def refuse_others(expected: str, text: str, what: str) -> None:
    """Raise `InvalidValue` at the first line of an edited text that differs from what our edits alone would make.

    Blanks do not count: how a line is spaced stays as it is on the platform.
    """
    ours, theirs = _lines(expected), _lines(text)
    if [line for _, line in ours] == [line for _, line in theirs]:
        return
    matcher = difflib.SequenceMatcher(None, [line for _, line in ours], [line for _, line in theirs], autojunk=False)
    for tag, i, _, j, _ in matcher.get_opcodes():
        if tag != "equal":
            number, line = theirs[j] if j < len(theirs) else (theirs[-1][0] if theirs else 1, "")
            gone = f"; '{clean(ours[i][1])}' should stand there" if i < len(ours) else ""
            raise InvalidValue(f"{what}, line {number}: '{clean(line)}'{gone}", hint=ONLY)


def _lines(text: str) -> list[tuple[int, str]]:
    """(number from 1, the line with single blanks) of the lines that hold something."""
    lines = ((number, " ".join(line.split())) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line]
