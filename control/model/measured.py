"""What was counted of routes and limits, and rates made of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from control.model.ref import Ref


@dataclass(frozen=True, slots=True)
class TargetCount:
    requests: Fraction
    errors: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Counted:
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


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rates of one route over a window, each None where unknown."""

    rps: Fraction | None = None
    error_ratio: Fraction | None = None
    throttled_ratio: Fraction | None = None
    p95_seconds: Fraction | None = None
    window_seconds: float | None = None
    at: float | None = None
    source: str = ""
