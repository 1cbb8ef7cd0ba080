"""YAML whose every value knows its line, checked against a JSON Schema with messages for people.

Knows the parts of JSON Schema that the deck file's uses: type, properties, required, additionalProperties, items,
enum, minimum, maximum, minItems, minLength, minProperties, oneOf and anyOf of these.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from control.errors import DeckError
from control.text import clean

_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where messages are about."""

    path: Path

    def error(self, node: yaml.Node, message: str, hint: str | None = None) -> DeckError:
        """An error at the line of `node`."""
        return DeckError(clean(f"{self.path}:{line_of(node)}: {message}"), hint=clean(hint) if hint else None)


@dataclass(frozen=True, slots=True)
class Part:
    """A checked part of a file, whose values know their lines."""

    values: Any
    node: yaml.Node
    place: Place

    @property
    def line(self) -> int:
        """Where it begins, from 1."""
        return line_of(self.node)

    def below(self, *path: str | int) -> Part:
        """What stands under these keys and numbers of elements; it must be there."""
        values, node = self.values, self.node
        for step in path:
            values, node = values[step], _below(node, step, self.place) or node
        return Part(values, node, self.place)

    def error(self, message: str, hint: str | None = None, *path: str | int) -> DeckError:
        """An error at the line of what stands under `path`, as deep as it goes."""
        node = self.node
        for step in path:
            deeper = _below(node, step, self.place)
            if deeper is None:
                break
            node = deeper
        return self.place.error(node, message, hint)

    def path(self, key: str) -> str | None:
        """The path that stands under `key`, with `~` expanded; None where the key is not there."""
        if key not in self.values:
            return None
        try:
            return str(Path(self.values[key]).expanduser())
        except RuntimeError:
            raise self.error(f"the home folder in '{self.values[key]}' cannot be found", None, key) from None


def _below(node: yaml.Node, step: str | int, place: Place) -> yaml.Node | None:
    if isinstance(step, int):
        inside = isinstance(node, yaml.SequenceNode) and step < len(node.value)
        return node.value[step] if inside else None
    pair = entries(node, place).get(step)
    return pair[1] if pair else None


def line_of(node: yaml.Node) -> int:
    """The line of a node, from 1."""
    return int(node.start_mark.line) + 1


def compose(text: str, place: Place) -> yaml.Node:
    """The node tree of a YAML text. Raises `DeckError` with the line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DeckError(clean(f"{place.path}:{line}: YAML takes no control characters")) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise DeckError(clean(f"{place.path}:{line}: {error.problem or 'it is not YAML'}")) from None
    except RecursionError:
        raise DeckError(clean(f"{place.path}:1: it is nested too deeply")) from None
    if node is None:
        raise DeckError(f"{place.path}:1: the file is empty", hint="it needs at least 'environments:'")
    return node


def entries(node: yaml.Node, place: Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The (key, value) nodes of a mapping, by key. Raises for a key that is there twice."""
    pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    if not isinstance(node, yaml.MappingNode):
        return pairs
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise place.error(key, "a key must be a text")
        if key.value in pairs:
            raise place.error(key, f"'{key.value}' is there twice", f"first at line {line_of(pairs[key.value][0])}")
        pairs[key.value] = (key, value)
    return pairs


def check(node: yaml.Node, schema: Mapping[str, Any], what: str, place: Place) -> Any:
    """The plain value of `node` when it fits `schema`; `what` names it in messages. Raises `DeckError`.

    An empty schema takes any value.
    """
    if not schema:
        return _plain(node, what, place)
    options = [
        option for key in ("oneOf", "anyOf") for option in schema.get(key, ()) if option.keys() & {"type", "enum"}
    ]
    if options:
        wanted = [option for option in options if _may_be(node, option)]
        if not wanted:
            raise place.error(node, f"'{what}' must be {' or '.join(filter(None, map(_told, options)))}")
        schema = wanted[0]
    if "enum" in schema:
        return _enum(node, schema["enum"], what, place)
    if _type_of(node) not in _types(schema):
        raise place.error(node, f"'{what}' must be {_told(schema)}, and is {_shown(node)}")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, schema, what, place)
    if isinstance(node, yaml.SequenceNode):
        if len(node.value) < schema.get("minItems", 0):
            raise place.error(node, f"'{what}' must not be empty")
        return [check(item, schema["items"], f"{what}[{number}]", place) for number, item in enumerate(node.value)]
    return _scalar(node, schema, what, place)


def _may_be(node: yaml.Node, option: Mapping[str, Any]) -> bool:
    if "enum" in option:
        return isinstance(node, yaml.ScalarNode) and node.value in option["enum"]
    return _type_of(node) in _types(option)


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    named = schema["type"]
    names = (named,) if isinstance(named, str) else tuple(named)
    return (*names, "integer") if "number" in names else names


def _told(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"'{word}'" for word in schema["enum"])
    return " or ".join(_TYPE_NAMES[name] for name in _types(schema) if name in _TYPE_NAMES)


def _type_of(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "object"
    if isinstance(node, yaml.SequenceNode):
        return "array"
    tag = node.tag.rpartition(":")[2]
    names = {"str": "string", "timestamp": "string", "int": "integer", "float": "number", "bool": "boolean"}
    return names.get(tag, tag)


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "empty" if _type_of(node) == "null" else f"'{clean(node.value, 60)}'"
    return _TYPE_NAMES[_type_of(node)]


def _enum(node: yaml.Node, allowed: list[str], what: str, place: Place) -> str:
    # The written text counts: YAML reads a bare `off` as false.
    text = node.value if isinstance(node, yaml.ScalarNode) else None
    if text not in allowed:
        raise place.error(node, f"'{what}' cannot be {_shown(node)}", f"it may be {', '.join(allowed)}")
    return str(text)


def _mapping(node: yaml.MappingNode, schema: Mapping[str, Any], what: str, place: Place) -> dict[str, Any]:
    known: Mapping[str, Any] = schema.get("properties", {})
    other = schema.get("additionalProperties", False)
    pairs = entries(node, place)
    values = {}
    for key, (key_node, value_node) in pairs.items():
        below = known.get(key, other)
        if not isinstance(below, Mapping):
            raise place.error(key_node, f"unknown key '{key}' in {what}", _nearest(key, known))
        values[key] = check(value_node, below, key, place)
    missing = [key for key in schema.get("required", ()) if key not in values]
    if missing:
        raise place.error(node, f"{what} needs '{missing[0]}'")
    if len(values) < schema.get("minProperties", 0):
        raise place.error(node, f"'{what}' must not be empty")
    return values


def _nearest(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    return f"did you mean '{near[0]}'?" if near else f"it may have {', '.join(known)}"


def _scalar(node: yaml.Node, schema: Mapping[str, Any], what: str, place: Place) -> Any:
    # Where a text may stand the written one counts: YAML reads NO as false, 1.10 as 1.1, 007 as 7 and 12:30 as 750.
    value = node.value if "string" in _types(schema) else _plain(node, what, place)
    if isinstance(value, str) and len(value) < schema.get("minLength", 0):
        raise place.error(node, f"'{what}' must not be empty")
    low, high = schema.get("minimum"), schema.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"{low} to {high}" if high is not None else f"{low} or more"
        raise place.error(node, f"'{what}' must be {bounds}, and is {_shown(node)}")
    return value


def _plain(node: yaml.Node, what: str, place: Place) -> Any:
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):
        raise place.error(node, f"'{what}' cannot be read: {_shown(node)}") from None
