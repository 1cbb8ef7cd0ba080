"""EDITS.yaml of `trafficdeck plan`: one plan from a list of edits over any platforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from control.edit import Edit
from control.errors import ControlError, UsageError
from control.expressions import parse_limit, parse_shares, parse_states
from control.ref import Ref
from control.text import clean

_PARSERS: Mapping[str, Callable[[Ref, list[str]], Edit]] = {
    "shares": parse_shares,
    "limit": parse_limit,
    "state": parse_states,
}
_EXAMPLE = "- ref: prod-eu/HTTPRoute/inference/llama#rule=0\n  shares: {v1: 70%, v2: 30%}"


def parse_edits(text: str, source: str) -> list[Edit]:
    """The edits of a file: a list of `{ref, shares|limit|state: {NAME: VALUE}}`, `persist: true` beside a state.

    `source` is the file's name for messages. Raises `UsageError` that names the item and what may be written.
    """
    import yaml

    try:
        items = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise UsageError(f"{where} is not YAML: {clean(str(getattr(error, 'problem', error)))}") from None
    if not isinstance(items, list) or not items:
        raise UsageError(f"{source} holds no list of edits", hint=f"write for example {_EXAMPLE}")
    return [_edit(item, f"{source}, edit {number}") for number, item in enumerate(items, 1)]


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
            return parse_states(ref, pairs, _flag(item.get("persist", False)))
        return _PARSERS[sorts[0]](ref, pairs)
    except ControlError as error:
        raise type(error)(f"{where}: {error.message}", ref=item["ref"], hint=error.hint) from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError("persist is true or false")
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"'{clean(str(value))}' is not a value", hint="write a number or a text like 70% or 50/s")
    return str(value)
