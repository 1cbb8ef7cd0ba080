"""Secrets in configuration texts, masked before anybody sees them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.common.headers import looks_secret, shows_its_value

MASK = "********"
_NAMES = re.compile(r"(?i)(authorization|api[-_]?key|token|secret|passw|credential|cookie)")
_SCHEMES = re.compile(r"(?i)\b(bearer|basic)(\s+|\\ )[^\s\"';$]+")
_OPERATORS = frozenset({"=", "!=", "~", "~*", "!~", "!~*", "{", "if", "unless", "always", "-m", "-i", "str", "beg"})


_SET_HEADER = frozenset({"set-header", "add-header", "replace-header", "replace-value", "hdr"})
"""HAProxy's words before the name of a header that is set."""
_NGINX_HEADERS = frozenset({"proxy_set_header", "grpc_set_header", "add_header", "add_trailer", "more_set_headers"})
_NGINX_PARAMETERS = frozenset({"fastcgi_param", "uwsgi_param", "scgi_param"})
_SAID = re.compile(
    r"(?i)([\w-]*(?:authorization|api[-_]?key|token|secret|passw(?:or)?d?|pwd|credential|cookie)\w*[\"']?"
    r"(?:\s*[:=]\s*|\s+(?:is|was)\s+))[^\s]+"
)
_USER_INFO = re.compile(r"(://|-u\s+|--user\s+)([^/@:\s]+):[^/@\s]+")
_WORD = re.compile(r"[^\s\"'=:,;()]+")
COMMENT = "# …"
"""What a comment is in a difference: a difference goes into plans and journals, and comments hold anything."""


def sets_header(words: Sequence[str]) -> bool:
    """Whether `words` end with the name of a header whose value follows and may be a secret."""
    if len(words) < 2 or words[-2] not in _SET_HEADER:
        return False
    return words[0] != "acl" and not shows_its_value(words[-1])


def sets_nginx_header(words: Sequence[str]) -> bool:
    """The same of a directive of nginx."""
    if len(words) != 2:
        return False
    if words[0] in _NGINX_PARAMETERS:
        return words[1].startswith("HTTP_") and not shows_its_value(words[1].removeprefix("HTTP_"))
    return words[0] in _NGINX_HEADERS and not shows_its_value(words[1])


def mask_comment(comment: str) -> str:
    """A comment for a native view: what follows a word for a secret, and what looks made by chance, masked."""
    told = _USER_INFO.sub(rf"\1\2:{MASK}", _SAID.sub(rf"\1{MASK}", mask_schemes(comment)))
    return _WORD.sub(lambda match: MASK if looks_secret(match[0]) and "/" not in match[0] else match[0], told)


def names_secret(word: str) -> bool:
    """True for a word that says that a secret follows."""
    return word != "cookie" and _NAMES.search(word) is not None


def mask_schemes(text: str) -> str:
    """Mask what follows `Bearer` or `Basic`, wherever it stands."""
    return _SCHEMES.sub(lambda match: f"{match[1]}{match[2]}{MASK}", text)


def mask_unread(data: str, comments: bool) -> str:
    """A file that cannot be read as what it should be: all that follows a `#` is taken for a comment."""
    lines = []
    for line in data.split("\n"):
        before, mark, comment = line.partition("#")
        lines.append(mask_schemes(before) + (mask_comment(mark + comment) if comments or not mark else COMMENT))
    return "\n".join(lines)


def is_value(word: str) -> bool:
    """True for a word that can be a secret itself: no operator, no variable, no path, no sample."""
    return word not in _OPERATORS and not word.lstrip("\"'(").startswith(("$", "/", "%["))
