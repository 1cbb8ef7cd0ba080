"""What stands where a whole number should: the number, or that it is none that anybody understands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache

import msgspec

from control.text import clean

NATIVE_WIDTH = 60
_DIGITS = re.compile(r"-?(0|[1-9][0-9]*)")


def whole(native: object) -> int | None:
    """The whole number that a JSON value is: 5 and 5.0 are, "5", true and 2.5 are not (None)."""
    if isinstance(native, bool):
        return None
    if isinstance(native, int):
        return native
    return int(native) if isinstance(native, float) and native.is_integer() else None


def text(native: object) -> str:
    """A native value as it stands in its object, for people."""
    return clean(msgspec.json.encode(native).decode(), NATIVE_WIDTH)


def from_text(native: object) -> int | None:
    """The whole number that a string holds, in the one spelling that all parsers read alike."""
    return int(native) if isinstance(native, str) and _DIGITS.fullmatch(native) else None


def weights(natives: Iterable[object]) -> list[int | None]:
    """The weights of a list, 1 where nothing stands; None for each that is not understood."""
    return [1 if native is None else whole(native) for native in natives]


def shares(found: Sequence[int | None]) -> list[Fraction | None]:
    """The share of each weight; weights of 0 or less count nothing, and where all do, every share is 0. Where one
    weight is not understood, nobody's share is known."""
    return list(shares_of(tuple(found)))


@lru_cache(maxsize=8192)
def shares_of(found: tuple[int | None, ...]) -> tuple[Fraction | None, ...]:
    """As `shares`. Most rules of a fleet divide their requests like others, so that it is remembered by the weights."""
    known = [weight for weight in found if weight is not None]
    if len(known) < len(found):
        return (None,) * len(found)
    total = sum(max(0, weight) for weight in known)
    return tuple(Fraction(max(0, weight), total) if total else Fraction(0) for weight in known)


def not_understood(names: Sequence[str], natives: Sequence[object], found: Sequence[int | None]) -> str:
    """Why a list of weights cannot be edited: the first one that is not understood; empty where all are."""
    for name, native, weight in zip(names, natives, found, strict=True):
        if weight is None:
            told = clean(name)
            if native is None:
                return f"the weight of {told} is missing"
            return f"the weight {text(native)} of {told} is not understood"
    return ""
