"""What all codecs of this platform share: names, parts, bases, shares and guarded operations."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import msgspec

from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.jsonpatch import Op, add, pointer, test, test_uid
from control.errors import InvalidValue, NotFound
from control.model import Grid, Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.text import clean

T = TypeVar("T")
Native = Mapping[str, Any]
PART = "rule="
NO_SCOPE = "-"
"""The scope of objects that are in no namespace."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one native object holds."""

    routes: tuple[Route, ...] = ()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Codec:
    """One kind. `read` takes a decoded object (`wire`), the environment's name and the time of the read; `edit` takes
    the object as it stands and the changes to it, and gives a guarded patch."""

    resource: Resource
    wire: type[Any]
    title: str
    read: Callable[[Any, str, float], Read]
    edit: Callable[[Native, Sequence[Change]], list[Op]]

    @property
    def kind(self) -> str:
        return self.resource.kind


def object_ref(environment: str, kind: str, metadata: Metadata) -> Ref:
    """The ref of a whole native object."""
    return Ref(environment, kind, metadata.namespace or NO_SCOPE, metadata.name)


def namespace_of(ref: Ref) -> str:
    """The namespace of an object; empty where its kind has none."""
    return "" if ref.scope == NO_SCOPE else ref.scope


def base(metadata: Metadata, unnamed: Sequence[object] = ()) -> str:
    """uid, generation (which status writers and annotations do not move) and, where rules have no name of their own,
    a hash of what tells them apart."""
    short = metadata.uid or "no-uid"
    digest = "." + fingerprint(unnamed) if unnamed else ""
    return f"{clean(short)}.{metadata.generation}{digest}"


def fingerprint(content: object) -> str:
    """A short hash of decoded content, the same however it was spaced or ordered on the wire."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:12]


def rule_parts(names: Sequence[str]) -> list[str]:
    """The part of each rule: its name, or its index where it has none, or one that is a number or not unique."""
    often = Counter(names)
    return [
        f"{PART}{name}" if name and not name.isdecimal() and often[name] == 1 else f"{PART}{index}"
        for index, name in enumerate(names)
    ]


def rule_index(ref: Ref, names: Sequence[str]) -> int:
    """Which rule a ref means. Raises `NotFound`."""
    try:
        return rule_parts(names).index(ref.part or f"{PART}0")
    except ValueError:
        raise NotFound(f"{clean(str(ref.whole))} has no {clean(ref.part or 'rule')}", ref=str(ref)) from None


def unique(candidates: Sequence[Sequence[str]]) -> list[str]:
    """One name for each of a list: the first of its candidates that no other one shares, else the last, numbered."""
    depth = max((len(c) for c in candidates), default=0)
    chosen: list[str | None] = [None] * len(candidates)
    for level in range(depth):
        at = [c[min(level, len(c) - 1)] for c in candidates]
        often = Counter(at)
        for index, name in enumerate(at):
            if chosen[index] is None and often[name] == 1 and name not in chosen:
                chosen[index] = name
        if None not in chosen:
            break
    return [name if name is not None else f"{candidates[i][-1]}~{i}" for i, name in enumerate(chosen)]


def guards(native: Native) -> list[Op]:
    """The tests that every patch begins with: this very object, as it was read. Any other spec has another generation,
    so nothing more need be tested to know that an index still means what it meant."""
    metadata = native.get("metadata", {})
    return [test_uid(metadata.get("uid", "")), test("/metadata/generation", metadata.get("generation", 0))]


def test_number(path: str, held: object) -> list[Op]:
    """A test of what is about to be changed, where that is a whole number; nothing for what has several spellings."""
    return [test(path, held)] if isinstance(held, int) and not isinstance(held, bool) else []


def weight_ops(
    members: Sequence[Native], names: Sequence[str], where: Sequence[str | int], changes: Sequence[Change], grid: Grid
) -> list[Op]:
    """Guarded operations that set weights in the list `members`, which stands at the path `where`."""
    ops: list[Op] = []
    for change in changes:
        target, field = split_field(change.field)
        if target is None or field != "weight":
            raise InvalidValue(
                f"'{clean(change.field)}' cannot be set here",
                ref=str(change.ref),
                hint="targets hold only weights here",
            )
        if target not in names:
            known = ", ".join(clean(name) for name in names)
            raise NotFound(f"there is no target '{clean(target)}'", ref=str(change.ref), hint=f"targets: {known}")
        index = names.index(target)
        weight = whole(change, grid)
        at = pointer(*where, index)
        ops += test_number(f"{at}/weight", members[index].get("weight"))
        ops.append(add(f"{at}/weight", weight))
    return ops


def whole(change: Change, grid: Grid, what: str = "weight") -> int:
    """The new value as an integer on `grid`. Raises `InvalidValue` with the two nearest."""
    value = change.after
    smallest = 0 if grid.zero else grid.minimum
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise InvalidValue(f"'{value}' is no {what}", ref=str(change.ref), hint="give a whole number")
    if Fraction(value).denominator != 1:
        low = value.numerator // value.denominator
        raise InvalidValue(f"{value} is no whole {what}", ref=str(change.ref), hint=f"nearest: {low} and {low + 1}")
    number = int(value)
    if not smallest <= number <= grid.maximum:
        nearest = smallest if number < smallest else grid.maximum
        raise InvalidValue(
            f"the {what} {number} cannot be held here",
            ref=str(change.ref),
            hint=f"from {smallest} to {grid.maximum}; nearest: {nearest}",
        )
    return number


def list_at(native: Native, *path: str | int) -> list[Any]:
    """The list at a path of a native object, empty where there is none."""
    node: Any = native
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(str(part))
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            return []
    return node if isinstance(node, list) else []


def convert(native: Native, kind: type[T]) -> T:
    """A native object as its wire type. Raises `InvalidValue` where it is not of that kind."""
    try:
        return msgspec.convert(native, kind)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"the object is not as its kind should be: {clean(str(error), 200)}") from None
