"""Telling a listener how far a change is, without being at its mercy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from control.planning.plan import Plan, Progress

ProgressCall = Callable[[Progress], Awaitable[None]]

LISTENER_SECONDS = 1.0
"""How long a listener that is told to stop may take to do so."""


class Telling:
    """Reports the stages of one plan."""

    def __init__(self, plan: Plan, listener: ProgressCall | None, stop: asyncio.Event) -> None:
        self._plan = plan
        self._listener = listener
        self._stop = stop

    async def __call__(self, stage: str, number: int) -> None:
        """Report a stage and wait for the listener, unless the work is to stop. A broken listener breaks nothing."""
        if self._listener is None:
            return
        try:
            listening = self._listener(Progress(stage, number, self._plan.steps[number].object, time.time()))
            told = asyncio.ensure_future(listening)
        except Exception:
            return
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({told, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            told.cancel()
        await asyncio.wait({told}, timeout=LISTENER_SECONDS)
        if told.done() and not told.cancelled():
            told.exception()
