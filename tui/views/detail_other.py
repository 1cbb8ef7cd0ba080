"""The detail of a limit, a change, a service and an environment."""

from __future__ import annotations

from control.capacity.effective import ALL_CALLERS
from control.model import Binding, Limit
from control.plane import EnvironmentView, ServiceView
from control.planning.expressions import per
from control.planning.plan import HistoryItem
from tui import figures
from tui.cells import object_words
from tui.change_words import field_words, value_words
from tui.look import Look
from tui.observed import Observed
from tui.proofs import PROOF
from tui.staging import Staging
from tui.store import ChangeRow, LimitRow, Store
from tui.views.changes import outcome_role
from tui.views.detail import Page, banner_line, owners_block, problems_block
from tui.views.limits import amount_text, interval_text, staged_text
from tui.widgets.bars import limit_bar


def limit_page(row: LimitRow, store: Store, staging: Staging, look: Look, width: int) -> Page:
    """A limit: as it is set, what a caller really gets and why, and where it is bound."""
    page, limit = Page(look, width), row.limit
    page.add((page.fit(row.name, width), "title"))
    page.add((page.fit(str(limit.ref), width), "muted"))
    banner_line(page, store, limit.environment)
    problems_block(page, row.problems)
    page.blank()
    edit = staging.limits.get(limit.ref)
    arrow = f" {look.glyphs.arrow} {staged_text(limit, edit)}" if edit else ""
    page.add(("set      ", "muted"), (amount_text(limit), "strong"), (arrow, "staged"))
    _definition(page, limit)
    _use(page, limit)
    owners_block(page, limit.owners)
    if limit.status.detail:
        page.text("status", limit.status.detail, "warn")
    if not limit.editable.yes:
        page.text("fixed", limit.editable.reason, "warn")
    page.blank()
    for binding in limit.bindings:
        _binding(page, binding)
    for routed in store.routes_of(limit):
        page.text(
            "route", f"{routed.name} {figures.count(routed.seen.traffic.rps) if routed.seen else '--'} rps", "info"
        )
    for note in limit.notes:
        page.text("note", note, "muted")
    for path, text in limit.remainder:
        page.text("also", f"{path} {text}", "faint")
    page.blank()
    page.text("set at", limit.location or limit.object, "muted")
    return page


def _definition(page: Page, limit: Limit) -> None:
    if limit.burst is not None and limit.burst.native is not None:
        page.text("burst", f"{limit.burst.native}, lets {figures.count(limit.burst.at_once)} pass at once from idle")
    measure = limit.measure.words
    page.text("counts", f"{measure}: {limit.match}" if limit.match else measure)
    page.text("per", ", ".join(limit.key) or "all callers share one")
    page.text("over it", str(limit.over))
    if limit.native:
        for line in limit.native.splitlines() or [limit.native]:
            page.text("native", line, "warn")
    words = [
        limit.mode.value.replace("_", " "),
        limit.strength.value.replace("_", " "),
        limit.life.value.replace("_", " "),
    ]
    page.text("is", " · ".join(words), "text" if limit.mode.value == "enforced" else "warn")


def _use(page: Page, limit: Limit) -> None:
    if limit.use.current is None and limit.use.rejected_per_second is None:
        page.text("in use", "unknown: nothing here can be asked", "muted")
        return
    amount = limit.amount if not isinstance(limit.amount, str) else None
    bar = limit_bar(limit.use.current, amount, None, 20, page.look.glyphs) if limit.use.current is not None else []
    window = limit.window.seconds if limit.window else None
    page.add(("in use   ", "muted"), *bar, (f" {figures.count(limit.use.current)}{per(window)}", "text"))
    if limit.use.rejected_per_second:
        page.text("rejects", f"{figures.count(limit.use.rejected_per_second)}/s", "bad")


def _binding(page: Page, binding: Binding) -> None:
    page.text("bound to", binding.on, "info")
    effective = binding.effective
    if effective is not None:
        whose = "for all callers together" if effective.per == ALL_CALLERS else f"per {effective.per}"
        page.text("gets", f"{interval_text(effective, effective.seconds)} {whose}", "strong")
        at_once = interval_text(effective.at_once)
        if at_once != figures.UNKNOWN:
            page.text("at once", at_once)
        page.text("because", effective.why, "muted")
    page.blank()


def change_page(row: ChangeRow, look: Look, width: int, observed: Observed | None = None) -> Page:
    """One change: who, why, from which value to which, and whether it worked; what traffic says of it by now."""
    page = Page(look, width)
    page.add((page.fit(row.what, width), "title"))
    page.text("when", f"{figures.clock(row.at)}  by {row.who}")
    page.text("outcome", row.outcome, outcome_role(row.outcome))
    if row.outside is not None:
        page.text("object", object_words(row.outside.object), "info")
        page.text("told by", row.outside.source, "muted")
    if row.item is not None:
        _item(page, row.item, observed)
    return page


def _item(page: Page, item: HistoryItem, observed: Observed | None) -> None:
    page.text("change", item.change, "muted")
    page.text("reason", item.reason or "none was given", "text" if item.reason else "muted")
    for step in item.steps:
        page.blank()
        page.add((page.fit(object_words(step.object), page.width), "info"))
        for change in step.changes:
            page.add(
                ("  " + page.fit(field_words(change.field), max(page.width - 26, 10)), "muted"),
                (f" {value_words(change.before)}", "removed"),
                (f" {page.look.glyphs.arrow} ", "muted"),
                (value_words(change.after), "added"),
            )
        part = observed.part(item.change, step.object) if observed is not None else None
        if part is not None:
            word, role = PROOF[part.state]
            page.text("observed", f"{word}  {part.detail}", role)
    page.blank()
    page.text("u", "plans the way back; where somebody changed it since, you are asked", "muted")


def service_page(view: ServiceView, store: Store, look: Look, width: int) -> Page:
    """A service over all platforms: where its traffic goes, and which platform saturates first."""
    page = Page(look, width)
    page.add((page.fit(view.name, width), "title"))
    demand = view.headroom.demand_max
    holds = f"{interval_text(demand)} rps" if demand else "unknown"
    page.text("holds", holds, "strong" if demand else "muted")
    page.text(
        "first", f"{view.headroom.first_to_saturate} saturates first" if view.headroom.first_to_saturate else "", "warn"
    )
    page.text("because", view.headroom.why, "muted")
    page.blank()
    page.add((f"{'ENVIRONMENT':16}  SHARE      CAP  FROM", "muted"))
    sources = {name: source for name, _, source in view.shares}
    for name, cap, share in view.headroom.per_environment:
        page.add(
            (page.fit(name, 16), "text"),
            (figures.ratio(share).rjust(7), "text"),
            (interval_text(cap).rjust(9), "text"),
            (f"  {sources.get(name, '')}", "muted"),
        )
    page.blank()
    for ref in view.routes:
        row = store.routes.get(ref)
        if row is not None:
            page.add(("! " if row.broken else "  ", "bad"), (page.fit(str(ref), width - 2), "text"))
    return page


def environment_page(view: EnvironmentView, store: Store, look: Look, width: int) -> Page:
    """An environment: who we are there, whether it answers, what we may do."""
    page, environment = Page(look, width), view.environment
    page.add((page.fit(environment.name, width), "title"))
    banner_line(page, store, environment.name)
    page.text("is", f"{environment.platform}{', production' if environment.production else ''}")
    role = {"ok": "good", "degraded": "warn"}.get(environment.reach.state.value, "bad")
    page.text("reach", f"{environment.reach.state.value} {environment.reach.why}".rstrip(), role)
    for one in store.inventory.missing if store.inventory is not None else ():
        if one.environment == environment.name:
            page.text("lacks", one.why, "warn")
    page.text("we are", environment.identity or "unknown")
    page.text("may", f"{environment.access.state.value.replace('_', ' ')} {environment.access.why}".rstrip())
    page.text("holds", f"{view.routes} routes, {view.limits} limits")
    page.text("read", f"{figures.age(store.age(environment.name))} ago")
    page.text("labels", " ".join(f"{key}={value}" for key, value in environment.labels), "muted")
    return page
