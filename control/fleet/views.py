"""What is shown of everything at one time: the inventory and its parts. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from msgspec import Struct, field

from control.model import Environment, Interval, Limit, Outside, ReachState, Route, Traffic
from control.model.ref import Ref

NOT_READ = "not read yet"
"""Why an environment is not reached whose first read has not come back."""
REMEMBERED = "from the last session, not read yet"
"""Why an environment whose rows are those of the last session is not wholly reached."""

MISSING = "missing"


class Unreached(Struct, frozen=True):
    environment: str
    why: str
    kind: str
    """The ErrorKind value: `unreachable`, `auth`, `forbidden`, …; MISSING for a part of an environment."""


class Seen(Struct, frozen=True):
    """What was measured of one route: its traffic, and each target's share with its significance."""

    traffic: Traffic
    shares: Mapping[str, Fraction]
    requests: int
    """How many requests the shares are of."""
    significant: Mapping[str, bool] = field(default_factory=dict)
    """Target -> True where set and seen differ by more than max(5 points, 3 sigma)."""
    why_not: str = ""
    """Why there is no share: "counted together with …", "not observable: …"."""


class Headroom(Struct, frozen=True):
    demand_max: Interval | None
    """D*: the demand in requests per second at which the first platform saturates."""
    first_to_saturate: str | None
    per_environment: tuple[tuple[str, Interval | None, Fraction | None], ...]
    """(environment, cap in requests per second, share of the service)."""
    why: str


class ServiceView(Struct, frozen=True):
    name: str
    routes: tuple[Ref, ...]
    front: Ref | None
    shares: tuple[tuple[str, Fraction | None, str], ...]
    """(environment, share, source: `front`, `measured` or `unknown`)."""
    headroom: Headroom
    read_at: float


class EnvironmentView(Struct, frozen=True):
    environment: Environment
    routes: int
    limits: int
    read_at: float | None
    """None where it was never read."""

    @property
    def is_awaited(self) -> bool:
        """Its first read is still on the way, and nothing is wrong with it: nothing is known of it, or what the last
        session knew."""
        why = self.environment.reach.why
        return (self.read_at is None and why == NOT_READ) or why == REMEMBERED

    @property
    def is_down(self) -> bool:
        """It does not answer; one whose first read is on the way may yet."""
        return self.environment.reach.state is ReachState.UNREACHABLE and not self.is_awaited


class Part(Struct, frozen=True):
    """What one environment gave of an inventory. Where it gave nothing new, the mappings are the very same ones."""

    routes: Mapping[Ref, Route]
    limits: Mapping[Ref, Limit]
    seen: Mapping[Ref, Seen]


class Inventory(Struct, frozen=True):
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
    """The environments whose latest read failed."""
    missing: tuple[Unreached, ...] = ()
    """Single things that environments were asked for and that their rows lack: a host, a function, a file, a kind."""
    outside: tuple[Outside, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    """The rows again, by environment, so that whoever derives something of them can leave out what is the same. Empty
    in an inventory that was made for a plan."""

    @property
    def lacking(self) -> tuple[Unreached, ...]:
        """All that a list lacks: its field `unreachable`, and exit code 4."""
        return (*self.unreached, *self.missing)

    def as_of(self, environment: str, read_at: float | None = None) -> float | None:
        """When what was read in an environment was true: a row is read anew only where it may have changed, and its
        environment says when it was last seen to hold. `read_at` is the row's own, for where nobody says so."""
        view = self.environments.get(environment)
        return (view.read_at if view is not None else None) or read_at
