"""Changes of an object as operations on it: checked (grid, ranges, names) and guarded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from adapters.engine.frame import Native
from adapters.engine.limits import LimitReader
from adapters.engine.locators import Path, value_at
from adapters.engine.machine import Machine
from adapters.engine.operations import Op, add, pointer, remove, test
from adapters.engine.routes import RouteReader
from control.errors import InvalidValue, NotFound
from control.model import Grid, Limit, Route, Special, exact
from control.planning.edit import Change, Value, split_field
from control.text import clean

_ABSENT = re.compile(r"-([0-9]?)")
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Field:
    """One native number: where it stands, what it shall be, and what its absence means (None where that is nothing)."""

    change: Change
    path: Path
    value: int | str
    default: Value = None


def edit(machine: Machine, native: Native, changes: Sequence[Change]) -> list[Op]:
    """A guarded patch. Raises `InvalidValue`, `NotFound`."""
    ops = machine.frame.guards(native, machine.kind.guard)
    lists: dict[Path, list[Any]] = {}
    for field in fields(machine, native, changes):
        whole_list = _list_of(machine, field)
        if whole_list is None:
            ops += _operations(native, field)
            continue
        held = lists.setdefault(whole_list, [dict(one) for one in value_at(native, whole_list) or ()])
        index = field.path[len(whole_list)]
        assert isinstance(index, int)
        _put(held[index], field.path[len(whole_list) + 1 :], field.value)
    return [*ops, *(add(pointer(*path), held) for path, held in lists.items())]


def recorded(machine: Machine, native: Native, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The same changes with how each field stands natively (`Change.was`), so that an undo brings that back: `-` for
    what is absent, `-N` where N things around it are absent too, and the text of what would be written otherwise."""
    return tuple(replace(field.change, was=_was(machine, native, field)) for field in fields(machine, native, changes))


def fields(machine: Machine, native: Native, changes: Sequence[Change]) -> list[Field]:
    """The native numbers that changes mean, in their order."""
    if not changes:
        return []
    decoded = machine.decoded(native)
    routes, limits = machine.sections(decoded)
    read = machine.read(decoded, changes[0].ref.environment, 0.0)
    by_part: dict[str | None, Route | Limit] = {route.ref.part: route for route in read.routes}
    by_part |= {limit.ref.part: limit for limit in read.limits}
    rows: dict[str | None, tuple[RouteReader | LimitReader, int, Route | Limit]] = {}
    sections: list[RouteReader | LimitReader] = [*routes, *limits]
    for section in sections:
        for index, (_, _, _, part) in enumerate(section.seen(decoded)):
            if part in by_part:
                rows[part] = section, index, by_part[part]
    found = []
    for change in changes:
        if change.ref.part not in rows:
            part = change.ref.part
            if part is None and not rows:
                raise InvalidValue(f"this {machine.kind.kind} cannot be edited here: {_NOTHING}", ref=str(change.ref))
            part = part or (f"{machine.kind.routes[0].part}" if machine.kind.routes else "limit")
            raise NotFound(f"{clean(str(change.ref.whole))} has no {clean(part)}", ref=str(change.ref))
        section, index, row = rows[change.ref.part]
        if not row.editable.yes:
            why = row.editable.reason
            raise InvalidValue(f"this {machine.kind.kind} cannot be edited here: {why}", ref=str(change.ref))
        if isinstance(section, RouteReader):
            found.append(_weight(section, decoded, index, change))
        else:
            found.append(_limit(machine, section, native, decoded, index, change))
    _check_totals(found, [(section, index, row) for section, index, row in rows.values()])
    return found


_NOTHING = "it holds no limit"


def _weight(section: RouteReader, decoded: Any, index: int, change: Change) -> Field:
    target, field = split_field(change.field)
    reader = section.targets
    assert reader is not None
    if target is None or field != "weight":
        hint = "targets hold only weights here"
        raise InvalidValue(f"'{clean(change.field)}' cannot be set here", ref=str(change.ref), hint=hint)
    rule = section.rules.values(decoded)[index]
    names = reader.names(reader.elements(rule))
    if target not in names:
        known = ", ".join(clean(name) for name in names)
        raise NotFound(f"there is no target '{clean(target)}'", ref=str(change.ref), hint=f"targets: {known}")
    weight = whole(change, reader.grid, step=reader.total)
    at, member = section.path(decoded, index, names.index(target))
    absent = reader.word.absent
    default = absent if isinstance(absent, int) else None
    return Field(change, (*at, *member), str(weight) if reader.word.text else weight, default)


def _check_totals(found: Sequence[Field], rows: Sequence[tuple[RouteReader | LimitReader, int, Route | Limit]]) -> None:
    """Where weights must make a total, they make it after all changes. Raises `InvalidValue`."""
    for section, _, row in rows:
        if not isinstance(section, RouteReader) or not isinstance(row, Route):
            continue
        reader = section.targets
        changed = {
            split_field(field.change.field)[0]: field.change.after for field in found if field.change.ref == row.ref
        }
        if reader is None or reader.total is None or not changed:
            continue
        weights = [changed.get(target.name, target.weight) for target in row.targets if target.name != reader.word.rest]
        total = sum(weight for weight in weights if isinstance(weight, int | Fraction))
        if total > reader.total or (total < reader.total and not reader.word.rest):
            hint = "change several targets at once"
            raise InvalidValue(f"the weights make {total}, not {reader.total}", ref=str(row.ref), hint=hint)


def _limit(machine: Machine, section: LimitReader, native: Native, decoded: Any, index: int, change: Change) -> Field:
    if change.field not in section.fields:
        known = [name for name in ("amount", "window", "burst") if name in section.fields]
        listed = " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)
        where = f"'s {section.amount_at[-2]}" if len(section.amount_at) > 1 else ""
        raise InvalidValue(
            f"a {machine.kind.kind}{where} has no '{clean(change.field)}'", ref=str(change.ref), hint=f"it has {listed}"
        )
    path = section.path(decoded, index, change.field)
    if change.field == "amount":
        number = _amount(change, section)
        absent = section.word.absent
        default: Value = section.amount_of(None)[0] if absent != "none" else None
        return Field(change, path, str(number) if section.word.text else number, default)
    if change.field == "burst":
        word = section.word.burst
        assert word is not None
        if change.after is None and word.absent is None:
            raise InvalidValue("a burst needs a number here", ref=str(change.ref))
        grid = Grid(minimum=1, maximum=word.maximum, zero=True)
        return Field(change, path, (word.absent or 0) if change.after is None else whole(change, grid, "burst"))
    assert section.period is not None
    seconds = _seconds(change)
    held = value_at(native, path)
    if change.again and change.again == _text(change.again) and section.period.parse(change.again) == seconds:
        return Field(change, path, change.again, section.period.parse(None))
    return Field(change, path, section.period.write(seconds, held), section.period.parse(None))


def _text(native: object) -> str:
    """A word that may be kept as it stands; empty for what is none."""
    return native if isinstance(native, str) and len(native) <= _LONGEST and not _ABSENT.fullmatch(native) else ""


def _amount(change: Change, section: LimitReader) -> int:
    special = section.special
    if isinstance(change.after, Special):
        if change.after is special:
            return 0
        hint = f"0 means {special.value} here" if special else "give a number"
        raise InvalidValue(f"'{change.after.value}' cannot be written here", ref=str(change.ref), hint=hint)
    return whole(change, section.grid, "amount")


def _seconds(change: Change) -> Fraction:
    value = change.after
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise InvalidValue(f"'{value}' is no period", ref=str(change.ref), hint="write seconds, such as 1, 60 or 1/10")
    return Fraction(value)


def whole(change: Change, grid: Grid, what: str = "weight", step: int | None = None) -> int:
    """The new value as an integer on `grid`. Raises `InvalidValue` with the two nearest."""
    value = change.after
    smallest = 0 if grid.zero else grid.minimum
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise InvalidValue(f"'{value}' is no {what}", ref=str(change.ref), hint="give a whole number")
    number = exact.whole(value)
    if number is None:
        low = value.numerator // value.denominator
        raise InvalidValue(f"{value} is no whole {what}", ref=str(change.ref), hint=f"nearest: {low} and {low + 1}")
    if not smallest <= number <= grid.maximum:
        nearest = smallest if number < smallest else grid.maximum
        raise InvalidValue(
            f"the {what} {number} cannot be held here",
            ref=str(change.ref),
            hint=f"from {smallest} to {grid.maximum}; nearest: {nearest}",
        )
    return number


def _operations(native: Native, field: Field) -> list[Op]:
    """What sets one number: a test of what stands there, where that has one spelling, and its new value. What was
    absent before the change that this one takes back becomes absent again."""
    held = value_at(native, field.path)
    at = pointer(*field.path)
    tests = [test(at, held)] if isinstance(held, int) and not isinstance(held, bool) else []
    was_absent = _ABSENT.fullmatch(field.change.again)
    if was_absent and field.change.after == field.default:
        return (
            [*tests, remove(pointer(*_emptied(native, field.path, int(was_absent[1] or 0))))]
            if held is not None
            else []
        )
    missing = _missing(native, field.path)
    value: Any = field.value
    for member in reversed(field.path[len(field.path) - missing :] if missing else ()):
        value = {member: value}
    return [*tests, add(pointer(*field.path[: len(field.path) - missing]), value)]


def _missing(native: Native, path: Path) -> int:
    """How many of the things around a place are absent."""
    missing = 0
    while missing < len(path) - 1 and value_at(native, path[: len(path) - 1 - missing]) is None:
        missing += 1
    return missing


def _emptied(native: Native, path: Path, around: int) -> Path:
    """The largest thing around a place, of so many, that holds nothing else."""
    for _ in range(around):
        holder = value_at(native, path[:-1])
        if not isinstance(holder, dict) or len(holder) != 1:
            break
        path = path[:-1]
    return path


def _was(machine: Machine, native: Native, field: Field) -> str:
    held = value_at(native, field.path)
    if held is None:
        missing = _missing(native, field.path)
        return f"-{missing}" if 0 < missing < 10 else "-"
    if field.change.field != "window" or not _text(held):
        return ""
    return _text(held)


def _list_of(machine: Machine, field: Field) -> Path | None:
    """Where the list stands that is written at once; None where elements are."""
    target, _ = split_field(field.change.field)
    if target is None:
        return None
    for section in machine.routes:
        reader = section.targets
        if reader is not None and reader.word.write == "list" and reader.listed:
            behind = len(reader.member) + 1
            return field.path[: len(field.path) - behind]
    return None


def _put(holder: dict[str, Any], path: Path, value: Any) -> None:
    *above, last = path
    for member in above:
        inner = holder.get(str(member))
        holder[str(member)] = inner = dict(inner) if isinstance(inner, dict) else {}
        holder = inner
    holder[str(last)] = value
