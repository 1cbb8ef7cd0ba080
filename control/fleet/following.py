"""Following all environments at once: what changed is read anew, counters are sampled, nobody waits for the slow."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from control.calls import ENVIRONMENT_SECONDS
from control.errors import ControlError
from control.fleet.store import FleetStore
from control.fleet.views import Inventory
from control.ports import EVERYTHING, Delta, Reader

SETTLE_SECONDS = 0.05
"""Changes that come closer together than this are shown as one."""
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)
REREAD_SECONDS = 120.0
"""Everything is read anew at least so often, for what no watch tells."""
SAVE_SECONDS = 300.0
"""How often what is read is kept for the next session."""
SHOW_MEASURED_SECONDS = 2.0
UNMEASURED_SECONDS = 2.0
"""Until the next look where counters could not be asked."""


async def watch(store: FleetStore) -> AsyncIterator[Inventory]:
    """Yield the inventory after every change of it, until closed."""
    changed = asyncio.Event()
    if await store.load_cached():
        yield await store.rebuild()
    tasks = []
    for name in store.readers:
        first = asyncio.Event()
        tasks.append(asyncio.ensure_future(_follow(store, name, changed, first)))
        tasks.append(asyncio.ensure_future(_measure(store, name, first)))
    tasks.append(asyncio.ensure_future(_show_time(changed)))
    try:
        while True:
            await changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            changed.clear()
            started = time.monotonic()
            yield await store.rebuild()
            # A big fleet in motion must not spend all its time on showing it.
            await asyncio.sleep(min(4 * (time.monotonic() - started), 1.0))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(store: FleetStore, name: str, changed: asyncio.Event, first: asyncio.Event) -> None:
    """Read one environment, then again each time its reader says that something may have changed.

    `first` is set after the first read: watching and counting read for themselves where nothing was read before, and
    would do the same work beside it.
    """
    failures, saved = 0, float("-inf")
    touched = _Touched()
    watcher: asyncio.Future[None] | None = None
    try:
        while True:
            since = touched.take()
            failed = await store.read(name, ENVIRONMENT_SECONDS, since=since)
            if failed is not None:
                touched.add(EVERYTHING)
            changed.set()
            first.set()
            watcher = watcher or asyncio.ensure_future(_pump(store.readers[name], touched))
            failures = failures + 1 if failed is not None else 0
            if failures:
                await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1])
                continue
            if time.monotonic() - saved > SAVE_SECONDS:
                await store.save_cached(name)
                saved = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REREAD_SECONDS):
                    await touched.wait()
                    continue
            touched.add(EVERYTHING)
    finally:
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)


class _Touched:
    """What moved since it was last taken; at first anything may have."""

    def __init__(self) -> None:
        self._delta = EVERYTHING
        self._event = asyncio.Event()

    def add(self, delta: Delta) -> None:
        """Something moved."""
        self._delta = self._delta.and_then(delta)
        self._event.set()

    def take(self) -> Delta:
        """All of it, once."""
        taken, self._delta = self._delta, Delta()
        self._event.clear()
        return taken

    async def wait(self) -> None:
        """Until something has moved."""
        await self._event.wait()


async def _pump(reader: Reader, touched: _Touched) -> None:
    """Gather what a reader's watch tells. A watch that breaks is begun again, and then anything may have changed."""
    failures = 0
    while True:
        try:
            async for delta in reader.watch():
                failures = 0
                touched.add(delta)
        except ControlError:
            pass
        except Exception:  # noqa: S110 - an adapter's fault costs its own freshness only; the next read tells it
            pass
        await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
        failures += 1
        touched.add(EVERYTHING)


async def _show_time(changed: asyncio.Event) -> None:
    """Show the counters of all environments together, and how old everything is, at one pace."""
    while True:
        await asyncio.sleep(SHOW_MEASURED_SECONDS)
        changed.set()


async def _measure(store: FleetStore, name: str, first: asyncio.Event) -> None:
    await first.wait()
    while True:
        if await store.count(name):
            await asyncio.sleep(store.deck.section(name).measure_seconds)
        else:
            await asyncio.sleep(UNMEASURED_SECONDS)
