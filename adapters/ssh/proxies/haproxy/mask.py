"""HAProxy files as text for people, secrets masked."""

from __future__ import annotations

from adapters.ssh.proxies.haproxy.lines import HAProxySyntaxError, Line, TokenKind, tokenize
from adapters.ssh.proxies.masking import (
    COMMENT,
    MASK,
    is_value,
    mask_comment,
    mask_schemes,
    mask_unread,
    names_secret,
    sets_header,
)
from adapters.ssh.proxies.spans import text
from control.text import clean, clean_lines

_PASSWORDS = (["password"], ["insecure-password"])


def mask(path: str, data: bytes, comments: bool = True) -> str:
    """The file with passwords of userlists and of the statistics page, and values of headers that are not known to be
    harmless, masked; without what comments say where `comments` is false."""
    try:
        tokens = tokenize(data, path)
    except HAProxySyntaxError:
        return clean_lines(mask_unread(text(data), comments))
    out, position, secret, header = list[str](), 0, False, False
    words: list[str] = []
    for token in tokens:
        out.append(text(data[position : token.start]))
        position = token.end
        raw = text(token.raw)
        if token.kind is TokenKind.WORD:
            header = header and token.value not in ("if", "unless")
            hidden = (
                ((secret or header) and is_value(raw)) or words[-2:] == ["stats", "auth"] or words[-1:] in _PASSWORDS
            )
            out.append(MASK if hidden else mask_schemes(raw))
            secret = secret or names_secret(token.value)
            words.append(token.value)
            header = header or sets_header(words)
        elif token.kind is TokenKind.COMMENT:
            out.append(mask_comment(raw) if comments else COMMENT)
        else:
            out.append(mask_schemes(raw))
        if token.kind is TokenKind.NEWLINE:
            secret, header, words = False, False, []
    out.append(text(data[position:]))
    return clean_lines("".join(out).replace("\r\n", "\n"))


def shown(line: Line) -> str:
    """One line for notes and native texts, secrets masked, quotes as they stand."""
    return mask_words(b" ".join(word.raw for word in line.words))


def mask_words(raw: bytes | str) -> str:
    """A part of a line, secrets masked."""
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
    return clean(mask("", data))
