"""The control plane itself as one object: what the screen and the command line use, and nothing below it.

The start-up code makes it from a deck file and the platforms' adapters. In read-only mode it is given no way to make a
writer, so nothing above it can write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from control.deckfile import DeckConfig, EnvironmentConfig
from control.edit import Edit
from control.options import ApplyOptions, PlanOptions
from control.plan import HistoryItem, Plan, Progress, Result
from control.ports import Check, NativeText, Reader, Writer
from control.ref import Ref
from control.views import EnvironmentView, Headroom, Inventory, Seen, ServiceView, Unreached

__all__ = [
    "ApplyOptions",
    "ControlPlane",
    "EnvironmentView",
    "Headroom",
    "Inventory",
    "PlanOptions",
    "Seen",
    "ServiceView",
    "Unreached",
    "WriterFactory",
]

WriterFactory = Callable[[EnvironmentConfig, Reader], Writer]


class ControlPlane:
    """See the module. All methods are safe to call from one event loop; none blocks it."""

    def __init__(
        self,
        deck: DeckConfig,
        readers: Mapping[str, Reader],
        writers: WriterFactory | None,
        actor: str,
    ) -> None:
        """`writers` is None in read-only mode. `actor` is who acts, for the journal (`user@host`)."""
        raise NotImplementedError

    deck: DeckConfig
    inventory: Inventory

    @property
    def read_only(self) -> bool:
        """True where no writer can be made."""
        raise NotImplementedError

    async def refresh(self, environments: Sequence[str] | None = None, deadline_seconds: float = 15.0) -> Inventory:
        """Read these environments (all by default) side by side; one that fails costs only its own rows."""
        raise NotImplementedError

    async def measure(self) -> Inventory:
        """Take one sample of the counters of every environment that was reached and refresh `inventory.seen`."""
        raise NotImplementedError

    def watch(self) -> AsyncIterator[Inventory]:
        """Keep reading and measuring until closed; yields after every change of the inventory."""
        raise NotImplementedError

    async def native(self, ref: Ref) -> NativeText:
        raise NotImplementedError

    async def plan(self, edits: Sequence[Edit], options: PlanOptions = PlanOptions()) -> Plan:
        """Resolve edits against fresh reads into one plan. Sends nothing that writes."""
        raise NotImplementedError

    async def undo_plan(self, change: str | None = None) -> Plan:
        """The plan that takes a change back (the caller's own last one by default), field by field."""
        raise NotImplementedError

    async def apply(
        self,
        plan: Plan,
        options: ApplyOptions = ApplyOptions(),
        progress: Callable[[Progress], Awaitable[None]] | None = None,
    ) -> Result:
        """Do a plan: journal, then step by step. Raises `ReadOnly` where no writer can be made. Cancelling the task
        stops before the next step; the step in flight is finished and the journal says the truth."""
        raise NotImplementedError

    def history(self) -> list[HistoryItem]:
        raise NotImplementedError

    async def resolve(self, change: str | None = None) -> list[Result]:
        """Look at the platforms for each interrupted change, state what is true and journal it."""
        raise NotImplementedError

    async def doctor(self) -> list[tuple[str, Check]]:
        raise NotImplementedError

    async def close(self) -> None: ...
