"""Structs for the places that a kind reads. Each getter is recorded when it is compiled, and the struct is made of what
was recorded, so that no place can be forgotten.

Leaves are plain JSON whatever a schema says of them: a number that is none must not lose its object.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from adapters.engine.locators import EACH
from control.errors import InvalidValue

Get = Callable[[Any], Any]


class Shape:
    """What is known of the type at one place: recorded, or `given` by a struct that somebody wrote."""

    def __init__(self, given: Any = None) -> None:
        self._given = given
        self._members: dict[str, tuple[str, Shape]] = {}
        self._element: Shape | None = None
        self._container: Any = None
        self._required: set[str] = set()

    def member(self, name: str) -> tuple[str, Shape]:
        """(attribute, shape) of a member; no attribute where it is a key of a plain map."""
        if name not in self._members:
            if self._element is not None:
                raise InvalidValue(f"'{name}' is read of what is a list or a map elsewhere")
            self._members[name] = self._given_member(name) if self._given is not None else (_attribute(name), Shape())
        return self._members[name]

    def _given_member(self, name: str) -> tuple[str, Shape]:
        if isinstance(self._given, type) and issubclass(self._given, msgspec.Struct):
            found = _fields(self._given).get(name)
            if found is not None:
                return found[0], Shape(found[1])
        if typing.get_origin(self._given) is dict:
            return "", Shape(_element_type(self._given))
        raise InvalidValue(f"{getattr(self._given, '__name__', self._given)} has no member {name}")

    def element(self, container: str) -> Shape:
        """The shape of the elements of a list (`[]`) or of the values of a map (`{}`)."""
        if self._members or (
            self._element is not None and self._container is not (list if container == EACH else dict)
        ):
            raise InvalidValue("one place is read as a list, a map or an object at once")
        if self._element is None:
            self._container = list if container == EACH else dict
            self._element = Shape(_element_type(self._given) if self._given is not None else None)
        return self._element

    def is_like(self, other: Shape) -> None:
        """The same is read here as there."""
        self._members = other._members

    def requires(self, name: str, type_: Any) -> None:
        """A member that every object has, of this type."""
        if self._given is None:
            self._members[name] = name, Shape(type_)
            self._required.add(name)

    def typed(self, type_: Any) -> None:
        """A function gets the whole value, as this type. What others read of its members they read of that type, so
        that functions come first."""
        if type_ is None or self._given is not None:
            return
        if self._members or self._element is not None:
            raise InvalidValue(f"members of a {type_} were read before its type was said")
        self._given = type_

    def places(self) -> list[tuple[str, ...]]:
        """Every place that is read, `[]` and `{}` as steps of their own; only those that lead no further."""
        found = [(name, *rest) for name, (_, shape) in self._members.items() for rest in shape.places()]
        if self._element is not None:
            step = EACH if self._container is list else "{}"
            found += [(step, *rest) for rest in self._element.places()]
        return found or [()]

    def made(self, name: str) -> Any:
        """The type of all that was recorded."""
        if self._given is not None:
            return self._given
        if self._element is not None:
            inner = self._element.made(f"{name}_")
            return list[inner] if self._container is list else dict[str, inner]  # type: ignore[valid-type]
        if not self._members:
            return Any
        first = [(attr, shape.made(f"{name}_{attr}")) for key, (attr, shape) in self._members.items()
                 if key in self._required]  # fmt: skip
        rest = [
            (attr, _optional(shape.made(f"{name}_{attr}")), None)
            for key, (attr, shape) in self._members.items()
            if key not in self._required
        ]
        renamed = {attr: key for key, (attr, _) in self._members.items()}
        return msgspec.defstruct(name, [*first, *rest], rename=renamed, gc=False, omit_defaults=True)


def getter(shape: Shape, members: Sequence[str]) -> tuple[Get, Shape]:
    """What gets the value at a path of members, None where one of them is absent; and the shape of it."""
    gets = []
    for member in members:
        attribute, shape = shape.member(member)
        gets.append(attrgetter(attribute) if attribute else _item(member))
    return _chained(gets), shape


def _chained(gets: Sequence[Get]) -> Get:
    if not gets:
        return _itself
    if len(gets) == 1:
        return gets[0]
    if len(gets) == 2:
        first, second = gets

        def two(node: Any) -> Any:
            inner = first(node)
            return None if inner is None else second(inner)

        return two

    def several(node: Any) -> Any:
        for get in gets:
            if node is None:
                return None
            node = get(node)
        return node

    return several


def _item(key: str) -> Get:
    return lambda node: node.get(key)


def _itself(node: Any) -> Any:
    return node


def _optional(type_: Any) -> Any:
    return type_ if type_ is Any else type_ | None


def _attribute(name: str) -> str:
    """An attribute for a member, whatever characters it has."""
    return "m_" + "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):x}_" for c in name)


def member(node: Any, *names: str) -> Any:
    """What stands at a path of members of a decoded object, whoever made its struct; None where nothing does."""
    for name in names:
        if not isinstance(node, msgspec.Struct):
            return None
        field = _fields(type(node)).get(name)
        node = getattr(node, field[0]) if field is not None else None
    return node


@lru_cache(maxsize=512)
def _fields(struct: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """Member -> (attribute, type) of a struct."""
    return {field.encode_name: (field.name, _plain(field.type)) for field in msgspec.structs.fields(struct)}


def _plain(type_: Any) -> Any:
    """`T` of `T | None`."""
    if typing.get_origin(type_) in (typing.Union, types.UnionType):
        inner = [one for one in typing.get_args(type_) if one is not type(None)]
        return inner[0] if len(inner) == 1 else Any
    return type_


def _element_type(type_: Any) -> Any:
    arguments = typing.get_args(type_)
    return _plain(arguments[-1]) if arguments else Any
