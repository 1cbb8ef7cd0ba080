"""One printable name for every route, limit and native object, stable between runs.

`<environment>/<Kind>/<scope>/<name>[#part]`, each segment percent-encoded where it holds `%`, `/`, `#`, spaces or
control characters. Scope is a namespace, a host or a region; `*` is the scope of a group of several hosts, never a
glob.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from control.errors import UsageError
from control.structs import Frozen

GROUP_SCOPE = "*"
_PLAIN = re.compile(r"[A-Za-z0-9._:-]*")
"""What most segments are made of, and what needs no encoding."""


@lru_cache(maxsize=65536)
def encode_segment(raw: str) -> str:
    """Percent-encode `%`, `/`, `#`, white space and control characters of one raw segment."""
    if _PLAIN.fullmatch(raw):
        return raw
    return "".join(_encode(character) for character in raw)


def _encode(character: str) -> str:
    if character in "%/#" or character.isspace() or not character.isprintable():
        return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    return character


class Ref(Frozen, frozen=True, order=True, cache_hash=True):
    """The raw (decoded) segments; `str()` gives the printable name and `Ref.parse` takes it back."""

    environment: str
    kind: str
    scope: str
    name: str
    part: str | None = None

    def __str__(self) -> str:
        path = "/".join(encode_segment(s) for s in (self.environment, self.kind, self.scope, self.name))
        return path if self.part is None else f"{path}#{encode_segment(self.part)}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read a printable name. Raises `UsageError` when it has not the four segments."""
        path, mark, part = text.partition("#")
        segments = path.split("/")
        if len(segments) != 4 or not all(segments) or (mark and not part):
            raise UsageError(
                f"'{text}' is not a reference",
                hint="write ENVIRONMENT/Kind/scope/name or ENVIRONMENT/Kind/scope/name#part, "
                "as 'trafficdeck get routes' prints it",
            )
        try:
            environment, kind, scope, name = (unquote(s, errors="strict") for s in segments)
            return cls(environment, kind, scope, name, unquote(part, errors="strict") if mark else None)
        except UnicodeDecodeError:
            raise UsageError(f"'{text}' is not a reference: its percent-encoding is not UTF-8") from None

    @property
    def whole(self) -> Ref:
        """The native object that this is a part of."""
        return self if self.part is None else Ref(self.environment, self.kind, self.scope, self.name)

    @property
    def is_group(self) -> bool:
        """True for the one row that stands for the same thing on several hosts."""
        return self.scope == GROUP_SCOPE

    def on(self, scope: str) -> Ref:
        """The same thing in another scope: a member of a group, or the group of a member."""
        return Ref(self.environment, self.kind, scope, self.name, self.part)
