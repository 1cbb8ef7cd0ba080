"""What is wrong with a row, in words, and how much it matters. The order of the lists comes from here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from control.model import Health, Limit, ReachState, Route, Special, StatusState, TargetState, Traffic
from control.plane import EnvironmentView, Seen
from control.structs import replace
from tui import figures

STALE_SECONDS = 150.0
"""Older than one full re-read (two minutes) and its time: shown as stale."""
ERRORS = Fraction(1, 100)
THROTTLED = Fraction(1, 100)
FULL = Fraction(9, 10)


PRODUCTION = 20_000
"""More than all problems of one row together."""
FEW = 3
"""Under so many requests that failed in the window, a ratio deserves a look and wakes nobody."""
FEW_SCORE = 150


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. From 400 on it is broken (`!`); below it only deserves a look."""

    score: int
    text: str
    short: str = ""
    held_until: float | None = None
    """Until when (monotonic seconds) it counts as much as it did, though it is less by now; None where it is not."""

    @property
    def kind(self) -> str:
        """What sort it is, whatever its figures: the first word of `short`."""
        return self.short.partition(" ")[0]


WAVERING = frozenset({"5xx", "429", "gap", "biting", "full"})
"""Problems that come from traffic, and come and go with it."""
STEP = 25
"""Scores of one problem that differ by no more are one step of its scale."""
HOLD_SECONDS = 15.0
"""How long a problem that grew less or went keeps its place: a row that wavers at an edge stays where it is."""


def steady(now: tuple[Problem, ...], before: tuple[Problem, ...], at: float) -> tuple[Problem, ...]:
    """The problems of a row, worst first, so that rows do not change places with every breath of the traffic: worse is
    said at once, less by a step or more only after it has been less for a while. `at` is in monotonic seconds."""
    old = {problem.kind: problem for problem in before if problem.kind in WAVERING}
    kept = []
    for problem in now:
        was = old.pop(problem.kind, None)
        kept.append(problem if was is None else _held(problem, was, at))
    for was in old.values():
        until = at + HOLD_SECONDS if was.held_until is None else was.held_until
        if at < until:
            text = was.text if was.text.startswith(AGO) else AGO + was.text
            kept.append(Problem(was.score, text, was.short, until))
    return tuple(sorted(kept, key=lambda problem: -problem.score))


AGO = "a moment ago: "


def _held(now: Problem, was: Problem, at: float) -> Problem:
    if now.score > was.score + STEP:
        return now
    if now.score >= was.score - STEP:
        return replace(now, score=was.score)
    until = at + HOLD_SECONDS if was.held_until is None else was.held_until
    return replace(now, score=was.score, held_until=until) if at < until else now


def is_broken(problems: tuple[Problem, ...]) -> bool:
    """True where somebody should do something."""
    return any(problem.score >= 400 for problem in problems)


def risk(problems: tuple[Problem, ...], production: bool = False) -> int:
    """One number to sort by: production before the rest where something is broken, then the worst problem, then the
    others a little. Scores go in steps, so that rows do not change places with every breath of the traffic."""
    scores = sorted((problem.score for problem in problems), reverse=True)
    if not scores:
        return 0
    return scores[0] * 10 + sum(scores[1:]) + (PRODUCTION if production and is_broken(problems) else 0)


def reach_problem(view: EnvironmentView | None) -> Problem | None:
    """Why the figures of an environment cannot be trusted, or None."""
    if view is None or view.environment.reach.state is ReachState.OK:
        return None
    reach = view.environment.reach
    if reach.state is ReachState.DEGRADED:
        return None
    return Problem(300, f"{view.environment.name} unreachable: {reach.why}", "down")


def route_problems(route: Route, seen: Seen | None, view: EnvironmentView | None) -> tuple[Problem, ...]:
    """Everything wrong with a route, worst first."""
    problems = [reach_problem(view), _status(route), *_health(route)]
    if seen is not None:
        problems += _traffic(seen)
        problems.append(_gap(route, seen))
    return tuple(sorted((p for p in problems if p is not None), key=lambda p: -p.score))


def _status(row: Route | Limit) -> Problem | None:
    if row.status.state is StatusState.ERROR:
        return Problem(600, f"{row.kind} reports: {row.status.detail}", "status")
    if row.status.state is StatusState.WARNING:
        return Problem(120, f"{row.kind} reports: {row.status.detail}", "status")
    return None


def _health(route: Route) -> list[Problem | None]:
    live = [t for t in route.targets if t.state is TargetState.ACTIVE and (t.share is None or t.share > 0)]
    if route.targets and not live:
        return [Problem(500, "no target takes traffic: weights are zero or all are drained", "empty")]
    down = [t for t in live if t.health is Health.DOWN]
    if down and len(down) == len(live):
        return [Problem(1000, "every live target is down", "down")]
    problems: list[Problem | None] = []
    for target in down:
        share = f" with {figures.ratio(target.share)} of the traffic" if target.share else ""
        problems.append(Problem(550, f"{target.name} is down{share} {target.health_detail}".rstrip(), "down"))
    return problems


def _traffic(seen: Seen) -> list[Problem | None]:
    problems: list[Problem | None] = []
    errors, throttled = seen.traffic.error_ratio, seen.traffic.throttled_ratio
    if errors is not None and errors >= ERRORS:
        score = 400 + min(int(errors * 50) * 20, 500) if _many(seen.traffic, errors) else FEW_SCORE
        problems.append(
            Problem(score, f"{figures.ratio(errors)} of requests fail (5xx)", f"5xx {figures.ratio(errors)}")
        )
    if throttled is not None and throttled >= THROTTLED:
        score = (400 if throttled >= Fraction(1, 20) else 200) + min(int(throttled * 10) * 19, 190)
        score = score if _many(seen.traffic, throttled) else FEW_SCORE
        text = f"{figures.ratio(throttled)} of requests are throttled (429)"
        problems.append(Problem(score, text, f"429 {figures.ratio(throttled)}"))
    return problems


def _many(traffic: Traffic, ratio: Fraction) -> bool:
    """Whether so many requests went wrong that it is more than one that can always fail; yes where nobody counted."""
    if traffic.rps is None or traffic.window_seconds is None:
        return True
    return traffic.rps * Fraction(traffic.window_seconds) * ratio >= FEW


def _gap(route: Route, seen: Seen) -> Problem | None:
    worst: tuple[Fraction, str] | None = None
    for target in route.targets:
        share = seen.shares.get(target.name)
        if share is None or target.share is None or not seen.significant.get(target.name):
            continue
        gap = abs(share - target.share)
        if worst is None or gap > worst[0]:
            text = f"{target.name} is set to {figures.ratio(target.share)} and gets {figures.ratio(share)}"
            worst = (gap, text)
    return Problem(200 + min(int(worst[0] * 10) * 10, 99), worst[1], "gap") if worst else None


def limit_problems(limit: Limit, view: EnvironmentView | None) -> tuple[Problem, ...]:
    """Everything wrong with a limit, worst first."""
    problems = [reach_problem(view), _status(limit)]
    rejected = limit.use.rejected_per_second
    if limit.amount is Special.BLOCKED:
        problems.append(Problem(390, "blocked: nothing passes", "blocked"))
    if rejected:
        problems.append(
            Problem(450 + min(int(rejected).bit_length() * 20, 300), f"rejects {figures.count(rejected)}/s", "biting")
        )
    full = used_ratio(limit)
    if full is not None and full >= FULL:
        problems.append(Problem(350 + min(int(full * 40), 49), f"{figures.ratio(full)} in use", "full"))
    return tuple(sorted((p for p in problems if p is not None), key=lambda p: -p.score))


def used_ratio(limit: Limit) -> Fraction | None:
    """How full a limit is, as part of its amount in one window; None where unknown."""
    if limit.use.current is None or isinstance(limit.amount, Special) or not limit.amount:
        return None
    return limit.use.current / limit.amount
