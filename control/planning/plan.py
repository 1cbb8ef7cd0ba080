"""Plans and results: what will be done, and what came of it. The contract has documents of the same names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from control.errors import ErrorKind
from control.model import Effective, Owner
from control.planning.edit import Change
from control.ports import Found, ProofPart

PLAN_SCHEMA = 1


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class GuardResult:
    name: str
    verdict: Verdict
    message: str


@dataclass(frozen=True, slots=True)
class EffectiveChange:
    """The effective limit of one binding before and after the step."""

    on: str
    before: Effective | None
    after: Effective | None


class OnFailure(StrEnum):
    UNDO = "undo"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Step:
    """All edits to one native object: one guarded write and one reload."""

    object: str
    environment: str
    changes: tuple[Change, ...]
    diff: str
    base: str
    owners: tuple[Owner, ...] = ()
    effective: tuple[EffectiveChange, ...] = ()
    guards: tuple[GuardResult, ...] = ()
    loses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered list of steps. `sha256` is over the canonical JSON of everything else."""

    plan: str
    """A short id."""
    steps: tuple[Step, ...]
    on_failure: OnFailure
    verdict: Verdict
    sha256: str = ""
    undo_of: str | None = None
    headroom: tuple[str, ...] = ()
    """Lines on D* of the services touched, before and after."""
    reason: str = ""
    """Why, as given when the plan was made or saved."""
    overrides: tuple[str, ...] = ()
    """The guards that were overridden when it was made. Who applies it must override them again."""


class ResultOutcome(StrEnum):
    APPLIED = "applied"
    APPLIED_UNPROVEN = "applied_unproven"
    ROLLED_BACK = "rolled_back"
    PARTLY_APPLIED = "partly_applied"
    REFUSED = "refused"
    NO_CHANGE = "no_change"
    IN_PROGRESS = "in_progress"
    INTERRUPTED = "interrupted"


class StepOutcome(StrEnum):
    APPLIED = "applied"
    FAILED = "failed"
    REFUSED = "refused"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"
    NOT_STARTED = "not_started"
    IN_PROGRESS = "in_progress"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    kind: ErrorKind
    message: str


@dataclass(frozen=True, slots=True)
class Proof:
    accepted: ProofPart
    loaded: ProofPart
    observed: ProofPart


@dataclass(frozen=True, slots=True)
class StepResult:
    object: str
    outcome: StepOutcome
    reason: Reason | None = None
    found: Found | None = None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """`change` is the journal's id of this change; `head` the journal's head hash after it."""

    change: str | None
    outcome: ResultOutcome
    head: str | None
    steps: tuple[StepResult, ...] = ()
    kept: str = ""
    """What the journal could not take of this, and where it is kept instead; "" where the journal has everything."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One stage of one step reached: `journaled`, `written`, `read_back`, `loaded`, `observed`."""

    stage: str
    step: int
    object: str
    at: float


@dataclass(frozen=True, slots=True)
class HistoryStep:
    object: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One change of the journal. `outcome` is `in_progress` or `interrupted` while its entry is open."""

    change: str
    at: float
    actor: str
    reason: str
    outcome: ResultOutcome
    undone_by: str | None
    steps: tuple[HistoryStep, ...]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A part of the journal's changes, newest first."""

    items: tuple[HistoryItem, ...]
    older: int
    """How many changes before these are not listed."""
    not_understood: int = 0
    """How many records of the journal this version does not understand: what they say of changes is not known."""
    why: str = ""
    """The first of those, in words."""
