"""Runs of whole commands, and the table that a benchmark prints."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One line of RESULTS.md: ours, theirs, the ratio, and the goal it is held against."""

    what: str
    ours: str
    theirs: str
    ratio: str
    goal: str
    met: bool | None


def tail(what: str, times: Sequence[float], goal: float) -> Row:
    """Median and 95th percentile of something that was timed often, held against a goal in seconds."""
    return Row(what, spread(times), "", "", f"p95 under {goal * 1000:.0f} ms", percentile(times, 95) < goal)


def spread(times: Sequence[float]) -> str:
    """Median and 95th percentile in words."""
    return f"{milliseconds(statistics.median(times))} median, {milliseconds(percentile(times, 95))} p95"


@dataclass(slots=True)
class Section:
    """One benchmark: its title, how it was done, its rows, and what is to be said of a missed goal."""

    title: str
    method: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False
    """It could not be run."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run of a whole command: wall seconds, and seconds of processor time with all its children's."""

    wall: float
    processor: float


def cost_of(command: Sequence[str], env: Mapping[str, str] | None = None, timeout: float = 120.0) -> Cost:
    """Run to the end, output thrown away. Run one at a time: processor time is what ended children took meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = seconds_of(command, env, timeout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def compared(
    what: str,
    ours: Callable[[], Cost],
    theirs: Callable[[], Cost],
    runs: int,
    times_faster: float | None,
    processor: float | None = None,
) -> list[Row]:
    """Run both in turn, after one run of each that does not count: a row of wall time and one of processor time, which
    says more on a machine that others use at the same time, each held against its goal (so many times faster)."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]
    rows = []
    for of, name, goal in (
        (lambda c: c.wall, "", times_faster),
        (lambda c: c.processor, ": processor time", processor),
    ):
        mine, other = statistics.median(of(a) for a, _ in pairs), statistics.median(of(b) for _, b in pairs)
        ratio = statistics.median(of(b) / of(a) for a, b in pairs)
        held = f"at least {goal:g}x" if goal else ""
        met = ratio >= goal if goal else None
        rows.append(Row(what + name, milliseconds(mine), milliseconds(other), f"{ratio:.1f}x", held, met))
    return rows


def seconds_of(command: Sequence[str], env: Mapping[str, str] | None = None, timeout: float = 120.0) -> float:
    """Wall seconds of one run; its output is read and thrown away. A failing command is an error."""
    begin = time.perf_counter()
    run = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, timeout=timeout)
    seconds = time.perf_counter() - begin
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {run.returncode}: {run.stderr[-500:]!r}")
    return seconds


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], runs: int = 5) -> tuple[float, float, float]:
    """Run both in turn (after one warm-up each), so that a drifting machine hits both alike.

    Returns median seconds of ours and theirs, and the median of the pairwise ratios theirs / ours.
    """
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(b / a for a, b in pairs),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(percent / 100 * len(ordered) + 0.5) - 1))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"
