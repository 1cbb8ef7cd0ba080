"""What the conditions of an object say of a change, as a proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from adapters.kubernetes.client.objects import decode
from adapters.kubernetes.kinds.common import namespace_of
from adapters.kubernetes.planes.plane import Cluster, Payload
from control.model import Status, StatusState
from control.planning.edit import Change
from control.ports import ProofPart, ProofState

_STATES = {
    StatusState.OK: ProofState.YES,
    StatusState.PENDING: ProofState.PENDING,
    StatusState.ERROR: ProofState.NO,
    StatusState.WARNING: ProofState.NO,
    StatusState.UNKNOWN: ProofState.UNKNOWN,
}
_WORST_FIRST = (StatusState.ERROR, StatusState.WARNING, StatusState.PENDING, StatusState.UNKNOWN, StatusState.OK)


async def by_conditions(
    payload: Payload, changes: Sequence[Change], cluster: Cluster, told: Callable[[Status, Any], str]
) -> ProofPart:
    """The worst status of the rows that were changed, of the object as it stands now; `told` says what a good one means
    (status, object)."""
    codec, ref = payload.codec, payload.ref
    resource = await cluster.discovery.served(codec.resource) or codec.resource
    body = await cluster.api.get(resource.path(namespace_of(ref), ref.name), what="read the conditions")
    now = decode(body, codec.wire)
    read = codec.read(now, ref.environment, 0.0)
    changed = {change.ref for change in changes}
    said = [route.status for route in read.routes if route.ref in changed]
    said += [limit.status for limit in read.limits if limit.ref in changed]
    status = min(said or [Status()], key=lambda one: _WORST_FIRST.index(one.state))
    if status.state is StatusState.OK:
        return ProofPart(ProofState.YES, told(status, now), by_condition=True)
    return ProofPart(_STATES[status.state], status.detail or "nobody says anything of it")
