"""Makes writers for an armed session, after asking each platform what this identity may do there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from control.deck.config import EnvironmentConfig
from control.errors import ControlError, Forbidden, ReadOnly
from control.model import AccessState
from control.plane import ControlPlane, WriterFactory
from control.ports import Reader, Writer

PROBE_SECONDS = 15.0


def only_in(environments: frozenset[str] | None, make: WriterFactory) -> WriterFactory:
    """`make`, held to these environments (None: all), and never for one that the deck file keeps read-only."""

    def guarded(config: EnvironmentConfig, reader: Reader) -> Writer:
        if config.read_only:
            raise ReadOnly(f"{config.name} is read-only in the deck file")
        if environments is not None and config.name not in environments:
            raise ReadOnly(f"{config.name} is not armed", hint=":arm 15m REASON")
        return make(config, reader)

    return guarded


@dataclass(frozen=True, slots=True)
class SessionArm:
    """See `tui.session.Arm`."""

    plane: ControlPlane
    readers: Mapping[str, Reader]
    make: WriterFactory

    async def __call__(self, environments: frozenset[str], minutes: float | None, reason: str) -> ControlPlane:
        if minutes is not None:
            await asyncio.gather(*(self._probe(name) for name in sorted(environments)))
            armed = {"environments": ", ".join(sorted(environments)), "minutes": f"{minutes:g}", "reason": reason}
            await self.plane.note("armed", armed)
        return self.plane.with_writers(only_in(environments, self.make))

    async def _probe(self, name: str) -> None:
        """Refuse where the platform itself would; an environment out of reach is refused when it is written to."""
        try:
            access = await asyncio.wait_for(self.readers[name].access(), PROBE_SECONDS)
        except (ControlError, TimeoutError):
            return
        if access.state is AccessState.READ_ONLY_BY_ROLE:
            raise Forbidden(f"{name} cannot be armed: {access.why}", hint="name the others: :arm 15m ENV… REASON")
