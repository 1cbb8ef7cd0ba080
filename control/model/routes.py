"""Routes: one decision point each, with its targets, their native weights and shares."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from control.model.exact import Weight
from control.model.owners import Owner
from control.model.ref import Ref
from control.structs import Frozen


class Semantics(StrEnum):
    PROPORTIONAL = "proportional"
    """share = weight / sum of the weights of active targets."""
    PERCENT = "percent"
    """Whole percents that must sum to 100."""
    PRIMARY_ADDITIONAL = "primary_additional"
    """A main target plus at most one other, which holds an exact fraction."""
    CANARY = "canary"
    """A canary of a main object."""
    PRIORITY = "priority"
    REPLICA_RATIO = "replica_ratio"


class Grid(Frozen, frozen=True):
    """The weights that a platform can hold.

    Proportional kinds: every integer from `minimum` to `maximum` for a live target, and 0 where `zero` is true.
    Fractional kinds (`denominator` set): shares in steps of 1/denominator, 0 and 1 included.
    """

    minimum: int = 1
    maximum: int = 1_000_000
    zero: bool = True
    denominator: int | None = None
    live_targets: int | None = None
    """At most so many targets may have a share at once."""
    only_percent: bool = False
    """`set shares` takes only values with `%`: native weights make no sense alone."""
    open_targets: bool = False
    """Names that are not yet targets may be given, and join."""
    all_or_nothing: bool = False
    """At runtime only 0 % and 100 % are taken."""


class TargetState(StrEnum):
    """What the operator set."""

    ACTIVE = "active"
    DRAINING = "draining"
    """Takes no new work; what it has is finished."""
    MAINTENANCE = "maintenance"
    """Taken out at once."""


class Health(StrEnum):
    """What is observed."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Target(Frozen, frozen=True):
    name: str
    """Unique within its route."""
    weight: Weight | None
    """The native weight; None where the platform has none for it (the main version of an alias)."""
    share: Fraction | None
    """Of the route's requests, as set; None where it cannot be known."""
    state: TargetState = TargetState.ACTIVE
    health: Health = Health.UNKNOWN
    health_detail: str = ""
    priority: int | None = None
    region: str | None = None
    endpoints: tuple[str, ...] = ()
    to: Ref | None = None
    """The route that this target leads to, where it is not an end."""
    native: str = ""
    """The native text of a weight that is not understood; then `weight` is None, and so is every share of the route."""


class Mirror(Frozen, frozen=True):
    name: str
    share: Fraction


class StatusState(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Status(Frozen, frozen=True):
    """What the platform itself reports of an object."""

    state: StatusState = StatusState.UNKNOWN
    detail: str = ""


class Editable(Frozen, frozen=True):
    yes: bool = True
    reason: str = ""


class Route(Frozen, frozen=True):
    """One decision point: one rule of an object, one group of servers, one name of a function."""

    ref: Ref
    platform: str
    name: str
    """What people call it; the ref's name, and the rule where there are several."""
    semantics: Semantics
    grid: Grid
    targets: tuple[Target, ...]
    object: str
    """The printable name of the native object that holds it: edits with the same `object` are one step."""
    base: str
    """Opaque and printable: what the object was when read. Equal bases mean that nothing we plan on has changed."""
    read_at: float
    """Unix time of the read that this comes from."""
    matches: tuple[str, ...] = ()
    states: frozenset[TargetState] = frozenset({TargetState.ACTIVE})
    """The states this kind can hold natively. DRAINING as weight 0 is not one of them."""
    sticky: str = ""
    mirrors: tuple[Mirror, ...] = ()
    owners: tuple[Owner, ...] = ()
    status: Status = Status()
    editable: Editable = Editable()
    notes: tuple[str, ...] = ()
    """What a careful engineer should know: "no zone: small weights are unreliable with 16 workers"."""
    location: str = ""
    """Where the numbers stand: a JSON path, or file:line."""
    members: tuple[Route, ...] = ()
    """For a group of several hosts: the same route on each of them. Empty otherwise."""

    @property
    def kind(self) -> str:
        return self.ref.kind

    @property
    def environment(self) -> str:
        return self.ref.environment

    def target(self, name: str) -> Target | None:
        """The target called `name`, or None."""
        return next((target for target in self.targets if target.name == name), None)
