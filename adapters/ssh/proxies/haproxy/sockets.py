"""The stats sockets that an HAProxy configuration opens, and how they are reached from their host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from adapters.ssh.proxies.haproxy.lines import Line, sections
from adapters.ssh.proxies.haproxy.words import UNKNOWN, expand
from adapters.ssh.proxies.spans import text
from control.errors import PlatformError

_LEVELS = {"admin": 0, "operator": 1, "user": 2}
_TCP = re.compile(r"\A(?:ipv4@|ipv6@|tcp@|tcp4@|tcp6@)?(?P<host>[^@]*):(?P<port>\d{1,5})\Z", re.ASCII)
_ANY = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def stats_sockets(files: Sequence[tuple[str, bytes]]) -> list[str]:
    """Every socket that may be one to ask: absolute paths, and `HOST:PORT` for TCP. One that may change values stands
    before one that only tells, a unix socket before TCP. Empty for files that do not parse."""
    try:
        lines = [line for section in sections(files) if section.keyword == "global" for line in section.lines]
    except PlatformError:
        return []
    prefixes = [
        line.values[line.values.index("prefix") + 1]
        for line in lines
        if line.values[0] == "unix-bind" and "prefix" in line.values[:-1]
    ]
    variables: dict[str, str | None] = {}
    found: list[tuple[int, int, str]] = []
    for line in lines:
        if line.values[0] == "setenv" and len(line.words) > 2:
            variables[line.values[1]] = expand(text(line.words[2].raw), variables)
        if line.values[:2] == ["stats", "socket"] and len(line.words) > 2:
            found += [(*_rank(line, address), address) for address in _addresses(line, variables, prefixes)]
    return list(dict.fromkeys(address for _, _, address in sorted(found, key=lambda one: one[:2])))


def _rank(line: Line, address: str) -> tuple[int, int]:
    values = line.values
    level = values[values.index("level") + 1] if "level" in values[:-1] else "operator"
    return _LEVELS.get(level, 1), 0 if address.startswith("/") else 1


def _addresses(line: Line, variables: Mapping[str, str | None], prefixes: Sequence[str]) -> Iterator[str]:
    """A unix socket stands where its line says. HAProxy gives the prefix of `unix-bind` to the sockets of `bind` lines
    alone; a version that gives it to this one too is asked there as well."""
    address = expand(text(line.words[2].raw), variables)
    if UNKNOWN in address:
        return
    path = address.removeprefix("unix@")
    if path.startswith("/"):
        yield path
        yield from (f"{prefix}{path}" for prefix in prefixes if prefix.startswith("/"))
        return
    address_parts = _TCP.match(address)
    if address_parts:
        host = address_parts["host"].strip("[]")
        host = _ANY.get(host, host)
        yield f"[{host}]:{address_parts['port']}" if ":" in host else f"{host}:{address_parts['port']}"
