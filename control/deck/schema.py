"""The JSON Schema of the deck file: what editors complete with, and what `control.deck.reading` checks against."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

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
SECTIONS = ("kubernetes", "ssh", "aws")

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_ARGUMENTS: Schema = {"type": "array", "items": _TEXT, "minItems": 1}
_FLAG: Schema = {"type": "boolean"}
_WORD: Schema = {"type": ["string", "integer", "number", "boolean"], "description": "taken as it is written"}
_WORDS: Schema = {"type": "object", "additionalProperties": _WORD}


def _object(properties: Schema, *required: str, about: str = "") -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False} | (
        {"description": about} if about else {}
    )


_GUARDS = _object(
    {
        "maximum_move": {"type": "integer", "minimum": 1, "maximum": 100},
        "cool_down_seconds": {"type": "integer", "minimum": 0},
        "verdicts": _object({name: {"enum": ["warn", "refuse", "off"]} for name in GUARDS}),
        "freeze": _TEXT | {"description": "a reason; while it is set every write is refused"},
        "regions": _TEXTS | {"description": "where traffic may go; without it anywhere"},
    }
)
_PROXY = _object(
    {
        "kind": {"enum": ["traefik", "nginx", "haproxy"]},
        "api": _TEXT,
        "metrics": _TEXT,
        "config": _TEXT,
        "socket": _TEXT,
        "access_log": _TEXT,
        "master": _TEXT,
        "name": _TEXT,
        "reload": _ARGUMENTS,
        "validate": _ARGUMENTS,
        "hosts": _TEXTS,
        "map_files": _TEXTS,
        "state_file": _TEXT,
    },
    "kind",
    about="where the data plane itself can be asked; several replicas, several entries",
)
_ENVIRONMENT = _object(
    {
        "name": _TEXT,
        "kubernetes": _object(
            {
                "kubeconfig": _TEXT,
                "context": _TEXT,
                "namespaces": _TEXTS | {"description": "only these are read; without it all"},
                "kinds": _ARGUMENTS | {"description": "only these are read, as HTTPRoute; without it all"},
            }
        ),
        "ssh": _object(
            {
                "hosts": _ARGUMENTS | {"description": "names as in ssh config; gpu-[01-40] is expanded"},
                "config": _TEXT,
                "known_hosts": _TEXT,
                "sudo": _FLAG,
                "user": _TEXT,
            },
            "hosts",
        ),
        "aws": _object(
            {
                "region": _TEXT,
                "profile": _TEXT,
                "functions": _ARGUMENTS,
                "endpoints": {"type": "object", "additionalProperties": _TEXT, "description": "only for tests"},
            },
            "region",
        ),
        "labels": _WORDS,
        "production": _FLAG,
        "code": _TEXT | {"description": "what is typed to confirm in production; the name where it is not given"},
        "color": {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$", "description": "how its name is drawn"},
        "banner": _TEXT | {"description": "a sentence that stands over everything of it that can be changed"},
        "armed": _FLAG,
        "read_only": _FLAG,
        "proxies": {"type": "array", "items": _PROXY},
        "prometheus": _TEXT,
        "guards": _GUARDS,
    },
    "name",
)
_SERVICE = _object(
    {
        "name": _TEXT,
        "routes": _ARGUMENTS | {"description": "globs over listed refs"},
        "front": _object(
            {"route": _TEXT, "targets": {"type": "object", "additionalProperties": _TEXT, "minProperties": 1}},
            "route",
            "targets",
        ),
        "tokens_per_request": {"type": "integer", "minimum": 1},
    },
    "name",
    "routes",
)


def deck_schema() -> Schema:
    """The published JSON Schema of the deck file."""
    environment = deepcopy(_ENVIRONMENT) | {"oneOf": [{"required": [section]} for section in SECTIONS]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trafficdeck deck file",
        **_object(
            {
                "environments": {"type": "array", "items": environment, "minItems": 1},
                "services": {"type": "array", "items": _SERVICE},
                "guards": _GUARDS,
                "journal": _object({"path": _TEXT}, "path"),
                "theme": _TEXT,
                "keys": {
                    "type": "object",
                    "additionalProperties": {"oneOf": [_TEXT, _ARGUMENTS]},
                    "description": "action id -> keys",
                },
                "aliases": {
                    "type": "object",
                    "additionalProperties": _TEXT,
                    "description": "word after ':' -> the command line that it stands for",
                },
            },
            "environments",
        ),
    }
