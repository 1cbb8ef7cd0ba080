"""From counters to what is seen: rates, shares with their significance, and the observed proof."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from control.fleet.views import Seen
from control.model import Counted, Route, TargetCount, Traffic
from control.model.measured import counts_together, sum_or_unknown
from control.model.ref import Ref
from control.model.shares import percent
from control.ports import ProofPart, ProofState

ENOUGH_REQUESTS = 300
"""Under this many requests an observed share says nothing yet."""
GAP_POINTS = Fraction(5, 100)
"""A gap between set and seen smaller than this is never called significant."""
PROOF_POINTS = Fraction(1, 100)
"""An observed share this near to the intended one always agrees."""
SIGMAS = 3
_ZERO = Fraction(0)


@dataclass(slots=True)
class Delta:
    """What was counted between two samples, or over a chain of them."""

    seconds: float = 0.0
    targets: dict[str, TargetCount] = field(default_factory=dict)
    total: Fraction | None = None
    errors: Fraction | None = None
    throttled: Fraction | None = None

    @property
    def requests(self) -> Fraction:
        """Requests by target, summed."""
        return sum((count.requests for count in self.targets.values()), _ZERO)


def _grown(before: Fraction | None, after: Fraction | None) -> Fraction | None:
    """The growth of one counter. A decrease is a restart: then it counts from zero."""
    if after is None:
        return None
    if before is None:
        return after
    return after - before if after >= before else after


def comparable(before: Counted, after: Counted) -> bool:
    """Two samples of the same counters: when a proxy joined or was lost between them, their difference says nothing."""
    return before.source == after.source and after.at > before.at


def delta(before: Counted, after: Counted) -> Delta:
    """What was counted from `before` to `after`. A target that is new in `after` counts from zero."""
    earlier = dict(before.targets)
    targets = {}
    for name, now in after.targets:
        was = earlier.get(name, TargetCount(_ZERO, None if now.errors is None else _ZERO))
        targets[name] = TargetCount(
            _grown(was.requests, now.requests) or _ZERO,
            None if was.errors is None else _grown(was.errors, now.errors),
        )
    return Delta(
        after.at - before.at,
        targets,
        *(
            None if getattr(before, name) is None else _grown(getattr(before, name), getattr(after, name))
            for name in ("total", "errors", "throttled")
        ),
    )


def _window(sample: Counted) -> Delta:
    """A sample that holds the counts of a window is its own delta."""
    return Delta(sample.window_seconds or 0.0, dict(sample.targets), sample.total, sample.errors, sample.throttled)


def _chained(deltas: Sequence[Delta]) -> Delta:
    names = dict.fromkeys(name for one in deltas for name in one.targets)
    nothing = TargetCount(_ZERO, _ZERO)
    targets = {}
    for name in names:
        targets[name] = counts_together(one.targets.get(name, nothing) for one in deltas)
    return Delta(
        sum(one.seconds for one in deltas),
        targets,
        sum_or_unknown(one.total for one in deltas),
        sum_or_unknown(one.errors for one in deltas),
        sum_or_unknown(one.throttled for one in deltas),
    )


class Meter:
    """Keeps the last samples of every route and tells what they show over a window."""

    def __init__(self, window_seconds: float = 60.0) -> None:
        self.window_seconds = window_seconds
        self._samples: dict[Ref, deque[Counted]] = {}

    def add(self, sample: Counted) -> None:
        """Take one more sample of a route. Samples that are not newer than the last are ignored."""
        samples = self._samples.setdefault(sample.ref, deque())
        if samples and sample.at <= samples[-1].at:
            return
        if samples and (sample.window_seconds is not None or not comparable(samples[-1], sample)):
            samples.clear()
        samples.append(sample)
        while len(samples) > 2 and samples[1].at <= sample.at - self.window_seconds:
            samples.popleft()

    def last(self, ref: Ref) -> Counted | None:
        """The newest sample of a route."""
        samples = self._samples.get(ref)
        return samples[-1] if samples else None

    def seen(self, route: Route) -> Seen | None:
        """What was measured of `route` over the window; None until there are two samples (or one with a window)."""
        samples = self._samples.get(route.ref)
        if not samples:
            return None
        last = samples[-1]
        if last.window_seconds is not None:
            return _seen(route, last, _window(last))
        if len(samples) < 2:
            return None
        return _seen(route, last, _chained([delta(one, other) for one, other in pairwise(samples)]))


def _seen(route: Route, last: Counted, counted: Delta) -> Seen:
    traffic = _traffic(last, counted)
    if last.together_with:
        return Seen(traffic, {}, 0, {}, together(last.together_with))
    requests = counted.requests
    if not requests:
        return Seen(traffic, {}, 0, {}, "no requests in the window")
    shares = {name: count.requests / requests for name, count in counted.targets.items()}
    significant = {
        target.name: is_significant(target.share, shares.get(target.name, _ZERO), requests)
        for target in route.targets
        if target.share is not None
    }
    return Seen(traffic, shares, int(requests), significant)


def together(refs: Sequence[str]) -> str:
    """Why no share of one route can be told when several are counted in one."""
    return f"counted together with {', '.join(refs)}"


def _traffic(last: Counted, counted: Delta) -> Traffic:
    total = counted.total
    if total is None and not last.together_with:
        total = counted.requests if counted.targets else None
    errors = counted.errors
    if errors is None and counted.targets and not last.together_with:
        errors = sum_or_unknown(count.errors for count in counted.targets.values())
    seconds = Fraction(counted.seconds).limit_denominator(1000) if counted.seconds > 0 else None
    return Traffic(
        rps=total / seconds if total is not None and seconds else None,
        error_ratio=_ratio(errors, total),
        throttled_ratio=_ratio(counted.throttled, total),
        p95_seconds=last.p95_seconds,
        window_seconds=round(counted.seconds, 3) if counted.seconds > 0 else None,
        at=last.at,
        source=last.source,
    )


def _ratio(part: Fraction | None, whole: Fraction | None) -> Fraction | None:
    """A part of the whole, at most 1: some sources count rejections beside the requests, not among them."""
    if part is None or whole is None:
        return None
    if not whole:
        return Fraction(1) if part else None
    return min(part / whole, Fraction(1))


def _beyond(intended: Fraction, seen: Fraction, requests: Fraction, points: Fraction) -> bool:
    """|seen - intended| > max(points, 3 sigma), compared as squares so that it stays exact."""
    gap = abs(seen - intended)
    return gap > points and gap * gap * requests > SIGMAS * SIGMAS * intended * (1 - intended)


def is_significant(intended: Fraction, seen: Fraction, requests: Fraction) -> bool:
    """Do the set and the seen share differ by more than max(5 points, 3 sigma of `requests`)?"""
    return _beyond(intended, seen, requests, GAP_POINTS)


# --- proof ------------------------------------------------------------------------------------------------------------


def countable(before: Counted, after: Counted) -> Delta | ProofPart:
    """What one route was counted to do between two samples, or why that cannot be told (yet)."""
    others = after.together_with or before.together_with
    if others:
        return ProofPart(ProofState.UNKNOWN, together(others))
    if after.window_seconds is None and not comparable(before, after):
        return ProofPart(ProofState.UNKNOWN, "the counters are not the same ones as before")
    if after.window_seconds is not None and after.at - after.window_seconds < before.at:
        return ProofPart(
            ProofState.WAITING_FOR_TRAFFIC, "the window that is counted still reaches back before the change"
        )
    return _window(after) if after.window_seconds is not None else delta(before, after)


def known_in(before: Counted, after: Counted) -> float | None:
    """Seconds until enough requests are counted for an answer, if they go on coming as between these samples; None
    where none came, or where no number of them can tell."""
    if after.window_seconds is not None and after.at - after.window_seconds < before.at:
        return before.at - (after.at - after.window_seconds)
    counted = countable(before, after)
    if isinstance(counted, ProofPart) or not counted.requests or counted.seconds <= 0:
        return None
    return max(float(ENOUGH_REQUESTS / counted.requests - 1) * counted.seconds, 0.0)


def observed(
    before: Counted, after: Counted, intended: Mapping[str, Fraction], deterministic: bool = False
) -> ProofPart:
    """Does the split between two samples agree with the intended shares?

    Accepts |p^ - p| <= max(1 point, 3 sigma) for each target; a `deterministic` balancer (smooth round robin) gets
    1 point. Under `ENOUGH_REQUESTS` it is `waiting_for_traffic`; counters shared with other routes are `unknown`.
    """
    counted = countable(before, after)
    if isinstance(counted, ProofPart):
        return counted
    requests = counted.requests
    if requests < ENOUGH_REQUESTS:
        return ProofPart(
            ProofState.WAITING_FOR_TRAFFIC,
            f"not enough traffic yet: {int(requests)} of about {ENOUGH_REQUESTS} requests",
        )
    nothing = TargetCount(_ZERO)
    seen = {name: counted.targets.get(name, nothing).requests / requests for name in intended}
    wrong = [name for name, share in intended.items() if _disagrees(share, seen[name], requests, deterministic)]
    told = ", ".join(f"{name} {_points(seen[name])} of {percent(intended[name])}" for name in wrong or intended)
    return ProofPart(ProofState.NO if wrong else ProofState.YES, f"{told} in {int(requests)} requests")


def _disagrees(intended: Fraction, seen: Fraction, requests: Fraction, deterministic: bool) -> bool:
    if deterministic:
        return abs(seen - intended) > PROOF_POINTS
    return _beyond(intended, seen, requests, PROOF_POINTS)


def _points(share: Fraction) -> str:
    return f"{float(share) * 100:.1f}%"
