"""Observed goes on after a change was applied: the counters are asked on, until they say yes or no, or nobody can tell.

`control.applying.observing` asks while the change is being applied. What it could not say by then comes here, with what
was counted so far and when it will be known if the traffic goes on as it does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from control.applying.observing import (
    COUNT_SECONDS,
    LOOKS_AGAINST,
    Admitted,
    Question,
    Samples,
    Split,
    count,
    judge,
    refs_of,
)
from control.calls import fetch_one
from control.deck.sections import DeckSection
from control.errors import ControlError
from control.fleet.measuring import known_in
from control.model import Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.planning.fields import rows_of
from control.ports import ProofPart, ProofState, Reader
from control.structs import replace

LONGEST_SECONDS = 900.0
"""After so long it is said that it could not be known."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
OPEN = frozenset({ProofState.WAITING_FOR_TRAFFIC, ProofState.PENDING, ProofState.UNKNOWN, ProofState.NO})
"""Answers that counting on may still change: a single look after a write has requests of before among its own."""


async def questions_after(
    reader: Reader, object: str, changes: Sequence[Change], limits: Mapping[Ref, Limit], section: DeckSection
) -> list[Question]:
    """What is asked about an object that was changed so, as it stands now. `limits` are the rows of the inventory,
    which know where each holds. Raises `ControlError` where the object cannot be read."""
    rows = rows_of(await fetch_one(reader, object))
    asked: list[Question] = []
    for ref in dict.fromkeys(change.ref for change in changes):
        row, own = rows.get(ref), [change for change in changes if change.ref == ref]
        if isinstance(row, Route):
            asked.append(Split(ref, {target.name: target.share for target in row.targets}))
        elif isinstance(row, Limit):
            known = limits.get(ref) or limits.get(ref.on("*")) or row
            now = replace(row, bindings=row.bindings or known.bindings)
            asked.append(Admitted(now, _as_before(now, own), section.limits_may_be_bypassed))
    return asked


def _as_before(limit: Limit, changes: Sequence[Change]) -> Limit:
    """A limit as it stood before these changes of it."""
    before: dict[str, Any] = {split_field(change.field)[1]: change.before for change in changes}
    window = limit.window
    if window is not None and before.get("window") is not None:
        window = replace(window, seconds=before["window"])
    amount = before.get("amount", limit.amount)
    return replace(limit, amount=limit.amount if amount is None else amount, window=window)


async def go_on(reader: Reader, asked: Sequence[Question]) -> AsyncIterator[ProofPart]:
    """What is known after each look, counted from the first one; the last one is what it came to."""
    refs, started = refs_of(asked), time.monotonic()
    baseline = latest = await count(reader, refs, COUNT_SECONDS)
    hopeless = [why for one in asked if (why := one.hopeless(latest))]
    if hopeless or not asked:
        yield ProofPart(ProofState.UNKNOWN, hopeless[0] if hopeless else "nothing of it is counted")
        return
    pause, against = FIRST_PAUSE, 0
    while (spent := time.monotonic() - started) < LONGEST_SECONDS:
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE)
        latest = await count(reader, refs, COUNT_SECONDS)
        part = judge(asked, baseline, latest)
        spent = time.monotonic() - started
        if part.state is ProofState.YES:
            yield replace(part, seconds=spent)
            return
        if part.state is ProofState.NO:
            # Requests that began before the change end after it: count anew before believing it.
            baseline, against = latest, against + 1
            if against == LOOKS_AGAINST:
                yield replace(part, seconds=spent)
                return
        yield ProofPart(ProofState.WAITING_FOR_TRAFFIC, f"{part.detail}; {_when(refs, baseline, latest)}")
    yield ProofPart(ProofState.UNKNOWN, f"too little traffic in {spent / 60:.0f} minutes", spent)


def _when(refs: Sequence[Ref], before: Samples, after: Samples) -> str:
    """When it will be known, if the traffic goes on as it does."""
    waits = [known_in(before[ref], after[ref]) for ref in refs if ref in before and ref in after]
    known = [wait for wait in waits if wait is not None]
    if not known:
        return "still counting; no request came by yet"
    wait = max(*known, 1.0)
    about = f"{wait:.0f} s" if wait < 120 else f"{wait / 60:.0f} min"
    return f"still counting; known in about {about} at this pace"


async def observe_on(
    reader: Reader, object: str, changes: Sequence[Change], limits: Mapping[Ref, Limit], section: DeckSection
) -> AsyncIterator[ProofPart]:
    """`go_on` for one object of a change. What fails is told as not known, and ends it."""
    try:
        asked = await questions_after(reader, object, changes, limits, section)
        async for part in go_on(reader, asked):
            yield part
    except ControlError as error:
        yield ProofPart(ProofState.UNKNOWN, error.message)
