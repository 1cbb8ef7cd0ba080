"""A large fleet behind the real data flow: from keys, filters and resizes to the screen, memory and idle processor."""

from __future__ import annotations

import contextlib
import re
import sys
import time

from tests.bench.context import Context, top_lines
from tests.bench.fleet import READY
from tests.bench.keys import let_pass, moves
from tests.bench.measure import Row, Section, milliseconds, tail
from tests.bench.terminal import Terminal, TerminalTimeout

METHOD = (
    "25 clusters, 500 VMs and 200 functions (2,000 routes, 3,000 limits) in memory behind the platforms' own readers, "
    "watches and reads, in a pseudo-terminal of 120x35; servers and deck share one process and one event loop, so what "
    "the servers cost is in every figure. `j` and `k` in turn to the read that brings the cursor on its new row; each "
    "letter of a filter, and a resize between 120x35 and 110x33, to the last byte that it paints. While all moves: "
    "somebody changes a route of every cluster each 2.5 s, one cluster after the other, so that something is read, "
    "derived and drawn all the time. k9s stands in the benchmark of rows."
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


def run(context: Context) -> Section:
    section = Section("A large fleet", METHOD)
    command = [sys.executable, "-m", "tests.bench.fleet"]
    with Terminal(command, 120, 35, context.state("large")) as terminal:
        rows = terminal.wait_for(READY, 30)
        section.rows.append(Row("first rows, nothing kept of an earlier start", milliseconds(rows), "", "", "", None))
        every = terminal.wait_for(ALL_READ, 120)
        section.rows.append(Row("every row of the fleet", milliseconds(every), "", "", "", None))
        let_pass(terminal, SETTLE_SECONDS)
        section.rows.append(tail("cursor on its new row, idle", moves(terminal, KEYS, 0.1), 0.02))
        section.rows.append(tail("a letter of a filter", _letters(terminal), 0.03))
        section.rows.append(tail("a resize", _resizes(terminal), 0.1))
        let_pass(terminal, 3.0)
        before, begin = terminal.cpu_seconds(), time.perf_counter()
        let_pass(terminal, IDLE_SECONDS)
        used = (terminal.cpu_seconds() - before) / (time.perf_counter() - begin)
        memory = terminal.memory_bytes()
    section.rows.append(Row("memory", f"{memory / 1e6:.0f} MB", "", "", "under 300 MB", memory < 300e6))
    section.rows.append(Row("idle processor, servers included", f"{used:.1%}", "", "", "under 5%", used < 0.05))
    with Terminal([*command, "moving"], 120, 35, context.state("large-moving")) as terminal:
        terminal.wait_for(ALL_READ, 120)
        let_pass(terminal, SETTLE_SECONDS)
        section.rows.append(tail("cursor on its new row, while all moves", moves(terminal, KEYS, 0.1), 0.05))
    if not all(row.met for row in section.rows if row.goal):
        section.notes += [REASON, "Profile of filtering for some seconds, most expensive functions first:"]
        section.notes += ["\n".join(f"    {line}" for line in _profile(context))]
    return section


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


def _letters(terminal: Terminal) -> list[float]:
    """Each letter of a few filters, to the last byte that it paints."""
    times = []
    for words in (b"model-01", b"k8s-1", b"vm-mod", b"fn-0"):
        terminal.key(b"/", quiet=0.1)
        for at in range(len(words)):
            let_pass(terminal, 0.15)
            times.append(terminal.key(words[at : at + 1], quiet=0.06).last_seconds)
        terminal.key(b"\r", quiet=0.1)
        terminal.key(b"q", quiet=0.2)
    return times


def _resizes(terminal: Terminal) -> list[float]:
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
        assert re.search(rb"Routes", data), "nothing was painted after a resize"
        times.append(last - begin)
    return times
