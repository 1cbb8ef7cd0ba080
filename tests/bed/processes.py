"""Starting processes so that they can be ended later, exactly these and no others.

Every process is written to `DIR/processes.jsonl` as soon as it runs, with the kernel's start time: a process is only
ever ended when pid and start time both match, so a pid that was given to somebody else in the meantime is safe.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bed.errors import BedError

MARK = "TRAFFICDECK_BED"
"""In the environment of every process of a bed: the folder of that bed."""


_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Process:
    """One started process; `start_ticks` is field 22 of /proc/PID/stat."""

    name: str
    pid: int
    start_ticks: int

    @property
    def alive(self) -> bool:
        """True while this very process runs (a zombie counts as ended)."""
        return start_ticks(self.pid) == self.start_ticks and state_of(self.pid) != "Z"


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def start_ticks(pid: int) -> int | None:
    """When the kernel started `pid`, in clock ticks since boot; None when there is no such process."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def state_of(pid: int) -> str:
    """The kernel's state letter (`S`, `R`, `Z`, …); empty when there is no such process."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def children_of(pid: int) -> list[int]:
    """Direct children of `pid`, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be reaped by us (`reap`)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap() -> None:
    """Take note of every child that has ended, so that none stays as a zombie."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def name_of(pid: int) -> str:
    """The short command name of `pid`, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Ledger:
    """The processes of one bed, kept in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "processes.jsonl"

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `argv` in a session of its own, its output in `DIR/logs/NAME.log`, and record it."""
        log = self.folder / "logs" / f"{name.replace('/', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=cwd,
                env={**os.environ, **(env or {}), MARK: str(self.folder)},
            )
        self.record(name, child.pid)
        return child

    def record(self, name: str, pid: int) -> Process:
        """Remember a running process under `name`."""
        ticks = start_ticks(pid)
        if ticks is None:
            raise BedError(f"{name} ended at once; see {self.folder}/logs")
        process = Process(name, pid, ticks)
        with self.path.open("a") as out:
            out.write(json.dumps(asdict(process)) + "\n")
        return process

    def all(self) -> list[Process]:
        """Everything that was started, in order, alive or not. A line cut short by a crash is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            with contextlib.suppress(ValueError, TypeError):
                found.append(Process(**json.loads(line)))
        return found

    def end_all(self, *, spare: int | None = None, seconds: float = 15.0) -> list[Process]:
        """Kill what is alive, newest first, but not `spare`; return what is still there after `seconds`.

        SIGKILL at once: an apiserver takes a minute over SIGTERM, and nothing here holds state worth saving.
        """
        ours = [process for process in reversed(self.all()) if process.pid != spare]
        for process in ours:
            if process.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(process.alive for process in ours):
            time.sleep(0.02)
        if spare == os.getpid():
            reap()
        return [process for process in ours if process.alive]
