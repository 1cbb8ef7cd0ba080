"""The rules of a section: which values they are, what they are called, and where each stands; and what is read of them
by other words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.engine.coded import Reads
from adapters.engine.kind import PRESENT, Locator
from adapters.engine.locators import EACH, VALUES, Path, Place, parse
from adapters.engine.structs import Get, Shape, getter
from control.errors import InvalidValue

Around = tuple[Any, ...]
"""The elements around a rule, the object first."""
Value = Callable[[Around, Any], Any]
"""(elements around a rule, the rule) -> a value of it."""
Seen = tuple[Any, Around, str, str | None]
"""(rule, the elements around it, what it is called in the object, its part)."""


class Rules:
    """The values at an `at`, in their order."""

    def __init__(self, shape: Shape, at: Locator) -> None:
        place = parse(at)
        steps = place.steps
        if steps and steps[-1] not in (EACH, VALUES):
            steps = (*steps, EACH)
        self.alone = not steps
        self._levels: list[tuple[Get, tuple[str, ...], str]] = []
        self.shapes = [shape]
        members: list[str] = []
        for step in steps:
            if step in (EACH, VALUES):
                get, inner = getter(self.shapes[-1], members)
                self._levels.append((get, tuple(members), step))
                self.shapes.append(inner.element(step))
                members = []
            else:
                members.append(step)

    @property
    def plain(self) -> bool:
        """Whether they are the elements of one list."""
        return len(self._levels) == 1 and self._levels[0][2] == EACH

    @property
    def shape(self) -> Shape:
        """Of one rule."""
        return self.shapes[-1]

    def values(self, native: Any) -> Sequence[Any]:
        """Each rule."""
        if self.alone:
            return (native,)
        if len(self._levels) == 1:
            get, _, step = self._levels[0]
            found = get(native)
            if not found:
                return ()
            return found if step == EACH else list(found.values())
        return [around[-1] for around, _ in self._walk(native)]

    def around(self, native: Any) -> list[Around]:
        """What is around each rule."""
        if len(self._levels) <= 1:
            return [(native,)] * len(self.values(native))
        return [around[:-1] for around, _ in self._walk(native)]

    def seen(self, native: Any, name: Value | None, of: Callable[[Sequence[str]], list[str | None]]) -> list[Seen]:
        """Each rule with what is around it, what it is called, and its part by these names."""
        values = self.values(native)
        if not values:
            return []
        around = [(native,)] * len(values) if len(self._levels) <= 1 else self.around(native)
        names = self.keys(native)
        if names is None and name is None:
            names = [""] * len(values)
        elif names is None and name is not None:
            found = [name(above, rule) for above, rule in zip(around, values, strict=True)]
            names = [one if type(one) is str else "" for one in found]
        assert names is not None
        return list(zip(values, around, names, of(names), strict=True))

    def keys(self, native: Any) -> list[str] | None:
        """What each rule is called by the map that it is in; None where it is in a list."""
        if not self._levels or self._levels[-1][2] == EACH:
            return None
        return [str(path[-1]) for _, path in self._walk(native)]

    def paths(self, native: Any) -> list[Path]:
        """Where each rule stands."""
        return [path for _, path in self._walk(native)]

    def _walk(self, native: Any) -> list[tuple[Around, Path]]:
        found: list[tuple[Around, Path]] = [((native,), ())]
        for get, members, step in self._levels:
            deeper: list[tuple[Around, Path]] = []
            for around, path in found:
                inner = get(around[-1]) or {}
                pairs = enumerate(inner) if step == EACH else inner.items()
                deeper += [((*around, value), (*path, *members, key)) for key, value in pairs]
            found = deeper
        return found

    def value(self, locator: Locator, type_: Any = None) -> Value:
        """What gets a value of a rule, from it, from the object or from an element around it."""
        place = parse(locator)
        depth = _depth(place, len(self.shapes))
        get, shape = getter(self.shapes[depth], place.members)
        shape.typed(type_)
        if depth == len(self.shapes) - 1:
            return lambda around, rule: get(rule)
        return lambda around, rule: get(around[depth])

    def called(self, reads: Reads) -> Callable[..., Any]:
        """(elements around, rule, …) -> what a function gives of its values; further arguments stand before them."""
        types = reads.types or (None,) * len(reads.at)
        values = [self.value(locator, type_) for locator, type_ in zip(reads.at, types, strict=True)]
        function = reads.function
        if len(values) == 1:
            (only,) = values
            return lambda around, rule, *before: function(*before, only(around, rule))
        if len(values) == 2:
            first, second = values
            return lambda around, rule, *before: function(*before, first(around, rule), second(around, rule))
        return lambda around, rule, *before: function(*before, *[value(around, rule) for value in values])


def _depth(place: Place, shapes: int) -> int:
    depth = 0 if place.from_object else shapes - 1 - place.above
    if depth < 0:
        raise InvalidValue(f"'{'^' * place.above}' leads out of the object")
    return depth


def holds(shape: Shape, when: Mapping[str, str]) -> Callable[[Any], bool] | None:
    """Whether all that a `when` says is so of an object; None where it says nothing."""
    if not when:
        return None
    tests = [(getter(shape, parse(locator).members)[0], wanted) for locator, wanted in when.items()]
    return lambda node: all(_is(get(node), wanted) for get, wanted in tests)


def _is(held: Any, wanted: str) -> bool:
    if wanted == PRESENT or held is None:
        return held is not None
    if isinstance(held, bool):
        return wanted == str(held).lower()
    return bool(str(held) == wanted)
