"""Secrets in configuration texts, masked before anybody sees them."""

from __future__ import annotations

import re

MASK = "********"
_NAMES = re.compile(r"(?i)(authorization|api[-_]?key|token|secret|passw|credential|cookie)")
_SCHEMES = re.compile(r"(?i)\b(bearer|basic)(\s+|\\ )[^\s\"';$]+")
_OPERATORS = frozenset({"=", "!=", "~", "~*", "!~", "!~*", "{", "if", "unless", "-m", "-i", "str", "beg"})


def names_secret(word: str) -> bool:
    """True for a word that says that a secret follows."""
    return word != "cookie" and _NAMES.search(word) is not None


def mask_schemes(text: str) -> str:
    """Mask what follows `Bearer` or `Basic`, wherever it stands."""
    return _SCHEMES.sub(lambda match: f"{match[1]}{match[2]}{MASK}", text)


def is_value(word: str) -> bool:
    """True for a word that can be a secret itself: no operator, no variable, no path, no sample."""
    return word not in _OPERATORS and not word.lstrip("\"'(").startswith(("$", "/", "%["))
