"""A terminal of a known size that a test types into and reads, as a person would."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from uuid import uuid4

APPEARS_SECONDS = 60.0
GUARD_SECONDS = 0.5
"""A little longer than the plan sheet ignores confirmations."""
PASSED_ON = ("TRAFFICDECK_STATE_DIR", "PATH", "HOME", "EDITOR", "XDG_CONFIG_HOME")


class Tmux:
    """A tmux server of its own with one window, and the keys that were sent to it."""

    def __init__(
        self, folder: Path, command: list[str], environment: dict[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self.socket = folder / f"tmux-{uuid4().hex[:8]}"
        self.keys = 0
        words = [f"{name}={value}" for name, value in environment.items() if name in PASSED_ON]
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "env", *words, *command)

    def _tmux(self, *words: str) -> str:
        argv = ["tmux", "-S", str(self.socket), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout

    def type(self, *keys: str) -> None:
        """Press keys one after the other, as slowly as a fast typist; a word is its letters."""
        for word in keys:
            for key in word:
                self._tmux("send-keys", *(["Enter"] if key == "\n" else ["-l", key]))
                self.keys += 1
                time.sleep(0.04)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def until(self, pattern: str, seconds: float = APPEARS_SECONDS) -> str:
        """Wait until `pattern` is on the screen; the screen."""
        end = time.monotonic() + seconds
        while not re.search(pattern, text := self.screen()):
            assert time.monotonic() < end, f"{pattern!r} did not appear:\n{text}"
            time.sleep(0.1)
        return text

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, timeout=10, check=False)
