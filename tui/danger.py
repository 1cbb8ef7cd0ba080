"""How dangerous a plan is, from its effect, and what has to be typed before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction

from control.model import Health, Limit, Route, Special, TargetState
from control.model.ref import Ref
from control.plane import EnvironmentView
from control.planning.edit import Change, split_field
from control.planning.plan import Plan, Step, Verdict
from tui.cells import safe

MANY_STEPS = 5


class Danger(IntEnum):
    LOCAL = 0
    """Not production, reversible, nothing objected."""
    RISK = 1
    """Not production, and a guard warns."""
    PRODUCTION = 2
    SEVERE = 3
    """Takes away the last capacity or opens a gate."""


@dataclass(frozen=True, slots=True)
class Word:
    """Something to type. `code` is set where it is an environment's code."""

    text: str
    why: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Assessment:
    level: Danger
    why: tuple[str, ...]
    words: tuple[Word, ...]
    """What is typed, one after the other; none where `y` is enough."""


def assess(
    plan: Plan,
    routes: Mapping[Ref, Route],
    limits: Mapping[Ref, Limit],
    environments: Mapping[str, EnvironmentView],
) -> Assessment:
    """The danger level of a plan and the words that confirm it."""
    severe: list[tuple[str, str]] = []
    for step in plan.steps:
        severe += [(safe(ref.name), f"{safe(ref.name)} {reason}") for ref, reason in _severe(step, routes, limits)]
    if len(plan.steps) > MANY_STEPS:
        severe.append((str(len(plan.steps)), f"changes {len(plan.steps)} objects at once"))
    production = sorted({s.environment for s in plan.steps if _production(environments.get(s.environment))})
    words = [Word(name, why) for name, why in severe[:1]]
    words += [Word(_code(environments[name]), f"{name} is production", code=True) for name in production]
    if severe:
        level = Danger.SEVERE
    elif production:
        level = Danger.PRODUCTION
    else:
        level = Danger.RISK if plan.verdict is not Verdict.OK else Danger.LOCAL
    return Assessment(level, tuple(why for _, why in severe), tuple(words))


def _production(view: EnvironmentView | None) -> bool:
    return view is not None and view.environment.production


def _code(view: EnvironmentView) -> str:
    return view.environment.code or view.environment.name


def _severe(step: Step, routes: Mapping[Ref, Route], limits: Mapping[Ref, Limit]) -> list[tuple[Ref, str]]:
    reasons: list[tuple[Ref, str]] = []
    by_ref: dict[Ref, list[Change]] = {}
    for change in step.changes:
        by_ref.setdefault(change.ref, []).append(change)
    for ref, changes in by_ref.items():
        route = routes.get(ref) or routes.get(ref.on("*"))
        if route is not None and any(change.field.startswith("targets/") for change in changes):
            reasons += [(ref, reason) for reason in _route_reasons(route, changes)]
        limit = limits.get(ref) or limits.get(ref.on("*"))
        reasons += [(ref, reason) for change in changes if (reason := _limit_reason(limit, change))]
    return reasons


def _route_reasons(route: Route, changes: list[Change]) -> list[str]:
    live = {t.name for t in route.targets if t.state is TargetState.ACTIVE and (t.share is None or t.share > 0)}
    up = {t.name for t in route.targets if t.health is Health.UP}
    after = set(live)
    for change in changes:
        name, what = split_field(change.field)
        value = change.after
        if name is None:
            continue
        if what == "state":
            after = after | {name} if value is TargetState.ACTIVE else after - {name}
        elif isinstance(value, int | Fraction):
            after = after | {name} if value > 0 else after - {name}
    if live and not after:
        return ["would send traffic nowhere: no target keeps a weight"]
    if live & up and not after & up:
        return ["would lose its last healthy target"]
    return []


def _limit_reason(limit: Limit | None, change: Change) -> str:
    if limit is None or change.field != "amount":
        return ""
    before, after = change.before, change.after
    if after is Special.BLOCKED:
        return "would be blocked: nothing passes"
    if after is Special.UNLIMITED or after is None:
        return "would no longer limit anything"
    if isinstance(before, Fraction | int) and isinstance(after, Fraction | int) and after * 2 < before:
        return "would be cut by more than half"
    return ""
