from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import InvalidValue
from control.model import Grid, Semantics, TargetState
from control.model.shares import exact_weights, nearest_shares, percent, shares_of

ACTIVE, DRAINING = TargetState.ACTIVE, TargetState.DRAINING
PERCENT = Grid(minimum=1, maximum=100, only_percent=True)

parts = st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any)


def as_shares(numbers: list[int]) -> dict[str, Fraction]:
    return {f"t{i}": Fraction(n, sum(numbers)) for i, n in enumerate(numbers)}


@given(parts, st.integers(1, 10_000))
def test_exact_weights_are_exact(numbers: list[int], total: int) -> None:
    wanted = as_shares(numbers)
    weights = exact_weights(wanted, Grid(), total)
    made = sum(weights.values())
    assert all(Fraction(weights[name], made) == share for name, share in wanted.items())
    if all((share * total).denominator == 1 for share in wanted.values()):
        assert made == total


def test_exact_weights_keep_the_total_when_they_can_else_take_small_integers() -> None:
    wanted = {"a": Fraction(7, 10), "b": Fraction(3, 10)}
    assert exact_weights(wanted, Grid(), 100) == {"a": 70, "b": 30}
    assert exact_weights(wanted, Grid(), 3) == {"a": 7, "b": 3}


def test_percents_are_refused_with_the_two_nearest() -> None:
    with pytest.raises(InvalidValue) as caught:
        exact_weights({"a": Fraction(333, 1000), "b": Fraction(667, 1000)}, PERCENT, 100, fixed=True)
    assert "33.3%" in caught.value.message
    assert "33% and 34%" in (caught.value.hint or "")


def test_a_small_grid_names_its_true_neighbours() -> None:
    haproxy = Grid(minimum=1, maximum=256)
    wanted = {"a": Fraction(3333, 10_000), "b": Fraction(6667, 10_000)}
    with pytest.raises(InvalidValue) as caught:
        exact_weights(wanted, haproxy, 100)
    low, high = nearest_shares(wanted["a"], haproxy, None)
    assert percent(low) in (caught.value.hint or "")
    assert percent(high) in (caught.value.hint or "")
    candidates = {Fraction(p, p + q) for p in range(1, 257) for q in range(1, 257)}
    assert low == max(c for c in candidates if c <= wanted["a"])
    assert high == min(c for c in candidates if c >= wanted["a"])


@given(st.fractions(0, 1), st.integers(2, 30))
def test_nearest_shares_enclose_and_none_is_nearer(share: Fraction, maximum: int) -> None:
    grid = Grid(minimum=1, maximum=maximum)
    low, high = nearest_shares(share, grid, None)
    candidates = {Fraction(p, p + q) for p in range(maximum + 1) for q in range(maximum + 1) if p + q}
    assert low == max(c for c in candidates if c <= share)
    assert high == min(c for c in candidates if c >= share)


def test_zero_is_refused_where_the_grid_has_none() -> None:
    nginx = Grid(minimum=1, zero=False)
    with pytest.raises(InvalidValue, match="cannot have 0%"):
        exact_weights({"a": Fraction(1), "b": Fraction(0)}, nginx, 2)


def test_shares_count_active_targets_only() -> None:
    assert shares_of([3, 1, 6], [ACTIVE, ACTIVE, DRAINING], Semantics.PROPORTIONAL) == (
        Fraction(3, 4), Fraction(1, 4), Fraction(0))  # fmt: skip


def test_no_active_weight_means_no_share() -> None:
    assert shares_of([0, 0], [ACTIVE, ACTIVE], Semantics.PROPORTIONAL) == (0, 0)


def test_the_main_target_of_an_alias_has_the_rest() -> None:
    assert shares_of([None, Fraction(3, 10)], [ACTIVE, ACTIVE], Semantics.PRIMARY_ADDITIONAL) == (
        Fraction(7, 10), Fraction(3, 10))  # fmt: skip


def test_an_unknown_weight_makes_proportional_shares_unknown() -> None:
    assert shares_of([None, 3], [ACTIVE, ACTIVE], Semantics.PROPORTIONAL) == (None, None)


def test_percent_text() -> None:
    assert [percent(Fraction(n, d)) for n, d in ((7, 10), (1, 3), (1, 8), (1, 1))] == [
        "70%",
        "~33.33%",
        "12.5%",
        "100%",
    ]
