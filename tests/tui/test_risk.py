"""What wakes somebody and what only deserves a look."""

from __future__ import annotations

from fractions import Fraction

import fake_plane
import pytest

from control.model import Traffic
from control.views import Seen
from tui.risk import Problem, is_broken, risk, route_problems


def seen(failed: int, requests: int, seconds: float) -> Seen:
    traffic = Traffic(Fraction(requests) / Fraction(seconds), Fraction(failed, requests), window_seconds=seconds)
    return Seen(traffic, {}, requests, {})


@pytest.mark.parametrize(
    ("failed", "requests", "broken"),
    [(1, 30, False), (2, 10, False), (3, 30, True), (40, 1000, True), (1, 1000, False)],
)
def test_a_few_failures_wake_nobody(failed: int, requests: int, broken: bool) -> None:
    route = next(row for row in fake_plane.small().routes.values() if row.name == "chat-v2")
    assert is_broken(route_problems(route, seen(failed, requests, 1.0), None)) is broken


def test_production_comes_first_where_something_is_broken() -> None:
    bad, worse, hint = (Problem(score, "") for score in (400, 1000, 200))
    assert risk((bad,), production=True) > risk((worse, worse))
    assert risk((hint,), production=True) == risk((hint,)) < risk((bad,))
    assert risk(()) == 0


def test_a_ratio_of_which_nobody_knows_the_requests_counts() -> None:
    route = next(row for row in fake_plane.small().routes.values() if row.name == "chat-v2")
    assert is_broken(route_problems(route, Seen(Traffic(error_ratio=Fraction(1, 10)), {}, 0, {}), None))
