"""What every document does, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.common.differences import planned
from adapters.engine import operations
from adapters.engine.locators import Path, shown, value_at
from adapters.engine.operations import Op
from control.errors import InvalidValue
from control.text import clean, clean_lines

MASK = "(masked)"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text, in characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """New characters for a piece of a text."""

    span: Span
    text: str


class Document(ABC):
    """One document of a text. `data` is what it says."""

    text: str
    data: Any

    @abstractmethod
    def parsed(self, text: str) -> Document:
        """The document that stands at the same place of another text."""

    @abstractmethod
    def replaced(self, path: Path, value: Any) -> Replacement:
        """How another value is written at a place. Raises `InvalidValue` with the reason where it cannot be."""

    @abstractmethod
    def inserted(self, path: Path, value: Any) -> Replacement:
        """How a new member is written. Raises `InvalidValue`."""

    @abstractmethod
    def removed(self, path: Path) -> Replacement:
        """How a member is taken away. Raises `InvalidValue`."""

    @abstractmethod
    def span(self, path: Path) -> Span:
        """Where a scalar stands. Raises `InvalidValue` with the reason why it has no place of its own."""

    @abstractmethod
    def scalars(self) -> Iterable[Path]:
        """The places of all scalars."""

    def get(self, path: Path) -> Any:
        """What stands at a place; None where nothing does."""
        return value_at(self.data, path)

    def set(self, ops: Sequence[Op]) -> str:
        """The text after operations. Only the values that they change are other than before. Raises `InvalidValue`
        where one of them has no place in the text, and `operations.TestFailed` where it is not what was expected."""
        after = operations.apply({"": self.data}, [{**op, "path": f"/{op['path']}"} for op in ops])[""]
        made = [self._replacement(path, value) for path, value in changes(self.data, after)]
        text = self.text
        for one in sorted(made, key=lambda one: one.span.start, reverse=True):
            text = text[: one.span.start] + one.text + text[one.span.end :]
        if not same(self.parsed(text).data, after):
            raise InvalidValue("the edited text would say something else than what was asked for")
        return text

    def _replacement(self, path: Path, value: Any) -> Replacement:
        if value is GONE:
            return self.removed(path)
        return self.replaced(path, value) if self.holds(path) else self.inserted(path, value)

    def holds(self, path: Path) -> bool:
        """Whether something stands at a place."""
        holder = value_at(self.data, path[:-1])
        return isinstance(holder, list) or (isinstance(holder, dict) and path[-1] in holder)

    def mask(self, hides: Callable[[Path, Any], bool]) -> str:
        """The text for people: every scalar that `hides` says so of is covered."""
        text = self.text
        for path in sorted(self.scalars(), key=lambda path: self.span(path).start, reverse=True):
            if hides(path, value_at(self.data, path)):
                span = self.span(path)
                text = text[: span.start] + MASK + text[span.end :]
        return clean_lines(text)

    def diff(self, after: str, name: str, hides: Callable[[Path, Any], bool]) -> str:
        """The unified difference to the text after an edit; empty where they are the same."""
        return planned(self.mask(hides), self.parsed(after).mask(hides), clean(name))


GONE: Any = object()
"""In `changes`: the member is no more."""


def changes(before: Any, after: Any, at: Path = ()) -> list[tuple[Path, Any]]:
    """The places at which data differs, and what stands there afterwards. Raises `InvalidValue` where elements of a
    list come or go."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[tuple[Path, Any]] = [((*at, key), GONE) for key in before if key not in after]
        for key, value in after.items():
            found += changes(before[key], value, (*at, key)) if key in before else [((*at, key), value)]
        return found
    if isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            raise InvalidValue(f"elements of {shown(at)} come or go, and that is not written into texts")
        pairs = enumerate(zip(before, after, strict=True))
        return [one for index, (old, new) in pairs for one in changes(old, new, (*at, index))]
    return [] if same(before, after) else [(at, after)]


def same(one: Any, other: Any) -> bool:
    """Equal as data: true is not 1, nor is 1.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
