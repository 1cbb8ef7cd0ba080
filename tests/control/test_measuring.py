from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_route

from control.fleet.measuring import ENOUGH_REQUESTS, Meter, delta, is_significant, observed
from control.model import Counted, TargetCount
from control.ports import ProofState

ROUTE = make_route({"a": 70, "b": 30})
INTENDED = {"a": Fraction(7, 10), "b": Fraction(3, 10)}


def sample(at: float, a: int, b: int, errors: int | None = None, **more: object) -> Counted:
    targets = (("a", TargetCount(Fraction(a))), ("b", TargetCount(Fraction(b))))
    values: dict[str, object] = {"errors": None if errors is None else Fraction(errors), "source": "traefik"}
    return Counted(ROUTE.ref, at, targets, **(values | more))  # type: ignore[arg-type]


def test_two_samples_make_rates_and_shares() -> None:
    meter = Meter()
    meter.add(sample(100, 1000, 1000, 0))
    assert meter.seen(ROUTE) is None
    meter.add(sample(110, 1070, 1030, 5))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert seen.shares == INTENDED
    assert seen.requests == 100
    assert seen.traffic.rps == 10
    assert seen.traffic.error_ratio == Fraction(1, 20)
    assert (seen.traffic.window_seconds, seen.traffic.at, seen.traffic.source) == (10, 110, "traefik")


def test_an_unknown_route_was_not_seen() -> None:
    assert Meter().seen(ROUTE) is None


def test_a_counter_that_went_back_was_restarted() -> None:
    grown = delta(sample(0, 1000, 500), sample(10, 70, 530))
    assert {name: count.requests for name, count in grown.targets.items()} == {"a": 70, "b": 30}


def test_a_target_that_is_new_counts_from_zero() -> None:
    before = Counted(ROUTE.ref, 0, (("a", TargetCount(Fraction(5))),), source="traefik")
    assert delta(before, sample(10, 75, 30)).targets["b"].requests == 30


def test_a_proxy_that_is_lost_starts_the_window_anew() -> None:
    meter = Meter()
    meter.add(sample(0, 1000, 1000, source="2 of 2 proxies"))
    meter.add(sample(10, 400, 400, source="1 of 2 proxies"))
    assert meter.seen(ROUTE) is None
    meter.add(sample(20, 470, 430, source="1 of 2 proxies"))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert seen.requests == 100


def test_the_window_forgets_what_is_older() -> None:
    meter = Meter(window_seconds=20)
    for step in range(10):
        meter.add(sample(step * 10, 100 * step if step < 5 else 400 + (step - 5), 50 * step))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert seen.traffic.window_seconds == 20
    assert seen.requests == 2 + 100


def test_samples_out_of_order_are_ignored() -> None:
    meter = Meter()
    for at in (100, 90, 100):
        meter.add(sample(at, 10, 10))
    assert meter.seen(ROUTE) is None


def test_a_sample_with_a_window_stands_alone() -> None:
    meter = Meter()
    meter.add(sample(100, 70, 30, window_seconds=50.0, throttled=Fraction(10)))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert seen.traffic.rps == 2
    assert seen.traffic.throttled_ratio == Fraction(1, 10)


def test_counted_together_tells_no_share_and_no_rate() -> None:
    meter = Meter()
    meter.add(sample(0, 0, 0, together_with=("east/HTTPRoute/inference/other",)))
    meter.add(sample(10, 500, 500, together_with=("east/HTTPRoute/inference/other",)))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert not seen.shares
    assert seen.why_not == "counted together with east/HTTPRoute/inference/other"
    assert seen.traffic.rps is None


def test_no_requests_is_said() -> None:
    meter = Meter()
    meter.add(sample(0, 5, 5))
    meter.add(sample(10, 5, 5))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert seen.why_not == "no requests in the window"
    assert seen.traffic.rps == 0
    assert seen.traffic.error_ratio is None


def test_errors_of_targets_are_added_up_only_when_all_are_known() -> None:
    def at(moment: float, requests: int, errors: int | None) -> Counted:
        known = TargetCount(Fraction(requests), Fraction(1))
        other = TargetCount(Fraction(requests), None if errors is None else Fraction(errors))
        return Counted(ROUTE.ref, moment, (("a", known), ("b", other)))

    for errors, ratio in ((10, Fraction(1, 20)), (None, None)):
        meter = Meter()
        meter.add(at(0, 0, 0))
        meter.add(at(10, 100, errors))
        seen = meter.seen(ROUTE)
        assert seen is not None
        assert seen.traffic.error_ratio == ratio


def test_a_gap_counts_above_five_points_and_three_sigma() -> None:
    half = Fraction(1, 2)
    assert not is_significant(half, Fraction(54, 100), Fraction(10**6))
    assert is_significant(half, Fraction(56, 100), Fraction(10**6))
    assert not is_significant(half, Fraction(60, 100), Fraction(50))
    assert is_significant(Fraction(0), Fraction(6, 100), Fraction(10))


def test_the_gap_is_in_what_was_seen() -> None:
    meter = Meter()
    meter.add(sample(0, 0, 0))
    meter.add(sample(10, 500, 500))
    seen = meter.seen(ROUTE)
    assert seen is not None
    assert seen.significant == {"a": True, "b": True}


# --- proof ------------------------------------------------------------------------------------------------------------


def test_a_split_that_agrees() -> None:
    part = observed(sample(0, 10, 10), sample(30, 710, 310), INTENDED)
    assert part.state is ProofState.YES
    assert part.detail == "a 70.0% of 70%, b 30.0% of 30% in 1000 requests"


def test_a_split_that_does_not() -> None:
    part = observed(sample(0, 0, 0), sample(30, 500, 500), INTENDED)
    assert part.state is ProofState.NO
    assert "a 50.0% of 70%" in part.detail


def test_too_few_requests_wait() -> None:
    part = observed(sample(0, 0, 0), sample(30, 70, 29), INTENDED)
    assert part.state is ProofState.WAITING_FOR_TRAFFIC
    assert part.detail == "not enough traffic yet: 99 of about 300 requests"


def test_counters_of_several_routes_prove_nothing() -> None:
    part = observed(sample(0, 0, 0), sample(30, 700, 300, together_with=("x", "y")), INTENDED)
    assert (part.state, part.detail) == (ProofState.UNKNOWN, "counted together with x, y")


def test_a_window_from_before_the_change_waits() -> None:
    part = observed(sample(100, 0, 0), sample(130, 700, 300, window_seconds=60.0), INTENDED)
    assert part.state is ProofState.WAITING_FOR_TRAFFIC
    assert observed(sample(100, 0, 0), sample(170, 700, 300, window_seconds=60.0), INTENDED).state is ProofState.YES


def test_other_counters_prove_nothing() -> None:
    part = observed(sample(0, 0, 0), sample(30, 700, 300, source="another"), INTENDED)
    assert part.state is ProofState.UNKNOWN


def test_a_deterministic_balancer_is_held_to_one_point() -> None:
    shifted = sample(30, 278, 122)
    assert observed(sample(0, 0, 0), shifted, INTENDED).state is ProofState.YES
    assert observed(sample(0, 0, 0), sample(30, 272, 128), INTENDED, deterministic=True).state is ProofState.NO


def test_traffic_to_a_target_that_should_have_none_is_seen() -> None:
    part = observed(sample(0, 0, 0), sample(30, 900, 100), {"a": Fraction(1), "b": Fraction(0)})
    assert part.state is ProofState.NO


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5])
def test_chance_alone_is_nearly_never_taken_for_a_fault(share: float) -> None:
    chance = random.Random(7)
    wrong = 0
    for _ in range(300):
        hits = sum(chance.random() < share for _ in range(ENOUGH_REQUESTS))
        intended = {"a": Fraction(str(share)), "b": 1 - Fraction(str(share))}
        part = observed(sample(0, 0, 0), sample(30, hits, ENOUGH_REQUESTS - hits), intended)
        wrong += part.state is not ProofState.YES
    assert wrong <= 6


@given(st.integers(300, 5000), st.integers(0, 5000), st.integers(1, 5000), st.integers(0, 5000))
def test_a_split_as_intended_is_never_refused(requests: int, first: int, a: int, b: int) -> None:
    intended = {"a": Fraction(a, a + b), "b": Fraction(b, a + b)}
    share = round(requests * intended["a"])
    part = observed(sample(0, first, first), sample(9, first + share, first + requests - share), intended)
    assert part.state is ProofState.YES
