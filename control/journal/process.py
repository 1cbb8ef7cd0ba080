"""Which process began a change, and whether it still lives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def lives(process: Mapping[str, Any]) -> bool:
    """Whether the process with this identity still runs, as far as this machine can tell."""
    if process.get("boot_id") != _read("/proc/sys/kernel/random/boot_id"):
        return False
    pid = process.get("pid")
    return isinstance(pid, int) and _start_ticks(str(pid)) == process.get("started")


def process_identity() -> dict[str, Any]:
    """Who we are among all processes of all boots: pid, start time in clock ticks since boot, boot id."""
    return {"pid": os.getpid(), "started": _start_ticks(), "boot_id": _read("/proc/sys/kernel/random/boot_id")}


def _start_ticks(pid: str = "self") -> int | None:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
