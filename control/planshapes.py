"""The JSON shapes of what is done: changes, plans (with their seal), results, history.

Used for stdout, for saved plans and by the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from control.edit import Change
from control.plan import HistoryItem, Plan, Progress, Result

Json = dict[str, Any]


def canonical(document: Any) -> bytes:
    """The one way of writing a JSON document that hashes are computed over: sorted keys, no spaces, UTF-8."""
    raise NotImplementedError


def change_to_json(change: Change) -> Json:
    """`{ref, field, from, to}`, and `persist` where it is true. Weights are numbers, exact fractions are strings."""
    raise NotImplementedError


def change_from_json(document: Mapping[str, Any]) -> Change:
    """Read a change back, the types of its values by the name of its field. Raises `UsageError` for what is wrong."""
    raise NotImplementedError


def plan_to_json(plan: Plan) -> Json:
    """The plan with its seal, `sha256`, computed over the canonical JSON of everything else."""
    raise NotImplementedError


def plan_from_json(document: Any) -> Plan:
    """Read a plan back. Raises `UsageError` for a newer schema, a seal that does not fit, and missing parts."""
    raise NotImplementedError


def seal(plan: Plan) -> Plan:
    """The same plan with its `sha256` filled."""
    raise NotImplementedError


def read_plan(text: str, source: str) -> Plan:
    """A plan from the text of a saved file; `source` is the file's name for messages."""
    raise NotImplementedError


def result_to_json(result: Result) -> Json:
    raise NotImplementedError


def result_from_json(document: Mapping[str, Any]) -> Result:
    raise NotImplementedError


def history_to_json(items: Sequence[HistoryItem]) -> Json:
    raise NotImplementedError


def progress_to_json(progress: Progress) -> Json:
    """`{stage, step, object, at}`."""
    raise NotImplementedError
