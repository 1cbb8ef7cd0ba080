"""`--progress json|gate`: what was reached, told on stderr as it happens."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from control.plan import Progress
from control.planshapes import progress_to_json


def progress(mode: str | None) -> Callable[[Progress], Awaitable[None]] | None:
    """One JSON line per stage; `gate` also waits for a newline on stdin before it goes on."""
    if mode is None:
        return None

    async def told(reached: Progress) -> None:
        sys.stderr.write(json.dumps(progress_to_json(reached)) + "\n")
        sys.stderr.flush()
        if mode == "gate":
            # A closed stdin opens the gate: whoever watched is gone.
            await asyncio.to_thread(sys.stdin.readline)

    return told
