"""What HAProxy makes of one word: quotes taken off, escapes resolved, environment variables filled in.

Variables count only inside double quotes, as in HAProxy's own `parse_line`: `weight ${W}` is the text `${W}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

UNKNOWN = "\0"
"""Stands where a variable was whose value is not known here."""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?:\[\*\])?(?:-(?P<default>[^}]*))?\}|(?P<bare>[A-Za-z_]\w*))", re.ASCII)


def unquote(raw: str) -> str:
    """The word with its variables left as they stand."""
    return "".join(text for text, _ in _parts(raw)) if any(c in raw for c in "\\\"'") else raw


def expands(raw: str) -> bool:
    """True where HAProxy fills in a variable."""
    return '"' in raw and any(variable is not None for _, variable in _parts(raw))


def expand(raw: str, variables: Mapping[str, str | None]) -> str:
    """The word with the variables that are known filled in, `UNKNOWN` in the place of others. A name that is there with
    None is known to be unset."""
    out = []
    for text, variable in _parts(raw):
        if variable is None:
            out.append(text)
            continue
        name = variable["braced"] or variable["bare"]
        if name not in variables:
            out.append(UNKNOWN)
        else:
            value = variables[name]
            out.append(value if value is not None else variable["default"] or "")
    return "".join(out)


def _parts(raw: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """The pieces of a word; a piece that is a variable comes with its match."""
    quote, position = "", 0
    while position < len(raw):
        character = raw[position]
        if character == "\\" and quote != "'" and position + 1 < len(raw):
            following = raw[position + 1]
            keep = quote == '"' and following not in '\\"$'
            yield (f"\\{following}" if keep else _ESCAPES.get(following, following)), None
            position += 2
            continue
        if character == "$" and quote == '"' and (variable := _VARIABLE.match(raw, position)):
            yield variable[0], variable
            position = variable.end()
            continue
        if character in "\"'" and quote in ("", character):
            quote = "" if quote else character
        else:
            yield character, None
        position += 1
