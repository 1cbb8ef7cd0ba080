"""Turns changes of one alias or one reservation into one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.common.planned import by_object
from adapters.serverless.aws import alias as alias_codec
from adapters.serverless.aws import concurrency as concurrency_codec
from adapters.serverless.aws import native
from adapters.serverless.aws.records import Function, Place
from control.errors import NotFound
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ApiCall, Fetched, Prepared

READ_BACK_SECONDS = 30.0
PROVISIONED_SECONDS = 900.0
"""How long AWS may take to move provisioned concurrency to another version."""
UNGUARDED = "Lambda has no precondition for reserved concurrency: it is read again right before, a moment is unguarded"
NO_REVISION = "this endpoint gives the alias no RevisionId: it is read again right before, a moment is unguarded"


@dataclass(frozen=True, slots=True)
class FunctionRead:
    """`Fetched.native` of this platform: the function that has the alias or the reservation, and what is around it."""

    place: Place
    function: Function


def steps(fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
    """One step for each alias or reservation, in the order in which they are first named."""
    found: list[tuple[FunctionRead, Ref, list[Change]]] = [
        (one.native, ref, own) for ref, one, own in by_object(fetched, changes)
    ]
    return [prepare(read.place, read.function, ref, own) for read, ref, own in found]


def prepare(place: Place, function: Function, ref: Ref, changes: Sequence[Change]) -> Prepared:
    """The step that makes `changes` true on `ref`. Raises `InvalidValue`, `NotFound`."""
    if ref.kind == alias_codec.KIND:
        return _alias(place, function, ref, changes)
    return _concurrency(place, function, ref, changes)


def _alias(place: Place, function: Function, ref: Ref, changes: Sequence[Change]) -> Prepared:
    alias = function.alias(alias_codec.split_name(ref.name)[1])
    if alias is None:
        raise NotFound(f"{ref} does not exist", ref=str(ref))
    write = alias_codec.edit(ref, function, alias, changes)
    kept = any(item.qualifier == alias.name for item in function.provisioned)
    warnings = [] if alias.revision else [NO_REVISION]
    if kept and write.after.weights:
        warnings.append("the alias has provisioned concurrency, which AWS does not offer on an alias with two versions")
    return Prepared(
        object=str(ref),
        environment=place.environment,
        changes=tuple(changes),
        diff=native.diff(str(ref), native.alias_json(alias, False), native.alias_json(write.after, False)),
        base=alias_codec.base_of(alias),
        routes_after=(alias_codec.to_route(place, function, write.after),),
        warnings=tuple(warnings),
        deadline_seconds=PROVISIONED_SECONDS if kept else READ_BACK_SECONDS,
        writes=(ApiCall(str(ref), "lambda", "UpdateAlias", write.arguments()),),
        payload=write,
    )


def _concurrency(place: Place, function: Function, ref: Ref, changes: Sequence[Change]) -> Prepared:
    write = concurrency_codec.edit(place, function, changes)
    warnings = [UNGUARDED]
    if write.after == 0:
        warnings.append("0 stops the function: every request to it is refused, whatever the alias")
    return Prepared(
        object=str(ref),
        environment=place.environment,
        changes=tuple(changes),
        diff=native.diff(
            str(ref),
            native.concurrency_json(function.name, write.before),
            native.concurrency_json(function.name, write.after),
        ),
        base=concurrency_codec.base_of(write.before),
        limits_after=(concurrency_codec.to_limit(place, replace(function, reserved=write.after)),),
        warnings=tuple(warnings),
        deadline_seconds=READ_BACK_SECONDS,
        writes=(ApiCall(str(ref), "lambda", write.operation, write.arguments()),),
        payload=write,
    )
