"""Edits of single tokens in native bytes, checked by tokenizing the result again.

A tokenizer gives every token with its byte span. An edit names tokens by their position in that list. After the bytes
are spliced the result is tokenized again and must hold exactly the intended tokens: nothing else can have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from control.errors import PlatformError
from control.planning.edit import Change


class Spanned(Protocol):
    """A token: its raw bytes and where they start and end."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def raw(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class TokenEdit:
    """What becomes of one token: `raw` replaces it (None takes it out), `after` are words put behind it.

    A word in `after` may bring the blanks before it; else it gets one. `skip` bytes of the gap behind the token (white
    space, of which none stays at its end) come before them.
    """

    index: int
    raw: bytes | None
    after: tuple[bytes, ...] = ()
    skip: int = 0


@dataclass(frozen=True, slots=True)
class FileEdit:
    """A token edit with its file and the changes that it does."""

    path: str
    edit: TokenEdit
    changes: tuple[Change, ...]


_BLANKS = b" \t"


def apply_edits(
    data: bytes,
    tokens: Sequence[Spanned],
    edits: Sequence[TokenEdit],
    tokenize: Callable[[bytes], Sequence[Spanned]],
) -> bytes:
    """Return `data` with the edits done; every byte outside the edited tokens stays as it was.

    Raises `PlatformError` when the result does not read back as intended, which would be an error of ours.
    """
    by_index = {edit.index: edit for edit in edits}
    if len(by_index) != len(edits):
        raise PlatformError("two edits of one token: nothing was changed")
    result = data
    for edit in sorted(edits, key=lambda e: e.index, reverse=True):
        result = _splice(result, tokens[edit.index], edit)
    expected = _expected(tokens, by_index)
    if [token.raw for token in tokenize(result)] != expected:
        raise PlatformError("the edited text does not read back as intended: nothing was changed")
    return result


def _splice(data: bytes, token: Spanned, edit: TokenEdit) -> bytes:
    start = token.start
    tail = b"".join(word if word[:1] in (b" ", b"\t") else b" " + word for word in edit.after)
    behind = token.end + edit.skip
    tail = data[token.end : behind] + tail
    if edit.raw is None:
        while start > 0 and data[start - 1] in _BLANKS:
            start -= 1
        return data[:start] + tail + data[behind:]
    return data[:start] + edit.raw + tail + data[behind:]


def _expected(tokens: Sequence[Spanned], by_index: dict[int, TokenEdit]) -> list[bytes]:
    expected: list[bytes] = []
    for index, token in enumerate(tokens):
        edit = by_index.get(index)
        if edit is None:
            expected.append(token.raw)
            continue
        if edit.raw is not None:
            expected.append(edit.raw)
        expected.extend(word.lstrip(_BLANKS) for word in edit.after)
    return expected


def text(raw: bytes) -> str:
    """Bytes of a configuration as text, without loss: bytes that are not UTF-8 become surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def line_of(data: bytes, offset: int) -> int:
    """The line number (from 1) of a byte offset."""
    return data.count(b"\n", 0, offset) + 1


BOM = b"\xef\xbb\xbf"
