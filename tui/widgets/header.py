"""The first two lines: where and how dangerous, can I trust it, what is broken, what is pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from control.errors import ControlError
from control.model import ReachState
from control.plane import EnvironmentView
from tui import figures
from tui.arming import Arming
from tui.cells import clip, fit, line_width
from tui.cells import width as cell_width
from tui.look import Line, Look, Span
from tui.risk import STALE_SECONDS
from tui.staging import Staging
from tui.store import AT, Store, at


@dataclass(slots=True)
class HeaderState:
    """What the header says beyond the store."""

    mode: str = "deck"
    read_only: bool = False
    demo: bool = False
    paused: bool = False
    job: str = ""
    failure: ControlError | None = None
    """Why the start did not come to a fleet."""
    tabs: Sequence[tuple[str, bool, int]] = ()
    """Title of each view, whether it is shown, and how many of its rows are broken: they make the sum above."""
    words: str = ""
    position: str = ""


def top_line(state: HeaderState, store: Store, staging: Staging, arming: Arming, look: Look, cells: int) -> Line:
    """The dangerous things first, in words; what does not fit is left out from the right."""
    rule: Span = (f" {look.glyphs.bar} ", "faint")
    where, fresh = _where(state, store, arming), _fresh(store, look, cells)
    blocks = [where] if state.failure is not None else [where, fresh]
    if store.loaded:
        blocks.append([_broken(store)])
        if line_width(tuple(span for block in blocks for span in block)) + 6 > cells:
            blocks[1] = _trusted(store, store.environments())  # what is broken is never what finds no room
    staged = len(staging)
    if staged:
        blocks.append([(f"staged {staged}", "staged")])
    if state.job:
        blocks.append([(state.job, "info")])
    if state.paused:
        blocks.append([("paused", "warn")])
    identity = _identity(store)
    if identity:
        blocks.append([(identity, "muted")])
    parts: list[Span] = []
    for block in blocks:
        room = cells - line_width(tuple(parts)) - (3 if parts else 0)
        if line_width(tuple(block)) <= room:
            parts += [rule, *block] if parts else block
    return tuple(parts)


def _broken(store: Store) -> Span:
    """What is broken is known only of what answers."""
    views = store.environments()
    down = sum(view.is_down for view in views)
    if store.alerts:
        return f"{store.alerts} broken", "bad"
    if down:
        return ("nothing else broken", "text") if down < len(views) else ("nothing answers", "bad")
    return "nothing broken", "good"


def _where(state: HeaderState, store: Store, arming: Arming) -> list[Span]:
    codes = [v.environment.code or v.environment.name for v in store.environments() if v.environment.production]
    spans: list[Span] = []
    if codes:
        shown = " ".join(codes[:3]) + (f" +{len(codes) - 3}" if len(codes) > 3 else "")
        spans.append((f" PROD {shown} ", "production"))
    elif store.inventory:
        spans.append((" no production ", "safe"))
    if state.demo:
        spans.append((" DEMO ", "safe"))
    if state.read_only or state.mode == "oncall":
        spans.append((" READ-ONLY ", "readonly"))
    elif arming.timed:
        spans.append((f" ARMED {figures.minutes(arming.seconds_left)} ", "armed"))
    elif codes:
        spans.append((" DISARMED ", "readonly"))
    elif arming.always:
        spans.append((" ARMED ", "armed"))
    return spans or [(" trafficdeck ", "readonly")]


def _fresh(store: Store, look: Look, cells: int) -> list[Span]:
    """How old what is shown is, and what is not to be had, by platform."""
    if store.inventory is None or not store.loaded:
        return [("reading…" if not look.ascii else "reading...", "info")]
    spans: list[Span] = [("fresh", "muted")] if cells >= 100 else []
    everywhere = store.environments()
    for platform in dict.fromkeys([*AT, *(v.environment.platform for v in everywhere)]):
        views = [v for v in everywhere if v.environment.platform == platform]
        if views:
            spans += [(f"{' ' if spans else ''}{at(platform)} ", "muted"), *_trusted(store, views)]
    return spans


def _trusted(store: Store, views: Sequence[EnvironmentView]) -> list[Span]:
    """The age of the oldest figures that are not called old, then how many environments have others: `7s 4 down`."""
    awaited = sum(v.is_awaited for v in views)
    down = sum(view.is_down for view in views)
    ages = [store.age(v.environment.name) for v in views if v.environment.reach.state is not ReachState.UNREACHABLE]
    fresh = [age for age in ages if age is not None and age <= STALE_SECONDS]
    stale = len(ages) - len(fresh)
    others = ((awaited, "reading", "info"), (stale, "stale", "warn"), (down, "down", "bad"))
    age: Span = (figures.age(max(fresh, default=None)), "text")
    return [age, *((f" {number} {word}", role) for number, word, role in others if number)]


def _identity(store: Store) -> str:
    names = {v.environment.identity for v in store.inventory.environments.values()} if store.inventory else set()
    names.discard("")
    return names.pop() if len(names) == 1 else ""


def tab_line(state: HeaderState, cells: int) -> Line:
    """The views, the filter as it stands, and the place in the list, which is never cut: the filter is, at its end, and
    before that the counts go."""
    words = f" {state.words} " if state.words else ""
    room = cells - cell_width(state.position) - 2
    tabs = _tabs(state, counts=True)
    if line_width(tabs) + cell_width(words) > room:
        tabs = _tabs(state, counts=False)
    parts: list[Span] = list(tabs)
    left = room - line_width(tabs)
    if words and left > 3:
        parts.append((words if cell_width(words) <= left else clip(words, left), "staged"))
    used = line_width(tuple(parts))
    parts.append((fit(state.position, max(cells - used - 1, 0), right=True), "muted"))
    return tuple(parts)


def _tabs(state: HeaderState, counts: bool) -> Line:
    parts: list[Span] = [(" ", "muted")]
    for index, (title, active, broken) in enumerate(state.tabs):
        parts += [
            (f"{index + 1} ", "key" if active else "faint"),
            (title, "title" if active else "muted"),
            (f" {broken}!" if broken and counts else "", "bad"),
            ("  ", "muted"),
        ]
    return tuple(parts)
