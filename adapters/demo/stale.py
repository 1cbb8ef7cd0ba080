"""An environment that stopped answering minutes ago: what was read last is still shown, with its age."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from control.errors import Unreachable
from control.model import Access, Counted, Reach, ReachState, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.ports import Check, Delta, Fetched, NativeText, Prepared, ProofPart, Reader
from control.structs import replace

AGE_SECONDS = 400.0


class StaleReader:
    """`control.ports.Reader` over `inner`, whose last good read is `AGE_SECONDS` old."""

    def __init__(self, inner: Reader) -> None:
        self.inner = inner
        self.name = inner.name
        self._last: Snapshot | None = None

    async def read(self, since: Delta | None = None) -> Snapshot:
        """The read of minutes ago, marked as such."""
        if self._last is None:
            self._last = _aged(await self.inner.read())
        return self._last

    def object_of(self, ref: Ref) -> str | None:
        return self.inner.object_of(ref)

    def stands_alone(self, ref: Ref) -> bool:
        return False

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        raise self._silent()

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        return self.inner.prepare(fetched, changes)

    async def native(self, ref: Ref) -> NativeText:
        raise self._silent()

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        raise self._silent()

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        return []

    async def loaded(self, step: Prepared) -> ProofPart:
        raise self._silent()

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        raise self._silent()

    async def access(self) -> Access:
        return await self.inner.access()

    async def check(self) -> list[Check]:
        return [Check("reach", "fail", self._silent().message, "look at the VPN and the cluster's load balancer")]

    async def watch(self) -> AsyncIterator[Delta]:
        async for delta in self.inner.watch():
            yield delta

    def confirmed_at(self) -> float | None:
        return None

    async def close(self) -> None:
        await self.inner.close()

    def _silent(self) -> Unreachable:
        return Unreachable(f"{self.name} has not answered for {AGE_SECONDS / 60:.0f} minutes")


def _aged(snapshot: Snapshot) -> Snapshot:
    why = f"no answer for {AGE_SECONDS / 60:.0f} minutes; what is shown was read before that"
    return replace(
        snapshot,
        environment=replace(snapshot.environment, reach=Reach(ReachState.DEGRADED, why)),
        routes=tuple(replace(route, read_at=route.read_at - AGE_SECONDS) for route in snapshot.routes),
        limits=tuple(replace(limit, read_at=limit.read_at - AGE_SECONDS) for limit in snapshot.limits),
        read_at=snapshot.read_at - AGE_SECONDS,
    )
