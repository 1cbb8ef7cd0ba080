"""`--progress json|gate`: what was reached, told on stderr as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable

from control.contract.plans import progress_document
from control.planning.plan import Progress
from control.serialiser import to_json


def progress(mode: str | None) -> Callable[[Progress], Awaitable[None]] | None:
    """One JSON line per stage; `gate` also waits for a newline on stdin before it goes on."""
    if mode is None:
        return None

    stdin = _Stdin()

    async def told(reached: Progress) -> None:
        sys.stderr.write(json.dumps(to_json(progress_document(reached))) + "\n")
        sys.stderr.flush()
        if mode == "gate":
            # A closed stdin opens the gate: whoever watched is gone.
            await stdin.line()

    return told


class _Stdin:
    """Lines of stdin as signs to go on. Its thread is never waited for: who stops at a gate ends without a line."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    async def line(self) -> None:
        """Wait for one line, or the end of stdin."""
        if self._next is None or self._next.done():
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            threading.Thread(target=_read_line, args=(loop, self._next), name="gate", daemon=True).start()
        await asyncio.shield(self._next)


def _read_line(loop: asyncio.AbstractEventLoop, came: asyncio.Future[None]) -> None:
    # Byte by byte and past the buffer: what follows the line is for the next gate, and a buffer that a thread of ours
    # still waits in could not be closed when the program ends.
    with contextlib.suppress(OSError, ValueError):
        while sys.stdin is not None and os.read(sys.stdin.fileno(), 1) not in (b"\n", b""):
            pass
    with contextlib.suppress(RuntimeError):  # the program has ended meanwhile
        loop.call_soon_threadsafe(_set, came)


def _set(came: asyncio.Future[None]) -> None:
    if not came.done():
        came.set_result(None)
