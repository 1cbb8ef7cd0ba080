"""What all objects of one platform have in common, said by its adapter once: their names, bases and guards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.engine.coded import Reads
from adapters.engine.kind import StatusOf
from adapters.engine.operations import Op
from control.model import Limit, Route
from control.model.ref import Ref

Native = Mapping[str, Any]
"""An object as plain data."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one native object holds."""

    routes: tuple[Route, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """`head`: members that every object has, and their types."""

    platform: str
    head: Mapping[str, type[Any]]
    ref: Callable[[str, str, Any], Ref]
    """(environment, kind, decoded object) -> its ref."""
    base: Callable[[Any, Sequence[object]], str]
    """(decoded object, what tells unnamed parts apart) -> its base."""
    guards: Callable[[Native, str], list[Op]]
    """(plain object, the kind's `guard`) -> the tests that every edit begins with."""
    statuses: Mapping[str, Callable[[StatusOf], Reads]]
    """Shape of a status -> the function that gives a `Status`."""
    told: Callable[[object], str]
    """Plain data as text for people, secrets masked."""
