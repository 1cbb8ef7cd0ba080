"""Traefik's durations: a bare number is seconds, else Go's notation (`1m30s`, `100ms`), to the nanosecond.

Source: traefik/paerser types/duration.go and Go's time.ParseDuration and strconv.ParseInt: no blanks, ASCII digits, 64
bits of nanoseconds. A number of a Kubernetes object has 32 bits besides (intstr.IntOrString).
"""

from __future__ import annotations

import re
from fractions import Fraction

from control.errors import InvalidValue

_UNITS = {
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ns": 1,
}
"""In nanoseconds."""
_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_BARE = re.compile(r"[+-]?[0-9]+")
_SECOND = 10**9
_LONGEST = 2**63 - 1
"""Nanoseconds in a Go Duration."""
_LARGEST_BARE = 2**31 - 1
DEFAULT = Fraction(1)


def parse(native: object) -> Fraction | None:
    """Seconds; one second where nothing or zero stands, None where it is no duration that Traefik takes."""
    if native is None:
        return DEFAULT
    if isinstance(native, bool) or not isinstance(native, int | str):
        return None
    if isinstance(native, int):
        return _positive(native * _SECOND) if abs(native) <= _LARGEST_BARE else None
    if _BARE.fullmatch(native):
        return _positive(int(native) * _SECOND)
    sign = -1 if native.startswith("-") else 1
    text = native[1:] if native[:1] in ("-", "+") else native
    if text == "0":
        return DEFAULT
    pieces = list(_PIECE.finditer(text))
    if not pieces or "".join(piece[0] for piece in pieces) != text:
        return None
    return _positive(sign * sum(int(Fraction(piece[1].rstrip(".")) * _UNITS[piece[2]]) for piece in pieces))


def _positive(nanoseconds: int) -> Fraction | None:
    if nanoseconds == 0:
        return DEFAULT
    return Fraction(nanoseconds, _SECOND) if 0 < nanoseconds <= _LONGEST else None


def write(seconds: Fraction, before: object) -> int | str:
    """`seconds` in the native form that stood there (a bare number stays one where it can), else in Go's notation."""
    if seconds <= 0:
        raise InvalidValue("a period must be longer than nothing", hint="write 1s, 1m or 1h")
    if seconds * _SECOND > _LONGEST:
        raise InvalidValue("a period lasts 292 years at most", hint="write 1s, 1m or 1h")
    bare = isinstance(before, int) and not isinstance(before, bool)
    if bare and seconds.denominator == 1 and seconds <= _LARGEST_BARE:
        return int(seconds)
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count = seconds * _SECOND / _UNITS[unit]
        if count.denominator == 1:
            return f"{count.numerator}{unit}"
    low = seconds * _SECOND // 1
    raise InvalidValue("a period is counted in whole nanoseconds", hint=f"nearest: {low}ns and {low + 1}ns")
