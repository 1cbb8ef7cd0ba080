"""The JSON shapes of what is done: changes, plans (with their seal), results, history.

Used for stdout, for saved plans and by the journal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeVar

from control.errors import ErrorKind, UsageError
from control.model import Amount, Effective, Interval, Owner, OwnerRole, Special, TargetState
from control.model.ref import Ref
from control.planning.edit import Change, Value, split_field
from control.planning.plan import (
    PLAN_SCHEMA,
    EffectiveChange,
    GuardResult,
    HistoryPage,
    OnFailure,
    Plan,
    Progress,
    Proof,
    Reason,
    Result,
    ResultOutcome,
    Step,
    StepOutcome,
    StepResult,
    Verdict,
)
from control.ports import Found, ProofPart, ProofState
from control.structs import replace
from control.text import clean

Json = dict[str, Any]
T = TypeVar("T")


def canonical(document: Any) -> bytes:
    """The one way of writing a JSON document that hashes are computed over: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# --- values -----------------------------------------------------------------------------------------------------------


def amount_to_json(amount: Amount | None) -> str | None:
    """`"50"`, `"1/3"`, `"unlimited"`, `"blocked"`; None where it is not understood."""
    if amount is None:
        return None
    return amount.value if isinstance(amount, Special) else str(amount)


def value_to_json(value: Value) -> Any:
    """Native whole numbers are numbers; exact fractions and words are strings; None is null."""
    if isinstance(value, Fraction):
        return str(value)
    return value.value if isinstance(value, TargetState | Special) else value


def _fraction(value: Any) -> Fraction:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError(f"'{value}' is not an exact number")
    return Fraction(value)


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"'{value}' is not a whole number")
    return value


def _amount(value: Any) -> Amount:
    return Special(value) if value in ("unlimited", "blocked") else _fraction(value)


_VALUES: Mapping[str, Callable[[Any], Value]] = {
    "weight": lambda value: value if isinstance(value, int) else _fraction(value),
    "share": _fraction,
    "state": TargetState,
    "amount": _amount,
    "window": _fraction,
    "burst": _whole,
}


def change_to_json(change: Change) -> Json:
    """`{ref, field, from, to}`, with `persist`, `was` and `again` where they say something.

    Weights are numbers, exact fractions are strings.
    """
    before, after = (_change_value(change.field, value) for value in (change.before, change.after))
    document = {"ref": str(change.ref), "field": change.field, "from": before, "to": after}
    said = {"persist": change.persist, "was": change.was, "again": change.again}
    return document | {key: value for key, value in said.items() if value}


def _change_value(field: str, value: Value) -> Any:
    if split_field(field)[1] in ("share", "amount", "window") and isinstance(value, int):
        return str(value)
    return value_to_json(value)


def change_from_json(document: Mapping[str, Any]) -> Change:
    """Read a change back, the types of its values by the name of its field. Raises `UsageError` for what is wrong."""
    try:
        field = document["field"]
        read = _VALUES[split_field(field)[1]]
        before, after = (None if document[key] is None else read(document[key]) for key in ("from", "to"))
        forms = (str(document.get(key, "")) for key in ("was", "again"))
        return Change(Ref.parse(document["ref"]), field, before, after, bool(document.get("persist", False)), *forms)
    except (KeyError, ValueError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise UsageError(f"a change cannot be read: {clean(str(error))}") from None


# --- parts of plans ---------------------------------------------------------------------------------------------------


def interval_to_json(interval: Interval) -> Json:
    return {"low": _exact(interval.low), "high": _exact(interval.high)}


def _exact(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def effective_to_json(effective: Effective | None) -> Json | None:
    """`{low, high, at_once: {low, high}, unit, seconds, per, why}`; null where there is none."""
    if effective is None:
        return None
    return {
        "low": _exact(effective.low),
        "high": _exact(effective.high),
        "at_once": interval_to_json(effective.at_once),
        "unit": effective.unit,
        "seconds": _exact(effective.seconds),
        "per": effective.per,
        "why": effective.why,
    }


def _effective(document: Mapping[str, Any] | None) -> Effective | None:
    if document is None:
        return None
    at_once = document["at_once"]
    return Effective(
        low=_maybe(_fraction, document["low"]),
        high=_maybe(_fraction, document["high"]),
        at_once=Interval(_maybe(_fraction, at_once["low"]), _maybe(_fraction, at_once["high"])),
        unit=str(document["unit"]),
        seconds=_maybe(_fraction, document["seconds"]),
        per=str(document["per"]),
        why=str(document["why"]),
    )


def _maybe(read: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else read(value)


def owner_to_json(owner: Owner) -> Json:
    return {
        "kind": owner.kind,
        "name": owner.name,
        "role": owner.role.value,
        "reverts": owner.reverts,
        "within_seconds": owner.within_seconds,
        "edit_instead": owner.edit_instead,
    }


def _owner(document: Mapping[str, Any]) -> Owner:
    return Owner(
        kind=str(document["kind"]),
        name=str(document["name"]),
        role=OwnerRole(document["role"]),
        reverts=document["reverts"],
        within_seconds=document["within_seconds"],
        edit_instead=str(document["edit_instead"]),
    )


def step_to_json(step: Step) -> Json:
    return {
        "object": step.object,
        "environment": step.environment,
        "changes": [change_to_json(change) for change in step.changes],
        "diff": step.diff,
        "base": step.base,
        "owners": [owner_to_json(owner) for owner in step.owners],
        "effective": [
            {"on": one.on, "before": effective_to_json(one.before), "after": effective_to_json(one.after)}
            for one in step.effective
        ],
        "guards": [{"name": g.name, "verdict": g.verdict.value, "message": g.message} for g in step.guards],
        "loses": list(step.loses),
    }


def _step(document: Mapping[str, Any]) -> Step:
    return Step(
        object=str(document["object"]),
        environment=str(document["environment"]),
        changes=tuple(change_from_json(change) for change in document["changes"]),
        diff=str(document["diff"]),
        base=str(document["base"]),
        owners=tuple(_owner(owner) for owner in document["owners"]),
        effective=tuple(
            EffectiveChange(str(one["on"]), _effective(one["before"]), _effective(one["after"]))
            for one in document["effective"]
        ),
        guards=tuple(GuardResult(g["name"], Verdict(g["verdict"]), g["message"]) for g in document["guards"]),
        loses=tuple(map(str, document["loses"])),
    )


# --- plans ------------------------------------------------------------------------------------------------------------


def _content(plan: Plan) -> Json:
    """A plan without its seal."""
    return {
        "schema": PLAN_SCHEMA,
        "plan": plan.plan,
        "reason": plan.reason,
        "on_failure": plan.on_failure.value,
        "undo_of": plan.undo_of,
        "steps": [step_to_json(step) for step in plan.steps],
        "headroom": list(plan.headroom),
        "overrides": list(plan.overrides),
        "verdict": plan.verdict.value,
    }


def _seal_of(content: Json) -> str:
    return hashlib.sha256(canonical(content)).hexdigest()


def plan_to_json(plan: Plan) -> Json:
    """The plan with its seal, `sha256`, computed over the canonical JSON of everything else."""
    content = _content(plan)
    return {"schema": content["schema"], "plan": plan.plan, "sha256": _seal_of(content)} | content


def seal(plan: Plan) -> Plan:
    """The same plan with its `sha256` filled."""
    return replace(plan, sha256=_seal_of(_content(plan)))


def plan_from_json(document: Any) -> Plan:
    """Read a plan back. Raises `UsageError` for a newer schema, a seal that does not fit, and missing parts."""
    if not isinstance(document, Mapping) or not isinstance(document.get("schema"), int) or "plan" not in document:
        raise UsageError("this is not a plan", hint="save one with --out FILE")
    if document["schema"] > PLAN_SCHEMA:
        raise UsageError(
            f"the plan was saved by a newer trafficdeck (schema {document['schema']}, this one knows {PLAN_SCHEMA})",
            hint="update trafficdeck, or plan anew",
        )
    content = {key: value for key, value in document.items() if key != "sha256"}
    if document.get("sha256") != _seal_of(content):
        raise UsageError(
            "the plan was changed after it was saved: its sha256 does not fit",
            hint="a saved plan is not edited by hand; make a new one with --out FILE",
        )
    try:
        return Plan(
            plan=str(document["plan"]),
            steps=tuple(_step(step) for step in document["steps"]),
            on_failure=OnFailure(document["on_failure"]),
            verdict=Verdict(document["verdict"]),
            sha256=document["sha256"],
            undo_of=document["undo_of"],
            headroom=tuple(map(str, document["headroom"])),
            reason=str(document["reason"]),
            overrides=tuple(map(str, document.get("overrides", ()))),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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


def _proof_part(part: ProofPart) -> Json:
    return {"state": part.state.value, "detail": part.detail, "seconds": part.seconds}


def _step_result(step: StepResult) -> Json:
    proof = step.proof
    return {
        "object": step.object,
        "outcome": step.outcome.value,
        "reason": None if step.reason is None else {"kind": step.reason.kind.value, "message": step.reason.message},
        "found": None if step.found is None else step.found.value,
        "proof": None
        if proof is None
        else {
            "accepted": _proof_part(proof.accepted),
            "loaded": _proof_part(proof.loaded),
            "observed": _proof_part(proof.observed),
        },
    }


def result_to_json(result: Result) -> Json:
    """`{change, outcome, head, steps: [{object, outcome, reason, found, proof}]}`."""
    return {
        "change": result.change,
        "outcome": result.outcome.value,
        "head": result.head,
        "steps": [_step_result(step) for step in result.steps],
    }


def _read_proof(document: Mapping[str, Any]) -> Proof:
    parts = [
        ProofPart(ProofState(part["state"]), part["detail"], part["seconds"])
        for part in (document[level] for level in ("accepted", "loaded", "observed"))
    ]
    return Proof(*parts)


def result_from_json(document: Mapping[str, Any]) -> Result:
    """Read a result back. Raises `KeyError` or `ValueError` for what is none."""
    steps = tuple(
        StepResult(
            object=step["object"],
            outcome=StepOutcome(step["outcome"]),
            reason=_maybe(lambda r: Reason(ErrorKind(r["kind"]), r["message"]), step["reason"]),
            found=_maybe(Found, step["found"]),
            proof=_maybe(_read_proof, step["proof"]),
        )
        for step in document["steps"]
    )
    return Result(document["change"], ResultOutcome(document["outcome"]), document["head"], steps)


def history_to_json(page: HistoryPage, older: int = 0) -> Json:
    """`{items: [{change, at, actor, reason, outcome, undone_by, steps: [{object, changes}]}]}`; and `older`, how many
    are not listed, and `unreachable`, what is not understood, where there is such."""
    more: Json = {"older": older} if older else {}
    if page.not_understood:
        more["unreachable"] = [{"environment": "", "why": f"the journal is not known in full: {page.why}"}]
    return more | {
        "items": [
            {
                "change": item.change,
                "at": item.at,
                "actor": item.actor,
                "reason": item.reason,
                "outcome": item.outcome.value,
                "undone_by": item.undone_by,
                "steps": [
                    {"object": step.object, "changes": [change_to_json(change) for change in step.changes]}
                    for step in item.steps
                ],
            }
            for item in page.items
        ]
    }


def progress_to_json(progress: Progress) -> Json:
    """`{stage, step, object, at}`."""
    return {"stage": progress.stage, "step": progress.step, "object": progress.object, "at": progress.at}
