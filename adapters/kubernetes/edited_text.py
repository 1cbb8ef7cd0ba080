"""From the YAML that somebody edited to the edits that it asks for."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from adapters.engine.operations import apply
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.shown import as_yaml, tidy
from control.errors import InvalidValue
from control.model.ref import Ref
from control.planning.edit import Edit
from control.planning.fields import Row
from control.planning.text_edits import changes_of, edits_between, refuse_others
from control.text import clean

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def edits_of(codec: Codec, ref: Ref, original: str, text: str) -> list[Edit]:
    """Raises `InvalidValue` for what is no YAML, is not this kind of object, or changes what is not ours."""
    before, after = _node(original), _node(text)
    rows = _rows(codec, before, ref)
    edits = edits_between(rows, _rows(codec, after, ref))
    ops = codec.edit(before, changes_of(edits, rows))
    refuse_others(as_yaml(tidy(apply(before, ops))), as_yaml(tidy(after)), str(ref))
    return edits


def _rows(codec: Codec, node: dict[str, Any], ref: Ref) -> list[Row]:
    try:
        wire = msgspec.json.decode(msgspec.json.encode(node), type=codec.wire)
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidValue(f"this is no {ref.kind}: {clean(str(error))}", ref=str(ref)) from None
    read = codec.read(wire, ref.environment, 0.0)
    return [*read.routes, *read.limits]


def _node(text: str) -> dict[str, Any]:
    try:
        node = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, the fast one where there is one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise InvalidValue(f"{where}{clean(str(getattr(error, 'problem', None) or 'no YAML'))}") from None
    if not isinstance(node, dict) or not isinstance(node.get("metadata"), dict):
        raise InvalidValue("this is no Kubernetes object: it has no metadata")
    return node
