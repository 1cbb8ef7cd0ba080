"""Observed: does traffic behave as a step says? Counters before and after, for routes and for limits on them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from control.applying.limit_proof import limit_seen, visible
from control.applying.proving import pause
from control.calls import ask
from control.capacity.effective import effective
from control.deck.sections import DeckSection
from control.errors import ControlError, UsageError
from control.fleet.measuring import observed, together
from control.model import Binding, Counted, Limit
from control.model.ref import Ref
from control.ports import Prepared, ProofPart, ProofState, Reader
from control.structs import replace

OBSERVE_SECONDS = 120.0
"""How long traffic is watched by default where the caller waits for `observed`."""
COUNT_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How long one look at the counters may take where the caller does not wait for traffic."""
LOOKS_AGAINST = 3
"""So many windows one after the other must disagree before the answer is no: the first ones hold old requests."""

Samples = Mapping[Ref, Counted]
_WORST_FIRST = (
    ProofState.NO,
    ProofState.UNKNOWN,
    ProofState.WAITING_FOR_TRAFFIC,
    ProofState.PENDING,
    ProofState.YES,
)
_PLACES = (ProofState.NO, ProofState.YES, ProofState.WAITING_FOR_TRAFFIC, ProofState.PENDING, ProofState.UNKNOWN)
"""Of the places where one limit holds, one that shows it is enough, unless another shows the contrary."""


class Question(Protocol):
    """One thing that counters are asked about a step."""

    @property
    def refs(self) -> Sequence[Ref]:
        """The routes whose counters it needs, and limits that may have counters of their own."""
        ...

    def hopeless(self, samples: Samples) -> str:
        """Why no traffic can ever answer it; "" where some can."""
        ...

    def judge(self, before: Samples, after: Samples) -> ProofPart:
        """The answer of two samples."""
        ...


@dataclass(frozen=True, slots=True)
class Split:
    """Does the split of a route follow the intended shares?"""

    ref: Ref
    shares: Mapping[str, Fraction | None]

    @property
    def refs(self) -> Sequence[Ref]:
        return (self.ref,)

    def hopeless(self, samples: Samples) -> str:
        if any(share is None for share in self.shares.values()):
            return f"the intended split of {self.ref} is not known"
        return _uncounted(self.ref, samples)

    def judge(self, before: Samples, after: Samples) -> ProofPart:
        why = self.hopeless(after) or self.hopeless(before)
        if why:
            return ProofPart(ProofState.UNKNOWN, why)
        intended = {name: share for name, share in self.shares.items() if share is not None}
        return observed(before[self.ref], after[self.ref], intended)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Do the routes that a limit is on show it at work? `was` is the limit as it stood, None where not known."""

    limit: Limit
    was: Limit | None
    may_be_bypassed: bool

    @property
    def refs(self) -> Sequence[Ref]:
        return (self.limit.ref, *(ref for _, ref in self._routes()))

    def _places(self, samples: Samples) -> list[tuple[Binding, Ref]]:
        """Where it holds, each with what is counted there: the limit itself where that is, else the routes it is on."""
        if self.limit.ref in samples and self.limit.bindings:
            return [(self.limit.bindings[0], self.limit.ref)]
        return self._routes()

    def _routes(self) -> list[tuple[Binding, Ref]]:
        routes = []
        for binding in self.limit.bindings:
            try:
                routes.append((binding, Ref.parse(binding.on)))
            except UsageError:
                continue
        return routes

    def hopeless(self, samples: Samples) -> str:
        places = self._places(samples)
        if not places:
            return f"{self.limit.name} is on no route whose requests are counted"
        reasons = [visible(effective(self.limit, binding)) or _uncounted(ref, samples) for binding, ref in places]
        return reasons[0] if all(reasons) else ""

    def judge(self, before: Samples, after: Samples) -> ProofPart:
        parts = [self._judge(binding, ref, before, after) for binding, ref in self._places(after)]
        if not parts:
            return ProofPart(ProofState.UNKNOWN, self.hopeless(after))
        return min(parts, key=lambda part: _PLACES.index(part.state))

    def _judge(self, binding: Binding, ref: Ref, before: Samples, after: Samples) -> ProofPart:
        why = _uncounted(ref, after) or _uncounted(ref, before)
        if why:
            return ProofPart(ProofState.UNKNOWN, why)
        was = None if self.was is None else effective(self.was, binding)
        now = effective(self.limit, binding)
        part = limit_seen(before[ref], after[ref], was, now, not self.may_be_bypassed)
        return replace(part, detail=f"{ref.name}: {part.detail}") if len(self.limit.bindings) > 1 else part


def _uncounted(ref: Ref, samples: Samples) -> str:
    sample = samples.get(ref)
    if sample is None:
        return f"the requests of {ref} cannot be counted"
    return together(sample.together_with) if sample.together_with else ""


def questions(step: Prepared, limits_before: Mapping[Ref, Limit], section: DeckSection) -> list[Question]:
    """What counters are asked about a step in an environment of `section`: each changed route and each changed limit
    once."""
    routes = {route.ref: route for route in step.routes_after}
    limits = {limit.ref: limit for limit in step.limits_after}
    asked: list[Question] = []
    for ref in dict.fromkeys(change.ref for change in step.changes):
        if ref in routes:
            asked.append(Split(ref, {target.name: target.share for target in routes[ref].targets}))
        elif ref in limits:
            asked.append(Admitted(limits[ref], limits_before.get(ref), section.limits_may_be_bypassed))
    return asked


def refs_of(asked: Sequence[Question]) -> tuple[Ref, ...]:
    """The routes (and limits) whose counters these questions need."""
    return tuple(dict.fromkeys(ref for one in asked for ref in one.refs))


async def count(reader: Reader, refs: Sequence[Ref], seconds: float) -> dict[Ref, Counted]:
    """The counters of these routes; those that cannot be counted (now) are absent."""
    if not refs:
        return {}
    try:
        samples = await ask(reader.count(refs), seconds, "counting requests")
    except ControlError:
        return {}
    return {sample.ref: sample for sample in samples if sample.ref in refs}


def judge(asked: Sequence[Question], before: Samples, after: Samples) -> ProofPart:
    """The least favourable answer of all."""
    parts = [one.judge(before, after) for one in asked]
    if not parts:
        return ProofPart(ProofState.UNKNOWN, "nothing of it is counted")
    return min(parts, key=lambda part: _WORST_FIRST.index(part.state))


async def observe(
    reader: Reader, asked: Sequence[Question], baseline: Samples, wait: bool, seconds: float, stop: asyncio.Event
) -> ProofPart:
    """Look at the counters once, or (with `wait`) until they say yes or no, counting from when it was loaded."""
    refs = refs_of(asked)
    started = time.monotonic()
    latest = await count(reader, refs, COUNT_SECONDS if wait else LOOK_SECONDS)
    if not wait:
        return judge(asked, baseline, latest)
    hopeless = [why for one in asked if (why := one.hopeless(latest))]
    asked = [one for one in asked if not one.hopeless(latest)]
    if not asked:
        return ProofPart(ProofState.UNKNOWN, hopeless[0] if hopeless else "nothing of it is counted")
    baseline, part, interval, against = latest, judge(asked, latest, latest), 0.5, 0
    disagreed: ProofPart | None = None
    while time.monotonic() - started + interval <= seconds and not stop.is_set():
        await pause(interval, stop)
        latest = await count(reader, refs, COUNT_SECONDS)
        part = judge(asked, baseline, latest)
        if part.state is ProofState.NO:
            # Requests that began before the change end after it: count anew before believing it.
            baseline, against, disagreed = latest, against + 1, part
        if part.state is ProofState.YES or against == LOOKS_AGAINST:
            break
        interval = min(interval * 1.3, 5.0)
    if part.state is ProofState.WAITING_FOR_TRAFFIC and disagreed is not None:
        part = disagreed
    if hopeless and part.state is not ProofState.NO:
        part = ProofPart(ProofState.UNKNOWN, f"{hopeless[0]}; of the rest: {part.detail}")
    return ProofPart(part.state, part.detail, time.monotonic() - started)
