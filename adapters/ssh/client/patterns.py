"""Patterns of ssh config and known_hosts: `*`, `?` and `!`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


def glob(pattern: str, name: str) -> bool:
    """Is `name` what a pattern with `*` and `?` stands for? Everything else is itself, brackets too."""
    translated = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(translated, name, re.DOTALL) is not None


def matches_any(patterns: Iterable[str], name: str, *, exact_case: bool = False) -> bool:
    """Does a list of patterns stand for `name`? A `!pattern` that matches rules. `exact_case`: as `Host` lines do."""
    fold: Callable[[str], str] = str if exact_case else str.lower
    name = fold(name)
    matched = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        if glob(fold(pattern.removeprefix("!")), name):
            if negated:
                return False
            matched = True
    return matched
