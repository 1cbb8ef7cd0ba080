"""Leaving the screen when the terminal goes away or a signal says so, whatever the program is busy with.

A terminal that was hung up does not always come with a signal: a parent that outlives it (make, sudo, script, a
container's shell) keeps the program alive, and then every read ends at once and every write fails. And a signal is not
always heard: a terminal that takes no output (a stalled connection) holds the event loop in its write. So one thread
waits for either, asks the program to leave, and ends the process where it does not within a moment. A change that is
being applied finishes its step first, within bounds: the journal then says what became of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

LOOK_SECONDS = 0.25
"""How often the terminal is looked at where its system does not say by itself that it was hung up."""
ANSWER_SECONDS = 0.7
"""How long a terminal whose owner has lost its own has to give a sign of life."""
LEAVE_SECONDS = 0.9
"""What the program has to end by itself."""
STEP_SECONDS = 60.0
"""The same while a change is being applied."""
SIGNALS = (signal.SIGHUP, signal.SIGTERM)
RESTORE = b"\x1b[<u\x1b[?2004l\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?7h\x1b[?1049l\x1b[?25h"


class Leaving:
    """Waits in a thread of its own for the end of the terminal or a signal. `start` once, from the main thread."""

    def __init__(self) -> None:
        self.because = ""
        """Why the program is to leave; empty while it is not."""
        self.gone = False
        """The terminal is gone: nothing can be written to it any more."""
        self._fds = [fd for fd in (0, 1, 2) if os.isatty(fd)]
        self._attributes = _attributes(self._fds)
        self._owner = _owner_of_terminal()
        self._answered = threading.Event()
        self._is_trusted = False
        self._leave: Callable[[], object] = lambda: None
        self._ask: Callable[[], object] | None = None
        self._is_busy: Callable[[], bool] = lambda: False
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._wait, name="leaving", daemon=True)

    def start(self) -> None:
        """Take over the signals and begin to watch the terminal."""
        os.set_blocking(self._wake_write, False)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                signal.signal(number, self._signalled)
        self._thread.start()

    def tell(self, leave: Callable[[], object], is_busy: Callable[[], bool], ask: Callable[[], object]) -> None:
        """Who is asked to leave, from the watching thread: `leave` must be safe to call there and must not wait.
        `is_busy` says whether a change is being applied, `ask` asks the terminal for an answer that comes back through
        `answered`, and must not wait either."""
        self._leave, self._is_busy, self._ask = leave, is_busy, ask
        if self.because:
            leave()

    def answered(self) -> None:
        """The terminal has answered. From any thread."""
        self._answered.set()

    def terminal_failed(self) -> None:
        """A read or write of the terminal failed. From any thread."""
        self.gone = True
        self._wake("the terminal is gone")

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._wake(signal.Signals(number).name)

    def _wake(self, because: str) -> None:
        self.because = self.because or because
        with contextlib.suppress(OSError):  # a full pipe has woken it already
            os.write(self._wake_write, b"!")

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        poll = select.poll()
        for fd in self._fds:
            poll.register(fd, 0)  # POLLHUP and POLLERR are always told
        poll.register(self._wake_read, select.POLLIN)
        while not self.because:
            told = poll.poll(LOOK_SECONDS * 1000)
            hung_up = any(fd in self._fds for fd, _ in told) or not all(map(_is_there, self._fds))
            if hung_up or self._has_nobody_behind():
                self.terminal_failed()
        with contextlib.suppress(Exception):  # a loop that is closed already is what was asked for
            self._leave()
        self._end_by(LEAVE_SECONDS)

    def _has_nobody_behind(self) -> bool:
        """Whether the program that keeps our terminal (`script`) lives on after its own was hung up: then ours is no
        terminal to anybody, and it does not answer. One that answers is asked no more (a window that was opened from a
        terminal that has been closed since)."""
        if self._ask is None or self._is_trusted or not _lost_its_terminal(self._owner):
            return False
        self._answered.clear()
        self._ask()
        self._is_trusted = self._answered.wait(ANSWER_SECONDS)
        return not self._is_trusted

    def _end_by(self, seconds: float) -> None:
        """Let the program end by itself; end it where it does not."""
        begun = time.monotonic()
        while time.monotonic() - begun < (STEP_SECONDS if self._is_busy() else seconds):
            time.sleep(0.05)
        if not self.gone:
            self._restore()
        os._exit(1)

    def _restore(self) -> None:
        """The terminal as it was, as far as it takes anything."""
        poll = select.poll()
        for fd, attributes in zip(self._fds, self._attributes, strict=True):
            with contextlib.suppress(OSError, termios.error):
                if attributes is not None:
                    termios.tcsetattr(fd, termios.TCSANOW, attributes)
            poll.register(fd, select.POLLOUT)
        ready = [fd for fd, event in poll.poll(0) if event & select.POLLOUT]
        for fd in ready[:1]:
            with contextlib.suppress(OSError):
                os.set_blocking(fd, False)
                os.write(fd, RESTORE)
                os.set_blocking(fd, True)


def _is_there(fd: int) -> bool:
    """Whether a terminal still answers. Systems whose poll does not tell of a hang-up say it here."""
    try:
        termios.tcgetattr(fd)
    except (OSError, termios.error):
        return False
    return True


def _owner_of_terminal() -> int | None:
    """The process that most likely keeps the other end of our terminal: the parent of our session's leader."""
    try:
        leader = os.getsid(0)
        return int(Path(f"/proc/{leader}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _lost_its_terminal(process: int | None) -> bool:
    """Whether the terminal that a process reads from was hung up; False where that cannot be known."""
    if process is None:
        return False
    try:
        name = str(Path(f"/proc/{process}/fd/0").readlink())
    except OSError:
        return False
    return name.startswith("/dev/pts/") and name.endswith(" (deleted)")


def _attributes(fds: list[int]) -> list[list[Any] | None]:
    attributes: list[list[Any] | None] = []
    for fd in fds:
        try:
            attributes.append(termios.tcgetattr(fd))
        except (OSError, termios.error):
            attributes.append(None)
    return attributes
