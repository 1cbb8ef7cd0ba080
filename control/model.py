"""What traffic settings are: environments, routes, targets, limits and their bindings, owners.

Exact, with native values kept beside them: never a float for an amount or a share. Everything here is immutable;
adapters make these, control plans with them, the screen and the command line show them. Strings in here are already
cleaned (`control.text.clean`), except `Ref` segments and `Target.name`, which are raw for writing back and are cleaned
where they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from control.ref import Ref

Weight = int | Fraction
"""A native weight: a whole number, or an exact fraction where the platform counts so (a Lambda alias: 0.3)."""


# --- environments -----------------------------------------------------------------------------------------------------


class Platform(StrEnum):
    KUBERNETES = "kubernetes"
    SSH = "ssh"
    SERVERLESS = "serverless"


class ReachState(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


class AccessState(StrEnum):
    """May we write here? By role: the platform itself refuses us. By tool: only we hold ourselves back."""

    WRITABLE = "writable"
    READ_ONLY_BY_ROLE = "read_only_by_role"
    READ_ONLY_BY_TOOL = "read_only_by_tool"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reach:
    state: ReachState = ReachState.OK
    why: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    state: AccessState = AccessState.UNKNOWN
    why: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """A cluster context, a group of hosts, or an AWS account and region."""

    name: str
    platform: Platform
    labels: tuple[tuple[str, str], ...] = ()
    production: bool = False
    code: str | None = None
    """What is typed to confirm a write in production."""
    identity: str = ""
    """Who we are there: user, role ARN, login at host."""
    reach: Reach = Reach()
    access: Access = Access()


# --- who else writes --------------------------------------------------------------------------------------------------


class OwnerRole(StrEnum):
    DRIVER = "driver"
    """A controller writes this very field: a raw edit is refused."""
    DECLARED = "declared"
    """A source will restore it at its next sync: an edit is warned about."""


@dataclass(frozen=True, slots=True)
class Owner:
    kind: str
    """`argocd`, `flux`, `helm`, `argo-rollouts`, `flagger`, `codedeploy`, `cloudformation`, `operator`, …"""
    name: str
    role: OwnerRole
    found_by: str = ""
    """The sign it was recognised by: an annotation, a field manager, a tag."""
    reverts: bool | None = None
    """Whether it will undo our edit; None where that could not be read."""
    within_seconds: float | None = None
    edit_instead: str = ""


# --- routes -----------------------------------------------------------------------------------------------------------


class Semantics(StrEnum):
    PROPORTIONAL = "proportional"
    """share = weight / sum of the weights of active targets."""
    PERCENT = "percent"
    """Whole percents that must sum to 100."""
    PRIMARY_ADDITIONAL = "primary_additional"
    """A main target plus at most one other, which holds an exact fraction (Lambda alias)."""
    CANARY = "canary"
    """A canary of a main object."""
    PRIORITY = "priority"
    REPLICA_RATIO = "replica_ratio"


@dataclass(frozen=True, slots=True)
class Grid:
    """The weights that a platform can hold.

    Proportional kinds: every integer from `minimum` to `maximum` for a live target, and 0 where `zero` is true.
    Fractional kinds (`denominator` set): shares in steps of 1/denominator, 0 and 1 included.
    """

    minimum: int = 1
    maximum: int = 1_000_000
    zero: bool = True
    denominator: int | None = None
    live_targets: int | None = None
    """At most so many targets may have a share at once (2 on a Lambda alias)."""
    only_percent: bool = False
    """`set shares` takes only values with `%`: native weights make no sense alone."""
    open_targets: bool = False
    """Names that are not yet targets may be given (a Lambda alias takes any published version)."""
    all_or_nothing: bool = False
    """At runtime only 0 % and 100 % are taken (HAProxy's static algorithms)."""


class TargetState(StrEnum):
    """What the operator set."""

    ACTIVE = "active"
    DRAINING = "draining"
    """Takes no new work; what it has is finished (HAProxy drain; weight 0)."""
    MAINTENANCE = "maintenance"
    """Taken out at once (HAProxy maint, nginx down)."""


class Health(StrEnum):
    """What is observed."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Target:
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
    """The route that this target leads to, where it is not an end (IngressRoute to TraefikService)."""
    native: str = ""
    """The native text of a weight that is not understood; then `weight` is None, and so is every share of the route."""


@dataclass(frozen=True, slots=True)
class Mirror:
    name: str
    share: Fraction


class StatusState(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    PENDING = "pending"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """What the platform itself reports of an object."""

    state: StatusState = StatusState.UNKNOWN
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Editable:
    yes: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One decision point: one rule of an HTTPRoute, one nginx upstream, one HAProxy backend, one Lambda alias."""

    ref: Ref
    platform: Platform
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


# --- limits -----------------------------------------------------------------------------------------------------------


class Measure(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    BYTES = "bytes"
    MONEY = "money"
    WEIGHTED = "weighted"
    INFLIGHT = "inflight"
    CONNECTIONS = "connections"
    QUEUE = "queue"

    @property
    def is_level(self) -> bool:
        """True for what is held at one moment (concurrency), false for what flows in a window."""
        return self in (Measure.INFLIGHT, Measure.CONNECTIONS, Measure.QUEUE)


class Special(StrEnum):
    """Amounts that are no number. A native 0 is decoded per platform and never passed on."""

    UNLIMITED = "unlimited"
    BLOCKED = "blocked"


Amount = Fraction | Special


class WindowKind(StrEnum):
    BUCKET = "bucket"
    """Token or leaky bucket: `amount` per `seconds`, refilled steadily."""
    FIXED = "fixed"
    SLIDING = "sliding"
    CALENDAR = "calendar"


@dataclass(frozen=True, slots=True)
class Window:
    kind: WindowKind
    seconds: Fraction | None = None
    calendar: str | None = None
    """`day`, `week`, `month`: for CALENDAR, where seconds is None."""


@dataclass(frozen=True, slots=True)
class Burst:
    """How much passes in one moment from idle: the native number, and the count it means."""

    native: int | None
    """As the platform writes it; None where it writes none."""
    at_once: Fraction | None
    """Requests admitted at once from idle, in one domain (nginx: burst + 1; Traefik: max(burst, 1))."""


class Action(StrEnum):
    REJECT = "reject"
    DELAY = "delay"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True)
class OverLimit:
    """What happens over the limit."""

    action: Action = Action.REJECT
    status: int | None = None
    max_wait_seconds: Fraction | None = None

    def __str__(self) -> str:
        return f"{self.action.value} {self.status}" if self.status else self.action.value


class Strength(StrEnum):
    HARD = "hard"
    BEST_EFFORT = "best_effort"
    SOFT_TARGET = "soft_target"


class StoreFail(StrEnum):
    """What happens when the limit's store fails."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Mode(StrEnum):
    ENFORCED = "enforced"
    SHADOW = "shadow"
    OFF = "off"
    NOT_UNDERSTOOD = "not_understood"
    """It is in force, and how much it lets through cannot be read off it: `amount` is None, `native` holds its text."""


class Life(StrEnum):
    PERSISTED = "persisted"
    RUNTIME_ONLY = "runtime_only"
    EXPIRES = "expires"


class Charge(StrEnum):
    ADMISSION = "admission"
    AFTER_RESPONSE = "after_response"


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, ends included; None where that end is not known or not bounded (`why` says which)."""

    low: Fraction | None
    high: Fraction | None

    @classmethod
    def exactly(cls, value: Fraction | int) -> Interval:
        return cls(Fraction(value), Fraction(value))


@dataclass(frozen=True, slots=True)
class Effective:
    """What a caller really gets. `low` and `high` are counts per `seconds` (None for concurrency), `at_once` what
    passes in one moment from idle."""

    low: Fraction | None
    high: Fraction | None
    at_once: Interval
    unit: str
    seconds: Fraction | None
    per: str
    """Per what: the key ("source address"), or "all callers"."""
    why: str
    """The arithmetic in words, with its sources."""
    unlimited: bool = False
    """True where `low` and `high` are None because nothing holds callers back here, not because it is unknown."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a limit is counted, and in how many such places one caller's requests can be counted apart.

    `count` is the number N of the arithmetic in control-planes.md §5.5: replicas × routers × workers. A high of None
    is unknown. `source` names where N comes from: "deck file: 2 proxies", "discovery".
    """

    kind: str
    """`worker`, `process`, `instance`, `router×instance`, `route`, `shared store`, `region`, `account`."""
    count: Interval = Interval(Fraction(1), Fraction(1))
    source: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where a limit applies."""

    on: str
    """The ref of the route, or the native name of what it is on."""
    over: OverLimit
    domain: Domain
    burst: Burst | None = None
    """Where the burst belongs to the binding (nginx `limit_req`), not to the definition."""
    location: str = ""
    effective: Effective | None = None
    """Filled by control (`control.capacity`), never by adapters."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is in use now; None where it cannot be read."""

    current: Fraction | None = None
    rejected_per_second: Fraction | None = None
    read_at: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A definition, which is what is edited, and its bindings."""

    ref: Ref
    platform: Platform
    name: str
    measure: Measure
    amount: Amount | None
    """None only where the mode is NOT_UNDERSTOOD: never as unlimited, blocked or 0."""
    object: str
    """As in `Route.object`."""
    base: str
    read_at: float
    window: Window | None = None
    """None for concurrency."""
    burst: Burst | None = None
    match: str = ""
    """Which requests it is for, in the platform's own words."""
    strength: Strength = Strength.HARD
    store_fail: StoreFail = StoreFail.NONE
    key: tuple[str, ...] = ()
    """What gets a bucket of its own: `source address`, `header X-Client`; empty where all share one."""
    over: OverLimit = OverLimit()
    mode: Mode = Mode.ENFORCED
    life: Life = Life.PERSISTED
    expires_at: float | None = None
    charge: Charge = Charge.ADMISSION
    bindings: tuple[Binding, ...] = ()
    enforced: Interval | None = None
    """What one domain really admits per window where that differs from `amount` (nginx truncates to 1/1000 r/s)."""
    fields: frozenset[str] = frozenset({"amount"})
    """Which of `amount`, `window`, `burst` can be edited here; `set limit` refuses the others by name."""
    windows: tuple[Fraction, ...] | None = None
    """The window lengths in seconds that the platform can hold; None for any."""
    amounts: Grid | None = None
    """The whole numbers that `amount` can hold; None for any positive fraction."""
    specials: frozenset[Special] = frozenset()
    """Which of `unlimited` and `blocked` can be written here."""
    owners: tuple[Owner, ...] = ()
    status: Status = Status()
    """As in `Route.status`."""
    editable: Editable = Editable()
    notes: tuple[str, ...] = ()
    location: str = ""
    remainder: tuple[tuple[str, str], ...] = ()
    """Native fields that the model does not cover, shown and kept: (path, text). Never a secret."""
    use: Use = Use()
    native: str = ""
    """The native text, cleaned and masked, of a limit that is not understood; empty for all others."""
    members: tuple[Limit, ...] = ()

    @property
    def kind(self) -> str:
        return self.ref.kind

    @property
    def environment(self) -> str:
        return self.ref.environment


# --- what was measured ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TargetCount:
    requests: Fraction
    errors: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Counters of one route as they stood `at` a moment, or (with `window_seconds`) what was counted in that window.

    Cumulative counters may go back to zero when a process restarts; control treats a decrease as a restart.
    """

    ref: Ref
    at: float
    targets: tuple[tuple[str, TargetCount], ...]
    total: Fraction | None = None
    errors: Fraction | None = None
    throttled: Fraction | None = None
    p95_seconds: Fraction | None = None
    window_seconds: float | None = None
    source: str = ""
    together_with: tuple[str, ...] = ()
    """Refs whose requests are in the same counters: then no share of this route alone can be told."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rates of one route over a window, each None where unknown."""

    rps: Fraction | None = None
    error_ratio: Fraction | None = None
    throttled_ratio: Fraction | None = None
    p95_seconds: Fraction | None = None
    window_seconds: float | None = None
    at: float | None = None
    source: str = ""


# --- one read of an environment ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outside:
    """A change that somebody made without us, as the platform remembers it."""

    at: float
    who: str
    object: str
    what: str
    source: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that an environment was asked for and that its rows lack: a host, a function, a file, a forbidden kind,
    objects of a version that is not read."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything read of one environment at one time. What could not be read of it is in `missing`."""

    environment: Environment
    routes: tuple[Route, ...] = ()
    limits: tuple[Limit, ...] = ()
    read_at: float = 0.0
    outside: tuple[Outside, ...] = field(default=())
    missing: tuple[Missing, ...] = field(default=())
