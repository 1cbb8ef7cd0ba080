"""Proof of effect: accepted (reading back shows it), loaded (the data plane uses it), observed (traffic behaves so)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction

from control.asking import READ_SECONDS, ask
from control.edit import Change
from control.errors import ControlError, NotFound, Unreachable
from control.fields import classify, rows_of
from control.measuring import observed
from control.model import Counted
from control.ports import Found, Prepared, ProofPart, ProofState, Reader
from control.ref import Ref

READ_BACK_SECONDS = 20.0
"""How long reading back is tried where the platform does not answer."""
SETTLE_SECONDS = 2.0
"""How long a write that was accepted may take until reading back shows it."""
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
        snapshot = await ask(reader.read_object(object), READ_SECONDS, f"reading {object}")
    except NotFound:
        return Found.OTHER
    return classify(changes, rows_of(snapshot))


async def read_back(reader: Reader, object: str, changes: Sequence[Change], *, accepted: bool) -> Found:
    """What is true after a write: looks again while the platform does not answer, or lags behind what it accepted."""
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


async def _loaded_once(reader: Reader, step: Prepared, seconds: float) -> ProofPart:
    try:
        return await ask(reader.loaded(step), seconds, f"asking whether {step.object} is loaded")
    except Unreachable as error:
        return ProofPart(ProofState.PENDING, error.message)
    except ControlError as error:
        return ProofPart(ProofState.UNKNOWN, error.message)


# --- observed ---------------------------------------------------------------------------------------------------------


def measured_refs(step: Prepared) -> tuple[Ref, ...]:
    """The routes of a step whose split can be counted."""
    routes = {route.ref for route in step.routes_after}
    return tuple(dict.fromkeys(change.ref for change in step.changes if change.ref in routes))


async def count(reader: Reader, refs: Sequence[Ref], seconds: float) -> dict[Ref, Counted]:
    """The counters of these routes; those that cannot be counted (now) are absent."""
    if not refs:
        return {}
    try:
        samples = await ask(reader.count(refs), seconds, "counting requests")
    except ControlError:
        return {}
    return {sample.ref: sample for sample in samples if sample.ref in refs}


def judge_counts(step: Prepared, before: Mapping[Ref, Counted], after: Mapping[Ref, Counted]) -> ProofPart:
    """Do the measured splits of a step's routes agree with the intended ones? The least favourable answer of all."""
    parts: list[ProofPart] = []
    intended = {route.ref: route for route in step.routes_after}
    for ref in measured_refs(step):
        shares = {t.name: t.share for t in intended[ref].targets}
        known: dict[str, Fraction] = {name: share for name, share in shares.items() if share is not None}
        if ref not in before or ref not in after:
            parts.append(ProofPart(ProofState.UNKNOWN, f"the requests of {ref} cannot be counted"))
        elif len(known) < len(shares):
            parts.append(ProofPart(ProofState.UNKNOWN, f"the intended split of {ref} is not known"))
        else:
            parts.append(observed(before[ref], after[ref], known))
    if not parts:
        return ProofPart(ProofState.UNKNOWN, "what a limit lets through is not counted")
    order = (ProofState.NO, ProofState.UNKNOWN, ProofState.WAITING_FOR_TRAFFIC, ProofState.PENDING, ProofState.YES)
    return min(parts, key=lambda part: order.index(part.state))


async def observe(
    reader: Reader, step: Prepared, baseline: Mapping[Ref, Counted], wait: bool, seconds: float, stop: asyncio.Event
) -> ProofPart:
    """Look at the counters once, or (with `wait`) until they say yes or no, counting from when it was loaded."""
    refs = measured_refs(step)
    started = time.monotonic()
    latest = await count(reader, refs, COUNT_SECONDS if wait else LOOK_SECONDS)
    if not wait:
        return judge_counts(step, baseline, latest)
    baseline, part, interval, against = latest, judge_counts(step, latest, latest), 0.5, 0
    disagreed: ProofPart | None = None
    if not refs or not baseline:
        return part
    while time.monotonic() - started + interval <= seconds and not stop.is_set():
        await pause(interval, stop)
        latest = await count(reader, refs, COUNT_SECONDS)
        part = judge_counts(step, baseline, latest)
        if part.state is ProofState.NO:
            # Requests that began before the change end after it: count anew before believing it.
            baseline, against, disagreed = latest, against + 1, part
        if part.state is ProofState.YES or against == LOOKS_AGAINST:
            break
        interval = min(interval * 1.3, 5.0)
    if part.state is ProofState.WAITING_FOR_TRAFFIC and disagreed is not None:
        part = disagreed
    return ProofPart(part.state, part.detail, time.monotonic() - started)
