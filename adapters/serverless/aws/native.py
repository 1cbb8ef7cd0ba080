"""Native JSON of an alias or a reservation: what the detail view shows and what a diff is made of."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from adapters.common.differences import planned
from adapters.serverless.aws.records import Alias
from control.text import clean, clean_lines


def alias_json(alias: Alias, revision: bool = True) -> str:
    """An alias as GetAlias would show it."""
    weights = {clean(version): _number(share) for version, share in alias.weights}
    shown: dict[str, Any] = {
        "Name": clean(alias.name),
        "Description": alias.description,
        "FunctionVersion": clean(alias.version),
        "RoutingConfig": {"AdditionalVersionWeights": weights},
    }
    if revision and alias.revision:
        shown["RevisionId"] = clean(alias.revision)
    return json.dumps(shown, indent=2, ensure_ascii=False)


def concurrency_json(function: str, reserved: int | None) -> str:
    """A reservation as GetFunctionConcurrency would show it: the key is absent where there is none."""
    shown: dict[str, Any] = {"FunctionName": clean(function)}
    if reserved is not None:
        shown["ReservedConcurrentExecutions"] = reserved
    return json.dumps(shown, indent=2, ensure_ascii=False)


def diff(name: str, before: str, after: str) -> str:
    """A unified diff of two native texts, cleaned; empty where they are the same."""
    return clean_lines(planned(before, after, name))


def _number(share: Fraction) -> float:
    # Only for showing: the text of a double with at most six decimals is exact.
    return float(share)
