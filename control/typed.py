"""Numbers and lengths of time as people type them, in one grammar wherever they do.

What platforms write has grammars of its own, which their adapters know.
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_LENGTH = re.compile(r"([0-9.]+)\s*([A-Za-z]*)")
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
