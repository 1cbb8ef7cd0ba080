"""The on-call screen: what is broken, where traffic goes against intent, what is throttled, full, and changed."""

from __future__ import annotations

import time
from fractions import Fraction

from control.model import ReachState
from tui import figures
from tui.cells import clip, fit
from tui.look import Line, Look, Span
from tui.risk import used_ratio
from tui.store import RouteRow, Store
from tui.views.limits import amount_text
from tui.views.routes import set_and_seen
from tui.widgets.bars import limit_bar, percent, sparkline

HOUR = 3600.0


def _head(look: Look, title: str, count: int, width: int, role: str) -> Line:
    text = f" {title} "
    number = f"{count} " if count else "none "
    return (
        (text, "title"),
        (number, role if count else "good"),
        (look.glyphs.rule * max(width - len(text) - len(number), 0), "faint"),
    )


def oncall_lines(store: Store, look: Look, width: int, height: int) -> list[Line]:
    """Five answers in `height` lines; each section takes what it needs, the first ones first."""
    broken = sorted((r for r in store.routes.values() if r.broken), key=lambda r: -r.risk)
    gaps = [r for r in store.routes.values() if r.seen and any(r.seen.significant.values())]
    biting = sorted(
        (r for r in store.limits.values() if r.limit.use.rejected_per_second),
        key=lambda r: -(r.limit.use.rejected_per_second or 0),
    )
    full = sorted(
        (r for r in store.limits.values() if (used_ratio(r.limit) or 0) * 10 >= 8),
        key=lambda r: -(used_ratio(r.limit) or 0),
    )
    down = _unreachable(store, width)
    recent = [change for change in store.changes if time.time() - change.at < HOUR]
    sections: list[tuple[str, str, list[Line]]] = [
        ("broken", "bad", [line for row in broken for line in _broken(row, look, width, store)] + down),
        (
            "traffic not where it was meant",
            "bad",
            [_gap(row, look, width, store) for row in sorted(gaps, key=lambda r: -r.risk)],
        ),
        ("throttled", "bad", [_limit(row, look, width, store, rejects=True) for row in biting]),
        ("nearly full", "warn", [_limit(row, look, width, store, rejects=False) for row in full]),
        ("changed in the last hour", "info", [_change(c, width) for c in recent]),
        ("services now", "muted", _services(store, look, width)),
    ]
    return _share_out(sections, look, width, height)


def _share_out(sections: list[tuple[str, str, list[Line]]], look: Look, width: int, height: int) -> list[Line]:
    room = height - len(sections)
    given = [min(len(lines), 2) for _, _, lines in sections]
    spare = room - sum(given)
    for index, (_, _, lines) in enumerate(sections):
        more = min(len(lines) - given[index], max(spare, 0))
        given[index] += more
        spare -= more
    drawn: list[Line] = []
    for (title, role, lines), count in zip(sections, given, strict=True):
        hidden = len(lines) - count
        drawn.append(_head(look, f"{title}" + (f", {hidden} more below" if hidden else ""), len(lines), width, role))
        drawn += lines[:count]
    return drawn


def _unreachable(store: Store, width: int) -> list[Line]:
    """Environments that do not answer, answer in part, or were last read long ago."""
    lines: list[Line] = []
    for view in store.inventory.environments.values() if store.inventory else ():
        name, reach = view.environment.name, view.environment.reach
        age = figures.age(store.age(name))
        if reach.state is ReachState.UNREACHABLE:
            role, text = "bad", f"does not answer: {reach.why}; {view.routes} routes as of {age} ago"
        elif reach.state is ReachState.DEGRADED:
            role, text = "warn", f"answers in part: {reach.why}"
        elif store.stale(name):
            role, text = "warn", f"last read {age} ago: its {view.routes} routes may be otherwise"
        else:
            continue
        lines.append(
            (
                ("?  ", role),
                (fit(name, 24) + " ", "strong"),
                (clip(text, max(width - 34, 20)), role),
                (f" {age:>4}", "stale"),
            )
        )
    return lines


def _services(store: Store, look: Look, width: int) -> list[Line]:
    """How big: what each service gets now, its last five minutes, and where it goes."""
    lines: list[Line] = []
    for view in store.services().values():
        samples = list(store.samples.get(view.name, ()))
        rps = Fraction(samples[-1][0], 10) if samples and samples[-1][0] >= 0 else None
        trend = sparkline([Fraction(s[0]) if s[0] >= 0 else None for s in samples], 12, look.glyphs)
        shares = " ".join(f"{name} {figures.ratio(share)}" for name, share, _ in view.shares if share)
        lines.append(
            (
                (f"   {fit(view.name, 16)} ", "strong"),
                (fit(f"{figures.count(rps)} rps", 10, right=True) + " ", "text"),
                (trend + "  ", "series_b"),
                (
                    clip(shares or "where it goes is unknown", max(width - 46, 10), ellipsis=look.glyphs.ellipsis),
                    "muted",
                ),
            )
        )
    return lines


def _age(store: Store, row: RouteRow) -> Span:
    return (f" {figures.age(store.age(row.route.environment, row.route.read_at)):>4}", "faint")


def _broken(row: RouteRow, look: Look, width: int, store: Store) -> list[Line]:
    """The worst problem beside the name, the others below it."""
    name = f"{row.service or row.name} {row.route.environment}"
    traffic = row.seen.traffic if row.seen else None
    rps = f"{figures.count(traffic.rps)} rps" if traffic else figures.UNKNOWN
    lines: list[Line] = []
    for index, problem in enumerate(p for p in row.problems if p.short != "gap"):
        role = "text" if problem.score >= 400 else "muted"
        words: Span = (clip(problem.text, max(width - 44, 20), ellipsis=look.glyphs.ellipsis), role)
        if index:
            lines.append(((" " * 28, "text"), words))
        else:
            label = fit(name, 24, ellipsis=look.glyphs.ellipsis) + " "
            lines.append(
                (("!  ", "bad"), (label, "strong"), words, (fit(rps, 11, right=True), "muted"), _age(store, row))
            )
    return lines


def _gap(row: RouteRow, look: Look, width: int, store: Store) -> Line:
    meant = "/".join(percent(t.share) for t in row.route.targets)
    text = f"set {meant}  gets {set_and_seen(row)[0]}"
    return (
        ("   ", "text"),
        (fit(f"{row.name} {row.route.environment}", 24, ellipsis=look.glyphs.ellipsis) + " ", "strong"),
        (clip(text, max(width - 33, 20)), "text"),
        _age(store, row),
    )


def _limit(row: object, look: Look, width: int, store: Store, rejects: bool) -> Line:
    from tui.store import LimitRow

    if not isinstance(row, LimitRow):
        return ()
    limit = row.limit
    amount = limit.amount if not isinstance(limit.amount, str) else None
    whose = ", ".join(limit.key) or "all callers"
    words = (
        f"rejects {figures.count(limit.use.rejected_per_second)}/s per {whose}"
        if rejects
        else f"{figures.ratio(used_ratio(limit))} of {amount_text(limit)}"
    )
    bar: list[Span] = []
    if not rejects and limit.use.current is not None:
        bar = limit_bar(limit.use.current, amount, None, 10, look.glyphs)
    room = max(width - 44 - (11 if bar else 0), 16)
    return (
        ("   ", "text"),
        (fit(f"{row.name} {limit.environment}", 24, ellipsis=look.glyphs.ellipsis) + " ", "strong"),
        (clip(words, room, ellipsis=look.glyphs.ellipsis), "bad" if rejects else "text"),
        *bar,
        (fit(amount_text(limit) if not bar else "", 11 if not bar else 10, right=True), "muted"),
        (f" {figures.age(store.age(limit.environment, limit.read_at)):>4}", "faint"),
    )


def _change(change: object, width: int) -> Line:
    from tui.store import ChangeRow

    if not isinstance(change, ChangeRow):
        return ()
    return (
        (f"   {figures.clock(change.at)} ", "muted"),
        (fit(change.who, 10) + " ", "info" if change.outside else "accent"),
        (clip(f"{change.what} ({change.outcome})", max(width - 22, 20)).rstrip(), "text"),
    )


def summary(store: Store) -> str:
    """The hand-over in Markdown."""
    lines = [f"## Traffic at {time.strftime('%F %H:%M %Z')}", ""]
    broken = sorted((r for r in store.routes.values() if r.broken), key=lambda r: -r.risk)
    lines += (
        ["### Broken", *(f"- `{r.ref}`: {'; '.join(p.text for p in r.problems)}" for r in broken)]
        if broken
        else ["Nothing is broken."]
    )
    biting = [r for r in store.limits.values() if r.limit.use.rejected_per_second]
    if biting:
        lines += ["", "### Throttled"]
        lines += [
            f"- `{r.ref}` ({amount_text(r.limit)}) rejects {figures.count(r.limit.use.rejected_per_second)}/s"
            for r in biting
        ]
    views = store.inventory.environments.values() if store.inventory else ()
    down = [v for v in views if v.environment.reach.state is ReachState.UNREACHABLE]
    if down:
        lines += ["", "### Out of reach", *(f"- {v.environment.name}: {v.environment.reach.why}" for v in down)]
    recent = [c for c in store.changes if time.time() - c.at < HOUR]
    if recent:
        lines += [
            "",
            "### Changed in the last hour",
            *(f"- {figures.clock(c.at)} {c.who}: {c.what} ({c.outcome})" for c in recent),
        ]
    return "\n".join(lines) + "\n"
