"""The published JSON Schemas (draft 2020-12) of everything that the command line prints and reads.

They are made from `control.contract.documents`; the deck file's are beside its reading. Objects are closed: a key that
is not named here is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from control.contract import documents
from control.contract.documents import Document
from control.deck.schema import DECK_SCHEMAS
from control.deck.sections import DeckSection
from control.errors import UsageError
from control.model import Amount, Weight
from control.text import clean

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER = "-?[0-9]+(/[0-9]+)?"

DOCUMENTS: Mapping[str, type[Document]] = {
    "list": documents.List,
    "environment": documents.Environment,
    "service": documents.Service,
    "route": documents.Route,
    "traffic": documents.Traffic,
    "limit": documents.Limit,
    "effective": documents.Effective,
    "plan": documents.Plan,
    "result": documents.Result,
    "results": documents.Results,
    "history": documents.History,
    "verify": documents.Verification,
    "doctor": documents.Doctor,
    "oncall": documents.OnCall,
    "init": documents.Init,
    "error": documents.ErrorDocument,
    "progress": documents.Progress,
}
"""Name of a schema -> what it describes."""
NAMES = (*DOCUMENTS, *DECK_SCHEMAS)


def schema(name: str, sections: Sequence[DeckSection] = ()) -> Schema:
    """The JSON Schema of one document, with the names that these adapters declare. Raises `UsageError` naming those
    that there are."""
    head = {"$schema": DIALECT, "title": f"trafficdeck {name}"}
    if name in DECK_SCHEMAS:
        return head | DECK_SCHEMAS[name](sections)
    kind = DOCUMENTS.get(name)
    if kind is None:
        raise UsageError(f"there is no schema '{clean(name, 60)}'", hint=f"there are {', '.join(NAMES)}")
    platforms = list(dict.fromkeys(section.platform for section in sections))
    return head | _Making(platforms).of(kind)


class _Making:
    """What msgspec makes of documents, with all that it cannot say: no references, closed objects, what is always
    there, the leaf types, the platforms."""

    def __init__(self, platforms: list[str]) -> None:
        self._platforms = platforms
        self._parts: dict[str, Schema] = {}

    def of(self, kind: type[Document]) -> Schema:
        self._parts = msgspec.json.schema(kind, schema_hook=self._leaf)["$defs"]
        return self._object(kind, self._parts[kind.__name__])

    def _leaf(self, kind: type) -> Schema:
        if kind is _ITEM:
            return {"anyOf": [_Making(self._platforms).of(one) for one in _ITEMS]}
        return dict(_LEAVES[kind])

    def _whole(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._whole(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" not in part:
            return _folded({key: self._whole(value) for key, value in part.items() if key != "default"})
        name = part["$ref"].rpartition("/")[2]
        kind = vars(documents)[name]
        made = self._parts[name]
        return self._object(kind, made) if issubclass(kind, Document) else {"enum": made["enum"]}

    def _object(self, kind: type[Document], part: Schema) -> Schema:
        properties = {name: self._whole(value) for name, value in part["properties"].items()}
        if "platform" in properties and self._platforms:
            properties["platform"] = {"enum": self._platforms}
        required = part["required"] if kind.__struct_config__.omit_defaults else list(properties)
        about = {"description": part["description"]} if "description" in part else {}
        closed = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        return closed | about


def _folded(schema: Schema) -> Schema:
    """One schema with several types, or with null among its words, where msgspec makes one of each."""
    if "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    null = len(options) < len(schema["anyOf"])
    types = [option.get("type") for option in options]
    if all(option.keys() == {"type"} for option in options):
        kept = [one for one in types if one != "integer" or "number" not in types] + ["null"] * null
        return rest | {"type": kept if len(kept) > 1 else kept[0]}
    if len(options) > 1 or not null:
        return schema
    if "enum" in options[0]:
        return {**options[0], **rest, "enum": [*options[0]["enum"], None]}
    if types[0] is not None and types[0] not in ("object", "array"):
        return {**options[0], **rest, "type": [*([types[0]] if isinstance(types[0], str) else types[0]), "null"]}
    return schema


_ITEM: Any = documents.Item
_ITEMS = (documents.Route, documents.Limit, documents.Environment, documents.Service, documents.Happened)
_LEAVES: Mapping[Any, Schema] = {
    Fraction: {"type": "string", "pattern": f"^{_NUMBER}$"},
    Weight: {"type": ["integer", "string"], "pattern": f"^{_NUMBER}$"},
    Amount: {"type": "string", "pattern": "^([0-9]+(/[0-9]+)?|unlimited|blocked)$"},
}
