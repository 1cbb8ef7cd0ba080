"""Tokens of an nginx configuration file with their byte spans, by the rules of nginx's own reader.

Words end at white space, `;` and `{`; a quote opens a token only at its start; `\\` escapes one byte; `{` directly
after `$` belongs to the word; `#` starts a comment only where a token may start; `}` inside a word does not end it;
the body of a `*_by_lua_block` is opaque. Gaps between tokens are white space by construction. A byte order mark is no
white space to nginx: it belongs to the first word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from adapters.ssh.proxies.spans import line_of, text
from control.errors import PlatformError

_SPACE = b" \t\r\n"
_WORD_ENDS = b" \t\r\n;"
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", '"': '"', "'": "'", "\\": "\\"}
_LUA_LONG = re.compile(rb"\[(=*)\[")


class NginxSyntaxError(PlatformError):
    """The file cannot be read as nginx configuration; the message names the line."""


class TokenKind(Enum):
    WORD = "word"
    OPEN = "{"
    CLOSE = "}"
    END = ";"
    COMMENT = "#"
    LUA = "lua"


@dataclass(frozen=True, slots=True)
class Token:
    kind: TokenKind
    start: int
    end: int
    raw: bytes

    @property
    def quote(self) -> str:
        """`"` or `'` where the token is quoted, else nothing."""
        first = self.raw[:1]
        return first.decode() if first in (b'"', b"'") else ""

    @property
    def value(self) -> str:
        """What nginx reads: quotes taken off, escapes resolved."""
        raw = text(self.raw[1:-1] if self.quote else self.raw)
        return raw if "\\" not in raw else re.sub(r"\\(.)", _unescape, raw, flags=re.DOTALL)


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])


def span_of(tokens: Sequence[Token], positions: Sequence[int]) -> tuple[int, int]:
    """The first and the last token of a directive whose words stand at `positions`, with comments before its end."""
    last = positions[-1]
    while last + 1 < len(tokens) and tokens[last + 1].kind is TokenKind.COMMENT:
        last += 1
    return positions[0], last


def tokenize(data: bytes, name: str = "the file") -> list[Token]:
    """All tokens of a file in order, comments included. Raises `NginxSyntaxError`."""
    tokens: list[Token] = []
    position = 0
    head: Token | None = None
    while True:
        while position < len(data) and data[position] in _SPACE:
            position += 1
        if position >= len(data):
            return tokens
        token = _next(data, position, name)
        tokens.append(token)
        position = token.end
        if token.kind is TokenKind.WORD:
            head = head or token
        elif token.kind is TokenKind.OPEN and head is not None and head.value.endswith("_by_lua_block"):
            end = _lua_end(data, position, name)
            tokens.append(Token(TokenKind.LUA, position, end, data[position:end]))
            position, head = end, None
        elif token.kind is not TokenKind.COMMENT:
            head = None


_SINGLE = {ord("{"): TokenKind.OPEN, ord("}"): TokenKind.CLOSE, ord(";"): TokenKind.END}


def _next(data: bytes, start: int, name: str) -> Token:
    first = data[start]
    if first in _SINGLE:
        return Token(_SINGLE[first], start, start + 1, data[start : start + 1])
    if first == ord("#"):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if data[end - 1 : end] == b"\r":
            end -= 1
        return Token(TokenKind.COMMENT, start, end, data[start:end])
    end = _quoted_end(data, start, name) if first in b"\"'" else _word_end(data, start)
    return Token(TokenKind.WORD, start, end, data[start:end])


def _quoted_end(data: bytes, start: int, name: str) -> int:
    quote, position = data[start], start + 1
    while position < len(data):
        byte = data[position]
        if byte == ord("\\"):
            position += 2
            continue
        position += 1
        if byte == quote:
            if position < len(data) and data[position] not in _WORD_ENDS + b"{)":
                raise NginxSyntaxError(f"{name}:{line_of(data, position)}: unexpected text after a quoted word")
            return position
    raise NginxSyntaxError(f"{name}:{line_of(data, start)}: a quote is opened and never closed")


def _word_end(data: bytes, start: int) -> int:
    position, after_dollar = start, False
    while position < len(data):
        byte = data[position]
        if byte == ord("{") and after_dollar:
            position += 1
            continue
        if byte in _WORD_ENDS or byte == ord("{"):
            break
        after_dollar = byte == ord("$")
        position += 2 if byte == ord("\\") else 1
    return min(position, len(data))


def _lua_end(data: bytes, start: int, name: str) -> int:
    """Where the closing brace of a Lua block stands: strings, long strings and comments are skipped."""
    depth, position = 1, start
    while position < len(data):
        byte = data[position]
        if byte in b"\"'":
            position = _lua_string_end(data, position)
            continue
        if data.startswith(b"--", position):
            position = _lua_comment_end(data, position)
            continue
        long = _LUA_LONG.match(data, position)
        if long:
            position = _lua_long_end(data, long)
            continue
        depth += (byte == ord("{")) - (byte == ord("}"))
        if depth == 0:
            return position
        position += 1
    raise NginxSyntaxError(f"{name}:{line_of(data, start)}: a Lua block is opened and never closed")


def _lua_string_end(data: bytes, start: int) -> int:
    position = start + 1
    while position < len(data) and data[position] != data[start]:
        position += 2 if data[position] == ord("\\") else 1
    return position + 1


def _lua_comment_end(data: bytes, start: int) -> int:
    long = _LUA_LONG.match(data, start + 2)
    if long:
        return _lua_long_end(data, long)
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end


def _lua_long_end(data: bytes, opening: re.Match[bytes]) -> int:
    end = data.find(b"]" + opening[1] + b"]", opening.end())
    return len(data) if end < 0 else end + len(opening[1]) + 2
