"""EDITS.yaml of `trafficdeck plan`: one plan from a list of edits over any platforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from control.errors import ControlError, UsageError
from control.model.ref import Ref
from control.planning.edit import Edit
from control.planning.expressions import parse_limit, parse_shares, parse_states
from control.text import clean

if TYPE_CHECKING:
    import yaml

_PARSERS: Mapping[str, Callable[[Ref, list[str]], Edit]] = {
    "shares": parse_shares,
    "limit": parse_limit,
    "state": parse_states,
}
_DEEPEST = 8
_EXAMPLE = "- ref: ENVIRONMENT/Kind/scope/name#part\n  shares: {v1: 70%, v2: 30%}"


def parse_edits(text: str, source: str) -> list[Edit]:
    """The edits of a file: a list of `{ref, shares|limit|state: {NAME: VALUE}}`, `persist: true` beside a state.

    `source` is the file's name for messages. Raises `UsageError` that names the item and what may be written.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise UsageError(f"{where} is not YAML: {clean(str(getattr(error, 'problem', error)))}") from None
    items = _written(node, source)
    if not isinstance(items, list) or not items:
        raise UsageError(f"{source} holds no list of edits", hint=f"write for example {_EXAMPLE}")
    return [_edit(item, f"{source}, edit {number}") for number, item in enumerate(items, 1)]


def _written(node: yaml.Node | None, source: str, depth: int = 0) -> Any:
    """The lists, mappings and texts of a document, each text as it is written: `NO`, `1.10` and `007` are names."""
    import yaml

    value: Any = None if node is None else node.value
    if depth > _DEEPEST:
        raise UsageError(f"{source} is nested too deeply", hint=f"write for example {_EXAMPLE}")
    if not isinstance(value, list):
        return value
    if isinstance(node, yaml.SequenceNode):
        return [_written(item, source, depth + 1) for item in value]
    values: dict[str, Any] = {}
    for key, below in value:
        name = str(key.value)
        if name in values:
            line = key.start_mark.line + 1
            raise UsageError(f"{source}:{line}: '{clean(name)}' is there twice", hint="name each once")
        values[name] = _written(below, source, depth + 1)
    return values


def _edit(item: Any, where: str) -> Edit:
    if not isinstance(item, dict) or not isinstance(item.get("ref"), str):
        raise UsageError(f"{where} has no ref", hint="each edit is {ref, shares|limit|state: {NAME: VALUE}}")
    sorts = [key for key in _PARSERS if key in item]
    unknown = [str(key) for key in item if key not in (*_PARSERS, "ref", "persist")]
    if unknown:
        raise UsageError(f"{where} has an unknown key '{clean(unknown[0])}'", hint="it may have ref and one of "
                         "shares, limit, state; persist beside a state")  # fmt: skip
    if len(sorts) != 1:
        raise UsageError(f"{where} needs exactly one of shares, limit and state", ref=item["ref"])
    values = item[sorts[0]]
    if not isinstance(values, dict) or not values:
        raise UsageError(f"{where}: {sorts[0]} is not a list of NAME: VALUE", ref=item["ref"])
    try:
        ref = Ref.parse(item["ref"])
        pairs = [f"{name}={_text(value)}" for name, value in values.items()]
        if sorts[0] == "state":
            return parse_states(ref, pairs, _flag(item.get("persist", "false")))
        return _PARSERS[sorts[0]](ref, pairs)
    except ControlError as error:
        raise type(error)(f"{where}: {error.message}", ref=item["ref"], hint=error.hint) from None


def _flag(value: Any) -> bool:
    if value not in ("true", "false"):
        raise UsageError("persist is true or false")
    return bool(value == "true")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"'{clean(str(value))}' is not a value", hint="write a number or a text like 70% or 50/s")
    return value
