"""Durations as text in Go's notation (`1m30s`, `100ms`), to the nanosecond."""

from __future__ import annotations

import re
from fractions import Fraction

from control.errors import InvalidValue

SECOND = 10**9
LONGEST = 2**63 - 1
"""Nanoseconds in a Go Duration."""
_UNITS = {
    "h": 3600 * SECOND,
    "m": 60 * SECOND,
    "s": SECOND,
    "ms": 10**6,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ns": 1,
}
"""In nanoseconds."""
_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_GEP2257 = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")


def nanoseconds(text: str) -> int | None:
    """Of a Go duration without a sign; None where it is none."""
    if text == "0":
        return 0
    pieces = list(_PIECE.finditer(text))
    if not pieces or "".join(piece[0] for piece in pieces) != text:
        return None
    return sum(int(Fraction(piece[1].rstrip(".")) * _UNITS[piece[2]]) for piece in pieces)


def go(native: object) -> Fraction | None:
    """Seconds of a Go duration; None where it is none, or not longer than nothing."""
    found = nanoseconds(native) if isinstance(native, str) else None
    return Fraction(found, SECOND) if found is not None and 0 < found <= LONGEST else None


def gep2257(native: object) -> Fraction | None:
    """Seconds of a duration as the Gateway API has it."""
    return go(native) if isinstance(native, str) and _GEP2257.fullmatch(native) else None


def write(seconds: Fraction, units: tuple[str, ...] = ("h", "m", "s", "ms", "us", "ns")) -> str:
    """In the largest unit that it is a whole number of. Raises `InvalidValue`."""
    if seconds <= 0:
        raise InvalidValue("a period must be longer than nothing", hint="write 1s, 1m or 1h")
    if seconds * SECOND > LONGEST:
        raise InvalidValue("a period lasts 292 years at most", hint="write 1s, 1m or 1h")
    for unit in units:
        count = seconds * SECOND / _UNITS[unit]
        if count.denominator == 1:
            return f"{count.numerator}{unit}"
    smallest = units[-1]
    low = seconds * SECOND // _UNITS[smallest]
    told = "nanoseconds" if smallest == "ns" else "milliseconds"
    raise InvalidValue(f"a period is counted in whole {told}", hint=f"nearest: {low}{smallest} and {low + 1}{smallest}")
