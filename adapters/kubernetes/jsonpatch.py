"""JSON Patch (RFC 6902), as much of it as we send: `test` and `add`. Pure.

The same arithmetic makes the "after" of a plan and is what the memory transport applies.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

Op = dict[str, Any]


class TestFailed(Exception):
    """A `test` did not hold, or a path does not exist."""


def pointer(*parts: str | int) -> str:
    """A JSON Pointer from raw parts."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def parts(path: str) -> list[str]:
    """The raw parts of a JSON Pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def test(path: str, value: Any) -> Op:
    """Refuse the whole patch unless `path` holds `value`."""
    return {"op": "test", "path": path, "value": value}


def add(path: str, value: Any) -> Op:
    """Set a member, whether it is there or not; in a list, insert."""
    return {"op": "add", "path": path, "value": value}


def value_at(document: Any, path: str) -> Any:
    """What stands at `path`. Raises `TestFailed` where nothing does."""
    node = document
    for part in parts(path):
        node = _step(node, part, path)
    return node


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
            if not same(value_at(result, op["path"]), op["value"]):
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
    if op["op"] == "replace":
        _step(holder, last, op["path"])
    if isinstance(holder, dict):
        holder[last] = value
    elif isinstance(holder, list):
        index = len(holder) if last == "-" else int(last)
        if op["op"] == "replace":
            holder[index] = value
        else:
            holder.insert(index, value)
    else:
        raise TestFailed(f"{op['path']} has no place")


def same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
