"""Which frontend leads to which backend, as far as the file tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters.ssh.proxies.haproxy.lines import Section
from adapters.ssh.proxies.haproxy.map import MAP_FILE, entries
from adapters.ssh.proxies.haproxy.servers import disabled
from control.text import clean


def led_to(section: Section, map_data: Callable[[str], bytes | None]) -> list[tuple[str, str]]:
    """(backend, under which condition) of a frontend or listen section, in order; the default comes last."""
    found: list[tuple[str, str]] = []
    default = section.last("default_backend")
    for line in section.lines:
        values = line.values
        if values[0] != "use_backend" or len(values) < 2:
            continue
        condition = " ".join(values[2:])
        if "%[" not in values[1]:
            found.append((values[1], condition))
            continue
        lookup = MAP_FILE.search(values[1])
        data = map_data(lookup[1].strip()) if lookup else None
        found.extend((entry.value, f"map {entry.key}") for entry in entries(data or b""))
        if lookup and lookup[2]:
            found.append((lookup[2].strip(), "map default"))
    if default is not None and len(default.words) > 1:
        found.append((default.values[1], "default"))
    return found


def matches(found: Sequence[Section], map_data: Callable[[str], bytes | None]) -> dict[str, list[str]]:
    """Backend -> what leads to it, in words: `edge if { path_beg /v1 }`."""
    result: dict[str, list[str]] = {}
    for section in found:
        if section.keyword == "listen":
            result.setdefault(section.name, []).append(clean(f"{section.name} (listen)"))
        if section.keyword not in ("frontend", "listen"):
            continue
        closed = " (disabled)" if disabled(section) else " (not known to be live)" if section.head.branches else ""
        for backend, condition in led_to(section, map_data):
            shown = f"({condition}){closed}" if condition == "default" else f"{condition}{closed}"
            result.setdefault(backend, []).append(clean(f"{section.name} {shown}".strip()))
    return {name: list(dict.fromkeys(texts)) for name, texts in result.items()}
