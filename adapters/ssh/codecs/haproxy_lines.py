"""Tokens of an HAProxy configuration file with their byte spans, and its lines and sections.

By HAProxy's own reader (`parse_line`): words end at blanks; `'`, `"` and `\\` quote anywhere in a word; an unquoted `#`
ends the line wherever it stands; there is no line continuation; environment variables expand inside double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from adapters.ssh.codecs.spans import BOM, line_of, text
from control.errors import PlatformError

_BLANK = b" \t"
SECTIONS = frozenset(
    {
        *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist"),
        *("program", "cache", "ring", "log-forward", "http-errors", "fcgi-app", "crt-store", "traces"),
        *("log-profile", "acme"),
    }
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class HAProxySyntaxError(PlatformError):
    """The file cannot be read as HAProxy configuration; the message names the line."""


class TokenKind(Enum):
    WORD = "word"
    COMMENT = "#"
    NEWLINE = "newline"


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    start: int
    end: int
    raw: bytes

    @property
    def templated(self) -> bool:
        """True where HAProxy fills in an environment variable, or where somebody meant it to."""
        return b"${" in self.raw or (b'"' in self.raw and re.search(rb"\$[A-Za-z_]", self.raw) is not None)

    @property
    def value(self) -> str:
        """What HAProxy reads: quotes taken off, escapes resolved; variables are left as they stand."""
        return _unquote(text(self.raw))


def _unquote(raw: str) -> str:
    if "\\" not in raw and '"' not in raw and "'" not in raw:
        return raw
    out: list[str] = []
    quote, position = "", 0
    while position < len(raw):
        character = raw[position]
        if character == "\\" and quote != "'" and position + 1 < len(raw):
            following = raw[position + 1]
            keep = quote == '"' and following not in '\\"$'
            out.append(f"\\{following}" if keep else _ESCAPES.get(following, following))
            position += 2
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        else:
            out.append(character)
        position += 1
    return "".join(out)


def tokenize(data: bytes, name: str = "the file") -> list[Token]:
    """All tokens of a file in order: words, comments and line ends. Raises `HAProxySyntaxError`."""
    tokens: list[Token] = []
    position = len(BOM) if data.startswith(BOM) else 0
    while position < len(data):
        byte = data[position]
        if byte in _BLANK:
            position += 1
            continue
        if byte == ord("\n") or data.startswith(b"\r\n", position):
            kind, end = TokenKind.NEWLINE, position + (1 if byte == ord("\n") else 2)
        elif byte == ord("#"):
            kind, end = TokenKind.COMMENT, _line_end(data, position)
        else:
            kind, end = TokenKind.WORD, _word_end(data, position, name)
        tokens.append(Token(kind, position, end, data[position:end]))
        position = end
    return tokens


def _line_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    if end < 0:
        return len(data)
    return end - 1 if data[end - 1 : end] == b"\r" else end


def _word_end(data: bytes, start: int, name: str) -> int:
    position, quote = start, 0
    while position < len(data):
        byte = data[position]
        if byte == ord("\n") or data.startswith(b"\r\n", position):
            break
        if byte == ord("\\") and quote != ord("'") and data[position + 1 : position + 2] not in (b"", b"\r", b"\n"):
            position += 2
            continue
        if byte in b"\"'" and quote in (0, byte):
            quote = 0 if quote else byte
        elif not quote and (byte in _BLANK or byte == ord("#")):
            break
        position += 1
    if quote:
        raise HAProxySyntaxError(f"{name}:{line_of(data, start)}: a quote is opened and never closed")
    return position


@dataclass(frozen=True, slots=True)
class Line:
    """The words of one line, with the position of the first one in the file's token list."""

    path: str
    number: int
    first: int
    words: tuple[Token, ...]
    values: list[str]
    """The words as HAProxy reads them."""

    @property
    def location(self) -> str:
        return f"{self.path}:{self.number}"


def _line(path: str, number: int, first: int, words: list[Token]) -> Line:
    return Line(path, number, first, tuple(words), [word.value for word in words])


def lines(path: str, data: bytes) -> list[Line]:
    """The lines of a file that hold words, in order."""
    found: list[Line] = []
    number, first, words = 1, 0, list[Token]()
    for index, token in enumerate(tokenize(data, path)):
        if token.kind is TokenKind.WORD:
            if not words:
                first = index
            words.append(token)
        elif token.kind is TokenKind.NEWLINE:
            if words:
                found.append(_line(path, number, first, words))
            number, words = number + 1, []
    if words:
        found.append(_line(path, number, first, words))
    return found


@dataclass(slots=True)
class Section:
    """One section: its keyword, name, the defaults it inherits from, and its lines (the head apart)."""

    keyword: str
    name: str
    head: Line
    lines: list[Line]
    parent: Section | None = None
    conditional: frozenset[int] = frozenset()
    """Numbers of the lines inside `.if` … `.endif`."""

    def chain(self) -> list[Section]:
        """This section and the defaults it inherits from, nearest first."""
        found: list[Section] = []
        section: Section | None = self
        while section is not None and not any(section is known for known in found):
            found.append(section)
            section = section.parent
        return found

    def last(self, *words: str) -> Line | None:
        """The last line that starts with `words`, in this section or the nearest defaults that has one."""
        for section in self.chain():
            for line in reversed(section.lines):
                if tuple(line.values[: len(words)]) == words:
                    return line
        return None


def sections(files: Sequence[tuple[str, bytes]]) -> list[Section]:
    """All sections of the files in the order HAProxy reads them, each linked to the defaults it inherits from."""
    found: list[Section] = []
    named: dict[str, Section] = {}
    current_defaults: Section | None = None
    for path, data in files:
        section: Section | None = None
        depth, conditional = 0, set[int]()
        for line in lines(path, data):
            values = line.values
            if values[0] in (".if", ".endif"):
                depth += 1 if values[0] == ".if" else -1
            elif values[0] in SECTIONS and not values[0].startswith("."):
                section = _start(line, values, named, current_defaults)
                found.append(section)
                if section.keyword == "defaults":
                    current_defaults = section
                    if section.name:
                        named[section.name] = section
            elif section is not None and not values[0].startswith("."):
                section.lines.append(line)
                if depth > 0:
                    conditional.add(line.number)
                    section.conditional = frozenset(section.conditional | {line.number})
    return found


def _start(line: Line, values: list[str], named: dict[str, Section], current: Section | None) -> Section:
    keyword, rest = values[0], values[1:]
    name = rest[0] if rest and rest[0] != "from" else ""
    parent: Section | None = None
    if "from" in rest:
        position = rest.index("from")
        parent = named.get(rest[position + 1]) if position + 1 < len(rest) else None
    elif keyword in ("frontend", "backend", "listen"):
        parent = current
    return Section(keyword, name, line, [], parent)
