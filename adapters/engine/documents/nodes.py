"""A YAML or JSON text as a tree of nodes with their places, made from the parser's events: nodes of PyYAML's own would
not tell an alias from its anchor.

Places are characters of a text without a byte order mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from control.errors import InvalidValue
from control.text import clean

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FRACTION = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+")
_PROPERTY = re.compile(r"[&!]\S*\s+")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
MERGE = "<<"


class Number(str):
    """A number with a fraction, as it is written: no two spellings of it are equal, and none loses a digit."""


@dataclass(slots=True)
class Node:
    """`kind`: scalar, map, list or alias. `start` and `end` hold the value alone, without anchor and tag."""

    kind: str
    start: int
    end: int
    value: Any = None
    """Of a scalar: what it says."""
    style: str | None = None
    anchor: str | None = None
    flow: bool = False
    target: Node | None = None
    """Of an alias."""
    items: list[Node] = field(default_factory=list)
    members: list[tuple[Node, Node]] = field(default_factory=list)

    def data(self) -> Any:
        """Plain data. What a merge brings is in it."""
        if self.kind == "alias":
            return self.target.data() if self.target is not None else None
        if self.kind == "list":
            return [item.data() for item in self.items]
        if self.kind == "scalar":
            return self.value
        made: dict[str, Any] = {}
        for key, value in self.members:
            if key.value != MERGE:
                made[key.value] = value.data()
        for key, value in self.members:
            merged = value.data() if key.value == MERGE else {}
            for one in merged if isinstance(merged, list) else [merged]:
                made = {**one, **made} if isinstance(one, dict) else made
        return made

    def member(self, name: str) -> tuple[Node, Node] | None:
        """(key, value) of a map, not of what a merge brings. Raises `InvalidValue` where it stands twice."""
        found = [pair for pair in self.members if pair[0].value == name]
        if len(found) > 1:
            raise InvalidValue(f"the key {clean(name)} stands twice")
        return found[0] if found else None


def documents(text: str) -> list[Node]:
    """The documents of a text. Raises `InvalidValue` for what is no YAML, or a template."""
    try:
        events = list(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise InvalidValue(f"{where}{clean(str(getattr(error, 'problem', None) or 'this is no YAML'))}") from None
    quoted: list[tuple[int, int]] = []
    stream = iter(events)
    roots = [
        _node(next(stream), stream, text, {}, quoted) for event in stream if isinstance(event, yaml.DocumentStartEvent)
    ]
    _refuse_templates(text, quoted)
    return roots


def _node(
    event: Any, events: Iterator[Any], text: str, anchors: dict[str, Node], quoted: list[tuple[int, int]]
) -> Node:
    start, end = event.start_mark.index, event.end_mark.index
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", start, end, target=anchors.get(event.anchor or ""), anchor=event.anchor)
    while (match := _PROPERTY.match(text, start, end)) is not None and (event.anchor or event.tag):
        start = match.end()
    if isinstance(event, yaml.ScalarEvent):
        if event.style in ("'", '"'):
            quoted.append((start, end))
        node = Node("scalar", start, end, _said(event), event.style or None, event.anchor)
    else:
        is_list = isinstance(event, yaml.SequenceStartEvent)
        node = Node("list" if is_list else "map", start, end, anchor=event.anchor, flow=bool(event.flow_style))
        while not isinstance(inner := next(events), yaml.SequenceEndEvent | yaml.MappingEndEvent):
            child = _node(inner, events, text, anchors, quoted)
            if is_list:
                node.items.append(child)
                continue
            if child.kind != "scalar":
                raise InvalidValue("a key is no plain text: this may be a template")
            if not isinstance(child.value, str):
                child.value = text[child.start : child.end]
            node.members.append((child, _node(next(events), events, text, anchors, quoted)))
        node.end = _end(inner)
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _end(event: Any) -> int:
    found: int = event.end_mark.index
    return found


def _said(event: Any) -> Any:
    """What a scalar says. Only what all parsers read alike is a number; the rest stays text, as it is written."""
    if event.style or (event.tag and not event.implicit[0]):
        return event.value
    if event.value in _WORDS:
        return _WORDS[event.value]
    if _INTEGER.fullmatch(event.value):
        return int(event.value)
    return Number(event.value) if _FRACTION.fullmatch(event.value) else event.value


def _refuse_templates(text: str, quoted: list[tuple[int, int]]) -> None:
    at = text.find("{{")
    while at >= 0:
        if not any(start <= at < end for start, end in quoted) and not _in_comment(text, at, quoted):
            line = text.count("\n", 0, at) + 1
            raise InvalidValue(f"line {line}: this file is a template")
        at = text.find("{{", at + 2)


def _in_comment(text: str, at: int, quoted: list[tuple[int, int]]) -> bool:
    begin = text.rfind("\n", 0, at) + 1
    for index in range(begin, at):
        if text[index] == "#" and (index == begin or text[index - 1] in " \t"):
            return not any(start <= index < end for start, end in quoted)
    return False
