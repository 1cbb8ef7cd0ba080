"""Traefik's durations: a bare number is seconds, else Go's notation (`1m30s`, `100ms`), to the nanosecond.

Source: traefik/paerser types/duration.go and Go's time.ParseDuration.
"""

from __future__ import annotations

import re
from fractions import Fraction

from control.errors import InvalidValue

_UNITS = {
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
}
_PIECE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
DEFAULT = Fraction(1)


def parse(native: int | str | None) -> Fraction | None:
    """Seconds; one second where nothing or zero stands, None where it is no duration."""
    if native is None:
        return DEFAULT
    if isinstance(native, int):
        return _positive(Fraction(native))
    text = native.strip()
    if re.fullmatch(r"[+-]?\d+", text):
        return _positive(Fraction(int(text)))
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-").removeprefix("+")
    pieces = list(_PIECE.finditer(text))
    if not pieces or "".join(piece[0] for piece in pieces) != text:
        return None
    return _positive(sign * sum((Fraction(p[1].rstrip(".") or "0") * _UNITS[p[2]] for p in pieces), Fraction(0)))


def _positive(seconds: Fraction) -> Fraction | None:
    if seconds == 0:
        return DEFAULT
    return seconds if seconds > 0 else None


def write(seconds: Fraction, before: int | str | None) -> int | str:
    """`seconds` in the native form that stood there (a bare number stays one where it can), else in Go's notation."""
    if seconds <= 0:
        raise InvalidValue("a period must be longer than nothing", hint="write 1s, 1m or 1h")
    if isinstance(before, int) and seconds.denominator == 1:
        return int(seconds)
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count = seconds / _UNITS[unit]
        if count.denominator == 1:
            return f"{count.numerator}{unit}"
    low = seconds * 10**9 // 1
    raise InvalidValue("a period is counted in whole nanoseconds", hint=f"nearest: {low}ns and {low + 1}ns")
