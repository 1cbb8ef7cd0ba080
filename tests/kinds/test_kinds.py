"""What every kind with a folder of fixtures passes, on memory: it reads as expected, one edit moves one field and no
other, a stale base and a wrong value are refused, hostile strings come out harmless, an edited text gives its edits,
and an undo makes absent again what was absent.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from adapters.engine.frame import Read
from adapters.engine.operations import TestFailed as PatchRefused
from adapters.engine.operations import apply
from adapters.kubernetes.edited_text import edits_of
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.table import Kinds
from adapters.kubernetes.shown import as_yaml, tidy
from control.errors import ControlError, InvalidValue, NotFound
from control.model import Limit, Mode, Route, Special
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.planning.fields import reverse, value_of
from control.planning.text_edits import changes_of
from tests.own_kinds import kinds

KINDS = Kinds(kinds()).codecs
FOLDER = Path(__file__).parent
FIXTURES = sorted(FOLDER.glob("*/*.yaml"))
HOSTILE = "x\x1b[31m\u202e\u200bred\r\n"
BAD = [-1, Fraction(1, 2), 2**63, "70", True]
Row = Route | Limit


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.fixture(params=FIXTURES, ids=named)
def shape(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(request.param.read_text())
    assert found["object"]["kind"] == request.param.parent.name
    found["object"]["metadata"] = {
        "uid": "6f0c52a4", "generation": 7, "resourceVersion": "12", **found["object"]["metadata"]
    }  # fmt: skip
    return found


@pytest.fixture
def native(shape: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = shape["object"]
    return found


def codec_of(native: dict[str, Any]) -> Codec:
    return KINDS[native["kind"]]


def read(native: dict[str, Any]) -> Read:
    codec = codec_of(native)
    return codec.read(msgspec.json.decode(msgspec.json.encode(native), type=codec.wire), "env", 1.0)


def rows(found: Read) -> list[Row]:
    return [*found.routes, *found.limits]


def wishes(native: dict[str, Any]) -> Iterator[Change]:
    """A change of each field that can be edited."""
    found = read(native)
    for route in found.routes:
        for target in route.targets if route.editable.yes else ():
            if isinstance(target.weight, int):
                yield Change(route.ref, target_field(target.name, "weight"), target.weight, target.weight + 1)
    for limit in found.limits:
        after = {"amount": Fraction(11), "window": Fraction(120), "burst": 13}
        for field in sorted(limit.fields) if limit.editable.yes else ():
            yield Change(limit.ref, field, value_of(limit, field), after[field])


def edited(native: dict[str, Any], *changes: Change) -> dict[str, Any]:
    return apply(native, codec_of(native).edit(native, changes))


def differing(one: Any, other: Any, at: tuple[object, ...] = ()) -> set[tuple[object, ...]]:
    """The places at which two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {p for k in one.keys() | other.keys() for p in differing(one.get(k), other.get(k), (*at, k))}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return {p for i, (a, b) in enumerate(zip(one, other, strict=True)) for p in differing(a, b, (*at, i))}
    return set() if one == other and type(one) is type(other) else {at}


def test_every_kind_has_fixtures() -> None:
    assert {path.parent.name for path in FIXTURES} == set(KINDS)


def test_it_reads_as_expected(shape: dict[str, Any], native: dict[str, Any]) -> None:
    found = read(native)
    routes = {route.ref.part or "": route for route in found.routes}
    assert len(routes) == len(found.routes)
    assert routes.keys() == shape.get("routes", {}).keys()
    for part, targets in shape.get("routes", {}).items():
        said = {target.name: [target.weight, target.share] for target in routes[part].targets}
        assert said == {name: [weight, Fraction(share)] for name, (weight, share) in targets.items()}
    for part, words in shape.get("matches", {}).items():
        assert list(routes[part].matches) == words
    for part, copies in shape.get("mirrors", {}).items():
        assert {one.name: one.share for one in routes[part].mirrors} == {n: Fraction(s) for n, s in copies.items()}
    limits = {limit.ref.part or "": limit for limit in found.limits}
    assert limits.keys() == shape.get("limits", {}).keys()
    for part, expected in shape.get("limits", {}).items():
        limit = limits[part]
        amount = limit.amount.value if isinstance(limit.amount, Special) else str(limit.amount)
        assert (amount, list(limit.key)) == (expected["amount"], expected["key"])
        assert (limit.window.seconds if limit.window else None) == expected.get("seconds")
        assert (limit.burst.at_once if limit.burst else None) == expected.get("at_once")
    if "status" in shape:
        assert {row.status.state.value for row in rows(found)} == {shape["status"]}


def test_every_row_says_where_it_stands(native: dict[str, Any]) -> None:
    for row in rows(read(native)):
        assert Ref.parse(str(row.ref)) == row.ref
        node: Any = native
        for step in yaml.safe_load(f"[{row.location.replace('[', ', ').replace(']', '').replace('.', ', ')}]"):
            node = node[step] if isinstance(step, int) else node.get(step)
        assert node or not row.editable.yes, row.location


def test_what_is_decoded_needs_nothing_else(native: dict[str, Any]) -> None:
    """Decoded from JSON and converted from plain data it says the same; members of the future do not matter."""
    codec = codec_of(native)
    wire = codec.read(msgspec.convert(native, codec.wire), "env", 1.0)
    future = {**native, "spec": {**native["spec"], "x-future": [1, {"a": None}]}}
    assert rows(read(native)) == rows(wire) == rows(read(future))


def test_one_edit_moves_one_field_and_nothing_else(native: dict[str, Any]) -> None:
    before = copy.deepcopy(native)
    old = {row.ref: row for row in rows(read(native))}
    for change in wishes(native):
        after = edited(native, change)
        assert native == before
        assert len(differing(native, after)) == 1, "one number"
        for row in rows(read(after)):
            assert value_of(row, change.field) == change.after if row.ref == change.ref else row == old[row.ref]


def test_many_edits_are_one_patch(native: dict[str, Any]) -> None:
    changes = list(wishes(native))
    after = edited(native, *changes)
    assert len(differing(native, after)) == len(changes)
    now = {row.ref: row for row in rows(read(after))}
    assert all(value_of(now[change.ref], change.field) == change.after for change in changes)


def test_another_object_or_generation_is_refused(native: dict[str, Any]) -> None:
    for change in wishes(native):
        ops = codec_of(native).edit(native, [change])
        for member, other in (("uid", "other"), ("generation", 8)):
            stale = copy.deepcopy(native)
            stale["metadata"][member] = other
            with pytest.raises(PatchRefused):
                apply(stale, ops)


def test_the_base_moves_with_the_object_and_not_with_its_status(native: dict[str, Any]) -> None:
    def base(**metadata: Any) -> set[str]:
        moved = copy.deepcopy(native)
        moved["metadata"] |= metadata
        return {row.base for row in rows(read(moved))}

    assert len(base()) == 1
    assert base() == base(resourceVersion="99", annotations={"a": "b"})
    assert base().isdisjoint(base(generation=8) | base(uid="other"))


def test_values_and_names_that_are_none_are_refused(native: dict[str, Any]) -> None:
    for change in wishes(native):
        for bad in [*BAD, *([None] if "weight" in change.field else [])]:
            if change.field == "window" and bad == Fraction(1, 2):
                continue  # a length of time
            with pytest.raises(InvalidValue):
                codec_of(native).edit(native, [wishing(change, bad)])
        gone = Ref(change.ref.environment, change.ref.kind, change.ref.scope, change.ref.name, "rule=gone")
        with pytest.raises(NotFound):
            codec_of(native).edit(native, [Change(gone, change.field, 1, 1)])
        with pytest.raises((InvalidValue, NotFound)):
            codec_of(native).edit(native, [Change(change.ref, "targets/nobody/weight", 1, 1)])
        with pytest.raises(InvalidValue):
            codec_of(native).edit(native, [Change(change.ref, "colour", 1, 1)])


def wishing(change: Change, after: Any) -> Change:
    return Change(change.ref, change.field, change.before, after)


def test_what_is_not_editable_is_refused(native: dict[str, Any]) -> None:
    for row in rows(read(native)):
        if not row.editable.yes:
            field = (
                target_field(row.targets[0].name if row.targets else "a", "weight")
                if isinstance(row, Route)
                else "amount"
            )
            with pytest.raises((InvalidValue, NotFound)):
                codec_of(native).edit(native, [Change(row.ref, field, 1, 2)])
            assert row.editable.reason


def strings(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, str):
        yield at
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from strings(value, (*at, key))


def put(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(document)
    node: Any = made
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return made


def shown(row: Row) -> list[str]:
    """Every text of a row that is shown; names of targets are raw and are cleaned where they are shown."""
    found = [row.name, row.status.detail, row.editable.reason, row.location, *row.notes]
    if isinstance(row, Route):
        found += [row.sticky, *row.matches, *(mirror.name for mirror in row.mirrors)]
        return found + [text for target in row.targets for text in (*target.endpoints, target.native)]
    found += [row.match, row.native.replace("\n", ""), *row.key]
    return found + [word for pair in row.remainder for word in pair]


def test_hostile_strings_come_out_harmless(native: dict[str, Any]) -> None:
    for path in [
        ("metadata", "name"),
        *strings(native["spec"], ("spec",)),
        *strings(native.get("status"), ("status",)),
    ]:
        for row in rows(read(put(native, path, HOSTILE))):
            assert not any(c in text for c in "\x1b\u202e\u200b\r\n" for text in shown(row)), path
            assert str(row.ref).isprintable()


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*at, key), value
        yield from places(value, (*at, key))


def test_a_list_or_a_member_may_be_null(native: dict[str, Any]) -> None:
    for path, value in places(native["spec"], ("spec",)):
        if isinstance(value, list | dict) and path[-1] != "backendRef":  # which no server leaves out
            read(put(native, path, None if isinstance(path[-1], str) else {}))


def test_a_number_that_is_none_is_not_understood(native: dict[str, Any]) -> None:
    for change in wishes(native):
        after = edited(native, change)
        (path,) = differing(native, after)
        for junk in ("ten", 2.5, True, {"a": 1}, "0x10"):
            found = {row.ref: row for row in rows(read(put(after, path, junk)))}
            row = found[change.ref]
            assert not row.editable.yes
            assert row.editable.reason
            if isinstance(row, Limit):
                assert (row.amount, row.mode) == (None, Mode.NOT_UNDERSTOOD)
            else:
                assert all(target.share is None for target in row.targets)
                assert any(target.native for target in row.targets)


def test_an_undo_restores_every_byte(native: dict[str, Any]) -> None:
    """What was absent becomes absent again; a period keeps the form in which it stood."""
    codec = codec_of(native)
    for change in wishes(native):
        (done,) = codec.recorded(native, [change])
        after = edited(native, done)
        assert edited(after, reverse(done, done.after)) == native, done


def test_an_undo_whose_record_is_not_ours_writes_the_value(native: dict[str, Any]) -> None:
    for change in wishes(native):
        after = edited(native, change)
        back = reverse(change, change.after)
        forged = Change(back.ref, back.field, back.before, back.after, again="-9; rm")
        assert edited(after, forged) == edited(after, back)


def test_an_edited_text_gives_its_edits(native: dict[str, Any]) -> None:
    codec = codec_of(native)
    ref = read(native).routes[0].ref.whole if read(native).routes else read(native).limits[0].ref.whole
    text = as_yaml(tidy(native))
    assert edits_of(codec, ref, text, text) == []
    for change in wishes(native):
        edits = edits_of(codec, ref, text, as_yaml(tidy(edited(native, change))))
        made = changes_of(edits, rows(read(native)))
        assert [(one.ref, one.field, one.after) for one in made] == [(change.ref, change.field, change.after)]
    more = copy.deepcopy(native)
    more["spec"]["x-more"] = 1
    with pytest.raises(ControlError):
        edits_of(codec, ref, text, as_yaml(tidy(more)))
