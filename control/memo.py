"""What is made of objects that stay the same from one look to the next is made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

_A = TypeVar("_A")
_B = TypeVar("_B")


class Memo(Generic[_A, _B]):
    """`make` for each of a list, again and again: what was made of an object is kept for as long as every list holds
    that very object. For immutable objects that would cost more to compare, or to hash, than to find by identity."""

    def __init__(self, make: Callable[[_A], _B]) -> None:
        self._make = make
        self._kept: dict[int, tuple[_A, _B]] = {}
        """By `id`, which is the object's own for as long as it is kept here."""

    def __call__(self, things: Sequence[_A]) -> list[_B]:
        kept = self._kept
        self._kept = {id(one): kept.get(id(one)) or (one, self._make(one)) for one in things}
        return [self._kept[id(one)][1] for one in things]
