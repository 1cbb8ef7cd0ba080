"""What an adapter brings to the deck file: its section, its kinds of proxies, what control must know of its platform.

Nothing here is a platform's own: each adapter makes its `DeckSection`, the registry hands all of them to whoever reads
a deck file or prints a schema. The words of JSON Schema below are those that `control.deck.yamlcheck` understands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

if TYPE_CHECKING:
    from control.deck.yamlcheck import Part

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "array", "items": TEXT}
ARGUMENTS: Schema = {"type": "array", "items": TEXT, "minItems": 1}
FLAG: Schema = {"type": "boolean"}
ANY_MAPPING: Schema = {"type": "object", "additionalProperties": {}}


def closed(properties: Schema, *required: str, about: str = "") -> Schema:
    """A mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False} | (
        {"description": about} if about else {}
    )


def _as_it_stands(part: Part) -> Any:
    return part.values


def _none(part: Part) -> tuple[Any, ...]:
    return ()


def _never(settings: Any) -> bool:
    return False


class DeckSection(Struct, frozen=True):
    """One section of the deck file, which says that an environment is of this platform, and what goes with it."""

    key: str
    """What stands in the deck file."""
    platform: str
    """What lists, JSON and filters call the platform; several sections may share one."""
    schema: Schema = field(default_factory=lambda: dict(ANY_MAPPING))
    """What the section may hold."""
    parse: Callable[[Part], Any] = _as_it_stands
    """The checked section -> `EnvironmentConfig.settings`. Raises `DeckError`, by `Part.error`, with the line."""
    proxy_kinds: tuple[str, ...] = ()
    """Values of `kind` in an environment's `proxies`."""
    proxy_keys: Mapping[str, Schema] = field(default_factory=dict)
    """What such an entry may hold beside its kind."""
    parse_proxy: Callable[[Part], Any] = _as_it_stands
    """A checked entry of `proxies` -> one of `EnvironmentConfig.proxies`."""
    kinds_schema: Callable[[], Schema] | None = None
    """What an entry of the deck file's `kinds` may hold, where users may bring kinds of their own."""
    parse_kinds: Callable[[Part], tuple[Any, ...]] = _none
    """The checked list under `kinds` -> `EnvironmentConfig.kinds` of every environment of this section."""
    is_group: Callable[[Any], bool] = _never
    """Do these settings mean several hosts, whose rows are shown as one?"""
    measure_seconds: float = 2.0
    """How long to wait between two looks at the counters."""
    limits_may_be_bypassed: bool = False
    """May requests reach what a limit is on by another way, past the limit?"""


NO_SECTION = DeckSection("", "")
"""Of an environment that only has a name."""
