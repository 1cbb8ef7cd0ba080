"""The targets of a rule: names, weights, shares, and why they cannot be edited."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from adapters.engine.kind import Endpoint, Leads, Targets
from adapters.engine.locators import Path, parse
from adapters.engine.naming import unique
from adapters.engine.numbers import from_text, not_understood, shares_of, text, whole
from adapters.engine.places import holds
from adapters.engine.structs import Get, Shape, getter
from control.model import Grid, Semantics, Target
from control.model.ref import Ref
from control.text import clean

_HOLE = re.compile(r"\{([^{}|]+)(?:\|([^{}]*))?\}")
Shares = tuple[Fraction | None, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The targets of one rule, and why their weights cannot be edited (empty where they can)."""

    targets: tuple[Target, ...]
    why_not: str = ""


class TargetReader:
    """`Targets`, compiled for rules of one shape."""

    def __init__(self, word: Targets, rule: Shape) -> None:
        self.word = word
        self.grid = Grid(minimum=word.minimum, maximum=word.maximum, zero=word.zero != "refused")
        self.semantics = Semantics(word.semantics)
        self.total = word.total or (100 if word.semantics == "percent" else None)
        places = (word.at,) if isinstance(word.at, str) else word.at
        self.places = [parse(place).members for place in places]
        self.many = not isinstance(word.at, str)
        gets = [getter(rule, place) for place in self.places]
        self._gets = [get for get, _ in gets]
        self.listed = not self.many and bool(self.places[0])
        shape = gets[0][1].element("[]") if self.listed else gets[0][1]
        self._of = _Element(word, shape)
        for _, other in gets[1:]:
            other.is_like(shape)

    def path(self, index: int) -> Path:
        """The members and the index that lead from a rule to one target."""
        if self.many:
            return self.places[index]
        return (*self.places[0], index) if self.listed else self.places[0]

    @property
    def place(self) -> Path:
        """The members that lead from a rule to its targets."""
        if not self.many:
            return self.places[0] or parse(self.word.identity[0]).members[:-1]
        first, last = min(self.places), max(self.places)
        same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        return first[:same]

    @property
    def member(self) -> Path:
        """The members that lead to a target's weight."""
        return parse(self.word.weight).members

    def elements(self, rule: Any) -> Sequence[Any]:
        """The native targets of a rule."""
        if self.many:
            return [one for get in self._gets if (one := get(rule)) is not None]
        found = self._gets[0](rule)
        if self.listed:
            return found or ()
        return () if found is None else (found,)

    def names(self, elements: Sequence[Any]) -> list[str]:
        """Names that tell the targets of one rule apart."""
        return self._of.names(elements)

    def leads(self, element: Any, environment: str, scope: str) -> Ref | None:
        """The row that a target is; None where it is an end."""
        return self._of.to(element, environment, scope) if self._of.to else None

    def read(self, rule: Any, environment: str, scope: str) -> Found:
        """The targets of one rule."""
        elements = self.elements(rule)
        names = self.names(elements)
        of = self._of
        if of.weight is None:
            return Found(self._without_weights(elements, names, environment, scope))
        raw = [of.weight(one) for one in elements]
        found = tuple([one if type(one) is int else self.number(one) for one in raw])
        single = len(found) == 1 and self.word.single == "all"
        if single:
            absent = self.word.absent if isinstance(self.word.absent, int) else 1
            found = (absent if found[0] is None else found[0],)
        targets = tuple(
            [
                Target(
                    name=name,
                    weight=weight,
                    share=share,
                    priority=of.level(one) if of.level else None,
                    endpoints=(of.endpoint(one, scope),) if of.endpoint else (),
                    to=of.to(one, environment, scope) if of.to else None,
                    native="" if weight is not None else "absent" if native is None else text(native),
                )
                for name, weight, share, one, native in zip(
                    names,
                    found,
                    (Fraction(1),) if single else self._shares(found, elements),
                    elements,
                    raw,
                    strict=True,
                )
            ]
        )
        if single:
            to = targets[0].to
            return Found(targets, f"{self.word.alone}; edit {clean(str(to))}" if to else self.word.alone)
        return Found(self._with_rest(targets), not_understood(names, raw, found) if None in found else "")

    def number(self, native: object) -> int | None:
        """A native weight, or what a missing one means; None where it is not understood."""
        if native is None:
            return self.word.absent if isinstance(self.word.absent, int) else None
        return from_text(native) if self.word.text else whole(native)

    def _shares(self, found: tuple[int | None, ...], elements: Sequence[Any]) -> Shares:
        if self._of.level is not None:
            levels = [self._of.level(one) for one in elements]
            made: list[Fraction | None] = [None] * len(found)
            for level in set(levels):
                of_level = [index for index, one in enumerate(levels) if one == level]
                for index, share in zip(of_level, shares_of(tuple(found[i] for i in of_level)), strict=True):
                    made[index] = share
            return tuple(made)
        if self.total is not None:
            total = self.total
            return tuple(None if weight is None else Fraction(max(0, weight), total) for weight in found)
        return shares_of(found)

    def _with_rest(self, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        if not self.word.rest or self.total is None:
            return targets
        known = [target.share for target in targets if target.share is not None]
        share = max(Fraction(0), 1 - sum(known, Fraction(0))) if len(known) == len(targets) else None
        return (*targets, Target(name=self.word.rest, weight=None, share=share))

    def _without_weights(
        self, elements: Sequence[Any], names: list[str], environment: str, scope: str
    ) -> tuple[Target, ...]:
        """Targets that have no weights: one gets all, several come in their order."""
        alone = len(elements) == 1 and self.semantics is not Semantics.PRIORITY
        return tuple(
            Target(
                name=name,
                weight=None,
                share=Fraction(1) if alone else None,
                priority=index if self.semantics is Semantics.PRIORITY else None,
                endpoints=(self._of.endpoint(one, scope),) if self._of.endpoint else (),
                to=self._of.to(one, environment, scope) if self._of.to else None,
            )
            for index, (name, one) in enumerate(zip(names, elements, strict=True))
        )


class _Element:
    """What is read of one native target."""

    def __init__(self, word: Targets, shape: Shape) -> None:
        self.candidates = _candidates(word.identity, shape)
        self.weight = getter(shape, parse(word.weight).members)[0] if word.weight else None
        self.endpoint = _endpoint(word.endpoint, shape) if word.endpoint else None
        self.to = _leads(word.leads, shape) if word.leads else None
        self.level = _level(getter(shape, parse(word.priority).members)[0]) if word.priority else None

    def names(self, elements: Sequence[Any]) -> list[str]:
        first = self.candidates[0]
        names = [first(one) for one in elements]
        if len(set(names)) == len(names):
            return names
        return unique([[candidate(one) for candidate in self.candidates] for one in elements])


def _level(get: Get) -> Callable[[Any], int]:
    return lambda element: whole(get(element)) or 0


def _candidates(identity: Sequence[str], shape: Shape) -> list[Callable[[Any], str]]:
    """One function for each name that a target may have, the shortest first."""
    found: list[Callable[[Any], str]] = []
    plain: list[Get] = []
    for one in identity:
        if "{" in one:
            found.append(_template(one, shape))
        else:
            plain.append(getter(shape, parse(one).members)[0])
            found.append(_joined(tuple(plain)))
    return found


def _joined(gets: tuple[Get, ...]) -> Callable[[Any], str]:
    if len(gets) == 1:
        (only,) = gets

        def name(element: Any) -> str:
            found = only(element)
            return found if type(found) is str else _word(found)

        return name
    return lambda element: ":".join(word for get in gets if (word := _word(get(element))))


def _word(held: object) -> str:
    return "" if held is None else held if isinstance(held, str) else text(held)


def _template(template: str, shape: Shape) -> Callable[[Any], str]:
    pieces: list[str] = []
    gets: list[tuple[Get, str]] = []
    at = 0
    for hole in _HOLE.finditer(template):
        pieces.append(template[at : hole.start()])
        gets.append((getter(shape, parse(hole[1]).members)[0], hole[2] or ""))
        at = hole.end()
    last = template[at:]

    def made(element: Any) -> str:
        words = [piece + (_word(get(element)) or absent) for piece, (get, absent) in zip(pieces, gets, strict=True)]
        return "".join(words) + last

    return made


def _optional(locator: str, shape: Shape) -> Get:
    return getter(shape, parse(locator).members)[0] if locator else lambda element: None


def _endpoint(word: Endpoint, shape: Shape) -> Callable[[Any, str], str]:
    """Where a target stands, as people write it: `Kind namespace/name:port`."""
    name, port = _optional(word.name, shape), _optional(word.port, shape)
    kind, namespace = _optional(word.kind, shape), _optional(word.namespace, shape)
    usual = ("", None, word.default_kind)

    def made(element: Any, scope: str) -> str:
        of, number = kind(element), port(element)
        told = "" if of in usual else f"{of} "
        return clean(f"{told}{namespace(element) or scope}/{name(element)}{f':{number}' if number else ''}")

    return made


def _leads(words: Sequence[Leads], shape: Shape) -> Callable[[Any, str, str], Ref | None]:
    """The row that a target is; None where it is an end."""
    compiled = [
        (
            holds(shape, word.when),
            word.kind,
            _optional(word.name, shape),
            _optional(word.namespace, shape),
            word.foreign,
        )
        for word in words
    ]

    def to(element: Any, environment: str, scope: str) -> Ref | None:
        for test, kind, name, namespace, foreign in compiled:
            if test is None or test(element):
                called = _word(name(element))
                if not called or (foreign and foreign in called):
                    return None
                return Ref(environment, kind, _word(namespace(element)) or scope, called)
        return None

    return to
