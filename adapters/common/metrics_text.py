"""The Prometheus text format, as much of it as counters need.

Source: the exposition formats page of the Prometheus documentation (text format 0.0.4).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from fractions import Fraction

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_ESCAPE = re.compile(r'\\[\\"n]')


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a metric's name, its labels (raw: clean before showing) and its value."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: Fraction

    def label(self, name: str) -> str:
        """The value of one label, empty where it is absent."""
        return next((value for key, value in self.labels if key == name), "")


def parse(text: str, names: Container[str] | None = None) -> Iterator[Sample]:
    """The samples of a page, only those with a name in `names` where it is given.

    Comments, lines that do not parse and values that are no finite number (NaN, Inf) are passed over.
    """
    for line in text.split("\n"):
        if not line or line[0] == "#":
            continue
        name, brace, rest = line.partition("{")
        if not brace:
            name, _, rest = line.partition(" ")
        name = name.strip()
        if (names is not None and name not in names) or _NAME.fullmatch(name) is None:
            continue
        sample = _sample(name, rest, bool(brace))
        if sample is not None:
            yield sample


def _sample(name: str, rest: str, labelled: bool) -> Sample | None:
    labels: list[tuple[str, str]] = []
    if labelled:
        position = 0
        while match := _LABEL.match(rest, position):
            labels.append((match[1], _unescape(match[2])))
            position = match.end()
        closing = rest.find("}", position)
        if closing < 0 or rest[position:closing].strip():
            return None
        rest = rest[closing + 1 :]
    words = rest.split()
    value = number(words[0]) if words else None
    return None if value is None else Sample(name, tuple(labels), value)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES[match[0]], text) if "\\" in text else text


def number(text: str) -> Fraction | None:
    """A decimal or exponent number exactly; None for NaN, infinities and what is no number."""
    if len(text) > 64:
        return None
    try:
        if abs(float(text)) > 1e30:
            return None
        return Fraction(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
