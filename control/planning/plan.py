"""Plans and results: what will be done, and what came of it. The contract has documents of the same names."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from control.errors import ErrorKind
from control.model import Effective, Owner
from control.planning.edit import Change
from control.ports import Found, ProofPart

PLAN_SCHEMA = 1


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    REFUSE = "refuse"


class GuardResult(Struct, frozen=True):
    name: str
    verdict: Verdict
    message: str


class EffectiveChange(Struct, frozen=True):
    """The effective limit of one binding before and after the step."""

    on: str
    before: Effective | None
    after: Effective | None


class OnFailure(StrEnum):
    UNDO = "undo"
    STOP = "stop"


class Step(Struct, frozen=True):
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


class Plan(Struct, frozen=True):
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


class Reason(Struct, frozen=True):
    kind: ErrorKind
    message: str


class Proof(Struct, frozen=True):
    accepted: ProofPart
    loaded: ProofPart
    observed: ProofPart


class StepResult(Struct, frozen=True):
    object: str
    outcome: StepOutcome
    reason: Reason | None = None
    found: Found | None = None
    proof: Proof | None = None


class Result(Struct, frozen=True):
    """`change` is the journal's id of this change; `head` the journal's head hash after it."""

    change: str | None
    outcome: ResultOutcome
    head: str | None
    steps: tuple[StepResult, ...] = ()
    kept: str = ""
    """What the journal could not take of this, and where it is kept instead; "" where the journal has everything."""


class Progress(Struct, frozen=True):
    """One stage of one step reached: `journaled`, `written`, `read_back`, `loaded`, `observed`."""

    stage: str
    step: int
    object: str
    at: float


class HistoryStep(Struct, frozen=True):
    object: str
    changes: tuple[Change, ...]


class HistoryItem(Struct, frozen=True):
    """One change of the journal. `outcome` is `in_progress` or `interrupted` while its entry is open."""

    change: str
    at: float
    actor: str
    reason: str
    outcome: ResultOutcome
    undone_by: str | None
    steps: tuple[HistoryStep, ...]


class HistoryPage(Struct, frozen=True):
    """A part of the journal's changes, newest first."""

    items: tuple[HistoryItem, ...]
    older: int
    """How many changes before these are not listed."""
    not_understood: int = 0
    """How many records of the journal this version does not understand: what they say of changes is not known."""
    why: str = ""
    """The first of those, in words."""
