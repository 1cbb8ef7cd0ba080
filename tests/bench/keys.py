"""From a key to the screen, at 2,000 routes and 3,000 limits."""

from __future__ import annotations

import os
import re
import select
import statistics
import sys
import time

from tests.bench.context import Context
from tests.bench.measure import Row, Section, milliseconds, tail
from tests.bench.terminal import Terminal, TerminalTimeout

KEYS = 60
IDLE, REFRESHING = 0.02, 0.05
_PLACE = re.compile(rb"\x1b\[(\d+);\d+H")
_CURSOR = "▸".encode()
METHOD = (
    "The screen over 2,000 routes and 3,000 limits in memory, in a pseudo-terminal of 120x35; `j` and `k` in turn, "
    f"{KEYS} of them, each after the last one has settled. Timed from outside: to the read that brings the cursor on "
    "its new row, and to the last byte of all that the key paints (the detail pane is last). While all refreshes: 25 "
    "environments bring new figures every 2.5 s, one after the other; there the last byte of a key cannot be told from "
    "the refresh's own, so the cursor alone is timed. Theirs: k9s in the benchmark of rows."
)
REASON = (
    "The medians hold the goal; what misses it is the tail, while other work holds both cores or, while all refreshes, "
    "while the rows of a refresh are derived on the same loop as the key."
)


def run(context: Context) -> Section:
    section = Section("Key to paint", METHOD)
    command = [sys.executable, "-m", "tests.bench.screen"]
    with Terminal(command, 120, 35) as terminal:
        terminal.wait_for("model-", 30)
        terminal.settle(1.0, 10)
        cursor, last = _idle(terminal)
        switches = [terminal.key(key, quiet=0.25).last_seconds for key in (b"2", b"1") * 5]
    with Terminal([*command, "refreshing"], 120, 35) as terminal:
        terminal.wait_for("model-", 30)
        let_pass(terminal, 3.0)
        busy = moves(terminal, KEYS, 0.05)
    section.rows.append(tail("cursor on its new row, idle", cursor, IDLE))
    section.rows.append(tail("last byte of the frame, detail pane included, idle", last, IDLE))
    section.rows.append(tail("cursor on its new row, while all refreshes", busy, REFRESHING))
    shown = milliseconds(statistics.median(switches))
    section.rows.append(Row("another view (`1`, `2`), last byte, median", shown, "", "", "", None))
    if not all(row.met for row in section.rows if row.goal):
        section.notes.append(REASON)
    return section


def cursor_line(data: bytes) -> int | None:
    """The screen line on which the cursor's mark was painted last, or None."""
    mark = data.rfind(_CURSOR)
    places = list(_PLACE.finditer(data, 0, max(mark, 0)))
    if mark < 0 or not places:
        return None
    return int(places[-1][1]) + data.count(b"\r\n", places[-1].end(), mark)


def _to_cursor(terminal: Terminal, key: bytes, line: int | None, timeout: float = 3.0) -> tuple[float, int]:
    """Press a key: seconds until the cursor stands on another line than `line`, and that line."""
    while terminal._read(0):
        pass
    begin = time.perf_counter()
    os.write(terminal.fd, key)
    data = b""
    while time.perf_counter() - begin < timeout:
        data += terminal._read(0.05)
        seconds = time.perf_counter() - begin
        now = cursor_line(data)
        if now is not None and now != line:
            return seconds, now
    raise TerminalTimeout(f"{key!r} did not move the cursor from line {line}")


def _idle(terminal: Terminal) -> tuple[list[float], list[float]]:
    _, line = _to_cursor(terminal, b"j", None)
    cursor, last = [], []
    for number in range(KEYS):
        terminal.settle(0.1, 2)
        key = b"kj"[number % 2 :][:1]
        begin = time.perf_counter()
        seconds, line = _to_cursor(terminal, key, line)
        end = seconds
        while terminal._read(0.08):
            end = time.perf_counter() - begin
        cursor.append(seconds)
        last.append(end)
    return cursor, last


def moves(terminal: Terminal, count: int, pause_seconds: float) -> list[float]:
    """Seconds of so many moves of the cursor, with pauses that fall in step with nothing."""
    _, line = _to_cursor(terminal, b"j", None)
    times = []
    for number in range(count):
        let_pass(terminal, pause_seconds + number % 7 * 0.013)
        seconds, line = _to_cursor(terminal, b"kj"[number % 2 :][:1], line)
        times.append(seconds)
    return times


def let_pass(terminal: Terminal, seconds: float) -> None:
    """Let time go by, reading what is painted meanwhile."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        select.select([terminal.fd], [], [], left)
        terminal._read(0)
