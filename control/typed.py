"""Numbers and lengths of time as people type and read them, in one grammar wherever they do.

What platforms write has grammars of its own, which their adapters know.
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_LENGTH = re.compile(r"([0-9.]+)\s*([A-Za-z]*)")
_MOST_DIGITS = 24
UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
"""Word -> seconds."""


def number(text: str) -> Fraction | None:
    """`80`, `0.3`; None for what is no number from 0."""
    text = text.strip()
    return Fraction(text) if _NUMBER.fullmatch(text) else None


def whole(text: str) -> int | None:
    """Digits alone; None for anything else, as signs, blanks and digits of other scripts."""
    return int(text) if text.isascii() and text.isdigit() else None


def seconds(text: str, bare: str = "s") -> Fraction | None:
    """`90s`, `1.5m`, `2 hours`, or a number alone, which counts in `bare`; None for what is no length of time."""
    match = _LENGTH.fullmatch(text.strip())
    count = number(match[1]) if match else None
    unit = UNITS.get(match[2].lower() or bare) if match else None
    return None if count is None or unit is None else count * unit


def decimal(value: Fraction) -> str:
    """A number without loss as a person reads it: `50`, `0.3333333333333333`; `1/3` where no decimals end."""
    digits = 0
    while digits < _MOST_DIGITS and (value * 10**digits).denominator != 1:
        digits += 1
    scaled = value * 10**digits
    if scaled.denominator != 1:
        return str(value)
    whole, rest = divmod(abs(scaled.numerator), 10**digits)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"
