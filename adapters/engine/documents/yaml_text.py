"""YAML and JSON by span: a value is replaced where it stands, a member is put beside the others.

Every way in which a value has no place of its own is refused with its reason: an alias, a value that others alias, what
stands twice, a text over several lines, a template.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from adapters.engine.documents.document import Document, Replacement, Span
from adapters.engine.documents.nodes import Node, Number, documents
from adapters.engine.locators import Path, shown
from control.errors import InvalidValue

BOM = "\ufeff"


class YamlDocument(Document):
    """One document of a YAML text, by its position among them."""

    def __init__(self, text: str, index: int = 0, root: Node | None = None) -> None:
        self.text = text
        self._index = index
        self._root = root if root is not None else _picked(text, index)
        self._aliased = set(_aliased(self._root))
        self.data = self._root.data()

    def parsed(self, text: str) -> YamlDocument:
        """The document at the same position of another text."""
        return YamlDocument(text, self._index)

    def _at(self, path: Path) -> Node:
        """The node at a place. Raises `InvalidValue` with the reason why there is none."""
        node = self._root
        for depth, step in enumerate(path):
            self._own(node, path[:depth])
            if isinstance(step, int):
                if node.kind != "list" or step >= len(node.items):
                    raise InvalidValue(f"nothing stands at {shown(path)}")
                node = node.items[step]
            else:
                pair = node.member(step)
                if pair is None:
                    raise InvalidValue(f"nothing stands at {shown(path)}, or a merge brings it")
                node = pair[1]
        self._own(node, path)
        return node

    def _own(self, node: Node, path: Path) -> None:
        where = shown(path)
        if node.kind == "alias":
            raise InvalidValue(f"{where} is an alias of &{node.anchor}")
        if node.anchor in self._aliased:
            raise InvalidValue(f"{where} is &{node.anchor}, which other places repeat")

    def span(self, path: Path) -> Span:
        node = self._at(path)
        if node.kind != "scalar":
            raise InvalidValue(f"{shown(path)} is no single value")
        if "\n" in self.text[node.start : node.end] or node.style in ("|", ">"):
            raise InvalidValue(f"{shown(path)} stands over several lines")
        return Span(node.start, node.end)

    def scalars(self) -> Iterable[Path]:
        return [path for path, node in _walk(self._root, ()) if self._has_place(path)]

    def _has_place(self, path: Path) -> bool:
        try:
            self.span(path)
        except InvalidValue:
            return False
        return True

    def holds(self, path: Path) -> bool:
        """What a merge brings does not stand there."""
        if not super().holds(path):
            return False
        return not isinstance(path[-1], str) or self._at(path[:-1]).member(path[-1]) is not None

    def replaced(self, path: Path, value: Any) -> Replacement:
        span = self.span(path)
        node = self._at(path)
        text = self.written(value, node.style)
        if span.start == span.end:  # `key:` with nothing behind it
            text = text if self.text[span.start - 1 : span.start].isspace() else f" {text}"
        return Replacement(span, text)

    def written(self, value: Any, style: str | None = None) -> str:
        """A value in the quotes that stood there, or plain where that says the same."""
        if isinstance(value, str) and not isinstance(value, Number):
            return f"'{value}'" if style == "'" and value.isalnum() else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.key(name)}: {self.written(one)}" for name, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.written, value)) + "]"
        return str(value) if isinstance(value, Number) else json.dumps(value)

    def key(self, name: str) -> str:
        """A key as a new member has it."""
        return name if name.isidentifier() else json.dumps(name, ensure_ascii=False)

    def inserted(self, path: Path, value: Any) -> Replacement:
        holder, name = self._at(path[:-1]), path[-1]
        if holder.kind != "map" or not isinstance(name, str):
            raise InvalidValue(f"{shown(path)} has no place for a new member")
        word = f"{self.key(name)}: {self.written(value)}"
        if holder.flow:
            return self._in_flow(holder, word)
        for key, node in holder.members:
            end = self._line_end(key.start)
            if node.kind != "alias" and node.end <= end and "\n" not in self.text[key.start : node.end]:
                if self.text[node.end : end].split("#")[0].strip(" \t\r"):
                    continue
                line_end = "\r\n" if self.text[end - 1 : end] == "\r" else "\n"
                at = end - len(line_end) + 1
                return Replacement(Span(at, at), line_end + " " * self._column(key.start) + word)
        first = holder.members[0][0].start
        return Replacement(Span(first, first), f"{word}\n" + " " * self._column(first))

    def _in_flow(self, holder: Node, word: str) -> Replacement:
        if not holder.members:
            return Replacement(Span(holder.start + 1, holder.start + 1), word)
        key, last = holder.members[-1]
        begin = self.text.rfind("\n", 0, key.start) + 1
        own_line = not self.text[begin : key.start].strip()
        between = "," + ("\n" + self.text[begin : key.start] if own_line else " ")
        return Replacement(Span(last.end, last.end), between + word)

    def removed(self, path: Path) -> Replacement:
        holder, name = self._at(path[:-1]), path[-1]
        pair = holder.member(str(name)) if holder.kind == "map" else None
        if pair is None:
            raise InvalidValue(f"{shown(path)} has no place of its own")
        key, node = pair
        self._own(node, path)
        order = [one for one, _ in holder.members]
        index = order.index(key)
        if holder.flow:
            return self._out_of_flow(holder, index)
        begin, end = self.text.rfind("\n", 0, key.start) + 1, self._line_end(node.end)
        if len(order) == 1 or "\n" in self.text[key.start : node.end].rstrip("\n"):
            raise InvalidValue(f"{shown(path)} cannot be taken out of this text")
        if not self.text[begin : key.start].strip():
            return Replacement(Span(begin, min(end + 1, len(self.text))), "")
        following = order[1].start if index == 0 else key.start
        if self.text[end:following].strip() or not index == 0:
            raise InvalidValue(f"{shown(path)} cannot be taken out of this text")
        return Replacement(Span(key.start, following), "")

    def _out_of_flow(self, holder: Node, index: int) -> Replacement:
        key, node = holder.members[index]
        if index > 0:
            return Replacement(Span(holder.members[index - 1][1].end, node.end), "")
        following = holder.members[1][0].start if len(holder.members) > 1 else node.end
        return Replacement(Span(key.start, following), "")

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def _column(self, at: int) -> int:
        return at - (self.text.rfind("\n", 0, at) + 1)


class JsonDocument(YamlDocument):
    """A JSON text. The parser of YAML takes it, tabs and all."""

    def key(self, name: str) -> str:
        return json.dumps(name, ensure_ascii=False)

    def parsed(self, text: str) -> JsonDocument:
        return JsonDocument(text)


def _picked(text: str, index: int) -> Node:
    found = documents(text)
    if index >= len(found):
        raise InvalidValue(f"this text has no document {index + 1}")
    return found[index]


def _walk(node: Node, path: Path) -> Iterable[tuple[Path, Node]]:
    if node.kind == "scalar":
        yield path, node
    for index, item in enumerate(node.items):
        yield from _walk(item, (*path, index))
    for key, value in node.members:
        yield from _walk(value, (*path, key.value))


def _aliased(node: Node) -> Iterable[str]:
    """The anchors that are repeated somewhere."""
    if node.kind == "alias" and node.anchor:
        yield node.anchor
    for child in (*node.items, *(value for _, value in node.members)):
        yield from _aliased(child)


def decode(raw: bytes) -> tuple[str, bool]:
    """(text without its byte order mark, whether it had one). Raises `InvalidValue` for what is not UTF-8."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidValue("this file is not UTF-8") from None
    return text.removeprefix(BOM), text.startswith(BOM)


def encode(text: str, mark: bool) -> bytes:
    """The bytes of a text, with the byte order mark that it had."""
    return ((BOM if mark else "") + text).encode("utf-8")


def all_of(text: str) -> list[YamlDocument]:
    """Every document of a YAML text."""
    return [YamlDocument(text, index, root) for index, root in enumerate(documents(text))]
