"""HAProxy files as text for people, secrets masked."""

from __future__ import annotations

from adapters.ssh.codecs.haproxy_lines import HAProxySyntaxError, Line, TokenKind, tokenize
from adapters.ssh.codecs.masking import MASK, is_value, mask_schemes, names_secret
from adapters.ssh.codecs.spans import text
from control.text import clean, clean_lines

_PASSWORDS = (["password"], ["insecure-password"])


def mask(path: str, data: bytes) -> str:
    """The file with passwords of userlists and of the statistics page, and values of secret headers, masked."""
    try:
        tokens = tokenize(data, path)
    except HAProxySyntaxError:
        return clean_lines(mask_schemes(text(data)))
    out, position, secret = list[str](), 0, False
    words: list[str] = []
    for token in tokens:
        out.append(text(data[position : token.start]))
        position = token.end
        raw = text(token.raw)
        if token.kind is TokenKind.WORD:
            hidden = (secret and is_value(raw)) or words[-2:] == ["stats", "auth"] or words[-1:] in _PASSWORDS
            out.append(MASK if hidden else mask_schemes(raw))
            secret = secret or names_secret(token.value)
            words.append(token.value)
        else:
            out.append(mask_schemes(raw))
        if token.kind is TokenKind.NEWLINE:
            secret, words = False, []
    out.append(text(data[position:]))
    return clean_lines("".join(out).replace("\r\n", "\n"))


def shown(line: Line) -> str:
    """One line for notes and native texts, secrets masked, quotes as they stand."""
    return mask_words(b" ".join(word.raw for word in line.words))


def mask_words(raw: bytes | str) -> str:
    """A part of a line, secrets masked."""
    data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
    return clean(mask("", data))
