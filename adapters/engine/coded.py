"""What built-in kinds may say beside `adapters.engine.kind`: small typed functions, where no word says it.

A function gets one value of the object (or a few, each by its locator) and nothing else; it is pure. These are allowed:
the words of a match, mirrors, stickiness, notes, the words of a key, what happens over a limit, native members that the
model does not cover, why a row cannot be edited, and a grammar of periods.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec

from adapters.engine.kind import Kind, LimitSection, Locator, Period, RouteSection


class Reads(msgspec.Struct, frozen=True):
    """A function and the values that it is given, in the order of its parameters; None for what is absent."""

    function: Callable[..., Any]
    at: tuple[Locator, ...]
    types: tuple[Any, ...] = ()
    """The type of each value, where it is a struct of its own or a list of them; plain JSON without."""


class CodedRoutes(RouteSection, frozen=True, kw_only=True):
    """A section of routes with functions."""

    matches_by: Reads | None = None
    """-> the words of each match."""
    mirrors_by: Reads | None = None
    """-> `Mirror`s. It is given the names and the shares of the targets before what it reads."""
    sticky_by: Reads | None = None
    notes_by: Reads | None = None
    """-> a tuple of notes."""


class CodedLimits(LimitSection, frozen=True, kw_only=True):
    """A section of limits with functions."""

    key_by: Reads | None = None
    over_by: Reads | None = None
    """-> `OverLimit`. Before what it reads it is given the amount (0 where it is no number) and the window's length."""
    notes_by: Reads | None = None
    remainder_by: Reads | None = None
    """-> (path, text) of native members that the model does not cover."""
    shared_by: Reads | None = None
    """-> whether it is counted in a shared store, whose failure then counts as `store_fail`."""
    why_not_by: Reads | None = None
    """-> why it cannot be edited; empty where it can."""
    opaque: Reads | None = None
    """-> (measure, why) of a limit whose members are known to nobody here, None where this is none. Only its native
    text is shown then."""
    not_negative: bool = True
    """False: an amount below 0 is taken as 0 by the platform."""


class CodedPeriod(Period, frozen=True, kw_only=True):
    """A period in a grammar of the platform's own."""

    parse: Callable[[object], Fraction | None]
    """Native -> seconds; None for what is no period. Nothing there is given as None."""
    write: Callable[[Fraction, object], int | str]
    """(seconds, what stands there) -> native. Raises `InvalidValue`."""


class CodedKind(Kind, frozen=True, kw_only=True):
    """A kind of our own."""

    wire: type[Any] | None = None
    """The struct that its objects are decoded to, where a plane reads them too; made from the locators without."""
