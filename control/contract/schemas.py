"""The published JSON Schemas (draft 2020-12) of everything that the command line prints and reads.

One for each shape of `rows` and `plans` beside it, and the deck file's. Objects are closed: a key that is
not named here is a fault. Exact numbers are strings; measured figures and native weights are numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from control.deck.schema import DECK_SCHEMAS, GUARDS
from control.deck.sections import DeckSection
from control.errors import ErrorKind, UsageError
from control.model import (
    AccessState,
    Health,
    Life,
    Measure,
    Mode,
    OwnerRole,
    ReachState,
    Semantics,
    StatusState,
    Strength,
    TargetState,
    WindowKind,
)
from control.planning.plan import PLAN_SCHEMA, OnFailure, ResultOutcome, StepOutcome, Verdict
from control.ports import Found, ProofState
from control.text import clean

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
STAGES = ("journaled", "written", "read_back", "loaded", "observed")

# --- words of the schemas ---------------------------------------------------------------------------------------------

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_FLAG: Schema = {"type": "boolean"}
_MAYBE_FLAG: Schema = {"type": ["boolean", "null"]}
_FIGURE: Schema = {"type": ["number", "null"], "minimum": 0}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_WEIGHT: Schema = {"type": ["integer", "string", "null"]}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_REF: Schema = {"type": "string", "pattern": "^[^/]+/[^/]+/[^/]+/[^/]+$"}
_EXACT: Schema = {"type": ["string", "null"], "pattern": "^-?[0-9]+(/[0-9]+)?$"}
_AMOUNT: Schema = {"type": ["string", "null"], "pattern": "^([0-9]+(/[0-9]+)?|unlimited|blocked)$"}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_AGE: Schema = _FIGURE | {"description": "seconds since it was read"}


def _one_of(words: type[StrEnum]) -> Schema:
    return {"enum": [word.value for word in words]}


def _maybe(schema: Schema) -> Schema:
    """Null too: the field of a group whose members differ, or a part that is not there."""
    return {"enum": [*schema["enum"], None]} if "enum" in schema else {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(_optional: Mapping[str, Schema] | None = None, /, **properties: Schema) -> Schema:
    """A closed object; all its properties are always there but for the optional ones."""
    return {
        "type": "object",
        "properties": properties | dict(_optional or {}),
        "required": list(properties),
        "additionalProperties": False,
    }


# --- what is ----------------------------------------------------------------------------------------------------------

_INTERVAL = _object(low=_EXACT, high=_EXACT)
_OWNER = _object(
    kind=_TEXT,
    name=_TEXT,
    role=_one_of(OwnerRole),
    reverts=_MAYBE_FLAG,
    within_seconds=_FIGURE,
    edit_instead=_TEXT,
)
_EDITABLE = _maybe(_object(yes=_MAYBE_FLAG, reason=_MAYBE_TEXT))


def _effective() -> Schema:
    return _object(
        low=_EXACT,
        high=_EXACT,
        at_once=_INTERVAL,
        unit=_TEXT,
        seconds=_EXACT,
        per=_TEXT,
        why=_TEXT,
    ) | {"description": "low and high are counts per seconds (null for concurrency); at_once is what passes from idle"}


def _traffic() -> Schema:
    return _object(
        rps=_FIGURE,
        error_ratio=_FIGURE,
        throttled_ratio=_FIGURE,
        p95_seconds=_FIGURE,
        window_seconds=_FIGURE,
        age_seconds=_AGE,
        source=_MAYBE_TEXT,
    )


def _environment() -> Schema:
    return _object(
        name=_TEXT,
        platform=_TEXT,
        labels={"type": "object", "additionalProperties": _TEXT},
        production=_FLAG,
        identity=_TEXT,
        reach=_object(state=_one_of(ReachState), why=_TEXT),
        access=_object(state=_one_of(AccessState), why=_TEXT),
        counts=_object(routes=_COUNT, limits=_COUNT),
        age_seconds=_AGE,
    )


def _service() -> Schema:
    cap = _object(environment=_TEXT, cap=_INTERVAL, share=_EXACT)
    return _object(
        name=_TEXT,
        routes=_list(_REF),
        front=_maybe(_REF),
        shares=_list(_object(environment=_TEXT, share=_EXACT, source={"enum": ["front", "measured", "unknown"]})),
        headroom=_object(
            demand_max=_maybe(_INTERVAL), first_to_saturate=_MAYBE_TEXT, per_environment=_list(cap), why=_TEXT
        ),
        age_seconds=_AGE,
    )


def _route() -> Schema:
    target = _object(
        name=_TEXT,
        weight=_WEIGHT,
        share=_EXACT,
        state=_maybe(_one_of(TargetState)),
        health=_maybe(_one_of(Health)),
        seen_share=_FIGURE,
        to=_maybe(_REF),
        native=_MAYBE_TEXT,
    )
    weights = {"type": "object", "additionalProperties": _WEIGHT}
    return _object(
        ref=_REF,
        environment=_TEXT,
        platform=_TEXT,
        kind=_TEXT,
        name=_MAYBE_TEXT,
        service=_MAYBE_TEXT,
        matches=_maybe(_TEXTS),
        semantics=_maybe(_one_of(Semantics)),
        targets=_list(target),
        members=_list(_object(ref=_REF, agrees=_FLAG, weights=weights, base=_TEXT)),
        limits=_list(_REF),
        sticky=_MAYBE_TEXT,
        mirrors=_maybe(_list(_object(name=_TEXT, share=_EXACT))),
        owners=_list(_OWNER),
        status=_maybe(_object(state=_maybe(_one_of(StatusState)), detail=_MAYBE_TEXT)),
        editable=_EDITABLE,
        traffic=_traffic(),
        base=_MAYBE_TEXT,
        age_seconds=_AGE,
    )


def _limit() -> Schema:
    window = _object({"calendar": _MAYBE_TEXT}, kind=_maybe(_one_of(WindowKind)), seconds=_EXACT)
    binding = _object(on=_TEXT, action=_TEXT, domain=_TEXT, effective=_maybe(_effective()))
    return _object(
        ref=_REF,
        environment=_TEXT,
        platform=_TEXT,
        kind=_TEXT,
        name=_MAYBE_TEXT,
        measure=_maybe(_one_of(Measure)),
        match=_MAYBE_TEXT,
        strength=_maybe(_one_of(Strength)),
        amount=_AMOUNT,
        window=_maybe(window),
        burst=_maybe(_object(native={"type": ["integer", "null"]}, at_once=_EXACT)),
        key=_maybe(_TEXTS),
        mode=_maybe(_one_of(Mode)),
        native=_MAYBE_TEXT,
        life=_maybe(_one_of(Life)),
        bindings=_list(binding),
        members=_list(_object(ref=_REF, agrees=_FLAG, amount=_AMOUNT, base=_TEXT)),
        use=_object(current=_FIGURE, rejected_per_second=_FIGURE),
        owners=_list(_OWNER),
        status=_maybe(_object(state=_maybe(_one_of(StatusState)), detail=_MAYBE_TEXT)),
        editable=_EDITABLE,
        base=_MAYBE_TEXT,
        age_seconds=_AGE,
    )


def _list_shape() -> Schema:
    return _object(
        items=_list({"anyOf": [_route(), _limit(), _environment(), _service()]}),
        unreachable=_list(_object(environment=_TEXT, why=_TEXT)),
        age_seconds=_AGE,
    )


# --- what is done -----------------------------------------------------------------------------------------------------

_CHANGE = _object(
    {"persist": {"const": True}, "was": _TEXT, "again": _TEXT, "from": _WEIGHT, "to": _WEIGHT},
    ref=_REF,
    field={"type": "string", "pattern": "^(targets/.+/(weight|share|state)|amount|window|burst)$"},
)
_CHANGE["required"] = ["ref", "field", "from", "to"]


def _plan() -> Schema:
    effective = _object(on=_TEXT, before=_maybe(_effective()), after=_maybe(_effective()))
    guard = _object(name={"enum": list(GUARDS)}, verdict=_one_of(Verdict), message=_TEXT)
    step = _object(
        object=_TEXT,
        environment=_TEXT,
        changes=_list(_CHANGE),
        diff=_TEXT,
        base=_TEXT,
        owners=_list(_OWNER),
        effective=_list(effective),
        guards=_list(guard),
        loses=_TEXTS,
    )
    return _object(
        schema={"const": PLAN_SCHEMA},
        plan=_TEXT,
        sha256=_SHA256,
        reason=_TEXT,
        on_failure=_one_of(OnFailure),
        undo_of=_MAYBE_TEXT,
        steps=_list(step),
        headroom=_TEXTS,
        verdict=_one_of(Verdict),
        overrides=_list(_TEXT),
    )


def _result() -> Schema:
    part = _object(state=_one_of(ProofState), detail=_TEXT, seconds=_FIGURE)
    step = _object(
        object=_TEXT,
        outcome=_one_of(StepOutcome),
        reason=_maybe(_object(kind=_one_of(ErrorKind), message=_TEXT)),
        found=_maybe(_one_of(Found)),
        proof=_maybe(_object(accepted=part, loaded=part, observed=part)),
    )
    return _object(change=_MAYBE_TEXT, outcome=_one_of(ResultOutcome), head=_MAYBE_TEXT, steps=_list(step))


def _history() -> Schema:
    item = _object(
        change=_TEXT,
        at={"type": "number", "description": "Unix time"},
        actor=_TEXT,
        reason=_TEXT,
        outcome=_one_of(ResultOutcome),
        undone_by=_MAYBE_TEXT,
        steps=_list(_object(object=_TEXT, changes=_list(_CHANGE))),
    )
    unreachable = _list(_object(environment=_TEXT, why=_TEXT))
    return _object({"older": _COUNT, "unreachable": unreachable}, items=_list(item))


def _verify() -> Schema:
    return _object(ok=_FLAG, entries=_COUNT, head=_MAYBE_TEXT, first_bad={"type": ["integer", "null"]})


def _doctor() -> Schema:
    state = {"enum": ["ok", "warn", "fail"]}
    return _object(items=_list(_object(environment=_TEXT, check=_TEXT, state=state, detail=_TEXT, hint=_TEXT)))


def _error() -> Schema:
    return _object(error=_object(kind=_one_of(ErrorKind), message=_TEXT, ref=_MAYBE_TEXT, hint=_MAYBE_TEXT))


def _progress() -> Schema:
    return _object(stage={"enum": list(STAGES)}, step=_COUNT, object=_TEXT, at={"type": "number"})


SCHEMAS: Mapping[str, Callable[[], Schema]] = {
    "list": _list_shape,
    "environment": _environment,
    "service": _service,
    "route": _route,
    "traffic": _traffic,
    "limit": _limit,
    "effective": _effective,
    "plan": _plan,
    "result": _result,
    "history": _history,
    "verify": _verify,
    "doctor": _doctor,
    "error": _error,
    "progress": _progress,
}
"""Name of a shape -> what makes its schema."""
NAMES = (*SCHEMAS, *DECK_SCHEMAS)


def schema(name: str, sections: Sequence[DeckSection] = ()) -> Schema:
    """The JSON Schema of one shape, with the names that these adapters declare. Raises `UsageError` naming those shapes
    that there are."""
    head = {"$schema": DIALECT, "title": f"trafficdeck {name}"}
    if name in DECK_SCHEMAS:
        return head | DECK_SCHEMAS[name](sections)
    make = SCHEMAS.get(name)
    if make is None:
        raise UsageError(f"there is no schema '{clean(name, 60)}'", hint=f"there are {', '.join(NAMES)}")
    platforms = list(dict.fromkeys(section.platform for section in sections))
    return head | (_with_platforms(make(), platforms) if platforms else make())


def _with_platforms(schema: Any, platforms: list[str]) -> Any:
    """The same schema in which `platform` is one of those that are declared."""
    if isinstance(schema, list):
        return [_with_platforms(one, platforms) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _with_platforms(value, platforms) for key, value in schema.items()}
    if "platform" in made.get("properties", ()):
        made["properties"]["platform"] = {"enum": platforms}
    return made
