"""Map files of HAProxy: a key and a value on each line, edited value by value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.ssh.proxies.haproxy.lines import Section
from adapters.ssh.proxies.spans import text
from control.errors import PlatformError

NUMBER_MAP = re.compile(r"map(?:_\w+)?\(\s*([^,()]+?)\s*(?:,\s*(-?\d+)\s*)?\)")
MAP_FILE = re.compile(r"map(?:_\w+)?\(\s*([^,()]+)\s*(?:,\s*([^()]*?)\s*)?\)")
_BLANK = b" \t"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a map; `start` and `end` are the span of the value."""

    key: str
    value: str
    start: int
    end: int
    number: int
    """Of the line."""


def entries(data: bytes) -> list[Entry]:
    """The entries of a map file; lines that start with `#` are comments."""
    found, position = [], 0
    for number, line in enumerate(data.split(b"\n"), 1):
        body = line.removesuffix(b"\r")
        stripped = body.lstrip(_BLANK)
        key = stripped.split(None, 1)[0] if stripped and not stripped.startswith(b"#") else b""
        if key:
            after = position + len(body) - len(stripped) + len(key)
            rest = body[after - position :]
            value = rest.strip(_BLANK)
            start = after + len(rest) - len(rest.lstrip(_BLANK))
            found.append(Entry(text(key), text(value), start, start + len(value), number))
        position += len(line) + 1
    return found


def with_values(data: bytes, values: Mapping[str, int]) -> bytes:
    """The file with the values of some keys replaced, every other byte as it was."""
    before = entries(data)
    result = data
    for entry in reversed(before):
        if entry.key in values:
            result = result[: entry.start] + b"%d" % values[entry.key] + result[entry.end :]
    expected = [(e.key, str(values[e.key]) if e.key in values else e.value) for e in before]
    if [(e.key, e.value) for e in entries(result)] != expected:
        raise PlatformError("the edited map does not read back as intended: nothing was changed")
    return result


def running(answer: str | None) -> dict[str, str] | None:
    """Key -> value of `show map FILE`; None where it was not answered, or the map is not known there."""
    if answer is None or answer.startswith(("Unknown", "Can't", "No such")):
        return None
    words: Sequence[list[str]] = [line.split(None, 2) for line in answer.splitlines()]
    return {
        line[1]: line[2].strip() if len(line) > 2 else "" for line in words if len(line) > 1 and line[0][:2] == "0x"
    }


def with_running(answer: str, values: Mapping[str, int]) -> str:
    """`show map` as it will be once the values are set."""
    out = []
    for line in answer.split("\n"):
        words = line.split(None, 2)
        changed = len(words) > 1 and words[1] in values
        out.append(f"{words[0]} {words[1]} {values[words[1]]}" if changed else line)
    return "\n".join(out)


def map_names(found: Sequence[Section]) -> list[str]:
    """The map files that the configuration names, as HAProxy knows them."""
    names: dict[str, None] = {}
    for section in found:
        for line in section.lines:
            for word in line.values:
                names.update(dict.fromkeys(match[1].strip() for match in MAP_FILE.finditer(word)))
    return [name for name in names if not name.startswith(("virt@", "opt@"))]
