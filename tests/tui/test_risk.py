"""What wakes somebody and what only deserves a look."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from control.fleet.views import Seen
from control.model import Mirror, Status, StatusState, Traffic, Use
from control.structs import replace
from tests.tui import fleets
from tui.cli import tables
from tui.look import Look
from tui.risk import HOLD_SECONDS, Problem, is_broken, limit_problems, risk, route_problems, steady
from tui.staging import Staging
from tui.store import Store
from tui.themes import load_theme
from tui.views.limits import LimitsView


def seen(failed: int, requests: int, seconds: float) -> Seen:
    traffic = Traffic(Fraction(requests) / Fraction(seconds), Fraction(failed, requests), window_seconds=seconds)
    return Seen(traffic, {}, requests, {})


@pytest.mark.parametrize(
    ("failed", "requests", "broken"),
    [(1, 30, False), (2, 10, False), (3, 30, True), (40, 1000, True), (1, 1000, False)],
)
def test_a_few_failures_wake_nobody(failed: int, requests: int, broken: bool) -> None:
    route = next(row for row in fleets.small().routes.values() if row.name == "chat-v2")
    assert is_broken(route_problems(route, seen(failed, requests, 1.0), None)) is broken


def test_production_comes_first_where_something_is_broken() -> None:
    bad, worse, hint = (Problem(score, "") for score in (400, 1000, 200))
    assert risk((bad,), production=True) > risk((worse, worse))
    assert risk((hint,), production=True) == risk((hint,)) < risk((bad,))
    assert risk(()) == 0


def test_a_ratio_of_which_nobody_knows_the_requests_counts() -> None:
    route = next(row for row in fleets.small().routes.values() if row.name == "chat-v2")
    assert is_broken(route_problems(route, Seen(Traffic(error_ratio=Fraction(1, 10)), {}, 0, {}), None))


def problems_of(errors: float, before: tuple[Problem, ...], at: float) -> tuple[Problem, ...]:
    route = next(row for row in fleets.small().routes.values() if row.name == "chat-v2")
    measured = Seen(Traffic(error_ratio=Fraction(errors).limit_denominator(1000)), {}, 0, {})
    return steady(route_problems(route, measured, None), before, at)


def test_a_row_that_wavers_at_an_edge_keeps_its_place_and_tells_the_truth() -> None:
    first = problems_of(0.012, (), 0.0)
    place = risk(first)
    assert is_broken(first)
    now = first
    for second in range(1, 60):  # over and under the edge of 1 %, and over a step of the scale
        now = problems_of((0.008, 0.012, 0.021)[second % 3], now, float(second))
        assert risk(now) == place and is_broken(now), second
    went = problems_of(0.0, now, 60.0)
    assert risk(went) == place and went[0].text.startswith("a moment ago: "), "said to be over, in its place"
    assert problems_of(0.0, went, 60.0 + HOLD_SECONDS - 1)
    assert not problems_of(0.0, went, 60.0 + HOLD_SECONDS)


def test_worse_is_said_at_once_and_better_after_a_while() -> None:
    few, many = problems_of(0.02, (), 0.0), problems_of(0.5, (), 0.0)
    assert risk(problems_of(0.5, few, 1.0)) == risk(many), "worse at once"
    better = problems_of(0.02, many, 1.0)
    assert risk(better) == risk(many) and "2.0%" in better[0].text, "the figure is that of now"
    assert risk(problems_of(0.02, better, 1.0 + HOLD_SECONDS)) == risk(few)


def test_rows_do_not_change_places_with_the_breath_of_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    fleet, store = fleets.small(), Store()
    first = next(limit for limit in fleet.limits.values() if isinstance(limit.amount, Fraction))
    refs = [replace(first.ref, name=f"limit-{number}") for number in range(4)]
    view = LimitsView(store, Staging(), Look(load_theme("dusk")))
    orders = set()
    for batch in range(40):
        limits = {
            ref: replace(
                first, ref=ref, name=ref.name, members=(), amount=Fraction(100),
                use=Use(Fraction(50 + 20 * number + (batch * 7 + number * 3) % 8), Fraction((batch + number) % 3)),
            )
            for number, ref in enumerate(refs)
        }  # fmt: skip
        clock[0] += 1
        store.update(replace(fleet, version=batch + 1, limits=limits))
        if batch > 3:
            orders.add(tuple(row.key for row in view.rows()))
    assert len(orders) == 1
    quiet = {ref: replace(limit, use=Use(Fraction(1), Fraction(0))) for ref, limit in limits.items()}
    store.update(replace(fleet, version=100, limits=quiet))
    assert store.broken["limits"] == 4
    clock[0] += HOLD_SECONDS + 1
    store.update(replace(fleet, version=100, limits=quiet))
    assert store.broken["limits"] == 0, "and it ends without any news"


def test_a_limit_that_is_not_loaded_is_broken_as_a_route_is() -> None:
    limit = next(iter(fleets.small().limits.values()))
    refused = replace(limit, status=Status(StatusState.ERROR, "not loaded: two types"))
    problems = limit_problems(refused, None)
    assert is_broken(problems)
    assert "two types" in problems[0].text
    assert not any("two types" in problem.text for problem in limit_problems(limit, None))


def test_a_row_of_the_command_line_tells_who_gets_copies() -> None:
    route = next(iter(fleets.small().routes.values()))
    copied = replace(route, mirrors=(Mirror("audit", Fraction(1, 10)), Mirror("next", Fraction(1))))
    assert tables.shares(copied) == f"{tables.shares(route)} +audit 10% +next 100%"
