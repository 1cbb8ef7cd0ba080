"""TOML by span: `key = value` is replaced where the value stands; a new key is put below those of its table."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from adapters.engine.documents.document import Document, Replacement, Span
from adapters.engine.documents.nodes import Number
from adapters.engine.locators import Path, shown
from control.errors import InvalidValue
from control.text import clean

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_INLINE_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: [0-9:.Z+-]+)?")
_QUOTES = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_LONG = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}', re.S)


@dataclass(slots=True)
class _Table:
    """Where the keys of one table end, and how a key begins there."""

    end: int
    indent: str = ""
    inline: bool = False
    empty: bool = True


@dataclass(slots=True)
class _Scan:
    """Where the values of a text stand. The text is valid TOML."""

    text: str
    values: dict[Path, Span] = field(default_factory=dict)
    statements: dict[Path, Span] = field(default_factory=dict)
    """The whole line of each `key = value`."""
    tables: dict[Path, _Table] = field(default_factory=dict)
    at: int = 0

    def run(self) -> _Scan:
        """Every statement."""
        self.tables[()] = _Table(0)
        table: Path = ()
        counts: dict[Path, int] = {}
        while self._skip(_BLANK) < len(self.text):
            if self.text.startswith("[", self.at):
                table = self._header(counts)
                continue
            begin = self.text.rfind("\n", 0, self.at) + 1
            indent = self.text[begin : self.at]
            path = (*table, *self._key())
            self._take("=")
            self._value(path)
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            self.statements[path] = Span(begin, end)
            self.tables[table] = _Table(end, indent, empty=False)
        return self

    def _header(self, counts: dict[Path, int]) -> Path:
        several = self.text.startswith("[[", self.at)
        self.at += 2 if several else 1
        path: Path = ()
        keys = self._key()
        for depth, key in enumerate(keys):
            path = (*path, key)
            last = depth == len(keys) - 1
            if last and several:
                counts[path] = counts.get(path, -1) + 1
            if path in counts:
                path = (*path, counts[path])
        self.at = self.text.index("]", self.at) + (2 if several else 1)
        end = self.text.find("\n", self.at)
        self.tables[path] = _Table(len(self.text) if end < 0 else end)
        return path

    def _skip(self, what: re.Pattern[str]) -> int:
        match = what.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    def _take(self, sign: str) -> None:
        self._skip(_INLINE_BLANK)
        self.at += len(sign)
        self._skip(_INLINE_BLANK)

    def _key(self) -> tuple[str, ...]:
        found = []
        while True:
            self._skip(_INLINE_BLANK)
            match = _QUOTES.match(self.text, self.at) or _BARE.match(self.text, self.at)
            assert match is not None
            found.append(next(iter(tomllib.loads(f"{match[0]} = 1"))))
            self.at = match.end()
            self._skip(_INLINE_BLANK)
            if not self.text.startswith(".", self.at):
                return tuple(found)
            self.at += 1

    def _value(self, path: Path) -> None:
        begin = self.at
        if self.text.startswith("[", begin):
            self._list(path)
        elif self.text.startswith("{", begin):
            self._inline_table(path)
        else:
            match = _LONG.match(self.text, begin) or _QUOTES.match(self.text, begin) or _SCALAR.match(self.text, begin)
            assert match is not None
            self.at = match.end()
            self.values[path] = Span(begin, self.at)

    def _list(self, path: Path) -> None:
        self.at += 1
        index = 0
        while not self.text.startswith("]", self._skip(_BLANK)):
            self._value((*path, index))
            index += 1
            if self.text.startswith(",", self._skip(_BLANK)):
                self.at += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        end = self.at
        while not self.text.startswith("}", self._skip(_BLANK)):
            key = self._key()
            self._take("=")
            self._value((*path, *key))
            end = self.at
            if self.text.startswith(",", self._skip(_BLANK)):
                self.at += 1
        self.tables[path] = _Table(end, inline=True, empty=self.text[end - 1 : end] == "{")
        self.at += 1


class TomlDocument(Document):
    """A TOML text."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.data: Any = tomllib.loads(text, parse_float=Number)
        except tomllib.TOMLDecodeError as error:
            raise InvalidValue(f"this is no TOML: {clean(str(error))}") from None
        self._scan = _Scan(text).run()

    def parsed(self, text: str) -> TomlDocument:
        return TomlDocument(text)

    def span(self, path: Path) -> Span:
        found = self._scan.values.get(path)
        if found is None:
            raise InvalidValue(f"nothing stands alone at {shown(path)}")
        if "\n" in self.text[found.start : found.end]:
            raise InvalidValue(f"{shown(path)} stands over several lines")
        return found

    def scalars(self) -> Iterable[Path]:
        return [path for path, span in self._scan.values.items() if "\n" not in self.text[span.start : span.end]]

    def replaced(self, path: Path, value: Any) -> Replacement:
        span = self.span(path)
        literal = self.text.startswith("'", span.start)
        return Replacement(span, f"'{value}'" if literal and str(value).isalnum() else _written(value))

    def inserted(self, path: Path, value: Any) -> Replacement:
        table = self._scan.tables.get(path[:-1])
        if table is None or not isinstance(path[-1], str):
            raise InvalidValue(f"{shown(path)} has no place for a new key")
        word = f"{_key(path[-1])} = {_written(value)}"
        if table.inline:
            return Replacement(Span(table.end, table.end), word if table.empty else f", {word}")
        if table.end == 0:
            return Replacement(Span(0, 0), f"{word}\n")
        line_end = "\r\n" if self.text[table.end - 1 : table.end] == "\r" else "\n"
        at = table.end - len(line_end) + 1
        return Replacement(Span(at, at), f"{line_end}{table.indent}{word}")

    def removed(self, path: Path) -> Replacement:
        line = self._scan.statements.get(path)
        if line is None or "\n" in self.text[line.start : line.end]:
            raise InvalidValue(f"{shown(path)} cannot be taken out of this text")
        return Replacement(Span(line.start, min(line.end + 1, len(self.text))), "")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _written(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, Number):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_written(one)}" for name, one in value.items()) + "}"
    return str(value) if isinstance(value, Number) else json.dumps(value)
