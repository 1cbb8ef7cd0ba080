"""A command that waits at every gate (`--progress gate`)."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from typing import Any

SECONDS = 60.0


class Gated:
    """Reads the stages from stderr; `go` lets the command go on by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with contextlib.suppress(OSError, ValueError):  # somebody closed it under us
            for line in self.process.stderr:
                self._lines.put(line)
        self._lines.put(None)

    def stage(self) -> dict[str, Any] | None:
        """The next stage; None when the command has ended. Messages in between are kept in `said`."""
        while (line := self._lines.get(timeout=SECONDS)) is not None:
            try:
                found = json.loads(line)
            except ValueError:
                found = None
            if isinstance(found, dict) and "stage" in found:
                return found
            self.said.append(line)
        return None

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def finish(self) -> tuple[int, str]:
        """Through all gates to the end: (exit code, stdout)."""
        while self.stage() is not None:
            self.go()
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        return self.process.wait(SECONDS), out

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
