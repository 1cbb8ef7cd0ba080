"""Exact numbers and amounts, and the one way in which each is written in a document.

A whole native weight is a number, everything else that must be exact is a string: `"9/10"`, `"50"`, `"unlimited"`.
`encode` and `decode` are msgspec's hooks for them; every serialiser of the model uses these two.
"""

from __future__ import annotations

from abc import ABCMeta
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any


class Special(StrEnum):
    """Amounts that are no number. A native 0 is decoded per platform and never passed on."""

    UNLIMITED = "unlimited"
    BLOCKED = "blocked"


def leaf(name: str, *members: type) -> type:
    """A type that `members` belong to: msgspec takes a union with a type that is not its own only as one type."""
    made = ABCMeta(name, (), {"__module__": __name__})
    for member in members:
        made.register(member)
    return made


if TYPE_CHECKING:
    Weight = int | Fraction
    Amount = Fraction | Special
else:
    Weight = leaf("Weight", int, Fraction)
    """A native weight: a whole number, or an exact fraction where the platform counts so (0.3)."""
    Amount = leaf("Amount", Fraction, Special)
    """What a limit lets through: an exact number, or that everything or nothing passes."""


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Fraction:
    """Few distinct ones stand in many rows, so each is made once."""
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError(f"'{text}' is not an exact number") from None


def fraction(value: object) -> Fraction:
    """An exact number from a document. Raises `ValueError` for what is none, a float among them."""
    if type(value) is Fraction:
        return value
    if isinstance(value, str):
        return _parsed(value)
    if type(value) is int:
        return Fraction(value)
    raise ValueError(f"'{value}' is not an exact number")


def whole(value: object) -> int | None:
    """The whole number that an edit asks for; None for a fraction, a word, true and false."""
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        return None
    return int(value) if value.denominator == 1 else None


def weight(value: object) -> Weight:
    """A native weight from a document. Raises `ValueError`."""
    return value if type(value) is int else fraction(value)


_SPECIALS = frozenset(Special)


def amount(value: object) -> Amount:
    """An amount from a document. Raises `ValueError`."""
    return Special(str(value)) if value in _SPECIALS else fraction(value)


def encode(value: Any) -> Any:
    """For msgspec's `enc_hook`: what it cannot write by itself."""
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} stands in no document")


_LEAVES: dict[Any, Any] = {Fraction: fraction, Weight: weight, Amount: amount}


def decode(kind: type, value: Any) -> Any:
    """For msgspec's `dec_hook`: what it cannot read by itself. Raises `ValueError`."""
    return _LEAVES[kind](value)
