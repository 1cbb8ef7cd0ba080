"""What was counted of routes and limits, and rates made of it."""

from __future__ import annotations

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


class Traffic(Frozen, frozen=True):
    """Rates of one route over a window, each None where unknown."""

    rps: Fraction | None = None
    error_ratio: Fraction | None = None
    throttled_ratio: Fraction | None = None
    p95_seconds: Fraction | None = None
    window_seconds: float | None = None
    at: float | None = None
    source: str = ""
