"""The control plane as one object: what the screen and the command line use, and nothing below it.

The start-up code makes it from a deck file and the platforms' adapters. In read-only mode it is given no way to make a
writer, so nothing above it can write.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from control.deckfile import DeckConfig, EnvironmentConfig
from control.edit import Edit
from control.model import Environment, Interval, Limit, Outside, Route, Traffic
from control.plan import HistoryItem, OnFailure, Plan, Progress, Result
from control.ports import Check, NativeText, Reader, Writer
from control.ref import Ref

WriterFactory = Callable[[EnvironmentConfig, Reader], Writer]


@dataclass(frozen=True, slots=True)
class Unreached:
    environment: str
    why: str
    kind: str
    """The ErrorKind value: `unreachable`, `auth`, `forbidden`, …"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured of one route: its traffic, and each target's share with its significance."""

    traffic: Traffic
    shares: Mapping[str, Fraction]
    requests: int
    """How many requests the shares are of."""
    significant: Mapping[str, bool] = field(default_factory=dict)
    """Target -> True where set and seen differ by more than max(5 points, 3 sigma)."""
    why_not: str = ""
    """Why there is no share: "counted together with …", "not observable: …"."""


@dataclass(frozen=True, slots=True)
class Headroom:
    demand_max: Interval | None
    """D*: the demand in requests per second at which the first platform saturates."""
    first_to_saturate: str | None
    per_environment: tuple[tuple[str, Interval | None, Fraction | None], ...]
    """(environment, cap in requests per second, share of the service)."""
    why: str


@dataclass(frozen=True, slots=True)
class ServiceView:
    name: str
    routes: tuple[Ref, ...]
    front: Ref | None
    shares: tuple[tuple[str, Fraction | None, str], ...]
    """(environment, share, source: `front`, `measured` or `unknown`)."""
    headroom: Headroom
    read_at: float


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    environment: Environment
    routes: int
    limits: int
    read_at: float | None
    """None where it was never read."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything known at one time, from the last read of each environment. Immutable; `version` grows."""

    version: int
    environments: Mapping[str, EnvironmentView]
    routes: Mapping[Ref, Route]
    limits: Mapping[Ref, Limit]
    """With every binding's `effective` filled."""
    services: Mapping[str, ServiceView]
    service_of: Mapping[Ref, str]
    seen: Mapping[Ref, Seen]
    limits_of: Mapping[Ref, tuple[Ref, ...]]
    """Route -> the limits on it, for the JSON field `limits` and the detail view."""
    unreached: tuple[Unreached, ...] = ()
    outside: tuple[Outside, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOptions:
    on_failure: OnFailure | None = None
    overrides: tuple[str, ...] = ()
    """Names of guards that are overridden; needs a reason at apply."""


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    reason: str = ""
    confirmed: frozenset[str] = frozenset()
    """The codes that were typed, one per production environment."""
    overrides: tuple[str, ...] = ()
    on_failure: OnFailure | None = None
    wait: str = "loaded"
    """`loaded` or `observed`."""
    timeout_seconds: float | None = None
    require: str | None = None
    """`loaded` or `observed`: then an unproven change is an error for the exit code."""


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
