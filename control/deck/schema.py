"""The JSON Schema of the deck file: what editors complete with, and what `control.deck.reading` checks against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from control.deck.sections import ARGUMENTS, FLAG, TEXT, TEXTS, DeckSection, Schema, closed

GUARDS = (
    "zero_sum",
    "last_healthy",
    "health_unknown",
    "zero_or_unlimited",
    "driven",
    "declared",
    "maximum_move",
    "cool_down",
    "freeze",
    "residency",
)
_WORD: Schema = {"type": ["string", "integer", "number", "boolean"], "description": "taken as it is written"}
_WORDS: Schema = {"type": "object", "additionalProperties": _WORD}
_GUARDS = closed(
    {
        "maximum_move": {"type": "integer", "minimum": 1, "maximum": 100},
        "cool_down_seconds": {"type": "integer", "minimum": 0},
        "verdicts": closed({name: {"enum": ["warn", "refuse", "off"]} for name in GUARDS}),
        "freeze": TEXT | {"description": "a reason; while it is set every write is refused"},
        "regions": TEXTS | {"description": "where traffic may go; without it anywhere"},
    }
)
_SERVICE = closed(
    {
        "name": TEXT,
        "routes": ARGUMENTS | {"description": "globs over listed refs"},
        "front": closed(
            {"route": TEXT, "targets": {"type": "object", "additionalProperties": TEXT, "minProperties": 1}},
            "route",
            "targets",
        ),
        "tokens_per_request": {"type": "integer", "minimum": 1},
    },
    "name",
    "routes",
)


def _environment(sections: Sequence[DeckSection]) -> Schema:
    kinds = [kind for section in sections for kind in section.proxy_kinds]
    keys = {key: schema for section in sections for key, schema in section.proxy_keys.items()}
    proxy = closed(
        {"kind": {"enum": kinds}, **keys},
        "kind",
        about="where the data plane itself can be asked; several replicas, several entries",
    )
    return closed(
        {
            "name": TEXT,
            **{section.key: section.schema for section in sections},
            "labels": _WORDS,
            "production": FLAG,
            "code": TEXT | {"description": "what is typed to confirm in production; the name where it is not given"},
            "color": {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "description": "how its name is drawn"},
            "banner": TEXT | {"description": "a sentence that stands over everything of it that can be changed"},
            "armed": FLAG,
            "read_only": FLAG,
            "proxies": {"type": "array", "items": proxy},
            "prometheus": TEXT,
            "guards": _GUARDS,
        },
        "name",
    ) | {"oneOf": [{"required": [section.key]} for section in sections]}


def user_kind_schema(sections: Sequence[DeckSection]) -> Schema:
    """The JSON Schema of a kind of a user's own; empty where no adapter takes any."""
    return next((section.kinds_schema() for section in sections if section.kinds_schema is not None), {})


def deck_schema(sections: Sequence[DeckSection]) -> Schema:
    """The published JSON Schema of the deck file, with the sections of these adapters."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trafficdeck deck file",
        **closed(
            {
                "environments": {"type": "array", "items": _environment(sections), "minItems": 1},
                "services": {"type": "array", "items": _SERVICE},
                **({"kinds": {"type": "array", "items": items}} if (items := user_kind_schema(sections)) else {}),
                "guards": _GUARDS,
                "journal": closed({"path": TEXT}, "path"),
                "theme": TEXT,
                "keys": {
                    "type": "object",
                    "additionalProperties": {"oneOf": [TEXT, ARGUMENTS]},
                    "description": "action id -> keys",
                },
                "aliases": {
                    "type": "object",
                    "additionalProperties": TEXT,
                    "description": "word after ':' -> the command line that it stands for",
                },
            },
            "environments",
        ),
    }


DECK_SCHEMAS: Mapping[str, Callable[[Sequence[DeckSection]], Schema]] = {
    "deck": deck_schema,
    "kinds": user_kind_schema,
}
"""Name of a schema of what is read from the deck file -> what makes it."""
