"""The on-call screen: what is broken, where traffic goes against intent, what is throttled, full, and changed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, TypeVar

from control.fleet.views import EnvironmentView, ServiceView
from control.model import ReachState, Special
from control.model.ref import Ref
from tui import figures
from tui.cells import clip, fit, safe, wrap
from tui.cells import width as cell_len
from tui.look import Line, Look, Span
from tui.naming import shortened
from tui.risk import used_ratio
from tui.store import ChangeRow, LimitRow, RouteRow, Store
from tui.views.limits import amount_text
from tui.views.routes import set_and_seen
from tui.widgets.bars import limit_bar, percent, sparkline
from tui.worst import worst_of

_Row = TypeVar("_Row")
MINUTE, HOUR = 60.0, 3600.0
MOST = 200
"""Answers of one question that are drawn, however far one scrolls."""
NAME = 25
"""Cells of a name."""
FEW = 3
"""More environments than this with the same trouble are told in one answer."""


def _head(look: Look, section: Section, shown: int, width: int) -> Line:
    """A section's title, how many things are in it, and how many lines of it do not fit."""
    text, count = f" {section.title} ", section.count
    none = "none yet " if section.waiting else "none "
    number = f"{count} " if count else none
    more = "more below " if section.cut or shown < sum(map(len, section.answers)) else ""
    rest = max(width - len(text) - len(number) - len(more), 0)
    return (
        (text, "title"),
        (number, section.role if count else "info" if section.waiting else "good"),
        (more, "warn"),
        (look.glyphs.rule * rest, "faint"),
    )


def oncall_lines(store: Store, look: Look, width: int, height: int) -> list[Line]:
    """Five answers in `height` lines; each section takes what it needs, the first ones first."""
    worst, most = worst_of(store), min(height, MOST)
    services = list(store.services().values())
    untrusted, environments = _reach(store, width)
    recent = _recent(store)
    runs = _runs(recent)
    waiting = any(view.is_awaited for view in store.environments())
    others: list[RouteRow | LimitRow] = [*worst.gaps[:most], *worst.biting[:most], *worst.full[:most]]
    names = _names(worst.broken[:most], others, store, look)
    troubles = [*(_broken(row, names, width, store) for row in worst.broken[:most]), *untrusted]
    sections = [
        Section("broken", "bad", troubles, len(worst.broken) + environments, len(worst.broken) > most, waiting),
        _section("traffic not where it was meant", "bad", worst.gaps, most, lambda row: _gap(row, names, width, store)),
        _section("throttled", "bad", worst.biting, most, lambda row: _limit(row, names, look, width, store, True)),
        _section("nearly full", "warn", worst.full, most, lambda row: _limit(row, names, look, width, store, False)),
        Section("changed in the last hour", "info", _changed(store, runs[:most], width), len(recent), len(runs) > most),
        _section("services now", "muted", services, most, lambda view: _service(view, store, look, width)),
    ]
    return _share_out(sections, look, width, height)


@dataclass(frozen=True, slots=True)
class Section:
    """One question with its answers, each of one line or more."""

    title: str
    role: str
    answers: list[list[Line]]
    count: int
    """How many things it is about; an answer may be about several, or only say what is not known yet."""
    cut: bool = False
    """There are more answers than were drawn."""
    waiting: bool = False
    """One of the answers only says what is not known yet."""


def _section(title: str, role: str, rows: Sequence[_Row], most: int, draw: Callable[[_Row], Line]) -> Section:
    """A section whose answers are one line each. Only so many are drawn as there can be room for."""
    return Section(title, role, [[draw(row)] for row in rows[:most]], len(rows), len(rows) > most)


def _share_out(sections: list[Section], look: Look, width: int, height: int) -> list[Line]:
    """Every section gets two lines where it has them; what is left goes to the first ones."""
    lines = [[line for answer in section.answers for line in answer] for section in sections]
    given = [min(len(own), 2) for own in lines]
    spare = height - len(sections) - sum(given)
    for index, own in enumerate(lines):
        more = min(len(own) - given[index], max(spare, 0))
        given[index] += more
        spare -= more
    drawn: list[Line] = []
    for section, own, count in zip(sections, lines, given, strict=True):
        drawn.append(_head(look, section, count, width))
        drawn += own[:count]
    return drawn


class _Trouble(NamedTuple):
    """What can be the matter with environments: its role, and its words for one and for many."""

    role: str
    one: str
    many: str


_DOWN = _Trouble("bad", "does not answer", "do not answer")
_IN_PART = _Trouble("warn", "answers in part", "answer in part")
_OLD = _Trouble("warn", "was read long ago", "were read long ago")


def _trouble(view: EnvironmentView, store: Store) -> tuple[_Trouble, str] | None:
    """What is the matter with an environment, and why; None where its figures can be trusted."""
    reach, age = view.environment.reach, figures.age(store.age(view.environment.name))
    routes = figures.plural(view.routes, "route")
    if reach.state is ReachState.UNREACHABLE:
        return _DOWN, f"{reach.why}; {routes} as of {age} ago"
    if reach.state is ReachState.DEGRADED:
        return _IN_PART, reach.why
    return (_OLD, f"its {routes} may be otherwise") if store.stale(view.environment.name) else None


def _reach(store: Store, width: int) -> tuple[list[list[Line]], int]:
    """What cannot be trusted, and of how many environments; many with the same trouble are one answer: a network."""
    views = store.environments()
    troubles: dict[_Trouble, list[tuple[str, str]]] = {}
    for view in views:
        trouble = None if view.is_awaited else _trouble(view, store)
        if trouble is not None:
            troubles.setdefault(trouble[0], []).append((view.environment.name, trouble[1]))
    told: list[list[Line]] = []
    for kind, places in troubles.items():
        names = [name for name, _ in places]
        if len(places) > FEW:
            text = f"{kind.many}: {', '.join(names[:FEW])} and {len(names) - FEW} more; {names[0]}: {places[0][1]}"
            told.append(_told("?", f"{len(names)} environments", text, kind.role, width, _oldest(store, names)))
        else:
            told += [_told("?", n, f"{kind.one}: {why}", kind.role, width, _oldest(store, [n])) for n, why in places]
    awaited = [view.environment.name for view in views if view.is_awaited]
    if awaited:
        first = "still being read" if told else "being read"
        told.append(_told(" ", first, ", ".join(awaited), "info", width, _oldest(store, awaited)))
    return told, sum(map(len, troubles.values()))


def _oldest(store: Store, names: list[str]) -> Span:
    """The greatest age of these environments' figures, for the right edge."""
    oldest = max((age for name in names if (age := store.age(name)) is not None), default=None)
    return f"{figures.age(oldest):>5} ", "stale"


def _told(mark: str, name: str, text: str, role: str, width: int, tail: Span) -> list[Line]:
    """A name, then what is the matter in at most two lines, then a figure at the right edge."""
    room = max(width - 29 - len(tail[0]), 20)
    parts = wrap(text, room)
    if len(parts) > 2:
        parts = [parts[0], clip(" ".join(parts[1:]), room)]
    first: Line = (
        (f"{mark}  ", "bad" if mark == "!" else role),
        (fit(name, NAME) + " ", "strong"),
        (clip(parts[0], room), role),
        tail,
    )
    return [first, *(((" " * 29, "text"), (part, role)) for part in parts[1:])]


def _service(view: ServiceView, store: Store, look: Look, width: int) -> Line:
    """How big: what a service gets now, its last five minutes, and where it goes."""
    samples = list(store.samples.get(view.name, ()))
    rps = Fraction(samples[-1][0], 10) if samples and samples[-1][0] >= 0 else None
    trend = sparkline([Fraction(s[0]) if s[0] >= 0 else None for s in samples], 12, look.glyphs)
    largest = sorted(((name, share) for name, share, _ in view.shares if share), key=lambda item: -item[1])
    shares = " ".join(f"{name} {figures.ratio(share)}" for name, share in largest)
    return (
        (f"   {fit(view.name, 16)} ", "strong"),
        (fit(f"{figures.count(rps)} rps", 10, right=True) + " ", "text"),
        (trend + "  ", "series_b"),
        (clip(shares or "where it goes is unknown", max(width - 46, 10), ellipsis=look.glyphs.ellipsis), "muted"),
    )


def _names(
    broken: Sequence[RouteRow], others: Sequence[RouteRow | LimitRow], store: Store, look: Look
) -> dict[Ref, str]:
    """What each row is called here: a broken one by its service where it alone is of it; no two are the same."""
    alone = Counter((row.service, row.ref.environment) for row in broken)
    told = {row.ref: f"{store.label(row.ref)} {row.ref.environment}" for row in others}
    for row in broken:
        own = row.service if alone[row.service, row.ref.environment] == 1 else ""
        told[row.ref] = f"{own or store.label(row.ref)} {row.ref.environment}"
    short = shortened(told.values(), NAME, look.glyphs.ellipsis)
    return {ref: short[name] for ref, name in told.items()}


def _broken(row: RouteRow, names: Mapping[Ref, str], width: int, store: Store) -> list[Line]:
    """The worst problem beside the name, the others below it."""
    name = names[row.ref]
    traffic = row.seen.traffic if row.seen else None
    rps = f"{figures.count(traffic.rps)} rps" if traffic else figures.UNKNOWN
    age = figures.age(store.age(row.route.environment, row.route.read_at))
    problems = [problem for problem in row.problems if problem.short != "gap"]
    lines = _told("!", name, problems[0].text, "text", width, (f"{rps:>9} {age:>4} ", "muted"))
    for problem in problems[1:]:
        lines += [((" " * 29, "text"), (part, "muted")) for part in wrap(problem.text, max(width - 30, 20))[:1]]
    return lines


def _gap(row: RouteRow, names: Mapping[Ref, str], width: int, store: Store) -> Line:
    meant = "/".join(percent(t.share) for t in row.route.targets)
    text = f"set {meant}  gets {set_and_seen(row)[0]}"
    age = figures.age(store.age(row.route.environment, row.route.read_at))
    return (
        ("   ", "text"),
        (fit(names[row.ref], NAME) + " ", "strong"),
        (clip(text, max(width - 35, 20)), "text"),
        (f"{age:>5} ", "faint"),
    )


def _limit(row: LimitRow, names: Mapping[Ref, str], look: Look, width: int, store: Store, rejects: bool) -> Line:
    limit = row.limit
    amount = None if isinstance(limit.amount, Special) else limit.amount
    whose = ", ".join(limit.key)
    if rejects:
        words = f"rejects {figures.count(limit.use.rejected_per_second)}/s" + (f" per {whose}" if whose else "")
        figure: list[Span] = [(fit(amount_text(limit), 11, right=True), "muted")]
    else:
        words = f"{figures.ratio(used_ratio(limit))} of {amount_text(limit)}"
        figure = [(" ", "text"), *limit_bar(limit.use.current, amount, None, 10, look.glyphs)]
    age = figures.age(store.age(limit.environment, limit.read_at))
    return (
        ("   ", "text"),
        (fit(names[row.ref], NAME) + " ", "strong"),
        (clip(words, max(width - 46, 16), ellipsis=look.glyphs.ellipsis), "bad" if rejects else "text"),
        *figure,
        (f"{age:>5} ", "faint"),
    )


def _runs(recent: list[ChangeRow]) -> list[list[ChangeRow]]:
    """Each change alone, and all that the same hand did to many things in the same minute together: a deployment."""
    runs: list[list[ChangeRow]] = []
    for change in recent:
        if runs and change.outside and _same_hand(runs[-1][0], change):
            runs[-1].append(change)
        else:
            runs.append([change])
    return runs


def _recent(store: Store) -> list[ChangeRow]:
    since = time.time() - HOUR
    return [change for change in store.changes if change.at > since]


def _changed(store: Store, runs: list[list[ChangeRow]], width: int) -> list[list[Line]]:
    """The changes; before them why they are not all, or not known at all."""
    why = store.changes_unknown
    unknown: Line = ((f"   changes are not known: {clip(safe(why), max(width - 28, 20))}", "warn"),)
    return [*([[unknown]] if why else []), *_changes(runs, width)]


def _changes(runs: list[list[ChangeRow]], width: int) -> list[list[Line]]:
    who = max((min(cell_len(run[0].who), 18) for run in runs), default=0)
    return [[_change(run, who, width)] for run in runs]


def _same_hand(one: ChangeRow, other: ChangeRow) -> bool:
    return one.outside is not None and (one.who, one.at // MINUTE) == (other.who, other.at // MINUTE)


def _what(run: list[ChangeRow]) -> str:
    more = f" and {len(run) - 1} more" if len(run) > 1 else ""
    return f"{run[0].what}{more} ({run[0].outcome})"


def _change(run: list[ChangeRow], who: int, width: int) -> Line:
    change = run[0]
    return (
        (f"   {figures.clock(change.at)} ", "muted"),
        (fit(change.who, who) + "  ", "info" if change.outside else "accent"),
        (clip(_what(run), max(width - who - 12, 20)).rstrip(), "text"),
    )


def summary(store: Store) -> str:
    """The hand-over in Markdown."""
    lines = [f"## Traffic at {time.strftime('%F %H:%M %Z')}", ""]
    worst = worst_of(store)
    lines += (
        ["### Broken", *(f"- `{r.ref}`: {'; '.join(p.text for p in r.problems)}" for r in worst.broken)]
        if worst.broken
        else ["Nothing is broken."]
    )
    if worst.biting:
        lines += ["", "### Throttled"]
        lines += [
            f"- `{r.ref}` ({amount_text(r.limit)}) rejects {figures.count(r.limit.use.rejected_per_second)}/s"
            for r in worst.biting
        ]
    down = [v for v in store.environments() if v.environment.reach.state is not ReachState.OK and not v.is_awaited]
    if down:
        lines += ["", "### Out of reach, whole or in part"]
        lines += [f"- {v.environment.name}: {v.environment.reach.why}" for v in down]
    runs = _runs(_recent(store))
    if runs or store.changes_unknown:
        lines += [
            "",
            "### Changed in the last hour",
            *([f"- changes are not known: {store.changes_unknown}"] if store.changes_unknown else []),
            *(f"- {figures.clock(run[0].at)} {run[0].who}: {_what(run)}" for run in runs),
        ]
    return "\n".join(lines) + "\n"
