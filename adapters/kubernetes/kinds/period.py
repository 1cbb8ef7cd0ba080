"""Traefik's durations: a bare number is seconds, else Go's notation (`1m30s`, `100ms`), to the nanosecond.

Source: traefik/paerser types/duration.go and Go's time.ParseDuration and strconv.ParseInt: no blanks, ASCII digits, 64
bits of nanoseconds. A number of a Kubernetes object has 32 bits besides (intstr.IntOrString).
"""

from __future__ import annotations

import re
from fractions import Fraction

from adapters.engine import durations
from adapters.engine.durations import LONGEST, SECOND

_BARE = re.compile(r"[+-]?[0-9]+")
_LARGEST_BARE = 2**31 - 1
DEFAULT = Fraction(1)


def parse(native: object) -> Fraction | None:
    """Seconds; one second where nothing or zero stands, None where it is no duration that Traefik takes."""
    if native is None:
        return DEFAULT
    if isinstance(native, bool) or not isinstance(native, int | str):
        return None
    if isinstance(native, int):
        return _positive(native * SECOND) if abs(native) <= _LARGEST_BARE else None
    if _BARE.fullmatch(native):
        return _positive(int(native) * SECOND)
    sign = -1 if native.startswith("-") else 1
    found = durations.nanoseconds(native[1:] if native[:1] in ("-", "+") else native)
    return None if found is None else _positive(sign * found)


def _positive(nanoseconds: int) -> Fraction | None:
    if nanoseconds == 0:
        return DEFAULT
    return Fraction(nanoseconds, SECOND) if 0 < nanoseconds <= LONGEST else None


def write(seconds: Fraction, before: object) -> int | str:
    """`seconds` in the native form that stood there (a bare number stays one where it can), else in Go's notation."""
    text = durations.write(seconds)
    bare = isinstance(before, int) and not isinstance(before, bool)
    return int(seconds) if bare and seconds.denominator == 1 and seconds <= _LARGEST_BARE else text
