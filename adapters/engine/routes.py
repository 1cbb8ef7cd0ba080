"""A section of routes, compiled: an object to `Route`s, and a change of one to where its number stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.engine.coded import CodedRoutes, Reads
from adapters.engine.frame import Frame
from adapters.engine.kind import Locator, RouteSection
from adapters.engine.locators import Path, parse, shown
from adapters.engine.naming import part_of, parts
from adapters.engine.places import Rules, Seen, Value, holds
from adapters.engine.structs import Shape
from adapters.engine.targets import Found, TargetReader
from control.model import Editable, Grid, Mirror, Route, Semantics, Status
from control.model.ref import Ref
from control.text import clean

EDITABLE = Editable()
_NO_GRID = Grid()
Words = Callable[..., tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Common:
    """What all rows of one object share."""

    ref: Ref
    object: str
    base: str
    status: Status
    at: float


class RouteReader:
    """One `RouteSection`, compiled for objects of one shape."""

    def __init__(self, word: RouteSection, frame: Frame, shape: Shape) -> None:
        self.word = word
        self.frame = frame
        self.holds = holds(shape, word.when)
        self.rules = rules = Rules(shape, word.at)
        self.part = f"{word.part}="
        self._name = rules.value(word.name) if word.name else None
        coded = word if isinstance(word, CodedRoutes) else None
        self._distinct = rules.value(word.distinct) if word.distinct else None
        self._matches = _words(rules, coded.matches_by if coded else None, word.matches)
        self._sticky = _texts(rules, coded.sticky_by if coded else None, word.sticky)
        self._notes = _words(rules, coded.notes_by if coded else None, word.note)
        self._mirrors: Callable[..., tuple[Mirror, ...]] | None = None
        if coded is not None and coded.mirrors_by is not None:
            self._mirrors = rules.called(coded.mirrors_by)
        self.targets = TargetReader(word.targets, rules.shape) if word.targets else None
        self._prefix, self._suffix = self._location()

    def _location(self) -> tuple[str, str]:
        """What stands before and after the index of a rule in the place of its targets."""
        at = () if self.targets is None else self.targets.place
        return (shown(parse(self.word.at).steps) if self.word.at else ""), ("." if self.word.at and at else "") + shown(
            at
        )

    def seen(self, native: Any) -> list[Seen]:
        """The rules, each with its name and its part."""
        return self.rules.seen(native, self._name, self._parts)

    def _parts(self, names: Sequence[str]) -> list[str | None]:
        return [None] if self.rules.alone and self.part == "rule=" else list(parts(names, self.part))

    def unnamed(self, seen: Sequence[Seen]) -> list[object]:
        """What tells apart the rules that are called by their index."""
        if self.rules.alone:
            return []
        distinct = self._distinct
        return [
            distinct(around, rule) if distinct is not None else None
            for rule, around, name, part in seen
            if part != self.part + name
        ]

    def read(self, native: Any, seen: Sequence[Seen], common: Common) -> list[Route]:
        """The routes of the section."""
        several = len(seen) > 1
        whole = common.ref
        routes = []
        targets = self.targets
        for index, (rule, around, name, part) in enumerate(seen):
            found = _NOTHING if targets is None else targets.read(rule, whole.environment, whole.scope)
            told = f"{whole.name} {(part or '').partition('=')[2]}" if several or name else whole.name
            routes.append(
                Route(
                    ref=whole if part is None else part_of(whole, part),
                    platform=self.frame.platform,
                    name=clean(told),
                    semantics=Semantics.PROPORTIONAL if targets is None else targets.semantics,
                    grid=_NO_GRID if targets is None else targets.grid,
                    targets=found.targets,
                    object=common.object,
                    base=common.base,
                    read_at=common.at,
                    matches=self._matches(around, rule) if self._matches else (),
                    sticky=self._sticky(around, rule) if self._sticky else "",
                    mirrors=self._copies(around, rule, found) if self._mirrors else (),
                    status=common.status,
                    editable=self._editable(found),
                    notes=self._notes(around, rule) if self._notes else (),
                    location=self._where(index, native),
                )
            )
        return routes

    def _where(self, index: int, native: Any) -> str:
        if self.rules.alone:
            return self._suffix
        if self.rules.plain:
            return f"{self._prefix}[{index}]{self._suffix}"
        return shown(self.rules.paths(native)[index]) + self._suffix

    def _copies(self, around: Any, rule: Any, found: Found) -> tuple[Mirror, ...]:
        assert self._mirrors is not None
        names = [target.name for target in found.targets]
        return self._mirrors(around, rule, names, [target.share for target in found.targets])

    def _editable(self, found: Found) -> Editable:
        if self.word.read_only:
            return Editable(False, self.word.read_only)
        if found.why_not:
            return Editable(False, found.why_not)
        if self.targets is not None and not found.targets and self.targets.word.empty:
            return Editable(False, self.targets.word.empty)
        return EDITABLE

    def path(self, native: Any, index: int, target: int) -> tuple[Path, Path]:
        """(where a target stands, the members that lead from there to its weight)."""
        assert self.targets is not None
        return (*self.rules.paths(native)[index], *self.targets.path(target)), self.targets.member


_NOTHING = Found(())


def _words(rules: Rules, coded: Reads | None, locator: Locator) -> Words | None:
    """What gives several texts: a function, or what stands at a place."""
    if coded is not None:
        return rules.called(coded)
    if not locator:
        return None
    value: Value = rules.value(locator)

    def words(around: Any, rule: Any) -> tuple[str, ...]:
        held = value(around, rule)
        texts = held if isinstance(held, list) else [] if held is None else [held]
        return tuple(clean(one if isinstance(one, str) else str(one)) for one in texts)

    return words


def _texts(rules: Rules, coded: Reads | None, locator: Locator) -> Callable[..., str] | None:
    if coded is not None:
        return rules.called(coded)
    words = _words(rules, None, locator)
    return None if words is None else lambda around, rule: ", ".join(words(around, rule))
