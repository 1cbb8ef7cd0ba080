"""Changes, plans (with their seal), results and history as documents, and back.

For stdout, for saved plans and for the journal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from control.contract import documents
from control.errors import UsageError
from control.model import Owner, Special, TargetState, exact
from control.model.ref import Ref
from control.planning.edit import Change, Value, split_field
from control.planning.plan import (
    PLAN_SCHEMA,
    EffectiveChange,
    GuardResult,
    HistoryPage,
    Plan,
    Progress,
    Result,
    Step,
)
from control.serialiser import alike, canonical, from_json, to_json
from control.structs import replace
from control.text import clean

Json = dict[str, Any]

# --- changes ----------------------------------------------------------------------------------------------------------


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"'{value}' is not a whole number")
    return value


_VALUES: Mapping[str, Callable[[Any], Value]] = {
    "weight": exact.weight,
    "share": exact.fraction,
    "state": TargetState,
    "amount": exact.amount,
    "window": exact.fraction,
    "burst": _whole,
}


def change_document(change: Change) -> documents.Change:
    """Weights and bursts are numbers, exact fractions are strings."""
    before, after = (_value(change.field, value) for value in (change.before, change.after))
    return documents.Change(str(change.ref), change.field, before, after, change.persist, change.was, change.again)


def _value(field: str, value: Value) -> int | str | None:
    if isinstance(value, int) and split_field(field)[1] not in ("share", "amount", "window"):
        return value
    if isinstance(value, Special | TargetState):
        return value.value
    return None if value is None else str(value)


def change_to_json(change: Change) -> Json:
    """A change as JSON values."""
    return _json(change_document(change))


def change_from_json(document: Any) -> Change:
    """Read a change back. Raises `UsageError` for what is wrong."""
    try:
        return _change(from_json(document, documents.Change))
    except ValueError as error:
        raise UsageError(f"a change cannot be read: {clean(str(error))}") from None


def _change(document: documents.Change) -> Change:
    """The types of its values follow from the name of its field. Raises `UsageError` or `ValueError`."""
    read = _VALUES.get(split_field(document.field)[1])
    if read is None:
        raise ValueError(f"there is no field '{document.field}'")
    before, after = (None if value is None else read(value) for value in (document.before, document.after))
    ref, field = Ref.parse(document.ref), document.field
    return Change(ref, field, before, after, document.persist, document.was, document.again)


# --- plans ------------------------------------------------------------------------------------------------------------


def _json(document: documents.Document) -> Json:
    values: Json = to_json(document)
    return values


def _step_document(step: Step) -> documents.Step:
    return documents.Step(
        object=step.object,
        environment=step.environment,
        changes=[change_document(change) for change in step.changes],
        diff=step.diff,
        base=step.base,
        owners=alike(step.owners, list[documents.Owner]),
        effective=alike(step.effective, list[documents.EffectiveChange]),
        guards=alike(step.guards, list[documents.Guard]),
        loses=list(step.loses),
    )


def _step(document: documents.Step) -> Step:
    return Step(
        object=document.object,
        environment=document.environment,
        changes=tuple(_change(change) for change in document.changes),
        diff=document.diff,
        base=document.base,
        owners=alike(document.owners, tuple[Owner, ...]),
        effective=alike(document.effective, tuple[EffectiveChange, ...]),
        guards=alike(document.guards, tuple[GuardResult, ...]),
        loses=tuple(document.loses),
    )


def _seal_of(document: Mapping[str, Any]) -> str:
    """Over the canonical JSON of everything but the seal itself."""
    content = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(canonical(content)).hexdigest()


def plan_document(plan: Plan) -> documents.Plan:
    """The plan with its seal."""
    document = documents.Plan(
        schema=PLAN_SCHEMA,
        plan=plan.plan,
        sha256="",
        reason=plan.reason,
        on_failure=plan.on_failure,
        undo_of=plan.undo_of,
        steps=[_step_document(step) for step in plan.steps],
        headroom=list(plan.headroom),
        overrides=list(plan.overrides),
        verdict=plan.verdict,
    )
    return replace(document, sha256=_seal_of(_json(document)))


def plan_to_json(plan: Plan) -> Json:
    """The plan with its seal, as JSON values."""
    return _json(plan_document(plan))


def seal(plan: Plan) -> Plan:
    """The same plan with its `sha256` filled."""
    return replace(plan, sha256=plan_document(plan).sha256)


def plan_from_json(document: Any) -> Plan:
    """Read a plan back. Raises `UsageError` for a newer schema, a seal that does not fit, and missing parts."""
    if not isinstance(document, Mapping) or not isinstance(document.get("schema"), int) or "plan" not in document:
        raise UsageError("this is not a plan", hint="save one with --out FILE")
    if document["schema"] > PLAN_SCHEMA:
        raise UsageError(
            f"the plan was saved by a newer trafficdeck (schema {document['schema']}, this one knows {PLAN_SCHEMA})",
            hint="update trafficdeck, or plan anew",
        )
    if document.get("sha256") != _seal_of(document):
        raise UsageError(
            "the plan was changed after it was saved: its sha256 does not fit",
            hint="a saved plan is not edited by hand; make a new one with --out FILE",
        )
    try:
        read = from_json(document, documents.Plan)
        return Plan(
            plan=read.plan,
            steps=tuple(_step(step) for step in read.steps),
            on_failure=read.on_failure,
            verdict=read.verdict,
            sha256=read.sha256,
            undo_of=read.undo_of,
            headroom=tuple(read.headroom),
            reason=read.reason,
            overrides=tuple(read.overrides),
        )
    except ValueError as error:
        raise UsageError(f"the plan has parts that cannot be read: {clean(str(error))}", hint="plan anew") from None


def read_plan(text: str, source: str) -> Plan:
    """A plan from the text of a saved file; `source` is the file's name for messages."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(
            f"{source} is not a saved plan: it is no whole JSON{where}", hint="it may have been cut short; plan anew"
        ) from None
    try:
        return plan_from_json(document)
    except UsageError as error:
        raise UsageError(f"{source}: {error.message}", hint=error.hint) from None


# --- results and history ----------------------------------------------------------------------------------------------


def result_document(result: Result) -> documents.Result:
    return alike(result, documents.Result)


def result_to_json(result: Result) -> Json:
    """A result as JSON values."""
    return _json(result_document(result))


def result_from_json(document: Any) -> Result:
    """Read a result back. Raises `ValueError` for what is none."""
    return alike(from_json(document, documents.Result), Result)


def history_document(page: HistoryPage, older: int = 0) -> documents.History:
    """`older` is how many are not listed; what is not understood is in `unreachable`."""
    why = f"the journal is not known in full: {page.why}"
    return documents.History(
        older=older,
        unreachable=[documents.Unreachable("", why)] if page.not_understood else [],
        items=[
            documents.HistoryItem(
                change=item.change,
                at=item.at,
                actor=item.actor,
                reason=item.reason,
                outcome=item.outcome,
                undone_by=item.undone_by,
                steps=[
                    documents.HistoryStep(step.object, [change_document(change) for change in step.changes])
                    for step in item.steps
                ],
            )
            for item in page.items
        ],
    )


def progress_document(progress: Progress) -> documents.Progress:
    return alike(progress, documents.Progress)
