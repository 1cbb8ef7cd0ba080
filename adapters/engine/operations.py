"""Operations on plain data, as JSON Patch (RFC 6902) writes them: `test`, `add` and `remove`. Pure.

The same arithmetic makes the "after" of a plan and is what the memory transport applies. It does as kube-apiserver
does: a `test` there compares the bytes of a value with those that the server would write, and a Go server writes `&`,
`<`, `>`, U+2028 and U+2029 as escapes that no client need use. So free text is never tested: uid and generation say
which object it is and that nobody has changed it, and numbers have one spelling.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from control.ports import SetField

Op = dict[str, Any]
_ESCAPED = re.compile("[&<>\u2028\u2029]")


class TestFailed(Exception):
    """A `test` did not hold, or a path does not exist."""


def pointer(*parts: str | int) -> str:
    """A JSON Pointer from raw parts."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def parts(path: str) -> list[str]:
    """The raw parts of a JSON Pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def test(path: str, value: int) -> Op:
    """Refuse the whole patch unless `path` holds this number."""
    return {"op": "test", "path": path, "value": value}


def test_uid(uid: str) -> Op:
    """Refuse the whole patch unless it meets the object with this uid (hexadecimal digits and dashes)."""
    return {"op": "test", "path": "/metadata/uid", "value": uid}


def add(path: str, value: Any) -> Op:
    """Set a member, whether it is there or not; in a list, insert."""
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> Op:
    """Another value for a member or an element that is there."""
    return {"op": "replace", "path": path, "value": value}


def remove(path: str) -> Op:
    """Take a member away."""
    return {"op": "remove", "path": path}


def value_at(document: Any, path: str) -> Any:
    """What stands at `path`. Raises `TestFailed` where nothing does."""
    node = document
    for part in parts(path):
        node = _step(node, part, path)
    return node


def _tested(document: Any, path: str) -> Any:
    """What a `test` compares: a member that is absent counts as null, as long as there is a place for it."""
    *above, last = parts(path)
    holder = value_at(document, pointer(*above))
    return holder.get(last) if isinstance(holder, Mapping) else _step(holder, last, path)


def _step(node: Any, part: str, path: str) -> Any:
    if isinstance(node, Mapping) and part in node:
        return node[part]
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return node[int(part)]
    raise TestFailed(f"{path} does not exist")


def apply(document: Mapping[str, Any], ops: Sequence[Op]) -> dict[str, Any]:
    """`document` with all `ops` done, or `TestFailed` and no change at all. The input stays as it was."""
    result: dict[str, Any] = copy.deepcopy(dict(document))
    for op in ops:
        if op["op"] == "test":
            if not same(_tested(result, op["path"]), op["value"]):
                raise TestFailed(f"{op['path']} is not what it was")
        elif op["op"] in ("add", "replace"):
            _put(result, op)
        elif op["op"] == "remove":
            *above, last = parts(op["path"])
            holder = value_at(result, pointer(*above))
            _step(holder, last, op["path"])
            del holder[int(last) if isinstance(holder, list) else last]
        else:
            raise TestFailed(f"the operation '{op['op']}' is not known")
    return result


def _put(result: dict[str, Any], op: Op) -> None:
    *above, last = parts(op["path"])
    holder = value_at(result, pointer(*above))
    value = copy.deepcopy(op["value"])
    if isinstance(holder, dict):
        holder[last] = value
    elif isinstance(holder, list):
        _put_in(holder, last, value, op)
    else:
        raise TestFailed(f"{op['path']} has no place")


def _put_in(holder: list[Any], last: str, value: Any, op: Op) -> None:
    if op["op"] == "replace":
        _step(holder, last, op["path"])
        holder[int(last)] = value
        return
    index = len(holder) if last == "-" else int(last) if last.isdecimal() else -1
    if not 0 <= index <= len(holder):
        raise TestFailed(f"{op['path']} has no place")
    holder.insert(index, value)


def fields_of(object: str, document: Mapping[str, Any], ops: Sequence[Op]) -> tuple[SetField, ...]:
    """What `ops` set in `document`, one after the other, as the fields that become another."""
    made: list[SetField] = []
    for op in ops:
        if op["op"] != "test":
            try:
                before = value_at(document, op["path"])
            except TestFailed:
                before = None
            made.append(SetField(object, op["path"], before, op.get("value")))
            document = apply(document, [op])
    return tuple(made)


def patch_of(fields: Sequence[SetField]) -> list[Op]:
    """The operations that set these fields, each behind a test of the whole number that stands there."""
    ops: list[Op] = []
    for field in fields:
        if isinstance(field.before, int) and not isinstance(field.before, bool):
            ops.append(test(field.path, field.before))
        ops.append(remove(field.path) if field.after is None else add(field.path, field.after))
    return ops


def same(held: Any, sent: Any) -> bool:
    """Whether a `test` of what is held with what was sent holds: as JSON has it (true is not 1, nor is 1.0), and never
    for text that the server spells otherwise."""
    one, other = held, sent
    if type(one) is not type(other) and not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return False
    if isinstance(one, str) and _ESCAPED.search(one):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
