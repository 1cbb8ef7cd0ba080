"""The words of a Caddyfile with their byte spans, split as Caddy splits them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.proxies.spans import BOM, line_of, text
from control.errors import PlatformError
from control.text import clean

_BLANK = b" \t\r\n"
_HEREDOC = re.compile(rb"<<([A-Za-z0-9_-]+)\Z")


class CaddySyntaxError(PlatformError):
    """A text that is no Caddyfile; the message has file and line."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or a comment up to the end of its line. `row` counts lines as directives end with them: a line that `\\`
    continues, and one inside quotes, belongs to the row where it began."""

    start: int
    end: int
    raw: bytes
    value: str
    row: int
    comment: bool = False


@lru_cache(maxsize=256)
def tokenize(data: bytes, path: str = "") -> Sequence[Token]:
    """Raises `CaddySyntaxError` for a quote or heredoc that does not end."""
    found: list[Token] = []
    position, row = len(BOM) if data.startswith(BOM) else 0, 0
    while position < len(data):
        byte = data[position : position + 1]
        if byte in (b" ", b"\t", b"\r", b"\n"):
            row += byte == b"\n"
            position += 1
        elif data[position : position + 2] == b"\\\n" or data[position : position + 3] == b"\\\r\n":
            position = data.index(b"\n", position) + 1
        elif byte == b"#":
            end = data.find(b"\n", position)
            end = len(data) if end < 0 else end
            raw = data[position:end].rstrip(b"\r")
            found.append(Token(position, position + len(raw), raw, text(raw), row, True))
            position = end
        else:
            end, value = _word(data, position, path)
            found.append(Token(position, end, data[position:end], value, row))
            position = end
    return tuple(found)


def _word(data: bytes, start: int, path: str) -> tuple[int, str]:
    """(where the word ends, what Caddy takes it for)."""
    quote = data[start : start + 1]
    if quote in (b'"', b"`"):
        end = start + 1
        while data[end : end + 1] != quote:
            if end >= len(data):
                raise CaddySyntaxError(f"{clean(path)}:{line_of(data, start)}: a quoted word does not end")
            end += 2 if quote == b'"' and data[end : end + 1] == b"\\" else 1
        inner = data[start + 1 : end]
        return end + 1, text(inner.replace(b'\\"', b'"') if quote == b'"' else inner)
    end = start
    while end < len(data) and data[end] not in _BLANK:
        end += 2 if data[end : end + 1] == b"\\" and data[end + 1 : end + 2] not in (b"\n", b"\r", b"") else 1
    end = min(end, len(data))
    mark = _HEREDOC.match(data[start:end])
    if mark is None or data[end : end + 1] not in (b"\n", b"\r"):
        return end, text(data[start:end])
    closing = re.compile(rb"^[ \t]*" + mark[1] + rb"(?=\s|\Z)", re.MULTILINE).search(data, end)
    if closing is None:
        raise CaddySyntaxError(f"{clean(path)}:{line_of(data, start)}: the heredoc {clean(text(mark[1]))} does not end")
    return closing.end(), text(data[end : closing.start()])
