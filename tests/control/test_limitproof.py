"""The observed proof of a limit: what counters can say, and above all what they must not say."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control.applying.limit_proof import limit_seen
from control.capacity.effective import ALL_CALLERS
from control.model import Counted, Effective, Interval, TargetCount
from control.model.ref import Ref
from control.ports import ProofState

REF = Ref.parse("prod/HTTPRoute/web/llama")
NOTHING = Interval(None, None)


def rate(low: int, high: int | None = None, burst: int = 10, per: str = ALL_CALLERS) -> Effective:
    high = low if high is None else high
    at_once = Interval(Fraction(burst), Fraction(burst * max(1, high // low if low else 1)))
    return Effective(Fraction(low), Fraction(high), at_once, "requests", Fraction(1), per, "configured")


BLOCKED = Effective(Fraction(0), Fraction(0), Interval.exactly(0), "requests", Fraction(1), ALL_CALLERS, "blocked")
UNLIMITED = Effective(None, None, NOTHING, "requests", Fraction(1), ALL_CALLERS, "unlimited", unlimited=True)


def counted(at: float, passed: int, refused: int | None, **more: object) -> Counted:
    targets = (("a", TargetCount(Fraction(passed))),)
    throttled = None if refused is None else Fraction(refused)
    return Counted(REF, at, targets, throttled=throttled, source="x", **more)  # type: ignore[arg-type]


def verdict(passed: int, refused: int | None, was: Effective | None, now: Effective, seconds: float = 10) -> ProofState:
    start = counted(100, 5000, None if refused is None else 70)
    end = counted(100 + seconds, 5000 + passed, None if refused is None else 70 + refused)
    part = limit_seen(start, end, was, now)
    assert part.detail
    return part.state


YES, NO, UNKNOWN, WAITING = ProofState.YES, ProofState.NO, ProofState.UNKNOWN, ProofState.WAITING_FOR_TRAFFIC


@pytest.mark.parametrize(
    ("passed", "refused", "was", "now", "state"),
    [
        pytest.param(500, 900, rate(100), rate(50), YES, id="halved, and callers run into it"),
        pytest.param(1000, 900, rate(100), rate(50), NO, id="as much passes as before"),
        pytest.param(1000, 0, rate(50), rate(100), YES, id="doubled, and more passes than before"),
        pytest.param(300, 0, rate(100), rate(50), WAITING, id="too little is asked for to meet it"),
        pytest.param(500, 3, rate(100), rate(50), WAITING, id="hardly anything was refused"),
        pytest.param(500, 900, rate(51), rate(50), WAITING, id="too few to tell 50 from 51"),
        pytest.param(200, 900, rate(100), rate(50), UNKNOWN, id="something else refuses"),
        pytest.param(500, 900, None, rate(50), UNKNOWN, id="what it was is not known"),
        pytest.param(500, 900, UNLIMITED, rate(50), YES, id="a limit where none was"),
        pytest.param(500, 900, rate(50, burst=5), rate(50, burst=9), UNKNOWN, id="only the burst changed"),
        pytest.param(0, 900, rate(50), BLOCKED, YES, id="blocked"),
        pytest.param(0, 0, rate(50), BLOCKED, WAITING, id="blocked, and nobody came"),
        pytest.param(90, 900, rate(50), BLOCKED, NO, id="blocked, and requests pass"),
        pytest.param(900, 0, rate(50), UNLIMITED, YES, id="no limit, and more passes than before"),
        pytest.param(400, 0, rate(50), UNLIMITED, WAITING, id="no limit, and no more is asked for"),
        pytest.param(400, 900, rate(50), UNLIMITED, UNKNOWN, id="no limit, and something still refuses"),
        pytest.param(500, 900, rate(100, 200), rate(50, 100), YES, id="counted in two places, callers stick to one"),
        pytest.param(950, 900, rate(100, 200), rate(50, 100), WAITING, id="between: either could have done that"),
        pytest.param(500, None, rate(100), rate(50), UNKNOWN, id="refusals are not counted"),
        pytest.param(1000, None, rate(50), rate(100), YES, id="refusals are not counted, and more passes than before"),
        pytest.param(1000, None, rate(100), rate(50), NO, id="refusals are not counted, and too much passes"),
        pytest.param(500, 900, rate(100, per="user"), rate(50, per="user"), YES, id="each its own: one got it all"),
        pytest.param(900, 900, rate(200, per="user"), rate(50, per="user"), UNKNOWN, id="each its own: how many?"),
        pytest.param(900, 900, rate(50, per="user"), rate(100, per="user"), UNKNOWN, id="each its own, raised"),
    ],
)
def test_what_counters_say(
    passed: int, refused: int | None, was: Effective | None, now: Effective, state: ProofState
) -> None:
    assert verdict(passed, refused, was, now) is state


@pytest.mark.parametrize(("was", "now"), [(rate(100), rate(50)), (rate(50), BLOCKED)])
def test_requests_that_pass_by_the_limit_prove_nothing(was: Effective, now: Effective) -> None:
    part = limit_seen(counted(0, 0, 0), counted(10, 4000, 900), was, now, whole=False)
    assert part.state is not NO


def test_what_is_in_flight_is_not_counted() -> None:
    level = Effective(Fraction(8), Fraction(8), Interval.exactly(8), "requests in flight", None, ALL_CALLERS, "")
    assert verdict(500, 900, level, level) is UNKNOWN


def test_counters_of_several_routes_say_nothing_of_one_limit() -> None:
    before, after = counted(0, 0, 0), counted(10, 500, 900, together_with=("prod/HTTPRoute/web/other",))
    part = limit_seen(before, after, rate(100), rate(50))
    assert part.state is UNKNOWN and "together with" in part.detail


def test_a_window_that_reaches_back_before_the_change_waits() -> None:
    before, after = counted(100, 0, 0), counted(130, 500, 900, window_seconds=240)
    assert limit_seen(before, after, rate(100), rate(50)).state is WAITING


def bucket(rng: random.Random, per_second: float, burst: int, demand: float, seconds: float) -> tuple[int, int]:
    """A token bucket, full at the start, under Poisson arrivals: how many pass and how many are refused."""
    at, tokens, passed, refused = 0.0, float(burst), 0, 0
    while True:
        gap = rng.expovariate(demand)
        at += gap
        if at > seconds:
            return passed, refused
        tokens = min(burst, tokens + gap * per_second)
        if tokens >= 1:
            tokens, passed = tokens - 1, passed + 1
        else:
            refused += 1


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(1, 50),
    st.integers(1, 300),
    st.integers(1, 30),
)
def test_a_real_bucket_is_never_judged_wrongly(
    seed: int, old: int, new: int, burst: int, demand: int, seconds: int
) -> None:
    rng = random.Random(seed)
    was, now = rate(old, burst=burst), rate(new, burst=burst)
    in_force = verdict(*bucket(rng, new, burst, demand, seconds), was, now, seconds)
    assert in_force is not NO
    not_taken = verdict(*bucket(rng, old, burst, demand, seconds), was, now, seconds)
    if old != new:
        assert not_taken is not YES


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 100), st.sampled_from([2, 3, 5]), st.booleans())
def test_a_clear_change_under_enough_demand_is_seen(seed: int, base: int, times: int, raised: bool) -> None:
    rng = random.Random(seed)
    old, new = (base, base * times) if raised else (base * times, base)
    now = verdict(*bucket(rng, new, 5, base * times * 2, 60), rate(old, burst=5), rate(new, burst=5), 60)
    assert now is YES
    still = verdict(*bucket(rng, old, 5, base * times * 2, 60), rate(old, burst=5), rate(new, burst=5), 60)
    assert still is (UNKNOWN if raised else NO)
