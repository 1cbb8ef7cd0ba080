"""The cases of the effective-limit arithmetic, and the pitfalls that made them necessary."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import bound, make_binding, make_limit

from control.capacity import effective as capacity
from control.capacity.effective import UNKNOWN, cap_of, effective, headroom, little, with_effective
from control.model import (
    Burst,
    Charge,
    Effective,
    Interval,
    Life,
    Limit,
    Measure,
    Mode,
    Special,
    Status,
    StatusState,
    StoreFail,
    Strength,
    Window,
    WindowKind,
)
from control.structs import replace


def between(low: object, high: object) -> Interval:
    return Interval(*(None if end is None else Fraction(str(end)) for end in (low, high)))


def ends(one: Effective) -> tuple[object, object]:
    return one.low, one.high


# --- counted in N places ----------------------------------------------------------------------------------------------


def test_one_place_is_exact() -> None:
    got = effective(make_limit(100), make_binding())
    assert ends(got) == (100, 100)
    assert (got.unit, got.seconds, got.per) == ("requests", 1, "all callers")


def test_two_replicas_give_an_interval_with_its_source() -> None:
    got = effective(make_limit(50, burst=Burst(20, Fraction(20))), make_binding(2, 2))
    assert ends(got) == (50, 100)
    assert got.at_once == between(20, 40)
    assert "× 2 (deck file: 2 proxies)" in got.why
    assert "50/s where a caller sticks to one, 100/s where it is spread" in got.why


def test_routers_times_replicas_is_one_number() -> None:
    """A Traefik Middleware on 102 routers is 102 times looser."""
    assert ends(effective(make_limit(10), make_binding(204, 204))) == (10, 2040)


def test_autoscaling_is_bounded_by_its_maximum_and_says_that_it_moves() -> None:
    got = effective(make_limit(10), make_binding(2, 5))
    assert ends(got) == (10, 50)
    assert "moves with scaling" in got.why


def test_an_unknown_number_of_places_leaves_the_upper_end_unknown() -> None:
    got = effective(make_limit(10, burst=Burst(5, Fraction(5))), make_binding(1, None))
    assert ends(got) == (10, None)
    assert got.at_once == between(5, None)
    assert "not known" in got.why


@given(st.integers(1, 10**6), st.integers(1, 50), st.integers(0, 50), st.integers(1, 1000))
def test_the_interval_holds_every_way_of_spreading(amount: int, low: int, more: int, burst: int) -> None:
    got = effective(make_limit(amount, burst=Burst(burst, Fraction(burst))), make_binding(low, low + more))
    assert got.low == amount
    assert got.high == amount * (low + more)
    assert got.at_once == Interval(Fraction(burst), Fraction(burst * (low + more)))


# --- meanings of zero, burst and windows ------------------------------------------------------------------------------


def test_unlimited_is_not_zero_and_not_unknown() -> None:
    got = effective(make_limit(Special.UNLIMITED), make_binding(2, 2))
    assert ends(got) == (None, None)
    assert got.unlimited
    assert got.why == "unlimited"


def test_blocked_lets_nothing_through() -> None:
    got = effective(make_limit(Special.BLOCKED), make_binding(2, 2))
    assert ends(got) == (0, 0)
    assert got.at_once == between(0, 0)


def test_the_burst_of_nginx_lets_one_more_through_and_belongs_to_the_binding() -> None:
    got = effective(make_limit(10), make_binding(burst=Burst(5, Fraction(6))))
    assert got.at_once == between(6, 6)


def test_truncation_by_the_platform_is_shown() -> None:
    """nginx keeps 7 r/m as 0.116 r/s, which is 6.96 in a minute."""
    kept = Fraction("6.96")
    got = effective(make_limit(7, 60, enforced=Interval(kept, kept)), make_binding())
    assert ends(got) == (kept, kept)
    assert "7/min is configured, 6.96/min is what the platform keeps" in got.why


def test_a_rule_that_starves_has_a_low_of_zero() -> None:
    limit = make_limit(100, enforced=between(0, 100), window=Window(WindowKind.SLIDING, Fraction(10)))
    got = effective(limit, make_binding())
    assert ends(got) == (0, 100)
    assert got.at_once == between(100, 100)


def test_a_window_lets_its_whole_amount_through_at_once() -> None:
    for kind in (WindowKind.FIXED, WindowKind.SLIDING):
        got = effective(make_limit(100, window=Window(kind, Fraction(10))), make_binding(2, 2))
        assert (got.at_once, got.seconds) == (between(100, 200), 10)


def test_a_bucket_without_a_known_burst_says_unknown() -> None:
    assert effective(make_limit(100), make_binding()).at_once == UNKNOWN


def test_a_calendar_month_has_no_seconds() -> None:
    limit = make_limit(1000, window=Window(WindowKind.CALENDAR, None, "month"))
    got = effective(limit, make_binding())
    assert got.seconds is None
    assert "calendar month" in got.why
    day = effective(make_limit(9, window=Window(WindowKind.CALENDAR, None, "day")), make_binding())
    assert day.seconds == 86_400


def test_concurrency_has_no_seconds() -> None:
    limit = make_limit(8, None, measure=Measure.INFLIGHT, window=None)
    got = effective(limit, make_binding(2, 2))
    assert (got.low, got.high, got.seconds, got.unit) == (8, 16, None, "requests in flight")
    assert got.at_once == between(8, 16)


def test_the_key_says_per_what() -> None:
    assert effective(make_limit(5, key=("source address",)), make_binding()).per == "source address"


# --- what weakens a limit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.OFF])
def test_what_is_not_enforced_bounds_nothing(mode: Mode) -> None:
    assert effective(make_limit(5, mode=mode), make_binding()).unlimited


@pytest.mark.parametrize("strength", [Strength.BEST_EFFORT, Strength.SOFT_TARGET])
def test_best_effort_is_a_target_never_a_maximum(strength: Strength) -> None:
    got = effective(make_limit(5, strength=strength), make_binding())
    assert ends(got) == (5, None)
    assert "a target, not a maximum" in got.why


def test_charging_after_the_response_has_no_upper_end() -> None:
    got = effective(make_limit(5, measure=Measure.TOKENS, charge=Charge.AFTER_RESPONSE), make_binding())
    assert ends(got) == (5, None)
    assert "still passes" in got.why


@pytest.mark.parametrize(("fail", "said"), [
    (StoreFail.OPEN, "let everything through"), (StoreFail.CLOSED, "reject everything"),
    (StoreFail.UNKNOWN, "not known"),
])  # fmt: skip
def test_a_shared_store_names_what_happens_without_it(fail: StoreFail, said: str) -> None:
    got = effective(make_limit(5, store_fail=fail), make_binding())
    assert ends(got) == (5, 5)
    assert said in got.why


def test_runtime_only_values_say_so() -> None:
    assert "lost at the next reload" in effective(make_limit(5, life=Life.RUNTIME_ONLY), make_binding()).why


def test_with_effective_fills_members_too() -> None:
    limit = bound(make_limit(5), make_binding(2, 2))
    filled = with_effective(replace(limit, members=(limit,)))
    assert filled.bindings[0].effective is not None
    assert filled.members[0].bindings[0].effective == filled.bindings[0].effective


# --- several limits ---------------------------------------------------------------------------------------------------


def one(
    amount: int | Special, seconds: int | None = 1, low: int = 1, high: int | None = 1, **more: object
) -> Effective:
    limit: Limit = make_limit(amount, seconds, **more)
    return effective(limit, make_binding(low, high, source=""))


def test_littles_law() -> None:
    assert little(between(64, 64), between("0.5", 2)) == between(32, 128)
    assert little(between(64, 64), between(None, 2)) == between(32, None)
    assert little(between(64, None), between("0.5", 2)) == between(32, None)


def test_lambda_admits_ten_requests_a_second_per_unit_of_concurrency() -> None:
    assert little(between(10, 10), between("0.01", "0.05"), Fraction(10)) == between(100, 100)
    assert little(between(10, 10), between(None, None), Fraction(10)) == between(None, 100)


def test_tokens_as_requests_with_their_spread() -> None:
    assert capacity.requests_of_tokens(between(1000, 1000), between(100, 500)) == between(2, 10)


def test_a_limit_per_key_does_not_bound_all_callers_together() -> None:
    per_key = one(5, key=("source address",))
    assert cap_of([per_key]) is None
    assert cap_of([per_key, one(100)]) == between(100, 100)


def test_the_capacity_of_an_environment() -> None:
    inflight = one(64, None, measure=Measure.INFLIGHT, window=None)
    assert cap_of([one(600, 60), inflight], between(1, 2)) == between(10, 10)
    assert cap_of([one(100), inflight], between(1, 2)) == between(32, 64)
    assert cap_of([one(100), inflight]) == between(None, 100)
    assert cap_of([inflight]) is None
    assert cap_of([]) is None
    assert cap_of([one(1000, measure=Measure.TOKENS)], None, between(100, 100)) == between(10, 10)


# --- headroom ---------------------------------------------------------------------------------------------------------

CAPS = {"cluster": between(120, 120), "vms": between(40, 40), "function": between(50, 50)}


def shares(cluster: str, vms: str, function: str) -> dict[str, Fraction | None]:
    return {"cluster": Fraction(cluster), "vms": Fraction(vms), "function": Fraction(function)}


def test_the_worked_example() -> None:
    before = headroom(CAPS, shares("0.6", "0.3", "0.1"))
    assert before.demand_max == Interval.exactly(Fraction(400, 3))
    assert before.first_to_saturate == "vms"
    assert "vms: configured 40/s at 30% saturates at 133/s" in before.why
    after = headroom(CAPS, shares("0.6", "0.2", "0.2"))
    assert after.demand_max == Interval.exactly(200)


def test_headroom_over_the_demand_of_now() -> None:
    assert "100% headroom" in headroom(CAPS, shares("0.6", "0.2", "0.2"), Fraction(100)).why


def test_an_unknown_cap_leaves_an_upper_end_and_no_first() -> None:
    got = headroom(CAPS | {"function": None}, shares("0.6", "0.3", "0.1"))
    assert got.demand_max == Interval(None, Fraction(400, 3))
    assert got.first_to_saturate is None
    assert "the capacity of function is not known" in got.why


def test_an_environment_without_traffic_does_not_matter() -> None:
    assert headroom(CAPS | {"function": None}, shares("0.6", "0.4", "0")).demand_max == Interval.exactly(100)


def test_an_unknown_share_makes_it_unknown() -> None:
    got = headroom(CAPS, shares("0.6", "0.3", "0.1") | {"vms": None})
    assert got.demand_max is None
    assert got.why == "the share of vms is not known"


def test_nothing_known_is_unknown() -> None:
    assert headroom({}, {"a": Fraction(1)}).demand_max is None
    assert headroom({}, {}).demand_max is None


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 100)), min_size=1, max_size=6))
def test_at_d_star_one_platform_is_full_and_none_is_over(rows: list[tuple[int, int]]) -> None:
    whole = sum(part for _, part in rows)
    caps: dict[str, Interval | None] = {str(i): Interval.exactly(cap) for i, (cap, _) in enumerate(rows)}
    parts: dict[str, Fraction | None] = {str(i): Fraction(part, whole) for i, (_, part) in enumerate(rows)}
    got = headroom(caps, parts)
    assert got.demand_max is not None
    demand = got.demand_max.high
    assert demand is not None
    used = {str(i): demand * Fraction(part, whole) / cap for i, (cap, part) in enumerate(rows)}
    assert max(used.values()) == 1
    assert got.first_to_saturate is not None
    assert used[got.first_to_saturate] == 1


# --- not loaded -------------------------------------------------------------------------------------------------------


def test_what_the_data_plane_does_not_load_promises_no_figure() -> None:
    broken = replace(make_limit(100), status=Status(StatusState.ERROR, "the proxy does not load it: two types"))
    got = effective(broken, make_binding(1, 1))
    assert ends(got) == (None, None)
    assert not got.unlimited
    assert got.why == "the proxy does not load it: two types"
