"""nginx access logs that name the upstream: where they are, and what a line says.

A log format becomes one regular expression; formats without `$upstream_addr` cannot tell targets apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.proxies.nginx.tree import Directive, NginxTree

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_NEEDED = "upstream_addr"
_WANTED = frozenset({_NEEDED, "status", "request_time", "upstream_response_time", "limit_req_status"})


@dataclass(frozen=True, slots=True)
class Log:
    """One access log with a format that names the upstream."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Request:
    """One line. `address` is that of the last server tried; "" where none was."""

    address: str
    status: int | None
    seconds: float | None
    limited: bool


@lru_cache(maxsize=64)
def logs(tree: NginxTree, named: str | None = None) -> tuple[Log, ...]:
    """The access logs that can be counted. `named` is the deck file's own path: then only that one."""
    formats: dict[str, str] = {}
    directives = list(_everywhere(tree, tree.http()))
    for directive in directives:
        if directive.name == "log_format" and len(directive.words) > 2:
            arguments = [a for a in directive.arguments[1:] if not a.startswith("escape=")]
            formats[directive.arguments[0]] = "".join(arguments)
    found: dict[str, Log] = {}
    for directive in directives:
        if directive.name != "access_log" or len(directive.words) < 3:
            continue
        path, text = directive.arguments[0], formats.get(directive.arguments[1], "")
        if _names_upstream(text) and path.startswith("/") and "$" not in path:
            found.setdefault(path, Log(path, text))
    if named is None:
        return tuple(found.values())
    if named in found:
        return (found[named],)
    text = next((text for text in formats.values() if _names_upstream(text)), "")
    return (Log(named, text),) if text else ()


def _everywhere(tree: NginxTree, directives: Iterator[Directive]) -> Iterator[Directive]:
    for directive in directives:
        yield directive
        if directive.name in ("server", "location") and directive.children is not None:
            yield from _everywhere(tree, tree.children(directive))


def _names_upstream(text: str) -> bool:
    return any(_NEEDED in match.groups() for match in _VARIABLE.finditer(text))


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    parts, position, seen = [], 0, set[str]()
    for match in _VARIABLE.finditer(text):
        parts.append(re.escape(text[position : match.start()]))
        name = match[1] or match[2]
        if name in _WANTED and name not in seen:
            seen.add(name)
            parts.append(f"(?P<{name}>.*?)")
        else:
            parts.append(".*?")
        position = match.end()
    parts.append(re.escape(text[position:]))
    return re.compile("".join(parts) + r"\Z")


def requests(log: Log, data: bytes) -> Iterator[Request]:
    """The requests of whole lines of a log; lines of another format are passed over."""
    pattern = _pattern(log.format)
    for line in data.decode("utf-8", "replace").split("\n"):
        match = pattern.match(line.rstrip("\r"))
        if match is None or not line:
            continue
        fields = match.groupdict()
        tried = [a.strip() for a in re.split(r"[,:] ", fields.get(_NEEDED) or "") if a.strip(" -")]
        status = fields.get("status") or ""
        yield Request(
            address=tried[-1] if tried else "",
            status=int(status) if status.isdigit() else None,
            seconds=_seconds(fields.get("upstream_response_time") or fields.get("request_time") or ""),
            limited=(fields.get("limit_req_status") or "").startswith("REJECTED") or (not tried and status == "429"),
        )


def _seconds(text: str) -> float | None:
    numbers = re.findall(r"\d+\.\d+", text)
    return sum(map(float, numbers)) if numbers else None
