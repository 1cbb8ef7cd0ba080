"""A terminal that goes away ends the program, by whatever road it was started; a stop and a return paint it whole."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import shutil
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.tmux import Tmux

pytestmark = pytest.mark.pty
ROOT = Path(__file__).parents[2]
ENDS_SECONDS = 15.0
"""Two are promised; a busy machine may need more, and a program that is stuck needs for ever."""


def programs_with(mark: bytes) -> list[int]:
    """The processes of the deck itself that carry a mark, not those of what stands between."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            ours = mark in (entry / "environ").read_bytes().split(b"\0")
            alive = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            continue
        if ours and alive and b"tui" in words and words[0].endswith((b"python", b"python3", b"trafficdeck")):
            found.append(int(entry.name))
    return found


def mark_of(folder: Path) -> bytes:
    return f"TRAFFICDECK_STATE_DIR={folder / 'state'}".encode()


class Road:
    """A program on a pty of its own, started through whatever stands between; everything of it carries a mark."""

    def __init__(self, folder: Path, argv: list[str]) -> None:
        self.mark = mark_of(folder)
        pid, self.master = pty.fork()
        if pid == 0:
            name, value = self.mark.decode().split("=", 1)
            environment = {**os.environ, name: value, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.chdir(folder)
            os.execvpe(argv[0], argv, environment)
        self.pid = pid
        self.seen = b""

    def read_until(self, words: bytes, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < end, self.seen[-800:]
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)

    def programs(self) -> list[int]:
        return programs_with(self.mark)

    def hang_up(self) -> None:
        os.close(self.master)

    def end(self) -> None:
        for number in (*self.programs(), self.pid):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        os.waitpid(self.pid, 0)


DECK = [sys.executable, "-m", "tui", "demo"]
WORDS = shlex.join(DECK)
ROADS = {
    "alone": DECK,
    "a shell that outlives the hang-up": ["sh", "-c", f"trap '' HUP; {WORDS}; exec sleep 3"],
    "make": ["make", "-s", "demo"],
    "script": ["script", "-qec", WORDS, "/dev/null"],
    "sudo": ["sudo", "-n", "-E", *DECK],
    "a session of its own": ["setsid", "-w", *DECK],
}


@pytest.mark.parametrize("road", ROADS)
def test_a_terminal_that_goes_away_ends_the_program(road: str, tmp_path: Path) -> None:
    argv = ROADS[road]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"there is no {argv[0]} here")
    (tmp_path / "Makefile").write_text(f"demo:\n\t@{WORDS}\n")
    started = Road(tmp_path, argv)
    try:
        started.read_until(b"llama")
        assert started.programs()
        started.hang_up()
        end = time.monotonic() + ENDS_SECONDS
        while started.programs():
            assert time.monotonic() < end, f"still there: {started.programs()}"
            time.sleep(0.05)
    finally:
        started.end()


def test_one_that_takes_no_output_any_more_hears_a_signal(tmp_path: Path) -> None:
    started = Road(tmp_path, DECK)
    try:
        started.read_until(b"llama")
        for _ in range(400):  # resizes paint whole screens, and nobody reads them
            fcntl.ioctl(started.master, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
            fcntl.ioctl(started.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            time.sleep(0.005)
        (program,) = started.programs()
        os.kill(program, signal.SIGTERM)
        end = time.monotonic() + ENDS_SECONDS
        while started.programs():
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        started.end()


@pytest.mark.parametrize("stop", ["ctrl+z", "SIGSTOP"])
def test_the_whole_screen_is_painted_after_a_stop(stop: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TRAFFICDECK_STATE_DIR": str(tmp_path / "state"), "PATH": os.environ["PATH"]}
    tmux = Tmux(tmp_path, ["bash", "--norc", "-m"], environment)
    try:
        tmux.until("[$#]")
        tmux._tmux("send-keys", f"cd {ROOT} && clear; {WORDS}", "Enter")
        tmux.until("enter open")
        tmux.until("llama")
        if stop == "ctrl+z":
            tmux._tmux("send-keys", "C-z")
        else:
            (program,) = programs_with(mark_of(tmp_path))
            os.kill(program, signal.SIGSTOP)
        tmux.until("Stopped")
        tmux._tmux("send-keys", "clear; seq 100; fg", "Enter")
        after = tmux.until("2 Limits").splitlines()
        deadline = time.monotonic() + 20
        while not _is_whole(after):
            assert time.monotonic() < deadline, "\n".join(after)
            time.sleep(0.2)
            after = tmux.screen().splitlines()
        tmux.type("2")
        tmux.until("CALLER GETS")
    finally:
        for program in programs_with(mark_of(tmp_path)):
            os.kill(program, signal.SIGKILL)
        tmux.close()


def _is_whole(screen: list[str]) -> bool:
    """Head, tabs, titles and foot are there, and nothing of what somebody else printed meanwhile."""
    text = "\n".join(screen)
    return all(words in text for words in ("DISARMED", "2 Limits", "ROUTE ", "enter open")) and not any(
        line.strip().isdigit() for line in screen
    )
