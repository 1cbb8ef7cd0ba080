"""When Python's cyclic collector may stop everything.

A whole collection looks at every object there is: with a large fleet that is a tenth of a second, and it comes while
somebody types. Rows and inventories are no cycles and go without it, so it waits until nobody has pressed a key for a
while.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

QUIET_SECONDS = 20.0
"""So long without a key before a collection."""
EVERY_SECONDS = 300.0
AT_LEAST_SECONDS = 3600.0
"""It comes at the latest after this, keys or not: memory must not grow over a night of typing."""
_YOUNG, _MIDDLE, _NEVER = 1_000, 5, 1_000_000


class Collecting:
    """Use `start` once everything is imported, `key` at each key, `tick` from a timer, `stop` at the end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: tuple[int, int, int] | None = None
        self._key = self._last = clock()

    def start(self) -> None:
        """Leave what was imported out of every collection, and collect whole generations only in `tick`."""
        self._before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)
        gc.enable()

    def key(self) -> None:
        self._key = self._clock()

    def tick(self) -> bool:
        """Collect where it is time and nobody types. Returns whether it did."""
        now = self._clock()
        due, quiet = now - self._last > EVERY_SECONDS, now - self._key > QUIET_SECONDS
        if self._before is None or not ((due and quiet) or now - self._last > AT_LEAST_SECONDS):
            return False
        gc.collect()
        self._last = self._clock()
        return True

    def stop(self) -> None:
        if self._before is not None:
            gc.set_threshold(*self._before)
            gc.unfreeze()
            self._before = None
