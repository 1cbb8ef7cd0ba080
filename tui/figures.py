"""Numbers for people: short, right-aligned, `--` for unknown, never 0 for unknown."""

from __future__ import annotations

import time
from fractions import Fraction

UNKNOWN = "--"


def age(seconds: float | None) -> str:
    """`2s`, `94s`, `12m`, `3h`, `5d`."""
    if seconds is None:
        return UNKNOWN
    whole = max(int(seconds), 0)
    if whole < 100:
        return f"{whole}s"
    if whole < 100 * 60:
        return f"{whole // 60}m"
    return f"{whole // 3600}h" if whole < 48 * 3600 else f"{whole // 86400}d"


def plural(number: int, word: str) -> str:
    """`1 route`, `2 routes`."""
    return f"{number} {word}{'s' * (number != 1)}"


def count(value: Fraction | int | None) -> str:
    """A count or a rate in at most five characters: `0`, `0.3`, `88`, `1.2k`, `3.4M`."""
    if value is None:
        return UNKNOWN
    number = float(value)
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.1f}{suffix}" if scaled < 99.5 else f"{scaled:.0f}{suffix}"
    if 0 < number < 9.95 and number != int(number):
        return f"{number:.1f}" if number >= 0.05 else "<0.1"
    return f"{number:.0f}"


def ratio(value: Fraction | None) -> str:
    """A ratio in percent: `0%`, `0.3%`, `11%`."""
    if value is None:
        return UNKNOWN
    points = float(value) * 100
    if points == 0:
        return "0%"
    return f"{points:.1f}%" if points < 9.95 else f"{points:.0f}%"


def seconds(value: Fraction | float | None) -> str:
    """A latency: `85ms`, `1.9s`."""
    if value is None:
        return UNKNOWN
    number = float(value)
    return f"{number * 1000:.0f}ms" if number < 1 else f"{number:.1f}s"


def clock(at: float, seconds: bool = False) -> str:
    """The local time of today as `14:02`, with `seconds` as `14:02:31`, of another day as `11-24 14:02`."""
    then = time.localtime(at)
    today = time.localtime()
    form = ("%H:%M:%S" if seconds else "%H:%M") if then[:3] == today[:3] else "%m-%d %H:%M"
    return time.strftime(form, then)


def minutes(left: float) -> str:
    """A countdown: `14:32`."""
    whole = max(int(left), 0)
    return f"{whole // 60:02d}:{whole % 60:02d}"
