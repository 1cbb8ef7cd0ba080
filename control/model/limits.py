"""Limits: a definition, which is what is edited, and its bindings, which are where it applies."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

from control.model.exact import Amount, Special
from control.model.owners import Owner
from control.model.ref import Ref
from control.model.routes import Editable, Grid, Status
from control.structs import Frozen


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

    @property
    def words(self) -> str:
        """What is counted, in words, many of them."""
        return _MEASURED.get(self, self.value)


_MEASURED = {
    Measure.INPUT_TOKENS: "input tokens",
    Measure.OUTPUT_TOKENS: "output tokens",
    Measure.WEIGHTED: "units",
    Measure.INFLIGHT: "requests in flight",
    Measure.QUEUE: "queued requests",
}


class WindowKind(StrEnum):
    BUCKET = "bucket"
    """Token or leaky bucket: `amount` per `seconds`, refilled steadily."""
    FIXED = "fixed"
    SLIDING = "sliding"
    CALENDAR = "calendar"


class Window(Frozen, frozen=True):
    kind: WindowKind
    seconds: Fraction | None = None
    calendar: str | None = None
    """`day`, `week`, `month`: for CALENDAR, where seconds is None."""


class Burst(Frozen, frozen=True):
    """How much passes in one moment from idle: the native number, and the count it means."""

    native: int | None
    """As the platform writes it; None where it writes none."""
    at_once: Fraction | None
    """Requests admitted at once from idle, in one domain: the burst, one more than it, or as the platform has it."""


class Action(StrEnum):
    REJECT = "reject"
    DELAY = "delay"
    QUEUE = "queue"


class OverLimit(Frozen, frozen=True):
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


class Interval(Frozen, frozen=True):
    """From `low` to `high`, ends included; None where that end is not known or not bounded (`why` says which)."""

    low: Fraction | None
    high: Fraction | None

    @classmethod
    def exactly(cls, value: Fraction | int) -> Interval:
        return cls(Fraction(value), Fraction(value))


class Effective(Frozen, frozen=True):
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


class Domain(Frozen, frozen=True):
    """Where a limit is counted, and in how many such places one caller's requests can be counted apart.

    `count` is the number N of the arithmetic in control-planes.md §5.5: replicas × routers × workers. A high of None
    is unknown. `source` names where N comes from: "deck file: 2 proxies", "discovery".
    """

    kind: str
    """`worker`, `process`, `instance`, `router×instance`, `route`, `shared store`, `region`, `account`."""
    count: Interval = Interval(Fraction(1), Fraction(1))
    source: str = ""


class Binding(Frozen, frozen=True):
    """One place where a limit applies."""

    on: str
    """The ref of the route, or the native name of what it is on."""
    over: OverLimit
    domain: Domain
    burst: Burst | None = None
    """Where the burst belongs to the binding, not to the definition."""
    location: str = ""
    effective: Effective | None = None
    """Filled by control (`control.capacity.effective`), never by adapters."""


class Use(Frozen, frozen=True):
    """How much of a limit is in use now; None where it cannot be read."""

    current: Fraction | None = None
    rejected_per_second: Fraction | None = None
    read_at: float | None = None


class Limit(Frozen, frozen=True):
    """A definition, which is what is edited, and its bindings."""

    ref: Ref
    platform: str
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
    """What one domain really admits per window where that differs from `amount`, as where it cuts off decimals."""
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
