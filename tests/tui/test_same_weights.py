"""The screen and the command line write the same native weights for the same wish."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from control.errors import InvalidValue
from control.model import Route
from control.planning.edit import SharesEdit, split_field
from control.planning.edits import resolve_shares
from control.planning.expressions import parse_shares
from tui.staging import Staging, shares_now
from tui.weight_expression import weigh

sys.path.insert(0, str(Path(__file__).parent.parent / "control"))
from making import make_route

NAMES = "abcd"


def written(route: Route, edit: SharesEdit) -> dict[str, object]:
    weights: dict[str, object] = {target.name: target.weight for target in route.targets}
    for change in resolve_shares(route, edit):
        weights[split_field(change.field)[0] or ""] = change.after
    return weights


def by_screen(route: Route, after: dict[str, Fraction]) -> dict[str, object]:
    staging = Staging()
    staging.stage_shares(route, after)
    edits = staging.edits()
    if not edits:
        return {target.name: target.weight for target in route.targets}
    (edit,) = edits
    assert isinstance(edit, SharesEdit)
    return written(route, edit)


def by_command(route: Route, after: dict[str, Fraction]) -> dict[str, object]:
    return written(route, parse_shares(route.ref, [f"{name}={float(s * 100):g}%" for name, s in after.items()]))


WEIGHTS = st.lists(st.integers(0, 400), min_size=2, max_size=4).filter(any)


@given(WEIGHTS, st.lists(st.integers(0, 200), min_size=4, max_size=4))
def test_any_split_is_the_same_weights_from_either(weights: list[int], parts: list[int]) -> None:
    route = make_route(dict(zip(NAMES, weights, strict=False)))
    total = sum(parts[: len(weights)])
    assume(total)
    halves = [Fraction(round(200 * part / total), 200) for part in parts[: len(weights)]]
    halves[0] += 1 - sum(halves)
    assume(all(0 <= half <= 1 for half in halves))
    after = dict(zip(NAMES, halves, strict=False))
    try:
        expected = by_command(route, after)
    except InvalidValue:
        with pytest.raises(InvalidValue):
            by_screen(route, after)
        return
    assert by_screen(route, after) == expected


@pytest.mark.parametrize(
    ("weights", "text", "expected"),
    [
        ({"a": 200, "b": 200}, "60%", {"a": 240, "b": 160}),
        ({"a": 8, "b": 2}, "50%", {"a": 5, "b": 5}),
        ({"a": 80, "b": 20}, "50/50", {"a": 50, "b": 50}),
        ({"a": 1, "b": 1}, "60%", {"a": 3, "b": 2}),
        ({"a": 600, "b": 400}, "-10", {"a": 500, "b": 500}),
        ({"a": 40, "b": 40, "c": 20}, "+10", {"a": 50, "b": 30, "c": 20}),
    ],
)
def test_the_total_stays_and_no_divisor_is_taken_out(
    weights: dict[str, int], text: str, expected: dict[str, int]
) -> None:
    route = make_route(dict(weights))
    weighed = weigh(route, shares_now(route), "a", text, set())
    assert by_screen(route, weighed.after) == expected
    assert by_command(route, weighed.after) == expected


def test_ten_points_of_three_equal_targets_can_be_moved_from_the_screen_too() -> None:
    route = make_route({"a": 1, "b": 1, "c": 1})
    weighed = weigh(route, shares_now(route), "a", "+10", set())
    assert by_screen(route, weighed.after) == {"a": 13, "b": 7, "c": 10}


def test_native_weights_typed_one_after_the_other_are_shown_as_they_are_sent() -> None:
    route, staging = make_route({"a": 200, "b": 200}), Staging()
    staging.stage_native(route, "a", 100)
    staging.stage_native(route, "b", 300)
    assert staging.routes[route.ref].after == {"a": Fraction(1, 4), "b": Fraction(3, 4)}
    staging.stage_shares(route, {"a": Fraction(1, 2), "b": Fraction(1, 2)})
    staging.stage_native(route, "a", 600)
    (edit,) = staging.edits()
    assert isinstance(edit, SharesEdit) and dict(edit.shares) == {"a": 600}
    assert staging.routes[route.ref].after == {"a": Fraction(3, 4), "b": Fraction(1, 4)}
