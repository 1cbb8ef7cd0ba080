"""From the JSON that somebody edited to the edits that it asks for."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from adapters.serverless.aws.records import exact
from control.errors import InvalidValue
from control.model import Special
from control.model.ref import Ref
from control.planning.edit import Edit, LimitEdit, Share, SharesEdit
from control.planning.text_edits import refuse_others

RESERVED = "ReservedConcurrentExecutions"
_OURS = ("FunctionVersion", "RoutingConfig")


def alias_edits(ref: Ref, original: str, text: str) -> list[Edit]:
    """Version and weights of an alias. Raises `InvalidValue` for anything else that differs."""
    before, after = _node(original), _node(text)
    was, wanted = _shares(ref, before), _shares(ref, after)
    expected = before | {key: after[key] for key in _OURS if key in after}
    refuse_others(json.dumps(expected, indent=2), json.dumps(after, indent=2), str(ref))
    if was == wanted:
        return []
    names = dict.fromkeys((*wanted, *was))
    return [SharesEdit(ref, tuple((name, Share(wanted.get(name, Fraction(0)))) for name in names))]


def _shares(ref: Ref, node: dict[str, Any]) -> dict[str, Fraction]:
    """Version -> share, the main version first."""
    routing = node.get("RoutingConfig") or {}
    weights = routing.get("AdditionalVersionWeights", {}) if isinstance(routing, dict) else None
    version = node.get("FunctionVersion")
    if not isinstance(weights, dict) or not isinstance(version, str):
        raise InvalidValue("an alias has a FunctionVersion and RoutingConfig.AdditionalVersionWeights", ref=str(ref))
    extra = {str(name): _share(name, value) for name, value in weights.items()}
    return {version: 1 - sum(extra.values(), Fraction(0)), **extra}


def concurrency_edits(ref: Ref, original: str, text: str) -> list[Edit]:
    """The reservation: a number, 0 for blocked, no key for none. Raises `InvalidValue` for anything else."""
    before, after = _node(original), _node(text)
    value = after.get(RESERVED)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidValue(f"{RESERVED} is a whole number from 0, or absent", ref=str(ref))
    was = before.pop(RESERVED, None)
    after.pop(RESERVED, None)
    refuse_others(json.dumps(before, indent=2), json.dumps(after, indent=2), str(ref))
    if value == was:
        return []
    amount = Special.UNLIMITED if value is None else Special.BLOCKED if value == 0 else Fraction(value)
    return [LimitEdit(ref, amount)]


def _node(text: str) -> dict[str, Any]:
    try:
        node = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidValue(f"line {error.lineno}: {error.msg}") from None
    if not isinstance(node, dict):
        raise InvalidValue("this is no JSON object")
    return node


def _share(version: object, value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidValue(f"the weight of version {version} is a number from 0 to 1, not {json.dumps(value)}")
    return exact(value)
