"""Proof of effect: accepted (reading back shows it), loaded (the data plane uses it), observed (traffic behaves so)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from control.calls import READ_SECONDS, ask, fetch_one
from control.errors import ControlError, NotFound, Unreachable
from control.planning.edit import Change
from control.planning.fields import classify, rows_of
from control.ports import Fetched, Found, Prepared, ProofPart, ProofState, Reader

READ_BACK_SECONDS = 20.0
"""How long reading back is tried where the platform does not answer."""
SETTLE_SECONDS = 2.0
"""How long a write that was accepted may take until reading back shows it."""
RUNNING_SECONDS = 6.0
"""How long a data plane is given to show that it runs what its object holds, where nobody waits for a write."""
OBSERVE_SECONDS = 120.0
"""How long traffic is watched by default where the caller waits for `observed`."""
COUNT_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How long one look at the counters may take where the caller does not wait for traffic."""
LOOKS_AGAINST = 3
"""So many windows one after the other must disagree before the answer is no: the first ones hold old requests."""

UNKNOWN = ProofPart(ProofState.UNKNOWN)


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, or less where somebody wants the work to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def look(reader: Reader, object: str, changes: Sequence[Change]) -> Found:
    """One look at what is true of a step. Raises `Unreachable` and the like."""
    try:
        fetched = await fetch_one(reader, object)
    except NotFound:
        return Found.OTHER
    return classify(changes, rows_of(fetched))


async def read_back(
    reader: Reader, object: str, changes: Sequence[Change], *, accepted: bool, after: Fetched | None = None
) -> Found:
    """What is true after a write: what the answer to it says (`after`) where that shows it, else what is read. Looks
    again while the platform does not answer, or lags behind what it accepted."""
    if after is not None and classify(changes, rows_of(after)) is Found.AFTER:
        return Found.AFTER
    started = time.monotonic()
    wait = 0.05
    while True:
        try:
            found = await look(reader, object, changes)
        except ControlError:
            found = Found.UNREACHABLE
        spent = time.monotonic() - started
        if found is Found.UNREACHABLE:
            if spent + wait > READ_BACK_SECONDS:
                return found
        elif found is not Found.BEFORE or not accepted or spent + wait > SETTLE_SECONDS:
            return found
        await asyncio.sleep(wait)
        wait = min(wait * 2, 2.0)


async def wait_loaded(reader: Reader, step: Prepared, timeout_seconds: float | None, stop: asyncio.Event) -> ProofPart:
    """Ask until the data plane says yes or no, at growing intervals, up to the step's deadline or the caller's."""
    started = time.monotonic()
    deadline = step.deadline_seconds if timeout_seconds is None else timeout_seconds
    wait = 0.03
    while True:
        part = await _loaded_once(reader, step, max(deadline - (time.monotonic() - started), 1.0))
        spent = time.monotonic() - started
        if part.state is not ProofState.PENDING:
            return ProofPart(part.state, part.detail, part.seconds if part.seconds is not None else spent)
        if spent + wait > deadline or stop.is_set():
            return ProofPart(ProofState.PENDING, part.detail or f"not yet after {spent:.1f} s", spent)
        await pause(wait, stop)
        wait = min(wait * 1.3, 0.5 if spent < 10 else 2.0)


async def running(reader: Reader, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
    """One look at whether the data plane runs what an object holds; see `control.ports.Reader.running`."""
    try:
        return _of_data_plane(
            await ask(reader.running(object, changes, recorded), READ_SECONDS, f"asking what {object} runs")
        )
    except ControlError as error:
        return ProofPart(ProofState.UNKNOWN, error.message)


async def wait_running(
    reader: Reader, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]
) -> ProofPart:
    """The same, asked again for a while as long as the answer is that it is not yet so."""
    started, wait = time.monotonic(), 0.05
    while True:
        part = await running(reader, object, changes, recorded)
        if part.state is not ProofState.PENDING or time.monotonic() - started + wait > RUNNING_SECONDS:
            return part
        await asyncio.sleep(wait)
        wait = min(wait * 1.5, 1.0)


async def _loaded_once(reader: Reader, step: Prepared, seconds: float) -> ProofPart:
    try:
        return _of_data_plane(await ask(reader.loaded(step), seconds, f"asking whether {step.object} is loaded"))
    except Unreachable as error:
        return ProofPart(ProofState.PENDING, error.message)
    except ControlError as error:
        return ProofPart(ProofState.UNKNOWN, error.message)


def _of_data_plane(part: ProofPart) -> ProofPart:
    """What is known of the data plane itself: a condition alone is a controller's word, and no yes."""
    if not part.by_condition or part.state is not ProofState.YES:
        return part
    return ProofPart(ProofState.UNKNOWN, f"only a condition says so: {part.detail}", part.seconds)
