"""What was counted of routes and limits, and rates made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from control.model.ref import Ref
from control.structs import Frozen


class TargetCount(Frozen, frozen=True):
    requests: Fraction
    errors: Fraction | None = None


class Counted(Frozen, frozen=True):
    """Counters of one route as they stood `at` a moment, or (with `window_seconds`) what was counted in that window.

    Cumulative counters may go back to zero when a process restarts; control treats a decrease as a restart.
    """

    ref: Ref
    at: float
    targets: tuple[tuple[str, TargetCount], ...]
    total: Fraction | None = None
    errors: Fraction | None = None
    throttled: Fraction | None = None
    p95_seconds: Fraction | None = None
    window_seconds: float | None = None
    source: str = ""
    together_with: tuple[str, ...] = ()
    """Refs whose requests are in the same counters: then no share of this route alone can be told."""


def sum_or_unknown(values: Iterable[Fraction | None]) -> Fraction | None:
    """The sum, unknown where any part is, or where there is none."""
    parts = list(values)
    known = [value for value in parts if value is not None]
    return sum(known, Fraction(0)) if parts and len(known) == len(parts) else None


def counts_together(counts: Iterable[TargetCount]) -> TargetCount:
    """What was counted of one target in several places."""
    parts = list(counts)
    return TargetCount(sum((one.requests for one in parts), Fraction(0)), sum_or_unknown(one.errors for one in parts))


def counted_together(
    ref: Ref, parts: Sequence[Counted], source: str, together_with: Iterable[str] | None = None
) -> Counted:
    """The counters of several places as one, at the time of the last. What none of them or not all know is unknown."""
    names = dict.fromkeys(name for part in parts for name, _ in part.targets)
    targets = (
        (name, counts_together(count for part in parts for target, count in part.targets if target == name))
        for name in names
    )
    shared = (one for part in parts for one in part.together_with) if together_with is None else together_with
    return Counted(
        ref=ref,
        at=max(part.at for part in parts),
        targets=tuple(targets),
        total=sum_or_unknown(part.total for part in parts),
        errors=sum_or_unknown(part.errors for part in parts),
        throttled=sum_or_unknown(part.throttled for part in parts),
        window_seconds=next((part.window_seconds for part in parts if part.window_seconds is not None), None),
        source=source,
        together_with=tuple(dict.fromkeys(shared)),
    )


class Traffic(Frozen, frozen=True):
    """Rates of one route over a window, each None where unknown."""

    rps: Fraction | None = None
    error_ratio: Fraction | None = None
    throttled_ratio: Fraction | None = None
    p95_seconds: Fraction | None = None
    window_seconds: float | None = None
    at: float | None = None
    source: str = ""
