"""Asking adapters: every wait bounded, every failure a `ControlError`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from control.background import in_background
from control.errors import ControlError, PlatformError, Unreachable
from control.planning.edit import Change
from control.ports import Fetched, LogsIn, Prepared, Reader
from control.text import clean

T = TypeVar("T")

READ_SECONDS = 20.0
"""How long one read of one object may take, whatever the adapter's own deadline is."""
ENVIRONMENT_SECONDS = 15.0
"""How long one environment may take to be read whole."""
PLAN_SECONDS = 60.0
"""How long one environment may take to read the objects of a plan, or to make its steps ready: an edit of forty hosts
reads forty hosts."""
LOGIN_SECONDS = 70.0
"""How long getting an identity may take before something is read with it."""
WRITE_SECONDS = 90.0
"""How long one guarded write with its reload may take."""


async def ask(answer: Awaitable[T], seconds: float, what: str) -> T:
    """Wait for an adapter's answer. No answer in time is `Unreachable`; anything unexpected is a `PlatformError`."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise Unreachable(f"{what}: no answer within {seconds:g} s") from None
    except ControlError:
        raise
    except Exception as error:
        raise PlatformError(f"{what}: {clean(str(error) or type(error).__name__, 500)}") from error


async def fetch_one(reader: Reader, object: str) -> Fetched:
    """One native object, read anew."""
    (fetched,) = await ask(reader.fetch([object]), READ_SECONDS, f"reading {object}")
    return fetched


async def prepare(reader: Reader, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
    """The changes as steps on what was fetched, made off the event loop."""
    return await ask(in_background(reader.prepare, fetched, changes), PLAN_SECONDS, f"planning in {reader.name}")


async def logged_in(reader: Reader) -> Reader:
    """The reader, its identity at hand where getting one may take long."""
    if isinstance(reader, LogsIn):
        await ask(reader.log_in(), LOGIN_SECONDS, f"logging in to {reader.name}")
    return reader


async def surely(stop: asyncio.Event, call: Callable[..., T], *arguments: object) -> T:
    """Call in a worker thread and wait for its end, whoever cancels us meanwhile: that sets `stop` instead."""
    future = asyncio.get_running_loop().run_in_executor(None, lambda: call(*arguments))
    while True:
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future.cancelled():
                raise
            stop.set()


async def finish(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T:
    """Run work that stops where it can once `stop` is set, to its end. Being cancelled sets `stop`; it is passed on
    when the work is done."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
            stop.set()
    if cancelled:
        if not task.cancelled():
            task.exception()
        raise asyncio.CancelledError
    return task.result()
