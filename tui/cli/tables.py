"""Results as tables for people: narrow, clean, `--` for what is not known."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from fractions import Fraction

from control.fleet.views import EnvironmentView, Inventory, ServiceView
from control.model import Limit, Route, TargetState
from control.model.shares import percent
from control.planning.expressions import format_amount, format_burst, per
from control.planning.plan import HistoryItem, Plan, Proof, Result, Verdict
from control.ports import Check, ProofState
from control.typed import decimal
from tui import figures
from tui.cells import clip, fit, safe, width
from tui.cli.emit import colours

_COLOURS = {"bad": "31", "warn": "33", "good": "32", "faint": "2", "head": "1"}
UNKNOWN = "--"


def paint(text: str, role: str) -> str:
    """`text` in the colour of a role, where somebody looks."""
    return f"\x1b[{_COLOURS[role]}m{text}\x1b[0m" if colours() else text


def columns(head: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """A table whose columns are as wide as their widest cell; the last one is not padded."""
    cells = [[safe(cell) for cell in row] for row in rows]
    wide = [max(map(width, column)) for column in zip(head, *cells, strict=True)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(fit(cell, wide[n], right=n in right) for n, cell in enumerate(row)).rstrip()

    return "\n".join([paint(line(head), "head"), *map(line, cells)])


# --- lists ------------------------------------------------------------------------------------------------------------


def environments(views: Sequence[EnvironmentView]) -> str:
    """One line each; why one is out of reach stands under the table, where a sentence has room."""
    now = time.time()
    told = columns(
        ("ENVIRONMENT", "ON", "REACH", "ROUTES", "LIMITS", "AGE", "IDENTITY"),
        [
            (
                view.environment.name + (" PROD" if view.environment.production else ""),
                view.environment.platform,
                view.environment.reach.state.value,
                str(view.routes),
                str(view.limits),
                figures.age(None if view.read_at is None else now - view.read_at),
                _identity(view.environment.identity),
            )
            for view in views
        ],
        frozenset({3, 4, 5}),
    )
    why = [f"{view.environment.name}: {view.environment.reach.why}" for view in views if view.environment.reach.why]
    return "\n".join([told, *why])


def _identity(identity: str) -> str:
    """Who we are, an ARN by its role and session: the account is in `-o json`."""
    return (
        identity.rpartition(":")[2].removeprefix("assumed-role/")
        if identity.startswith("arn:")
        else identity or UNKNOWN
    )


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def shares(route: Route) -> str:
    """`A80 B20 +copy 10%`: the shares as set, with letters in the order of the targets, and what is copied to whom."""
    told = []
    for letter, target in zip(_LETTERS, route.targets, strict=False):
        share = UNKNOWN if target.share is None else percent(target.share).removesuffix("%")
        told.append(f"{letter}{share}" + ("" if target.state is TargetState.ACTIVE else f" {target.state.value}"))
    told += [f"+{safe(mirror.name)} {percent(mirror.share)}" for mirror in route.mirrors]
    return " ".join(told)


def routes(shown: Sequence[Route], inventory: Inventory) -> str:
    now = time.time()
    rows = []
    for route in shown:
        seen = inventory.seen.get(route.ref)
        traffic = seen.traffic if seen else None
        rows.append(
            (
                str(route.ref),
                shares(route),
                _seen(route, inventory),
                figures.count(traffic.rps if traffic else None),
                figures.ratio(traffic.error_ratio if traffic else None),
                figures.age(now - route.read_at),
            )
        )
    return columns(("ROUTE", "SET", "SEEN", "RPS", "5XX", "AGE"), rows, frozenset({3, 4, 5}))


def _seen(route: Route, inventory: Inventory) -> str:
    seen = inventory.seen.get(route.ref)
    if seen is None or not seen.shares:
        return UNKNOWN
    return "/".join(
        UNKNOWN if (share := seen.shares.get(target.name)) is None else str(round(share * 100))
        for target in route.targets
    )


def _rate(low: Fraction | None, high: Fraction | None) -> str:
    if low is None and high is None:
        return UNKNOWN
    if low == high:
        return figures.count(low)
    return f"{figures.count(low)}-{figures.count(high)}"


def limits(shown: Sequence[Limit]) -> str:
    now = time.time()
    rows = []
    for limit in shown:
        one = next((binding.effective for binding in limit.bindings if binding.effective), None)
        seconds = "" if one is None else per(one.seconds)
        rows.append(
            (
                str(limit.ref),
                format_amount(limit.amount, limit.window),
                format_burst(limit.burst) or UNKNOWN,
                UNKNOWN if one is None else _rate(one.low, one.high) + seconds,
                ", ".join(limit.key) or "all callers",
                figures.age(now - limit.read_at),
            )
        )
    return columns(("LIMIT", "SET", "BURST", "EFFECTIVE", "PER", "AGE"), rows, frozenset({1, 2, 3, 5}))


def services(shown: Sequence[ServiceView]) -> str:
    """One row a service, and below the rows why a headroom is not known or only bounded."""
    rows = []
    for view in shown:
        known = [f"{name} {percent(share)}" for name, share, _ in view.shares if share is not None]
        unknown = len(view.shares) - len(known)
        rows.append(
            (
                view.name,
                str(len(view.routes)),
                _demand(view),
                view.headroom.first_to_saturate or UNKNOWN,
                " ".join([*known, *([f"{unknown} unknown"] if unknown else [])]) or UNKNOWN,
            )
        )
    head = columns(("SERVICE", "ROUTES", "D* RPS", "FIRST FULL", "SHARES"), rows, frozenset({1, 2}))
    return "\n".join([head, "", *(f"{safe(view.name)}: {safe(view.headroom.why)}" for view in shown)])


def _demand(view: ServiceView) -> str:
    """D*: exact, from to, or only bounded from one side."""
    demand = view.headroom.demand_max
    if demand is None:
        return UNKNOWN
    if demand.low is None and demand.high is not None:
        return f"up to {figures.count(demand.high)}"
    if demand.high is None and demand.low is not None:
        return f"from {figures.count(demand.low)}"
    return _rate(demand.low, demand.high)


def route(shown: Route, inventory: Inventory) -> str:
    """One route, whole."""
    seen = inventory.seen.get(shown.ref)
    lines = [paint(safe(str(shown.ref)), "head"), f"  {shown.kind} on {shown.platform}, {shown.semantics.value}"]
    lines += [f"  match   {safe(match)}" for match in shown.matches]
    lines += [f"  owner   {safe(o.kind)} {safe(o.name)} ({o.role.value})" for o in shown.owners]
    lines += [f"  status  {shown.status.state.value}  {safe(shown.status.detail)}".rstrip()]
    lines += [f"  mirror  {safe(mirror.name)} {percent(mirror.share)}" for mirror in shown.mirrors]
    lines += [] if shown.editable.yes else [f"  cannot be edited: {safe(shown.editable.reason)}"]
    lines += [f"  note    {safe(note)}" for note in shown.notes]
    rows = [
        (
            letter,
            target.name,
            _told(target.weight),
            UNKNOWN if target.share is None else percent(target.share),
            UNKNOWN if seen is None or target.name not in seen.shares else percent(seen.shares[target.name]),
            target.state.value,
            target.health.value,
            str(target.to or "") or (f"not understood: {safe(target.native)}" if target.native else ""),
        )
        for letter, target in zip(_LETTERS, shown.targets, strict=False)
    ]
    head = ("", "TARGET", "WEIGHT", "SET", "SEEN", "STATE", "HEALTH", "LEADS TO")
    lines += ["", columns(head, rows, frozenset({2, 3, 4}))]
    lines += [f"  limited by {safe(str(ref))}" for ref in inventory.limits_of.get(shown.ref, ())]
    return "\n".join(lines)


def limit(shown: Limit) -> str:
    """One limit, whole."""
    lines = [
        paint(safe(str(shown.ref)), "head"),
        f"  {shown.measure.value} {format_amount(shown.amount, shown.window)}, burst {format_burst(shown.burst)}",
        f"  per     {safe(', '.join(shown.key) or 'all callers')}   {shown.mode.value}, {shown.life.value}",
    ]
    lines += [f"  native  {safe(line)}" for line in shown.native.splitlines()]
    if shown.status.detail:
        lines.append(f"  status  {shown.status.state.value}  {safe(shown.status.detail)}")
    lines += [] if shown.editable.yes else [f"  cannot be edited: {safe(shown.editable.reason)}"]
    lines += [f"  note    {safe(note)}" for note in shown.notes]
    for binding in shown.bindings:
        lines.append(f"  on      {safe(binding.on)}: {binding.over}, counted per {safe(binding.domain.kind)}")
        if binding.effective is not None:
            one = binding.effective
            lines.append(f"          really {_rate(one.low, one.high)}{per(one.seconds)} {one.unit}: {safe(one.why)}")
    return "\n".join(lines)


# --- plans and results ------------------------------------------------------------------------------------------------


def plan(shown: Plan) -> str:
    """The plan: native diffs, effective limits before and after, owners, guards, what else goes live."""
    if not shown.steps:
        return "nothing would change"
    lines = []
    for number, step in enumerate(shown.steps, 1):
        lines.append(paint(f"{number}  {safe(step.object)}", "head"))
        lines += [f"   {_change(c.ref, c.field, c.before, c.after)}" for c in step.changes]
        lines += [f"   {_diff(line)}" for line in step.diff.splitlines()]
        for one in step.effective:
            before, after = (
                UNKNOWN if e is None else f"{_rate(e.low, e.high)}{per(e.seconds)}" for e in (one.before, one.after)
            )
            lines.append(f"   really, on {safe(one.on)}: {before} -> {after}")
        lines += [f"   owner  {safe(o.kind)} {safe(o.name)} ({o.role.value})" for o in step.owners]
        for guard in step.guards:
            if guard.verdict is not Verdict.OK:
                role = "bad" if guard.verdict is Verdict.REFUSE else "warn"
                lines.append("   " + paint(f"{guard.verdict.value} {guard.name}: {safe(guard.message)}", role))
        lines += [paint(f"   loses  {safe(lost)}", "warn") for lost in step.loses]
    lines += [safe(line) for line in shown.headroom]
    lines.append(f"plan {shown.plan}: {shown.verdict.value}, on failure {shown.on_failure.value}; not applied")
    return "\n".join(lines)


def computed_anew(saved: Plan, fresh: Plan) -> list[str]:
    """What is computed anew where a saved plan is applied: effective limits, guards, and what would be lost."""
    lines = []
    said = {(step.object, guard) for step in saved.steps for guard in step.guards}
    for step in fresh.steps:
        for one in step.effective:
            before, after = (
                UNKNOWN if e is None else f"{_rate(e.low, e.high)}{per(e.seconds)}" for e in (one.before, one.after)
            )
            lines.append(f"{safe(step.object)}: really, on {safe(one.on)}: {before} -> {after}")
        for guard in step.guards:
            if guard.verdict is not Verdict.OK:
                new = "" if (step.object, guard) in said else " (not so when the plan was saved)"
                lines.append(f"{safe(step.object)}: {guard.verdict.value} {guard.name}: {safe(guard.message)}{new}")
        lines += [f"{safe(step.object)}: loses {safe(lost)}" for lost in step.loses]
    return lines


def _change(ref: object, field: str, before: object, after: object) -> str:
    return f"{safe(str(ref))} {safe(field)}: {_told(before)} -> {_told(after)}"


def _told(value: object) -> str:
    if isinstance(value, Fraction):
        return decimal(value)
    return UNKNOWN if value is None else str(getattr(value, "value", value))


def _diff(line: str) -> str:
    if line.startswith("+"):
        return paint(safe(line), "good")
    return paint(safe(line), "bad") if line.startswith("-") else safe(line)


def result(shown: Result) -> str:
    """What came of a plan, step by step with its three proofs."""
    lines = []
    for number, step in enumerate(shown.steps, 1):
        lines.append(f"{number}  {safe(step.object)}: {step.outcome.value}" + _found(step.found))
        if step.reason is not None:
            lines.append("   " + paint(f"{step.reason.kind.value}: {safe(step.reason.message)}", "bad"))
        if step.proof is not None:
            lines += [f"   {line}" for line in proof(step.proof)]
    head = f"{shown.outcome.value}" + (f", change {shown.change}" if shown.change else "")
    lines.append(head + (f"\nhead {shown.head}" if shown.head else ""))
    return "\n".join(lines)


def _found(found: object) -> str:
    return "" if found is None else f" (found: {getattr(found, 'value', found)})"


def proof(shown: Proof) -> list[str]:
    """One line per level."""
    lines = []
    for name in ("accepted", "loaded", "observed"):
        part = getattr(shown, name)
        after = "" if part.seconds is None else f" after {part.seconds:.1f} s"
        role = {ProofState.YES: "good", ProofState.NO: "bad"}.get(part.state, "faint")
        lines.append(f"{name:<8} " + paint(part.state.value.replace("_", " "), role) + f"{after}  {safe(part.detail)}")
    return lines


def _objects(names: Sequence[str]) -> str:
    """The first object, cut in the middle where it is long, and how many more there are."""
    if not names:
        return UNKNOWN
    more = len(names) - 1
    return fit(safe(names[0]), min(width(safe(names[0])), 44)) + (f" +{more}" if more else "")


def history(items: Sequence[HistoryItem]) -> str:
    return columns(
        ("AT", "CHANGE", "ACTOR", "OUTCOME", "OBJECTS", "REASON"),
        [
            (
                time.strftime("%m-%d %H:%M:%S", time.localtime(item.at)),
                item.change,
                item.actor,
                item.outcome.value + (f", undone by {item.undone_by}" if item.undone_by else ""),
                _objects([step.object for step in item.steps]),
                clip(safe(item.reason), 30),
            )
            for item in items
        ],
    )


def doctor(checks: Sequence[tuple[str, Check]]) -> str:
    rows = [(c.state, name or "deck", c.check, c.detail + (f" ({c.hint})" if c.hint else "")) for name, c in checks]
    return columns(("STATE", "ENVIRONMENT", "CHECK", "DETAIL"), rows)
