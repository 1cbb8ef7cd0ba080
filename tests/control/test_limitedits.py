from __future__ import annotations

from fractions import Fraction

import pytest
from making import make_binding, make_limit

from control.errors import InvalidValue
from control.model import Burst, Grid, Limit, Measure, Special, Window, WindowKind
from control.planning.edits import resolve_limit
from control.planning.expressions import limit_expression, parse_limit

WHOLE = Grid(minimum=1, maximum=10**9)
NGINX = {"amounts": WHOLE, "windows": (Fraction(1), Fraction(60))}
HAPROXY = {"amounts": WHOLE, "fields": frozenset({"amount"}), "window": Window(WindowKind.SLIDING, Fraction(10))}


def changed(limit: Limit, *items: str) -> dict[str, tuple[object, object]]:
    return {c.field: (c.before, c.after) for c in resolve_limit(limit, parse_limit(limit.ref, items))}


def refused(limit: Limit, *items: str) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        changed(limit, *items)
    return caught.value


def test_a_rate_in_the_limits_own_window_changes_the_amount_only() -> None:
    assert changed(make_limit(100), "rate=50/s") == {"amount": (Fraction(100), Fraction(50))}


def test_a_rate_in_another_window_is_written_as_typed_where_the_kind_can() -> None:
    assert changed(make_limit(100, **NGINX), "rate=30/min") == {
        "amount": (Fraction(100), Fraction(30)), "window": (Fraction(1), Fraction(60))}  # fmt: skip


def test_a_rate_is_converted_when_the_window_is_fixed_and_it_is_exact() -> None:
    assert changed(make_limit(100, **HAPROXY), "rate=5/s") == {"amount": (Fraction(100), Fraction(50))}


def test_an_hour_is_written_in_minutes_where_that_is_exact() -> None:
    assert changed(make_limit(100, 60, **NGINX), "rate=120/h") == {"amount": (Fraction(100), Fraction(2))}


def test_ten_an_hour_is_refused_with_the_nearest() -> None:
    error = refused(make_limit(100, **NGINX), "rate=10/h")
    assert "10/h" in error.message
    assert "1/min" in (error.hint or "")


def test_the_two_nearest_rates_are_named() -> None:
    error = refused(make_limit(100, **HAPROXY), "rate=1.25/s")
    assert "12/10s and 13/10s" in (error.hint or "")


def test_a_fraction_where_only_whole_numbers_go() -> None:
    limit = make_limit(8, None, measure=Measure.INFLIGHT, amounts=WHOLE, window=None)
    assert "2 and 3" in (refused(limit, "inflight=2.5").hint or "")


def test_inflight() -> None:
    limit = make_limit(8, None, measure=Measure.INFLIGHT)
    assert changed(limit, "inflight=64") == {"amount": (Fraction(8), Fraction(64))}
    assert "not a rate" in refused(limit, "rate=5/s").message
    assert "not a number in flight" in refused(make_limit(100), "inflight=5").message


def test_burst_and_window() -> None:
    limit = make_limit(100, burst=Burst(50, Fraction(50)))
    assert changed(limit, "burst=100") == {"burst": (50, 100)}
    assert changed(limit, "window=1m") == {"window": (Fraction(1), Fraction(60))}
    assert changed(limit, "amount=100", "burst=50", "window=1s") == {}


def test_a_field_that_the_limit_has_not_is_an_error() -> None:
    assert "has no burst" in refused(make_limit(100, **HAPROXY), "burst=5").message
    assert "has no window" in refused(make_limit(100, **HAPROXY), "window=5s").message
    assert "1 s, 60 s" in (refused(make_limit(100, **NGINX), "window=5s").hint or "")


def test_bursts_that_differ_between_bindings_are_not_overwritten() -> None:
    limit = make_limit(
        100, bindings=(make_binding(burst=Burst(5, Fraction(6))), make_binding(burst=Burst(9, Fraction(10))))
    )
    assert "different bursts (5, 9)" in refused(limit, "burst=7").message


def test_specials_are_taken_where_the_kind_has_them() -> None:
    limit = make_limit(100, specials=frozenset({Special.UNLIMITED}))
    assert changed(limit, "amount=unlimited") == {"amount": (Fraction(100), Special.UNLIMITED)}
    assert "it can hold unlimited" in (refused(limit, "amount=blocked").hint or "")


def test_factors() -> None:
    assert changed(make_limit(100), "rate=/2") == {"amount": (Fraction(100), Fraction(50))}
    assert changed(make_limit(100), "amount=*1.5") == {"amount": (Fraction(100), Fraction(150))}
    assert changed(make_limit(100), "rate=-10%") == {"amount": (Fraction(100), Fraction(90))}
    assert "cannot be multiplied" in refused(make_limit(Special.UNLIMITED), "rate=/2").message
    assert "2 and 3" in (refused(make_limit(5, amounts=WHOLE), "rate=/2").hint or "").replace("/s", "")


def test_half_a_rate_is_written_in_the_window_that_holds_it() -> None:
    assert changed(make_limit(5, **NGINX), "rate=/2") == {
        "amount": (Fraction(5), Fraction(150)), "window": (Fraction(1), Fraction(60))}  # fmt: skip
    assert changed(make_limit(6, **NGINX), "rate=/2") == {"amount": (Fraction(6), Fraction(3))}


def test_an_amount_that_another_window_would_hold_is_refused_with_it() -> None:
    assert (refused(make_limit(5, **NGINX), "amount=2.5").hint or "").endswith(": 150/min")


def typed(limit: Limit, text: str) -> dict[str, tuple[object, object]]:
    return {c.field: (c.before, c.after) for c in resolve_limit(limit, limit_expression(limit, text))}


@pytest.mark.parametrize(("text", "amount"), [
    ("50/s", 50), ("50", 50), ("/2", 50), ("*1.5", 150), ("+10", 110), ("-10", 90), ("-10%", 90), ("+10%", 110),
])  # fmt: skip
def test_what_is_typed_into_a_field(text: str, amount: int) -> None:
    assert typed(make_limit(100), text) == {"amount": (Fraction(100), Fraction(amount))}


def test_taking_away_everything_is_refused() -> None:
    with pytest.raises(InvalidValue, match="leaves nothing"):
        typed(make_limit(100), "-100")
