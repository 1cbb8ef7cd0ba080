"""From counters to what is seen: rates, shares with their significance, and the observed proof."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from control.model import Counted, Route
from control.ports import ProofPart
from control.views import Seen

ENOUGH_REQUESTS = 300
"""Under this many requests an observed share says nothing yet."""


class Meter:
    """Keeps the last samples of every route and tells what they show over a window."""

    def __init__(self, window_seconds: float = 60.0) -> None:
        self.window_seconds = window_seconds

    def add(self, sample: Counted) -> None:
        """Take one more sample of a route. Samples that are not newer than the last are ignored."""
        raise NotImplementedError

    def seen(self, route: Route) -> Seen | None:
        """What was measured of `route` over the window; None until there are two samples (or one with a window)."""
        raise NotImplementedError


def observed(
    before: Counted, after: Counted, intended: Mapping[str, Fraction], deterministic: bool = False
) -> ProofPart:
    """Does the split between two samples agree with the intended shares?

    Accepts |p^ - p| <= max(1 point, 3 sigma) for each target; a `deterministic` balancer (smooth round robin) gets
    1 point. Under `ENOUGH_REQUESTS` it is `waiting_for_traffic`; counters shared with other routes are `unknown`.
    """
    raise NotImplementedError
