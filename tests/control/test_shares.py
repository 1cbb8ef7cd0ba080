from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import InvalidValue
from control.model import Grid, Semantics, TargetState
from control.model.shares import apportion, exact_weights, nearest_shares, percent, shares_of

ACTIVE, DRAINING = TargetState.ACTIVE, TargetState.DRAINING
PERCENT = Grid(minimum=1, maximum=100, only_percent=True)

parts = st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any)


def as_shares(numbers: list[int]) -> dict[str, Fraction]:
    return {f"t{i}": Fraction(n, sum(numbers)) for i, n in enumerate(numbers)}


@given(parts, st.integers(8, 100_000))
def test_apportioned_weights_make_the_total_and_keep_every_live_target(numbers: list[int], total: int) -> None:
    wanted = as_shares(numbers)
    got = apportion(wanted, Grid(), total)
    assert sum(got.weights.values()) == total
    for name, share in wanted.items():
        assert (got.weights[name] > 0) == (share > 0)
    assert got.error == max(abs(Fraction(got.weights[n], total) - s) for n, s in wanted.items())


@given(parts, st.integers(8, 100_000))
def test_largest_remainder_stays_within_one_of_every_quota(numbers: list[int], total: int) -> None:
    wanted = as_shares(numbers)
    weights = apportion(wanted, Grid(), total).weights
    if all(share * total >= 1 for share in wanted.values() if share):
        assert all(abs(weights[name] - share * total) < 1 for name, share in wanted.items())


@given(parts, st.integers(8, 1000), st.data())
def test_pins_are_kept(numbers: list[int], total: int, data: st.DataObject) -> None:
    wanted = as_shares(numbers)
    live = [name for name, share in wanted.items() if share]
    if len(live) < 2:
        return
    pinned = data.draw(st.integers(1, total - len(live) + 1))
    got = apportion(wanted, Grid(), total, {live[0]: pinned})
    assert got.weights[live[0]] == pinned
    assert sum(got.weights.values()) == total
    assert all(got.weights[name] > 0 for name in live)


def test_a_third_of_a_hundred_is_off_by_a_third_of_a_point() -> None:
    got = apportion(dict.fromkeys("abc", Fraction(1, 3)), Grid(), 100)
    assert got.weights == {"a": 34, "b": 33, "c": 33}
    assert got.error == Fraction(34, 100) - Fraction(1, 3)


def test_a_total_too_small_for_its_live_targets_is_refused() -> None:
    with pytest.raises(InvalidValue, match="total of 2 cannot be divided among 3"):
        apportion(dict.fromkeys("abc", Fraction(1, 3)), Grid(), 2)


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
