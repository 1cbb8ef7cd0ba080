"""How soon there is something to look at."""

from __future__ import annotations

import statistics

from tests.bench.context import PROGRAM, Context
from tests.bench.listing import environment
from tests.bench.measure import Row, Section, milliseconds
from tests.bench.terminal import Terminal

GOAL = 0.4
RUNS = 5
HAND_DRAWN = rb"(?s)\x1b\[\?1049h.*reading"
TEXTUAL = rb"(?s)\x1b\[\?1049h.*\x1b\[\?1049h.*Routes"
ROWS = rb"model-\d{4}"
METHOD = (
    "`trafficdeck` on the cluster of 2,000 routes in a pseudo-terminal of 120x35, from the start of the process. The "
    "first frame (title, tabs, the way out) is drawn by hand before Textual is imported and takes no key but what the "
    "terminal keeps for later; Textual's own first frame takes its place. Theirs is a Python that starts and ends."
)


def run(context: Context) -> Section:
    section = Section("First frame", METHOD)
    deck = context.deck("first", environment(context.cluster()))
    command = [str(PROGRAM), "--deck", str(deck), "--read-only"]
    times: dict[str, list[float]] = {"hand": [], "textual": [], "rows": [], "cached": []}
    for number in range(RUNS + 1):
        cold = _start(command, context.state(f"first-{number}"))
        warm = _start(command, context.state(f"first-{number}"))
        if number:
            for name, seconds in zip(("hand", "textual", "rows"), cold, strict=True):
                times[name].append(seconds)
            times["cached"].append(warm[2])
    bare = _python()
    whats = ("the first frame, drawn by hand", "Textual's first frame", "first rows, nothing kept of an earlier start")
    goals = (GOAL, GOAL, None)
    for (name, goal), what in zip(zip(times, goals, strict=False), whats, strict=True):
        section.rows.append(_row(what, times[name], bare, goal))
    section.rows.append(
        _row("first rows, started a second time (from the cache, with their age)", times["cached"], bare, 1.0)
    )
    if section.rows[1].met is False:
        section.notes.append(
            "Textual's first frame waits for importing Textual, Rich and the screens and for its driver; "
            "that is why the frame before it is drawn by hand."
        )
    return section


def _start(command: list[str], env: dict[str, str]) -> tuple[float, float, float]:
    with Terminal(command, 120, 35, env) as terminal:
        found = tuple(terminal.wait_for_bytes(pattern, 30) for pattern in (HAND_DRAWN, TEXTUAL, ROWS))
        terminal.settle(0.5, 3)
        return found  # type: ignore[return-value]


def _python() -> float:
    import sys

    from tests.bench.measure import seconds_of

    return statistics.median(seconds_of([sys.executable, "-c", "pass"]) for _ in range(5))


def _row(what: str, times: list[float], bare: float, goal: float | None) -> Row:
    mine = statistics.median(times)
    told = f"under {goal:g} s" if goal else ""
    return Row(what, milliseconds(mine), milliseconds(bare), f"{bare / mine:.2f}x", told, mine < goal if goal else None)
