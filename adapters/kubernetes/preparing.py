"""From changes to one guarded write: the patch, what the object will be, and the check that it says what was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from adapters.engine.frame import Read
from adapters.engine.operations import Op, apply
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.planes.traefik.loaded import Payload
from adapters.kubernetes.shown import difference
from control.errors import PlatformError
from control.model import Limit, Route, StatusState
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.ports import Prepared
from control.text import clean

LOADED_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Edited:
    """An object before and after, and the patch between."""

    codec: Codec
    native: dict[str, Any]
    after: Any
    """Decoded."""
    ops: list[Op]


def edited(codec: Codec, native: dict[str, Any], changes: Sequence[Change]) -> tuple[Any, list[Op]]:
    """The decoded object as it will be, and the patch. Raises `InvalidValue`, `NotFound`."""
    ops = codec.edit(native, changes)
    return msgspec.convert(apply(native, ops), codec.wire), ops


def prepared(
    ref: Ref, changes: Sequence[Change], before: Read, routes: Sequence[Route], limits: Sequence[Limit], made: Edited
) -> Prepared:
    """The step, once the edited object has been seen to say what was asked for. Raises `PlatformError` where not."""
    _confirm(changes, routes, limits)
    return Prepared(
        object=str(ref),
        environment=ref.environment,
        changes=made.codec.recorded(made.native, changes),
        diff=difference(str(ref), made.native, apply(made.native, made.ops)),
        base=_base(before),
        routes_after=tuple(routes),
        limits_after=tuple(limits),
        warnings=_broken(changes, (*routes, *limits)),
        loses=made.codec.data.loses,
        deadline_seconds=LOADED_DEADLINE_SECONDS,
        recorded=recorded_of(made.native),
        payload=Payload(made.codec, ref, tuple(made.ops), made.after),
    )


def _broken(changes: Sequence[Change], rows: Sequence[Route | Limit]) -> tuple[str, ...]:
    """What is already known to be wrong with the rows that are changed."""
    changed = {change.ref for change in changes}
    told = (row.status.detail for row in rows if row.ref in changed and row.status.state is StatusState.ERROR)
    return tuple(dict.fromkeys(told))


def recorded_of(native: Mapping[str, Any]) -> dict[str, Any]:
    """What is journaled of an object before a write: which one it is, and which state of it."""
    metadata = native.get("metadata", {})
    return {"uid": metadata.get("uid"), "generation": metadata.get("generation")}


def _base(read: Read) -> str:
    """The base of the whole object: every route and limit of it has the same."""
    return read.routes[0].base if read.routes else read.limits[0].base


def _confirm(changes: Sequence[Change], routes: Sequence[Route], limits: Sequence[Limit]) -> None:
    """The edited object, read again, must say what was asked for. Raises `PlatformError`."""
    for change in changes:
        target_name, field = split_field(change.field)
        found: object = None
        if target_name is not None:
            route = next((r for r in routes if r.ref == change.ref), None)
            target = route.target(target_name) if route else None
            found = target.weight if target else None
        else:
            limit = next((one for one in limits if one.ref == change.ref), None)
            found = _limit_value(limit, field) if limit else None
        wanted = change.after
        if found != wanted and not (field == "burst" and wanted is None):
            raise PlatformError(f"the edit of {clean(change.field)} would read back as {found}, not {wanted}")


def _limit_value(limit: Limit, field: str) -> object:
    if field == "amount":
        return limit.amount
    if field == "burst":
        return limit.burst.native if limit.burst else None
    return limit.window.seconds if limit.window else None
