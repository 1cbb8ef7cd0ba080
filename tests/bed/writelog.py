"""The shape of every write log: JSON lines `{at, by, verb, object}`, one per write, as it happened at the server."""

from __future__ import annotations

import json
import time
from pathlib import Path


class WriteLog:
    """Appends lines; each is on disk when `add` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", buffering=1)

    def add(self, by: str, verb: str, object: str, at: float | None = None) -> None:
        """`at` is Unix time, now if it is not given; `by` the identity at the server, `unknown` where it has none."""
        line = {"at": time.time() if at is None else at, "by": by, "verb": verb, "object": object}
        self._file.write(json.dumps(line) + "\n")
