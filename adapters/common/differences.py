"""Differences of two texts as people read them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def unified(
    before: Sequence[str], after: Sequence[str], title: str, was: str = "", will: str = "", around: int = 3
) -> str:
    """The unified difference of two texts' lines, with so many lines `around` each; empty where they are the same."""
    lines = difflib.unified_diff(before, after, title + was, title + will, n=around, lineterm="")
    return "\n".join(lines)


def planned(before: str, after: str, title: str, around: int = 3) -> str:
    """What a plan does to a native text."""
    return unified(before.splitlines(), after.splitlines(), title, " (now)", " (planned)", around)
