"""A token bucket for our own calls, so that the deck leaves room for others in a shared quota."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """At most `rate` calls a second over time, `burst` at once from idle. Single event loop, no lock needed."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._free_at = 0.0

    async def wait(self) -> None:
        """Return when the next call may be made; callers are served in the order in which they came."""
        now = time.monotonic()
        earliest = now - self._burst / self._rate
        self._free_at = max(self._free_at, earliest) + 1 / self._rate
        delay = self._free_at - now
        if delay > 0:
            await asyncio.sleep(delay)
