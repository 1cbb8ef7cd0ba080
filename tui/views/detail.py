"""The detail of what is selected: pure functions from rows to lines. The pane and the full screen show the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from control.model import Health, Owner, Route, Target, TargetState
from tui import figures
from tui.cells import clip, fit, safe, width, wrap
from tui.look import Line, Look, Span
from tui.naming import shortened
from tui.risk import Problem
from tui.staging import RouteDraft, Staging
from tui.store import RouteRow, Store, at
from tui.views.limits import amount_text, interval_text, staged_text
from tui.widgets.bars import letter, limit_bar, measured, percent, series, sparkline, weight_bar
from tui.widgets.canvas import Painted


@dataclass(slots=True)
class Page:
    """Lines being laid out in `width` cells. `targets` are the line numbers of the targets, for the cursor."""

    look: Look
    width: int
    lines: list[Painted] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)

    def add(self, *spans: Span, ground: str = "ground") -> None:
        self.lines.append((ground, tuple((safe(text), role) for text, role in spans if text)))

    def blank(self) -> None:
        if self.lines and self.lines[-1][1]:
            self.lines.append(("ground", ()))

    def text(self, label: str, text: str, role: str = "text") -> None:
        """A labelled text, wrapped under its own left edge."""
        if not text:
            return
        for index, part in enumerate(wrap(text, max(self.width - 9, 8))):
            self.add((fit(label if index == 0 else "", 9), "muted"), (part, role))

    def fit(self, text: str, cells: int, right: bool = False) -> str:
        return fit(text, cells, right=right, ellipsis=self.look.glyphs.ellipsis)

    def clip(self, text: str, cells: int) -> str:
        """A sentence, cut at its end."""
        return clip(text, cells, ellipsis=self.look.glyphs.ellipsis)


def banner_line(page: Page, store: Store, environment: str) -> None:
    """What the deck file says over everything of an environment."""
    for part in wrap(store.banner(environment), max(page.width - 2, 8)) if store.banner(environment) else ():
        page.add((f"{part}", store.color(environment)))


def problems_block(page: Page, problems: Iterable[Problem]) -> None:
    """What is wrong, in words, worst first."""
    for problem in problems:
        for index, part in enumerate(wrap(problem.text, max(page.width - 2, 8))):
            page.add(("! " if index == 0 else "  ", "bad"), (part, "bad" if problem.score >= 400 else "warn"))


def owners_block(page: Page, owners: Iterable[Owner]) -> None:
    """Who else writes here, and what becomes of an edit."""
    for owner in owners:
        page.text("owner", f"{owner.kind} {owner.name}: {owner_forecast(owner)}", "warn")


def owner_forecast(owner: Owner) -> str:
    """What an owner will do to an edit of ours, and what to edit instead."""
    if owner.role.value == "driver":
        words = "drives this field; a raw edit is refused"
    elif owner.reverts:
        soon = f" within {figures.age(owner.within_seconds)}" if owner.within_seconds is not None else ""
        words = f"will revert an edit{soon}"
    elif owner.reverts is False:
        words = "declares this, and does not revert by itself"
    else:
        words = "declares this, and may revert an edit"
    return f"{words}; edit {owner.edit_instead} instead" if owner.edit_instead else words


def route_page(row: RouteRow, store: Store, staging: Staging, look: Look, width: int, cursor: int | None) -> Page:
    """A route with its targets, its limits and its last five minutes."""
    page, route = Page(look, width), row.route
    page.add((page.fit(row.name, max(width - 4, 4)), "title"), (f" {at(route.platform)}", "muted"))
    page.add((page.fit(str(route.ref), width), "muted"))
    banner_line(page, store, route.environment)
    problems_block(page, row.problems)
    page.text("match", "  ".join(route.matches))
    owners_block(page, route.owners)
    if not route.editable.yes:
        page.text("fixed", route.editable.reason, "warn")
    page.blank()
    _targets(page, row, staging, cursor)
    _limits(page, row, store, staging)
    _trend(page, row, store)
    for note in route.notes:
        page.text("note", note, "muted")
    if route.sticky:
        page.text("sticky", route.sticky, "muted")
    for mirror in route.mirrors:
        page.text("mirror", f"{mirror.name} {figures.ratio(mirror.share)}", "muted")
    _members(page, route)
    page.blank()
    page.text("set at", route.location or route.object, "muted")
    page.text("grid", grid_words(route), "muted")
    return page


def grid_words(route: Route) -> str:
    """What weights the platform can hold."""
    grid = route.grid
    if grid.denominator:
        words = f"shares in steps of 1/{grid.denominator}"
    elif grid.only_percent:
        words = "whole percents that make 100"
    else:
        words = f"whole weights {0 if grid.zero else grid.minimum} to {grid.maximum}"
    return words + (f", at most {grid.live_targets} live targets" if grid.live_targets else "")


def _targets(page: Page, row: RouteRow, staging: Staging, cursor: int | None) -> None:
    draft = staging.routes.get(row.ref)
    spare = max(page.width - 34, 8)  # what the figures leave, and twelve cells of health
    longest = max((width(target.name) for target in row.route.targets), default=0)
    name_width = min(max(longest + 2, 12), spare)
    health_width = 12 + spare - name_width
    short = shortened((safe(target.name) for target in row.route.targets), name_width - 1, page.look.glyphs.ellipsis)
    head = f"{fit('TARGET', name_width)}  SET  NEW  SEEN  HEALTH"
    page.add(("    " + head, "muted"))
    for index, target in enumerate(row.route.targets):
        page.targets.append(len(page.lines))
        ground = "cursor" if index == cursor else "ground"
        pointer = page.look.glyphs.pointer if index == cursor else " "
        lock = "#" if (row.ref, target.name) in staging.locked else " "
        seen = row.seen.shares.get(target.name) if row.seen else None
        off = bool(row.seen and row.seen.significant.get(target.name))
        page.add(
            (pointer, "accent"),
            (lock, "key"),
            (letter(index) + " ", series(index)),
            (page.fit(short[safe(target.name)], name_width), "text"),
            (fit(percent(target.share), 5, right=True), "text"),
            (fit(_new_words(draft, target), 5, right=True), "staged"),
            (fit(measured(seen) + ("!" if off else ""), 6, right=True), "bad" if off else "text"),
            ("  " + page.clip(_health_words(target, draft), health_width), _health_role(target)),
            ground=ground,
        )
        if target.native:
            page.text("", f"not understood: {target.native}", "warn")
    _bars(page, row, staging)
    page.blank()


def _bars(page: Page, row: RouteRow, staging: Staging) -> None:
    """SET, NEW and SEEN under each other on one scale."""
    cells = max(min(page.width - 19, 40), 8)
    glyphs = page.look.glyphs
    page.add(("   set  ", "muted"), *weight_bar([t.share for t in row.route.targets], cells, glyphs))
    after = staging.after(row.route)
    if after is not None:
        page.add(("   new  ", "staged"), *weight_bar(after, cells, glyphs))
    if row.seen and row.seen.shares:
        shares = [row.seen.shares.get(t.name) for t in row.route.targets]
        sample = f" of {figures.count(row.seen.requests)}"
        page.add(("  seen  ", "muted"), *weight_bar(shares, cells, glyphs), (sample, "faint"))
    else:
        page.text("  seen", (row.seen.why_not if row.seen else "") or "not measured yet", "muted")


def _new_words(draft: RouteDraft | None, target: Target) -> str:
    if draft is None:
        return ""
    after = draft.after.get(target.name, target.share)
    return percent(after) if after != target.share else ""


def _health_words(target: Target, draft: RouteDraft | None) -> str:
    staged = draft.states.get(target.name) if draft else None
    state = staged or target.state
    words = {TargetState.DRAINING: "drain", TargetState.MAINTENANCE: "maint"}.get(state, target.health.value)
    if state is TargetState.ACTIVE and target.health_detail:
        words = target.health_detail if target.health is Health.UP else f"{words} {target.health_detail}"
    if state is TargetState.ACTIVE and target.health is Health.UNKNOWN and not target.health_detail:
        words = figures.UNKNOWN
    return ("→" if staged else "") + words


def _health_role(target: Target) -> str:
    if target.state is not TargetState.ACTIVE:
        return "staged"
    return {Health.UP: "good", Health.DOWN: "bad"}.get(target.health, "faint")


def _limits(page: Page, row: RouteRow, store: Store, staging: Staging) -> None:
    inventory = store.inventory
    refs = sorted(inventory.limits_of.get(row.ref, ())) if inventory else []
    known = [known_limit for ref in refs if (known_limit := store.limits.get(ref)) is not None]
    spare = page.width - 26  # what the amount and something staged leave
    labels = [store.label(ref) for ref in refs if ref in store.limits]
    names = min(max(map(width, labels), default=0), max(spare, 9))
    short = shortened(labels, names, page.look.glyphs.ellipsis)
    bars = names + 34 <= page.width  # a name is worth more than a bar
    for known_limit in known:
        ref, limit = known_limit.ref, known_limit.limit
        edit = staging.limits.get(ref)
        amount = limit.amount if isinstance(limit.amount, Fraction) else None
        burst = limit.burst.at_once if limit.burst and not limit.measure.is_level else None
        used = limit.use.current
        bar = limit_bar(used, amount, burst, 9, page.look.glyphs) if bars and used is not None else []
        rejected = limit.use.rejected_per_second
        page.add(
            (page.fit(short[store.label(ref)], names) + " ", "text"),
            (page.fit(amount_text(limit), 9, True) + " ", "text"),
            *bar,
            (f" {page.look.glyphs.arrow} {staged_text(limit, edit)}" if edit else "", "staged"),
            (f" rejects {figures.count(rejected)}/s" if rejected else "", "bad"),
        )
    if known:
        page.blank()


def _trend(page: Page, row: RouteRow, store: Store) -> None:
    if row.seen is None:
        return
    traffic = row.seen.traffic
    page.text(
        "traffic",
        f"{figures.count(traffic.rps)} rps   p95 {figures.seconds(traffic.p95_seconds)}   "
        f"5xx {figures.ratio(traffic.error_ratio)}   429 {figures.ratio(traffic.throttled_ratio)}",
    )
    samples = list(store.samples.get(row.ref, ()))
    cells = max(min(page.width - 10, 30), 6)
    for label, index, role in (("rps", 0, "series_b"), ("5xx", 1, "bad"), ("429", 2, "warn")):
        values = [Fraction(s[index]) if s[index] >= 0 else None for s in samples]
        if any(value for value in values):
            page.add((fit(label, 9), "muted"), (sparkline(values, cells, page.look.glyphs), role))
    page.blank()


def _members(page: Page, route: Route) -> None:
    if not route.members:
        return
    first = [t.share for t in route.members[0].targets]
    agree = all([t.share for t in member.targets] == first for member in route.members)
    page.text("hosts", f"{len(route.members)}, {'all agree' if agree else 'they differ'}", "muted" if agree else "warn")
    if not agree:
        for member in route.members:
            shares = " ".join(f"{letter(i)}{percent(t.share)}" for i, t in enumerate(member.targets))
            page.text("", f"{member.ref.scope}: {shares}", "warn")


__all__ = [
    "Line",
    "Page",
    "grid_words",
    "interval_text",
    "owner_forecast",
    "owners_block",
    "problems_block",
    "route_page",
]
