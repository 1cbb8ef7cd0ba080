"""Locators: the little grammar of places, see `adapters.engine.kind`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from control.errors import InvalidValue

EACH: Final = "[]"
VALUES: Final = "{}"
Path = tuple[str | int, ...]
"""Members and indices from the object down to one place."""
_STEP = re.compile(r'(?:"((?:[^"\\]|\\.)+)"|([^.\[\]{}"/^\s]+)|(?=[\[{]))(\[\]|\{\})?(?:\.|\Z)')


@dataclass(frozen=True, slots=True)
class Place:
    """A parsed locator: how it begins, and its steps; `[]` and `{}` are steps of their own."""

    steps: tuple[str, ...]
    from_object: bool = False
    above: int = 0
    """How many elements around the one that it is relative to."""

    @property
    def members(self) -> tuple[str, ...]:
        """The steps, where all of them are members. Raises `InvalidValue`."""
        if EACH in self.steps or VALUES in self.steps:
            raise InvalidValue(f"{'.'.join(self.steps)} names several places where one is needed")
        return self.steps


@lru_cache(maxsize=4096)
def parse(locator: str) -> Place:
    """Raises `InvalidValue` for what is no locator."""
    rest = locator.lstrip("^")
    above = len(locator) - len(rest)
    from_object = rest.startswith("/")
    rest = rest.removeprefix("/")
    if from_object and above:
        raise InvalidValue(f"'{locator}' is no locator: it begins at the object or above, not at both")
    steps: list[str] = []
    at = 0
    while at < len(rest):
        match = _STEP.match(rest, at)
        if match is None or match.end() == at or (match.end() == len(rest) and rest.endswith(".")):
            raise InvalidValue(f"'{locator}' is no locator", hint='write members as a.b, and a."x.y/z" for odd keys')
        quoted, plain, many = match.groups()
        if quoted or plain:
            steps.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
        if many:
            steps.append(many)
        at = match.end()
    return Place(tuple(steps), from_object, above)


def value_at(document: Any, path: Sequence[str | int]) -> Any:
    """What stands at a path of plain data; None where nothing does."""
    node = document
    for step in path:
        if isinstance(node, Mapping):
            node = node.get(str(step))
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return None
    return node


def shown(path: Sequence[str | int]) -> str:
    """A path for people: `spec.rules[0].backendRefs`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")
