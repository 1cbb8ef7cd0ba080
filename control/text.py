"""Cleaning of strings that came from a platform: every one of them is hostile.

Adapters call `clean` once, at ingress; our own credentials are struck there (`control.own_secrets`). Raw values stay
inside codecs and are used only for writing back.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from control.own_secrets import strike

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
MAXIMUM_LENGTH = 4096
_SHORT = 256


def _visible(character: str) -> str:
    code = ord(character)
    if character in "\t\n\r\v\f\x85\u2028\u2029":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0x80 <= code <= 0x9F:
        return "\N{REPLACEMENT CHARACTER}"
    if character in _BIDI or character in _ZERO_WIDTH:
        return ""
    if unicodedata.category(character) in ("Cs", "Cn", "Co") or 0xE0000 <= code <= 0xE007F:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def clean(text: str, limit: int = MAXIMUM_LENGTH) -> str:
    """Return `text` as one line that is safe to show: no control, escape, bidi or zero-width character survives.

    Control characters become visible symbols, line breaks and tabs become spaces; longer texts are cut at `limit`
    characters with an ellipsis. Printable ASCII without a credential of ours is returned as it is: the fast path.
    """
    return _one_line(strike(text), limit)


def _one_line(text: str, limit: int) -> str:
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return _cleaned_before(text) if len(text) <= _SHORT else _cleaned(text)


def _cleaned(text: str) -> str:
    return "".join(map(_visible, text))


_cleaned_before = lru_cache(maxsize=8192)(_cleaned)
"""What is drawn, as bars and arrows, passes here for each frame again."""


def clean_lines(text: str, limit: int = 1_000_000) -> str:
    """Return native text with its line breaks kept and every single line cleaned; for diffs and native views."""
    text = strike(text)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return "\n".join(_one_line(line.replace("\t", "    "), limit) for line in text.split("\n"))
