"""The plan sheet as lines: what changes, what moves, who objects, what is lost, and the native diff."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from control.model import Effective, Special
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.planning.plan import EffectiveChange, Plan, Step, Verdict
from tui import figures
from tui.cells import clip, fit, object_words, safe, wrap
from tui.change_words import field_words, value_words
from tui.danger import Assessment
from tui.look import Line, Look, Span
from tui.naming import shortened
from tui.store import Store, at
from tui.views.detail import owner_forecast
from tui.views.limits import interval_text

DIFF_LINES = 12
VERDICTS = {Verdict.OK: ("ok", "good"), Verdict.WARN: ("!!", "warn"), Verdict.REFUSE: ("NO", "bad")}


def plan_title(plan: Plan, store: Store, what: str, cells: int) -> Line:
    """`APPLY  2 changes · 2 objects · PROD eu`."""
    changes = sum(len(step.changes) for step in plan.steps)
    inventory = store.inventory
    views = [inventory.environments.get(step.environment) for step in plan.steps] if inventory else []
    production = sorted({v.environment.code or v.environment.name for v in views if v and v.environment.production})
    objects = len(plan.steps)
    words = f"  {figures.plural(changes, 'change')} · {figures.plural(objects, 'object')}  "
    head: list[Span] = [(f" {'UNDO' if plan.undo_of else 'APPLY'} ", "strong"), (words, "text")]
    head.append((f" PROD {' '.join(production)} ", "production") if production else (" not production ", "safe"))
    used = sum(len(text) for text, _ in head)
    verdict = VERDICTS[plan.verdict][1]
    return (*head, (fit(f"{what} plan {plan.plan} ", max(cells - used, 0), right=True), verdict))


def plan_body(plan: Plan, danger: Assessment, store: Store, look: Look, width: int, whole_diff: bool) -> list[Line]:
    """Every step with what it means, then the headroom and the danger."""
    lines: list[Line] = []
    if not plan.steps:
        return [(), ((" nothing would change: what is staged is what is set", "muted"),)]
    banners = {step.environment: store.banner(step.environment) for step in plan.steps}
    lines += [
        ((f" {name}: {clip(words, width - len(name) - 4).rstrip()}", store.color(name)),)
        for name, words in banners.items()
        if words
    ]
    lines += [((" ! ", "bad"), (clip(why, width - 4), "bad")) for why in danger.why]
    names = object_names(plan, max(width - 8, 10), look)
    for number, step in enumerate(plan.steps, 1):
        lines += _step(number, step, names[step.object], store, look, width, whole_diff)
    for text in plan.headroom:
        parts = wrap(text, width - 12)
        lines += [((" headroom  " if i == 0 else " " * 11, "muted"), (part, "info")) for i, part in enumerate(parts)]
    failure = "done steps go back in reverse" if plan.on_failure.value == "undo" else "stops, done steps stay"
    lines.append(((" on failure ", "muted"), (failure, "text")))
    return lines


def object_names(plan: Plan, cells: int, look: Look) -> dict[str, str]:
    """What each object of a plan is called in so many cells; no two are the same."""
    words = {step.object: object_words(step.object) for step in plan.steps}
    short = shortened(words.values(), cells, look.glyphs.ellipsis)
    return {name: short[text].rstrip() for name, text in words.items()}


def _step(number: int, step: Step, name: str, store: Store, look: Look, width: int, whole_diff: bool) -> list[Line]:
    view = store.environment(step.environment)
    short = at(view.environment.platform) if view else ""
    lines: list[Line] = [()]
    lines.append(((f" {number} ", "key"), (f"{short:4}", "muted"), (name, "title")))
    for ref in dict.fromkeys(change.ref for change in step.changes):
        if str(ref) != step.object:
            lines.append((("     ", "text"), (fit(str(ref), width - 6).rstrip(), "info")))
        lines += _changes([c for c in step.changes if c.ref == ref], look, width)
        lines += _moves(ref, [c for c in step.changes if c.ref == ref], store, width)
    for owner in step.owners:
        text = f"owner {owner.kind} {owner.name}: {owner_forecast(owner)}"
        lines += [(("     ", "text"), (part, "warn")) for part in wrap(text, width - 6)]
    for change, places in Counter(map(_effective_change, step.effective)).items():
        lines += _effective(*change, places, look, width)
    for guard in step.guards:
        mark, role = VERDICTS[guard.verdict]
        if guard.verdict is not Verdict.OK:
            parts = wrap(f"{guard.name}: {_unrepeated(guard.message, step)}", width - 9)
            lines += [((f"     {mark if i == 0 else '  '} ", role), (part, role)) for i, part in enumerate(parts)]
    fine = [guard.name.replace("_", " ") for guard in step.guards if guard.verdict is Verdict.OK]
    if fine:
        lines += [(("     ok ", "good"), (part, "muted")) for part in wrap(", ".join(fine), width - 9)[:2]]
    for loss in step.loses:
        parts = wrap(loss, width - 11)
        lines += [(("     also " if i == 0 else " " * 10, "warn"), (part, "warn")) for i, part in enumerate(parts)]
    return lines + _diff(step, look, width, whole_diff)


def _unrepeated(message: str, step: Step) -> str:
    """Without the name of the route or limit where the step is about that one alone: it stands above."""
    refs = {str(change.ref) for change in step.changes}
    return message.removeprefix(f"{refs.pop()}: ") if len(refs) == 1 else message


def _changes(changes: Sequence[Change], look: Look, width: int) -> list[Line]:
    lines: list[Line] = []
    for change in changes:
        label = safe(field_words(change.field))
        lines.append(
            (
                ("     ", "text"),
                (fit(label, min(max(width - 34, 14), 32), ellipsis=look.glyphs.ellipsis), "text"),
                (f" {value_words(change.before)}", "removed"),
                (f" {look.glyphs.arrow} ", "muted"),
                (value_words(change.after), "added"),
            )
        )
    return lines


def _moves(ref: Ref, changes: Sequence[Change], store: Store, width: int) -> list[Line]:
    """About how many requests a second go elsewhere: the weight that moves times what flows now."""
    row = store.routes.get(ref) or store.routes.get(ref.on("*"))
    if row is None or row.seen is None or row.seen.traffic.rps is None:
        return []
    weights = {t.name: t.weight if t.weight is not None else t.share for t in row.route.targets}
    before = {name: Fraction(weight or 0) for name, weight in weights.items()}
    after = dict(before)
    for change in changes:
        name, what = split_field(change.field)
        if name is not None and what in ("weight", "share") and isinstance(change.after, int | Fraction):
            after[name] = Fraction(change.after)
    totals = sum(before.values()), sum(after.values())
    if not all(totals):
        return []
    gains = {name: after[name] / totals[1] - before.get(name, Fraction(0)) / totals[0] for name in after}
    to = {name: gain for name, gain in gains.items() if gain > 0}
    if not to:
        return []
    moved = sum(to.values()) * row.seen.traffic.rps
    text = f"moves about {figures.count(moved)} of {figures.count(row.seen.traffic.rps)} rps to {', '.join(sorted(to))}"
    return [(("     ", "text"), (clip(text, width - 6).rstrip(), "info"))]


def effective_words(effective: Effective | None) -> str:
    """What a caller gets, in one phrase."""
    if effective is None:
        return "unknown"
    at_once = interval_text(effective.at_once)
    burst = f", {at_once} at once" if at_once != figures.UNKNOWN else ""
    return f"{interval_text(effective, effective.seconds)} per {effective.per}{burst}"


def _effective_change(change: EffectiveChange) -> tuple[str, str]:
    return effective_words(change.before), effective_words(change.after)


def _effective(before: str, after: str, places: int, look: Look, width: int) -> list[Line]:
    """What a caller gets before and after; once where it is the same in several places."""
    text = after if before == after else f"{before} {look.glyphs.arrow} {after}"
    text += f" (on {places} routes)" if places > 1 else ""
    role = "text" if before == after else "strong"
    return [
        (("     caller gets " if index == 0 else " " * 17, "muted"), (part, role))
        for index, part in enumerate(wrap(text, width - 18))
    ]


def _diff(step: Step, look: Look, width: int, whole: bool) -> list[Line]:
    lines = [line for line in step.diff.split("\n") if line]
    body = [line for line in lines if not line.startswith(("--- ", "+++ "))]
    shown = lines if whole else compact(body, look)
    drawn: list[Line] = []
    for line in shown:
        role = {"+": "added", "-": "removed", "@": "info"}.get(line[:1], "muted")
        drawn.append((("     ", "text"), (clip(line, width - 6, ellipsis=look.glyphs.ellipsis).rstrip(), role)))
    if not whole and shown != body:
        drawn.append((("     v shows the whole diff", "faint"),))
    return drawn


def compact(lines: Sequence[str], look: Look) -> list[str]:
    """A diff in `DIFF_LINES` lines: what did not change makes room before anything that does."""
    for around in (3, 2, 1, 0):
        kept = [number for number in range(len(lines)) if _near(lines, number, around)]
        found: list[str] = []
        for before, number in zip([-1, *kept], kept, strict=False):
            if number != before + 1:
                found.append(f" {look.glyphs.ellipsis}")
            found.append(lines[number])
        if len(found) <= DIFF_LINES:
            return found
    return found[:DIFF_LINES]


def _near(lines: Sequence[str], number: int, around: int) -> bool:
    if lines[number].startswith("@"):
        return True
    return any(line.startswith(("+", "-")) for line in lines[max(number - around, 0) : number + around + 1])


def refused(plan: Plan) -> list[str]:
    """The guards that refuse."""
    return sorted({g.name for step in plan.steps for g in step.guards if g.verdict is Verdict.REFUSE})


def unlimited(value: object) -> bool:
    """Whether a value means no limit."""
    return value is Special.UNLIMITED
