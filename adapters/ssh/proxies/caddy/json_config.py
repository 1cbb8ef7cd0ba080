"""Caddy's configuration as JSON: its words with their byte spans, and its reverse proxies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from adapters.ssh.proxies.caddy.lexer import Token
from adapters.ssh.proxies.masking import MASK, mask_schemes, names_secret
from adapters.ssh.proxies.spans import text
from control.text import clean_lines

_TOKEN = re.compile(rb'[{}\[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+', re.DOTALL)
_SECRET = re.compile(r"(?i)\A(account|hash|salt|mac_key|key_id|private_key|accounts)\Z")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, number, true, false or null, and its token."""

    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class Handler:
    """One `reverse_proxy` handler, with the matchers on the way to it."""

    server: str
    fields: Mapping[str, Any]
    matches: tuple[str, ...]

    def get(self, *names: str) -> Any:
        """What stands at a path of member names; None where nothing does."""
        value: Any = self.fields
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value.value if isinstance(value, Scalar) else value


@lru_cache(maxsize=64)
def is_json(data: bytes) -> bool:
    """Whether a file is JSON and no Caddyfile, which may begin with a brace, too."""
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


@lru_cache(maxsize=64)
def tokenize(data: bytes, path: str = "") -> Sequence[Token]:
    """The words of a JSON text, punctuation among them."""
    found = enumerate(_TOKEN.finditer(data))
    return tuple(Token(one.start(), one.end(), one[0], text(one[0]), row) for row, one in found)


@lru_cache(maxsize=64)
def handlers(data: bytes) -> tuple[Handler, ...]:
    """All `reverse_proxy` handlers of all servers, in their order."""
    root, _ = _value(tokenize(data), 0)
    servers = Handler("", root, ()).get("apps", "http", "servers")
    found: list[Handler] = []
    for name, server in (servers if isinstance(servers, dict) else {}).items():
        listens = server.get("listen") if isinstance(server, dict) else None
        addresses = [str(one.value) for one in listens or () if isinstance(one, Scalar)]
        found += _below(name, server, " ".join(addresses))
    return tuple(found)


def _value(tokens: Sequence[Token], at: int) -> tuple[Any, int]:
    """The value that begins at a token, and the token after it. The text is known to be JSON."""
    raw = tokens[at].raw
    if raw not in (b"{", b"["):
        return Scalar(json.loads(raw), at), at + 1
    closing, at = (b"}" if raw == b"{" else b"]"), at + 1
    members: dict[str, Any] = {}
    items: list[Any] = []
    while tokens[at].raw != closing:
        if tokens[at].raw == b",":
            at += 1
        elif raw == b"{":
            name = json.loads(tokens[at].raw)
            members[name], at = _value(tokens, at + 2)
        else:
            item, at = _value(tokens, at)
            items.append(item)
    return (members if raw == b"{" else items), at + 1


def _below(server: str, value: Any, match: str) -> Iterator[Handler]:
    if isinstance(value, list):
        for one in value:
            yield from _below(server, one, match)
    if not isinstance(value, dict):
        return
    told = _told(value.get("match"))
    match = f"{match} {told}" if told else match
    if isinstance(value.get("handler"), Scalar) and value["handler"].value == "reverse_proxy":
        yield Handler(server, value, (match,))
    for name, one in value.items():
        if name != "match":
            yield from _below(server, one, match)


def _told(matchers: Any) -> str:
    """Sets of matchers in words, one of which must hold."""
    if not isinstance(matchers, list):
        return ""
    sets = [
        " ".join(f"{name} {' '.join(_words(one))}" for name, one in each.items())
        for each in matchers
        if isinstance(each, dict)
    ]
    return " or ".join(sets)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Scalar):
        yield str(value.value)
    elif isinstance(value, list):
        for one in value:
            yield from _words(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _words(one)


def mask(data: bytes) -> str:
    """The text for native views: what members named like secrets hold is covered, lists below them included."""
    tokens = tokenize(data)
    out, position = list[str](), 0
    secret, depth = 0, 0
    for number, token in enumerate(tokens):
        out.append(text(data[position : token.start]))
        position = token.end
        depth += (token.raw in (b"{", b"[")) - (token.raw in (b"}", b"]"))
        key = tokens[number + 1].raw == b":" if number + 1 < len(tokens) else False
        if secret and (depth < secret or (key and depth == secret)):
            secret = 0
        hidden = bool(secret) and not key and token.raw[:1] not in b"{}[],:" and b"{" not in token.raw
        out.append(f'"{MASK}"' if hidden else mask_schemes(text(token.raw)))
        if key and not secret and (names_secret(token.value.strip('"')) or _SECRET.match(token.value.strip('"'))):
            secret = depth
    out.append(text(data[position:]))
    return clean_lines("".join(out).replace("\r\n", "\n"))
