"""What callers really get from configured limits, as honest intervals (control arithmetic, no I/O).

Unknown stays None, and `why` says what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from control.model import Binding, Effective, Interval, Limit
from control.views import Headroom


def effective(limit: Limit, binding: Binding) -> Effective:
    """What one key value gets at one binding: [r, N·r] where it is counted in N places, with its reasons."""
    raise NotImplementedError


def with_effective(limit: Limit) -> Limit:
    """The same limit with `effective` filled in every binding, and in those of its members."""
    raise NotImplementedError


def in_series(effectives: Sequence[Effective]) -> Effective | None:
    """Limits one after the other on one path: the minimum of the intervals in one unit; `why` names which binds."""
    raise NotImplementedError


def little(concurrency: Interval, seconds_in_system: Interval) -> Interval:
    """Requests per second that a concurrency admits, X <= C / W."""
    raise NotImplementedError


def requests_of_tokens(tokens: Interval, tokens_per_request: Interval) -> Interval:
    """Requests that a token limit is good for (display only)."""
    raise NotImplementedError


def headroom(
    caps: Mapping[str, Interval | None], shares: Mapping[str, Fraction | None], demand: Fraction | None = None
) -> Headroom:
    """D* = min(cap / share) over the environments with a share; caps in requests per second, None for unknown."""
    raise NotImplementedError


def cap_of(effectives: Iterable[Effective], seconds_in_system: Interval | None = None) -> Interval | None:
    """The requests per second that an environment admits under these limits in series; None where none is known."""
    raise NotImplementedError
