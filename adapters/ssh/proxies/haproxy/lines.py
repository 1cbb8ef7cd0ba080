"""Tokens of an HAProxy configuration file with their byte spans, and its lines and sections.

By HAProxy's own reader (`parse_line`): words end at blanks; `'`, `"` and `\\` quote anywhere in a word; an unquoted `#`
ends the line wherever it stands; there is no line continuation; environment variables expand inside double quotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from adapters.ssh.proxies.haproxy.conditions import Branch, Conditions
from adapters.ssh.proxies.haproxy.words import expands, unquote
from adapters.ssh.proxies.spans import BOM, line_of, text
from control.errors import PlatformError

_BLANK = b" \t"
SECTIONS = frozenset(
    {
        *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist"),
        *("program", "cache", "ring", "log-forward", "http-errors", "fcgi-app", "crt-store", "traces"),
        *("log-profile", "acme"),
    }
)


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
        return b"${" in self.raw or self.expanded

    @property
    def expanded(self) -> bool:
        """True where HAProxy fills in an environment variable: what it reads is not in the file."""
        return b"$" in self.raw and expands(text(self.raw))

    @property
    def value(self) -> str:
        """What HAProxy reads: quotes taken off, escapes resolved; variables are left as they stand."""
        return unquote(text(self.raw))


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
    branches: tuple[Branch, ...] = ()
    """The branches of `.if` that it stands in and of which nobody knows whether HAProxy reads them."""

    @property
    def location(self) -> str:
        return f"{self.path}:{self.number}"

    @property
    def unknown(self) -> str:
        """Why it is not known whether this line is in force; empty where it is."""
        return f"'{self.branches[-1].told}' decides whether it is live, and that is not known" if self.branches else ""


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


def sections(
    files: Sequence[tuple[str, bytes]], version: str = "", decided: Mapping[tuple[int, int], bool] | None = None
) -> list[Section]:
    """All sections of the files in the order HAProxy reads them, each linked to the defaults it inherits from.

    What stands in a branch that HAProxy certainly does not read is left out; what may be read knows its branches.
    `version` is that of the HAProxy that runs, where it is known; `decided` tells of branches what the file does not.
    """
    found: list[Section] = []
    named: dict[str, Section] = {}
    current_defaults: Section | None = None
    conditions = Conditions(version, decided=decided or {})
    for path, data in files:
        section: Section | None = None
        for line in lines(path, data):
            words = [text(word.raw) for word in line.words]
            if conditions.see(line.values, words, line.location) or conditions.dead:
                continue
            line = replace(line, branches=conditions.unknown) if conditions.unknown else line
            if line.values[0] in SECTIONS:
                section = _start(line, line.values, named, current_defaults)
                found.append(section)
                if section.keyword == "defaults":
                    current_defaults = section
                    if section.name:
                        named[section.name] = section
            elif section is not None:
                section.lines.append(line)
                if section.keyword == "global":
                    conditions.environment(line.values, words)
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
