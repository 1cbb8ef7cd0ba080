"""From changes to one guarded write: the patch, what the object will be, and the check that it says what was meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from adapters.common.planned import by_object
from adapters.engine.frame import Read
from adapters.engine.operations import Op, apply, fields_of
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.object_store import RowDecorator
from adapters.kubernetes.planes.plane import Payload
from adapters.kubernetes.shown import difference
from control.errors import Forbidden, PlatformError
from control.model import Limit, Route, StatusState
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.ports import Fetched, Prepared
from control.text import clean

LOADED_DEADLINE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Native:
    """`Fetched.native` of this platform: one object as it stands, decoded twice, and what its rows are made of."""

    codec: Codec
    ref: Ref
    raw: dict[str, Any]
    """As it came, for patching."""
    wire: Any
    """As its kind has it."""
    read: Read
    decorator: RowDecorator
    may_patch: bool
    """False where the server says that our role may not."""

    def rows(self, wire: Any) -> tuple[list[Route], list[Limit]]:
        """The rows of this object with another content."""
        read = self.read if wire is self.wire else self.codec.read(wire, self.ref.environment, self.decorator.at)
        decorator = self.decorator
        return decorator.routes(self.codec, wire, read.routes), decorator.limits(self.codec, wire, read.limits)


def steps(fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
    """One step for each native object, in the order in which the objects are first named. Raises `InvalidValue`,
    `NotFound`, `Forbidden`."""
    return [_step(one, own) for _, one, own in by_object(fetched, changes)]


def _step(fetched: Fetched, changes: Sequence[Change]) -> Prepared:
    """The step, once the edited object has been seen to say what was asked for. Raises `PlatformError` where not."""
    native: Native = fetched.native
    codec, ref = native.codec, native.ref
    if not native.may_patch:
        raise Forbidden(
            f"our role may not patch {codec.resource.plural} {clean(ref.scope)}/{clean(ref.name)}",
            ref=str(ref),
            hint=f"ask for the verb patch on {codec.resource.plural}.{codec.resource.group}",
        )
    ops = codec.edit(native.raw, changes)
    patched = apply(native.raw, ops)
    after = msgspec.convert(patched, codec.wire)
    routes, limits = native.rows(after)
    _confirm(changes, routes, limits)
    return Prepared(
        object=fetched.object,
        environment=fetched.environment,
        changes=codec.recorded(native.raw, changes),
        diff=difference(fetched.object, native.raw, patched),
        base=fetched.base,
        routes_after=tuple(routes),
        limits_after=tuple(limits),
        warnings=_broken(changes, (*routes, *limits)),
        loses=codec.data.loses,
        deadline_seconds=LOADED_DEADLINE_SECONDS,
        recorded=recorded_of(native.raw),
        writes=fields_of(fetched.object, native.raw, ops),
        payload=Payload(codec, ref, tuple(op for op in ops if _guards(op)), after),
    )


def _guards(op: Op) -> bool:
    """Whether an operation says which state of which object is patched."""
    return op["op"] == "test" and str(op["path"]).startswith("/metadata/")


def _broken(changes: Sequence[Change], rows: Sequence[Route | Limit]) -> tuple[str, ...]:
    """What is already known to be wrong with the rows that are changed."""
    changed = {change.ref for change in changes}
    told = (row.status.detail for row in rows if row.ref in changed and row.status.state is StatusState.ERROR)
    return tuple(dict.fromkeys(told))


def recorded_of(native: Mapping[str, Any]) -> dict[str, Any]:
    """What is journaled of an object before a write: which one it is, and which state of it."""
    metadata = native.get("metadata", {})
    return {"uid": metadata.get("uid"), "generation": metadata.get("generation")}


def base_of(read: Read) -> str:
    """The base of the whole object: every route and limit of it has the same. Empty where it holds none."""
    return next((row.base for rows in (read.routes, read.limits) for row in rows), "")


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
