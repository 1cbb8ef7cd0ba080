"""A program in a real pseudo-terminal, timed from the outside: from the key's write to the last byte of the frame."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SYNC_ASKED, SYNC_KNOWN, SYNC_END = b"\x1b[?2026$p", b"\x1b[?2026;2$y", b"\x1b[?2026l"
"""Synchronised output, as most terminals of today have it: a program asks whether, and then marks each frame's end."""
_ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_]|[()][A-Z0-9])")


class TerminalTimeout(Exception):
    """What was waited for did not appear in time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Output that followed one key."""

    data: bytes
    reads: tuple[tuple[float, int], ...]
    """(seconds since the key, bytes so far) of each read; there is one at least."""

    @property
    def first_seconds(self) -> float:
        return self.reads[0][0]

    @property
    def last_seconds(self) -> float:
        return self.reads[-1][0]

    def shown_seconds(self, text: bytes) -> float:
        """Seconds to the end of the frame that shows `text`: what else was painted after it, as a clock, is another
        frame. To the last byte where the program marks no frames."""
        end = self.data.find(SYNC_END, max(self.data.find(text), 0))
        if end < 0:
            return self.last_seconds
        return next(at for at, length in self.reads if length >= end + len(SYNC_END))


class Terminal:
    """One child in a pty of a given size. Use as a context manager; leaving it ends the child."""

    def __init__(self, command: Sequence[str], columns: int, rows: int, env: Mapping[str, str] | None = None) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})}
            for size in ("COLUMNS", "LINES"):  # the size is the pty's, not that of whoever runs this
                environment.pop(size, None)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(command[0], list(command), environment)
        self.resize(columns, rows)
        self.output = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, timeout: float) -> bytes:
        ready, _, _ = select.select([self.fd], [], [], timeout)
        if not ready:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError as error:
            raise TerminalTimeout(f"the program ended; its last output: {self.text()[-500:]!r}") from error
        self.output += data
        if SYNC_ASKED in data:
            os.write(self.fd, SYNC_KNOWN)
        return data

    def text(self) -> str:
        """Everything printed so far without escape sequences; cells, not a screen."""
        return _ESCAPES.sub(b"", self.output).decode("utf-8", "replace")

    def wait_for(self, pattern: str, timeout: float) -> float:
        """Seconds from the start of the program until `pattern` was printed."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + timeout
        while not wanted.search(self.text()):
            if time.perf_counter() > end:
                raise TerminalTimeout(f"{pattern!r} did not appear within {timeout} s: {self.text()[-500:]!r}")
            self._read(0.01)
        return time.perf_counter() - self.started

    def wait_for_bytes(self, pattern: bytes, timeout: float) -> float:
        """Seconds from the start until `pattern` stood in the raw output, escape sequences included."""
        wanted = re.compile(pattern)
        end = time.perf_counter() + timeout
        while not wanted.search(self.output):
            if time.perf_counter() > end:
                raise TerminalTimeout(f"{pattern!r} did not appear within {timeout} s: {self.text()[-500:]!r}")
            self._read(0.01)
        return time.perf_counter() - self.started

    def settle(self, quiet: float = 0.3, timeout: float = 10.0) -> None:
        """Wait until nothing was printed for `quiet` seconds."""
        end = time.perf_counter() + timeout
        while time.perf_counter() < end and self._read(quiet):
            pass

    def key(self, data: bytes, quiet: float = 0.03, timeout: float = 2.0) -> Frame:
        """Send a key and collect what it paints: ends once nothing came for `quiet` seconds."""
        while self._read(0):
            pass
        begin = time.perf_counter()
        os.write(self.fd, data)
        collected = self._read(timeout)
        if not collected:
            raise TerminalTimeout(f"key {data!r} painted nothing within {timeout} s")
        reads = [(time.perf_counter() - begin, len(collected))]
        while reads[-1][0] <= timeout and (more := self._read(quiet)):
            collected += more
            reads.append((time.perf_counter() - begin, len(collected)))
        return Frame(collected, tuple(reads))

    def memory_bytes(self) -> int:
        """Resident memory of the child itself."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def processor_share(self, seconds: float) -> float:
        """The share of a core that the child takes while nobody does anything, over so many seconds at least."""
        before, begin = self.cpu_seconds(), time.perf_counter()
        while time.perf_counter() - begin < seconds:
            self._read(0.5)
        return (self.cpu_seconds() - before) / (time.perf_counter() - begin)

    def close(self) -> None:
        for kill in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self.pid, kill)
            except ProcessLookupError:
                break
            end = time.monotonic() + 3
            while time.monotonic() < end:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self.fd)
                    return
                _drain(self.fd)
        os.close(self.fd)


def _drain(fd: int) -> None:
    """Keep reading while the child ends, or it blocks on a full terminal."""
    ready, _, _ = select.select([fd], [], [], 0.02)
    if ready:
        try:
            os.read(fd, 1 << 16)
        except OSError:
            time.sleep(0.02)
