"""Guards: what objects to a step, looking at the state that the whole plan leads to.

Each guard finds objections in words; its verdict comes from the table of defaults, the environment's configuration and
what is overridden. A message names the object, the numbers and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from control.deck.config import DeckConfig, EnvironmentConfig
from control.model import Health, Limit, Owner, OwnerRole, Route, Special, Target, TargetState
from control.model.ref import Ref
from control.planning.edit import Change
from control.planning.fields import Row
from control.planning.plan import GuardResult, Verdict
from control.planning.residency import outside_after


@dataclass(frozen=True, slots=True)
class GuardView:
    """One step as guards see it."""

    environment: EnvironmentConfig
    deck: DeckConfig
    changes: tuple[Change, ...]
    before: Mapping[Ref, Row]
    """All rows and members as they are."""
    after: Mapping[Ref, Row]
    """All rows and members as the whole plan leaves them."""
    last_change_at: Mapping[Ref, float]
    now: float
    is_undo: bool = False
    changes_unknown: str = ""
    """Why nobody can say what was changed when; `last_change_at` is not all then."""
    recreated: str = ""
    """Of an undo: that the object is another than the one that was changed."""

    def routes(self) -> Iterator[tuple[Route, Route]]:
        """The routes that the step changes: before and after."""
        for ref in dict.fromkeys(change.ref for change in self.changes):
            before, after = self.before.get(ref), self.after.get(ref)
            if isinstance(before, Route) and isinstance(after, Route):
                yield before, after

    def limits(self) -> Iterator[tuple[Limit, Limit]]:
        """The limits that the step changes: before and after."""
        for ref in dict.fromkeys(change.ref for change in self.changes):
            before, after = self.before.get(ref), self.after.get(ref)
            if isinstance(before, Limit) and isinstance(after, Limit):
                yield before, after

    def rows(self) -> Iterator[tuple[Row, Row]]:
        yield from self.routes()
        yield from self.limits()


def is_live(target: Target) -> bool:
    """Does the target take new requests, as set?"""
    if target.state is not TargetState.ACTIVE:
        return False
    amount = target.share if target.share is not None else target.weight
    return amount is None or amount > 0


def live(route: Route) -> list[Target]:
    return [target for target in route.targets if is_live(target)]


def percent(share: Fraction) -> str:
    return f"{float(share * 100):.4g}"


# --- the guards: each yields its objections ---------------------------------------------------------------------------


def zero_sum(view: GuardView) -> Iterator[str]:
    for _, after in view.routes():
        if not live(after):
            yield f"{after.ref} would have no target that takes requests; keep one active with a weight above 0"


def last_healthy(view: GuardView) -> Iterator[str]:
    for before, after in view.routes():
        if any(t.health is Health.UP for t in live(after)) or not live(after):
            continue
        lost = [t.name for t in live(before) if t.health is Health.UP]
        if lost and all(t.health is Health.DOWN for t in live(after)):
            yield (
                f"{after.ref} would lose its last healthy target {', '.join(lost)}: "
                f"what stays ({', '.join(t.name for t in live(after))}) is down; bring one up first"
            )


def health_unknown(view: GuardView) -> Iterator[str]:
    for before, after in view.routes():
        gaining = [t for t in live(after) if _gains(t, before.target(t.name))]
        unknown = [t.name for t in gaining if t.health is Health.UNKNOWN]
        down = [t.name for t in gaining if t.health is Health.DOWN]
        if unknown:
            yield f"{after.ref}: {', '.join(unknown)} would get more traffic and nobody says whether it is healthy"
        if down:
            yield f"{after.ref}: {', '.join(down)} would get more traffic and is down"


def _gains(after: Target, before: Target | None) -> bool:
    if before is None or not is_live(before):
        return True
    if after.share is None or before.share is None:
        return after.weight != before.weight
    return after.share > before.share


def zero_or_unlimited(view: GuardView) -> Iterator[str]:
    for before, after in view.limits():
        asked = {c.after for c in view.changes if c.ref == after.ref and isinstance(c.after, Special)}
        if isinstance(after.amount, Special) and after.amount != before.amount and after.amount not in asked:
            yield f"{after.ref} would become {after.amount.value}, which nobody asked for; write {after.amount.value}"
        elif not isinstance(after.amount, Special) and _admits_nothing(after) and not _admits_nothing(before):
            yield f"{after.ref} would let nothing through at all; write 'blocked' if that is meant, or a higher amount"


def _admits_nothing(limit: Limit) -> bool:
    if isinstance(limit.amount, Special):
        return limit.amount is Special.BLOCKED
    return limit.amount == 0 or (limit.enforced is not None and limit.enforced.high == 0)


def asked_special(view: GuardView) -> Iterator[str]:
    for before, after in view.limits():
        if isinstance(after.amount, Special) and after.amount != before.amount:
            meaning = "lets everything through" if after.amount is Special.UNLIMITED else "lets nothing through"
            yield f"{after.ref} becomes {after.amount.value}: it {meaning}"


def driven(view: GuardView) -> Iterator[str]:
    for before, _ in view.rows():
        for owner in before.owners:
            if owner.role is OwnerRole.DRIVER:
                instead = f"; {owner.edit_instead}" if owner.edit_instead else ""
                yield f"{before.ref} is driven by {owner.kind} {owner.name}, which writes these fields itself{instead}"


def declared(view: GuardView) -> Iterator[str]:
    for before, _ in view.rows():
        for owner in before.owners:
            if owner.role is OwnerRole.DECLARED:
                instead = f"; {owner.edit_instead}" if owner.edit_instead else ""
                yield f"{before.ref} is declared in {owner.kind} {owner.name}{_reverts(owner)}{instead}"


def _reverts(owner: Owner) -> str:
    if owner.reverts is None:
        return ", which may revert the edit (its settings could not be read)"
    if not owner.reverts:
        return ", which does not revert by itself but will at its next sync"
    within = f" within {owner.within_seconds:g} s" if owner.within_seconds is not None else ""
    return f", which reverts the edit{within}"


def moved(before: Route, after: Route) -> Fraction | None:
    """The part of the requests that goes elsewhere afterwards, 0 to 1. What goes to a target that is down does not
    count as moved away from it. None where a share is not known."""
    away = Fraction(0)
    for target in before.targets:
        then = after.target(target.name)
        share = then.share if then is not None else Fraction(0)
        if target.share is None or share is None:
            return None
        if target.health is not Health.DOWN:
            away += max(Fraction(0), target.share - share)
    return away


def maximum_move(view: GuardView) -> Iterator[str]:
    if view.is_undo:
        return
    limit = view.environment.guards.maximum_move
    for before, after in view.routes():
        points = moved(before, after)
        if points is not None and points * 100 > limit:
            yield f"{after.ref} would move {percent(points)} points at once, more than {limit}; go in smaller steps"


def cool_down(view: GuardView) -> Iterator[str]:
    if view.is_undo:
        return
    wait = view.environment.guards.cool_down_seconds
    for before, _ in view.routes():
        age = view.now - view.last_change_at.get(before.ref, float("-inf"))
        if view.changes_unknown and wait and age >= wait:
            yield f"changes are not known, so nobody can say when {before.ref} was last changed: {view.changes_unknown}"
        elif age < wait:
            yield f"{before.ref} was changed {max(age, 0):.0f} s ago; its effect can be judged after {wait} s"


def freeze(view: GuardView) -> Iterator[str]:
    if view.environment.guards.freeze:
        yield f"{view.environment.name} is frozen: {view.environment.guards.freeze}; wait for the end of the freeze"


def residency(view: GuardView) -> Iterator[str]:
    allowed = view.environment.guards.regions
    if not allowed:
        return
    for before, after in view.routes():
        for name, region in outside_after(before, after, view.before, view.after, view.deck, frozenset(allowed)):
            where = region or "a region that is not known"
            yield f"{after.ref}: {name} would get traffic and stands in {where}; allowed: {', '.join(allowed)}"


def recreated(view: GuardView) -> Iterator[str]:
    if view.recreated:
        yield f"{view.recreated}: the old values were of another object; set the values you want"


@dataclass(frozen=True, slots=True)
class Guard:
    name: str
    objects: Callable[[GuardView], Iterable[str]]
    verdict: Verdict
    production: Verdict | None = None
    """The verdict in production, where it differs."""


GUARDS = (
    Guard("zero_sum", zero_sum, Verdict.REFUSE),
    Guard("last_healthy", last_healthy, Verdict.REFUSE),
    Guard("health_unknown", health_unknown, Verdict.WARN),
    Guard("zero_or_unlimited", zero_or_unlimited, Verdict.REFUSE),
    Guard("driven", driven, Verdict.REFUSE),
    Guard("declared", declared, Verdict.WARN),
    Guard("maximum_move", maximum_move, Verdict.WARN, Verdict.REFUSE),
    Guard("cool_down", cool_down, Verdict.WARN),
    Guard("freeze", freeze, Verdict.REFUSE),
    Guard("residency", residency, Verdict.REFUSE),
    Guard("recreated", recreated, Verdict.REFUSE),
)

NAMES = frozenset(guard.name for guard in GUARDS)


def verdict_of(guard: Guard, environment: EnvironmentConfig) -> Verdict | None:
    """The verdict that an objection of `guard` has in `environment`; None where the guard is off."""
    default = guard.production if environment.production and guard.production is not None else guard.verdict
    configured = environment.guards.verdicts.get(guard.name)
    if configured == "off":
        return None
    return Verdict(configured) if configured else default


def judge(view: GuardView, overrides: Collection[str] = ()) -> tuple[GuardResult, ...]:
    """The objections to one step. An overridden refusal becomes a warning that says so."""
    results: list[GuardResult] = []
    for guard in GUARDS:
        verdict = verdict_of(guard, view.environment)
        if verdict is None:
            continue
        for message in guard.objects(view):
            if verdict is Verdict.REFUSE and guard.name in overrides:
                results.append(GuardResult(guard.name, Verdict.WARN, f"overridden: {message}"))
            else:
                results.append(GuardResult(guard.name, verdict, message))
    told = {result.name for result in results}
    if "zero_or_unlimited" not in told:
        results.extend(GuardResult("zero_or_unlimited", Verdict.WARN, message) for message in asked_special(view))
    return tuple(results)


def worst(results: Iterable[GuardResult]) -> Verdict:
    """The worst verdict of all; ok where nothing objects."""
    verdicts = {result.verdict for result in results}
    return next((v for v in (Verdict.REFUSE, Verdict.WARN) if v in verdicts), Verdict.OK)
