"""A large fleet behind the real data flow: from keys, filters and resizes to the screen, memory and idle processor."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.bench import rivals
from tests.bench.context import Context, top_lines
from tests.bench.fleet import READY
from tests.bench.keys import let_pass, moves
from tests.bench.measure import Row, Section, milliseconds, percentile, spread, tail
from tests.bench.rows import k9s_start
from tests.bench.terminal import Terminal, TerminalTimeout

METHOD = (
    "25 clusters, 500 VMs and 200 functions (2,000 routes, 3,000 limits) in memory behind the platforms' own readers, "
    "watches and reads, in a pseudo-terminal of 120x35; servers and deck share one process and one event loop, so what "
    "the servers cost is in every figure. `j` and `k` in turn to the read that brings the cursor on its new row; each "
    "letter of a filter to the last byte of the frame that shows it (k9s marks no frames: to the last byte that it "
    "paints), and a resize between 120x35 and 110x33 to the last byte. While all moves: "
    "somebody changes a route of every cluster each 2.5 s, one cluster after the other, so that something is read, "
    "derived and drawn all the time. Theirs is k9s on 2,000 routes of one cluster, a key to the first byte that it "
    "paints; what it cannot show (limits, other platforms) it need not read."
)
REASON = (
    "A letter shares its loop with the servers of 729 places: what they do in between is in its tail. The idle "
    "processor pays for both ends of every look and watch, the server's too. The program on a real cluster stands "
    "under memory and idle."
)
KEYS = 40
ALL_READ = r"/2000 by risk"
SETTLE_SECONDS = 12.0
"""The watches' first looks at 500 hosts and 25 clusters."""
IDLE_SECONDS = 20.0
FILTERS = (b"model-01", b"k8s-1", b"vm-mod", b"fn-0")
THEIR_FILTERS = (b"model-01", b"el-12", b"odel-0", b"l-19")


@dataclass(slots=True)
class Figures:
    """One program once its rows stand: seconds of each key, letter and resize, bytes of memory, share of a core."""

    keys: list[float]
    letters: list[float]
    resizes: list[float]
    memory: int
    idle: float


def run(context: Context) -> Section:
    section = Section("A large fleet", METHOD)
    theirs = _theirs(context)
    if theirs is None:
        section.notes.append("k9s is not built (`make bench-rivals` builds it), so it stands in no column.")
    command = [sys.executable, "-m", "tests.bench.fleet"]
    with Terminal(command, 120, 35, context.state("large-warm")) as terminal:
        terminal.wait_for(ALL_READ, 120)  # the start after an installation compiles what it imports: it does not count
    with Terminal(command, 120, 35, context.state("large")) as terminal:
        rows = terminal.wait_for(READY, 60)
        section.rows.append(Row("first rows, nothing kept of an earlier start", milliseconds(rows), "", "", "", None))
        every = terminal.wait_for(ALL_READ, 120)
        section.rows.append(Row("every row of the fleet", milliseconds(every), "", "", "within 4 s", every <= 4.0))
        let_pass(terminal, SETTLE_SECONDS)
        ours = _figures(terminal, moves(terminal, KEYS, 0.1), FILTERS, rb"Routes")
    section.rows += _compared(ours, theirs)
    with Terminal([*command, "moving"], 120, 35, context.state("large-moving")) as terminal:
        terminal.wait_for(ALL_READ, 120)
        let_pass(terminal, SETTLE_SECONDS)
        section.rows.append(_moving(moves(terminal, KEYS, 0.1), theirs))
    with Terminal([*command, "oncall"], 120, 35, context.state("large-oncall")) as terminal:
        terminal.wait_for("nothing broken", 120)
        let_pass(terminal, 2 * SETTLE_SECONDS)
        idle = terminal.processor_share(IDLE_SECONDS)
    section.rows.append(Row("the on-call view: idle processor", f"{idle:.1%}", "", "", "under 3%", idle < 0.03))
    if not all(row.met for row in section.rows if row.goal):
        section.notes += [REASON, "Profile of filtering for some seconds, most expensive functions first:"]
        section.notes += ["\n".join(f"    {line}" for line in _profile(context))]
    return section


def _figures(terminal: Terminal, keys: list[float], filters: Sequence[bytes], painted: bytes) -> Figures:
    letters = _letters(terminal, filters)
    resizes = _resizes(terminal, painted)
    let_pass(terminal, 3.0)
    used = terminal.processor_share(IDLE_SECONDS)
    return Figures(keys, letters, resizes, terminal.memory_bytes(), used)


def _theirs(context: Context) -> Figures | None:
    """k9s on its 2,000 routes of one cluster; None where it was never built."""
    binary = rivals.k9s()
    if binary is None:
        return None
    command, env = k9s_start(context, str(binary), context.cluster(), "large")
    with Terminal(command, 120, 35, env) as terminal:
        terminal.wait_for(r"model-\d{4}", 30)
        let_pass(terminal, SETTLE_SECONDS)
        keys = []
        for number in range(KEYS):
            let_pass(terminal, 0.1 + number % 7 * 0.013)
            keys.append(terminal.key(b"jk"[number % 2 :][:1]).first_seconds)
        return _figures(terminal, keys, THEIR_FILTERS, rb"model-")


def _compared(ours: Figures, theirs: Figures | None) -> list[Row]:
    rows = [
        _beside(tail("cursor on its new row, idle", ours.keys, 0.02), ours.keys, theirs and theirs.keys),
        _beside(tail("a letter of a filter", ours.letters, 0.03), ours.letters, theirs and theirs.letters),
        _beside(tail("a resize", ours.resizes, 0.1), ours.resizes, theirs and theirs.resizes),
    ]
    memory = f"{ours.memory / 1e6:.0f} MB"
    rows.append(Row("memory", memory, "", "", "under 150 MB", ours.memory < 150e6))
    rows.append(Row("idle processor, servers included", f"{ours.idle:.1%}", "", "", "under 3%", ours.idle < 0.03))
    if theirs is not None:
        ratios = f"{theirs.memory / ours.memory:.1f}x", f"{theirs.idle / ours.idle:.1f}x"
        rows[3] = replace(rows[3], theirs=f"{theirs.memory / 1e6:.0f} MB", ratio=ratios[0])
        rows[4] = replace(rows[4], theirs=f"{theirs.idle:.1%}", ratio=ratios[1])
    return rows


def _moving(ours: list[float], theirs: Figures | None) -> Row:
    """While all moves, against k9s at rest."""
    return _beside(tail("cursor on its new row, while all moves", ours, 0.05), ours, theirs and theirs.keys)


def _beside(row: Row, ours: list[float], theirs: list[float] | None) -> Row:
    """The row held against k9s's figure, where there is one: its 95th percentile against ours."""
    if not theirs:
        return row
    ratio = percentile(theirs, 95) / percentile(ours, 95)
    return replace(row, theirs=spread(theirs), ratio=f"{ratio:.1f}x", goal="p95 under theirs", met=ratio > 1)


def _profile(context: Context) -> list[str]:
    """The deck under the profiler while filters are typed, from its start to its end."""
    out = context.folder / "large.profile"
    command = [sys.executable, "-m", "cProfile", "-o", str(out), "-m", "tests.bench.fleet"]
    with Terminal(command, 120, 35, context.state("large-profile")) as terminal:
        terminal.wait_for(ALL_READ, 240)
        let_pass(terminal, SETTLE_SECONDS)
        _letters(terminal)
        terminal.key(b":quit\r", quiet=0.5)
        end = time.perf_counter() + 20
        with contextlib.suppress(TerminalTimeout):  # that it ended is what is waited for
            while time.perf_counter() < end:
                let_pass(terminal, 0.2)
    return top_lines(str(out))


def _letters(terminal: Terminal, filters: Sequence[bytes] = FILTERS) -> list[float]:
    """Each letter of a few filters, to the last byte that it paints."""
    times = []
    for words in filters:
        terminal.key(b"/", quiet=0.1)
        for at in range(len(words)):
            let_pass(terminal, 0.15)
            frame = terminal.key(words[at : at + 1], quiet=0.06)
            times.append(frame.shown_seconds(b"/" + words[: at + 1]))
        terminal.key(b"\r", quiet=0.1)
        terminal.key(b"\x1b", quiet=0.3)
    return times


def _resizes(terminal: Terminal, painted: bytes) -> list[float]:
    times = []
    for number in range(20):
        let_pass(terminal, 0.25)
        while terminal._read(0):
            pass
        begin = time.perf_counter()
        terminal.resize(*((110, 33), (120, 35))[number % 2])
        last, data = begin, b""
        while more := terminal._read(0.06 if data else 2.0):
            data += more
            last = time.perf_counter()
        assert re.search(painted, data), "nothing was painted after a resize"
        times.append(last - begin)
    return times
