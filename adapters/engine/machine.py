"""A kind, compiled: what reads its objects and edits them. Made when the kind is first needed, never at import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from adapters.engine.coded import CodedKind, Reads
from adapters.engine.frame import Frame, Read
from adapters.engine.kind import Attaches, Kind
from adapters.engine.limits import LimitReader
from adapters.engine.locators import parse
from adapters.engine.places import Rules
from adapters.engine.routes import Common, RouteReader
from adapters.engine.structs import Shape, getter
from control.errors import InvalidValue
from control.model import Status
from control.model.ref import Ref
from control.text import clean

Section = TypeVar("Section", RouteReader, LimitReader)
_UNKNOWN = Status()
_BARE = Frame(
    platform="",
    head={},
    ref=lambda environment, kind, native: Ref(environment, kind, "-", "-"),
    base=lambda native, unnamed: "",
    guards=lambda native, guard: [],
    statuses={},
    told=str,
)
"""Of no platform."""


def check(kind: Kind) -> None:
    """Raises `InvalidValue` where the places of a kind cannot all be in one object."""
    shape = Shape()
    for route in kind.routes:
        RouteReader(route, _BARE, shape)
    for limit in kind.limits:
        LimitReader(limit, _BARE, shape, crowded=False)


class Machine:
    """Compiled from a kind and what its platform says of all objects. `wire` is what an object is decoded to."""

    def __init__(self, kind: Kind, frame: Frame) -> None:
        self.kind = kind
        self.frame = frame
        self.shape = shape = Shape(kind.wire if isinstance(kind, CodedKind) else None)
        for member, type_ in frame.head.items():
            shape.requires(member, type_)
        self._only_first = kind.sections == "first"
        crowded = bool(kind.routes) or (len(kind.limits) > 1 and not self._only_first)
        self.routes = [RouteReader(word, frame, shape) for word in kind.routes]
        self.limits = [LimitReader(word, frame, shape, crowded) for word in kind.limits]
        self._status = self._compiled_status(shape)
        self.target_refs = {at: getter(shape, parse(at).members)[0] for at in _target_refs(kind)}
        """What gets the targets that a policy names, by where they stand."""
        self.wire: type[Any] = shape.made(kind.kind)

    def _compiled_status(self, shape: Shape) -> Any:
        word = self.kind.status
        if word.shape == "conditions" and not word.conditions:
            silent = Status(detail=word.silent) if word.silent else _UNKNOWN
            return lambda around, native: silent
        reads: Reads = self.frame.statuses[word.shape](word)
        return Rules(shape, "").called(reads)

    def read(self, native: Any, environment: str, at: float) -> Read:
        """The rows of a decoded object, read at a time."""
        routes, limits = self.sections(native)
        if not routes and not limits:
            return Read()
        ref = self.frame.ref(environment, self.kind.kind, native)
        routes_seen = [(section, section.seen(native)) for section in routes]
        limits_seen = [(section, section.seen(native)) for section in limits]
        unnamed = [one for section, seen in routes_seen for one in section.unnamed(seen)]
        unnamed += [one for section, seen in limits_seen for one in section.unnamed(seen)]
        base = self.frame.base(native, unnamed)
        common = Common(ref, str(ref), base, self._status((), native), at)
        return Read(
            tuple([route for section, seen in routes_seen for route in section.read(native, seen, common)]),
            tuple([limit for section, seen in limits_seen for limit in section.read(native, seen, common)]),
        )

    def sections(self, native: Any) -> tuple[list[RouteReader], list[LimitReader]]:
        """The sections that count for an object."""
        return self._that_hold(self.routes, native), self._that_hold(self.limits, native)

    def _that_hold(self, sections: Iterable[Section], native: Any) -> list[Section]:
        found = [one for one in sections if one.holds is None or one.holds(native)]
        return found[:1] if self._only_first else found

    def decoded(self, native: Any) -> Any:
        """A plain object as the kind's struct. Raises `InvalidValue` where it is none."""
        try:
            return msgspec.convert(native, self.wire)
        except msgspec.ValidationError as error:
            raise InvalidValue(f"the object is not as its kind should be: {clean(str(error), 200)}") from None


def _target_refs(kind: Kind) -> list[str]:
    """The locators of the targets that a policy names."""
    ways = [one.attaches for one in kind.limits]
    each = [way for one in ways for way in ((one,) if isinstance(one, Attaches) else one)]
    return [way.target_refs for way in each if way.target_refs]
