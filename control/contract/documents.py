"""The documents of the command line: what it prints, saves and reads, field by field in the order of printing.

The JSON Schemas are made from these (`control.contract.schemas`). Exact numbers are strings ("9/10", "50",
"unlimited"), native weights and measured figures are numbers. A field that the row of a group lacks, since the members
differ in it, is null. Where a field has a default in a class with `omit_defaults`, it is left out when it says nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from control.deck.schema import GUARDS
from control.errors import ErrorKind
from control.model import (
    AccessState,
    Amount,
    Health,
    Life,
    Measure,
    Mode,
    OwnerRole,
    ReachState,
    Semantics,
    StatusState,
    Strength,
    TargetState,
    Weight,
    WindowKind,
)
from control.model.exact import leaf
from control.planning.plan import PLAN_SCHEMA, OnFailure, ResultOutcome, StepOutcome, Verdict
from control.ports import Found, ProofState

Figure = Annotated[int | float, Meta(extra_json_schema={"minimum": 0})]
"""A measured number: whole where it is whole."""
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Age = Annotated[Figure | None, Meta(description="seconds since it was read")]
Moment = Annotated[int | float, Meta(description="Unix time")]
RefName = Annotated[str, Meta(extra_json_schema={"pattern": "^[^/]+/[^/]+/[^/]+/[^/]+$"})]
Hash = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]
GuardName = Annotated[str, Meta(extra_json_schema={"enum": [*GUARDS, "recreated", "changed_since", "platform"]})]
FieldName = Annotated[
    str, Meta(extra_json_schema={"pattern": "^(targets/.+/(weight|share|state)|amount|window|burst)$"})
]
Stage = Literal["journaled", "written", "read_back", "loaded", "observed"]


class Document(Struct, frozen=True, gc=False):
    """A closed object of the contract. What is read may hold more, of a later version; what is printed does not."""


# --- what is ----------------------------------------------------------------------------------------------------------


class Interval(Document, frozen=True):
    low: Fraction | None
    high: Fraction | None


class Owner(Document, frozen=True):
    kind: str
    name: str
    role: OwnerRole
    reverts: bool | None
    within_seconds: Figure | None
    edit_instead: str


class Status(Document, frozen=True):
    state: StatusState | None
    detail: str | None


class Editable(Document, frozen=True):
    yes: bool | None
    reason: str | None


class Effective(Document, frozen=True):
    """low and high are counts per seconds (null for concurrency); at_once is what passes from idle"""

    low: Fraction | None
    high: Fraction | None
    at_once: Interval
    unit: str
    seconds: Fraction | None
    per: str
    why: str


class Traffic(Document, frozen=True):
    rps: Figure | None
    error_ratio: Figure | None
    throttled_ratio: Figure | None
    p95_seconds: Figure | None
    window_seconds: Figure | None
    age_seconds: Age
    source: str | None


class Reach(Document, frozen=True):
    state: ReachState
    why: str


class Access(Document, frozen=True):
    state: AccessState
    why: str


class Counts(Document, frozen=True):
    routes: Count
    limits: Count


class Environment(Document, frozen=True):
    name: str
    platform: str
    labels: dict[str, str]
    production: bool
    identity: str
    reach: Reach
    access: Access
    counts: Counts
    age_seconds: Age


class EnvironmentShare(Document, frozen=True):
    environment: str
    share: Fraction | None
    source: Literal["front", "measured", "unknown"]


class EnvironmentCap(Document, frozen=True):
    environment: str
    cap: Interval
    share: Fraction | None


class Headroom(Document, frozen=True):
    demand_max: Interval | None
    first_to_saturate: str | None
    per_environment: list[EnvironmentCap]
    why: str


class Service(Document, frozen=True):
    name: str
    routes: list[RefName]
    front: RefName | None
    shares: list[EnvironmentShare]
    headroom: Headroom
    age_seconds: Age


class Target(Document, frozen=True):
    name: str
    weight: Weight | None
    share: Fraction | None
    state: TargetState | None
    health: Health | None
    seen_share: Figure | None
    to: RefName | None
    native: str | None


class RouteMember(Document, frozen=True):
    ref: RefName
    agrees: bool
    weights: dict[str, Weight | None]
    base: str


class Mirror(Document, frozen=True):
    name: str
    share: Fraction


class Route(Document, frozen=True):
    ref: RefName
    environment: str
    platform: str
    kind: str
    name: str | None
    service: str | None
    matches: list[str] | None
    semantics: Semantics | None
    targets: list[Target]
    members: list[RouteMember]
    limits: list[RefName]
    sticky: str | None
    mirrors: list[Mirror] | None
    owners: list[Owner]
    status: Status | None
    editable: Editable | None
    traffic: Traffic
    base: str | None
    age_seconds: Age


class Window(Document, frozen=True, omit_defaults=True):
    kind: WindowKind | None
    seconds: Fraction | None
    calendar: str | None = None


class Burst(Document, frozen=True):
    native: int | None
    at_once: Fraction | None


class Binding(Document, frozen=True):
    on: str
    action: str
    domain: str
    effective: Effective | None


class LimitMember(Document, frozen=True):
    ref: RefName
    agrees: bool
    amount: Amount | None
    base: str


class Use(Document, frozen=True):
    current: Figure | None
    rejected_per_second: Figure | None


class Limit(Document, frozen=True):
    ref: RefName
    environment: str
    platform: str
    kind: str
    name: str | None
    measure: Measure | None
    match: str | None
    strength: Strength | None
    amount: Amount | None
    window: Window | None
    burst: Burst | None
    key: list[str] | None
    mode: Mode | None
    native: str | None
    life: Life | None
    bindings: list[Binding]
    members: list[LimitMember]
    use: Use
    owners: list[Owner]
    status: Status | None
    editable: Editable | None
    base: str | None
    age_seconds: Age


class Unreachable(Document, frozen=True):
    environment: str
    why: str


class Happened(Document, frozen=True):
    """A change, ours or somebody else's."""

    at: Moment
    who: str
    what: str
    outcome: str


if TYPE_CHECKING:
    Item = Route | Limit | Environment | Service | Happened
else:
    Item = leaf("Item", Route, Limit, Environment, Service, Happened)
    """What a list lists; changes only where the screen's list of them is dumped."""


class List(Document, frozen=True):
    items: list[Item]
    unreachable: list[Unreachable]
    age_seconds: Age


# --- what is done -----------------------------------------------------------------------------------------------------


class Change(Document, frozen=True, omit_defaults=True):
    """One field of one route or limit. What `from` and `to` hold follows from the field."""

    ref: RefName
    field: FieldName
    before: int | str | None = msgspec.field(name="from")
    after: int | str | None = msgspec.field(name="to")
    persist: Annotated[bool, Meta(extra_json_schema={"const": True})] = False
    was: str = ""
    again: str = ""


class EffectiveChange(Document, frozen=True):
    on: str
    before: Effective | None
    after: Effective | None


class Guard(Document, frozen=True):
    name: GuardName
    verdict: Verdict
    message: str


class Step(Document, frozen=True):
    object: str
    environment: str
    changes: list[Change]
    diff: str
    base: str
    owners: list[Owner]
    effective: list[EffectiveChange]
    guards: list[Guard]
    loses: list[str]


class Plan(Document, frozen=True, kw_only=True):
    schema: Annotated[int, Meta(extra_json_schema={"const": PLAN_SCHEMA})]
    plan: str
    sha256: Hash
    reason: str
    on_failure: OnFailure
    undo_of: str | None
    steps: list[Step]
    headroom: list[str]
    overrides: list[str] = msgspec.field(default_factory=list)
    verdict: Verdict


class Reason(Document, frozen=True):
    kind: ErrorKind
    message: str


class ProofPart(Document, frozen=True):
    state: ProofState
    detail: str
    seconds: Figure | None


class Proof(Document, frozen=True):
    accepted: ProofPart
    loaded: ProofPart
    observed: ProofPart


class StepResult(Document, frozen=True):
    object: str
    outcome: StepOutcome
    reason: Reason | None
    found: Found | None
    proof: Proof | None


class Result(Document, frozen=True):
    change: str | None
    outcome: ResultOutcome
    head: str | None
    steps: list[StepResult]


class Results(Document, frozen=True):
    """What `resolve` prints where there are none or several."""

    items: list[Result]


class HistoryStep(Document, frozen=True):
    object: str
    changes: list[Change]


class HistoryItem(Document, frozen=True):
    change: str
    at: Moment
    actor: str
    reason: str
    outcome: ResultOutcome
    undone_by: str | None
    steps: list[HistoryStep]


class History(Document, frozen=True, omit_defaults=True, kw_only=True):
    older: Count = 0
    unreachable: list[Unreachable] = msgspec.field(default_factory=list)
    items: list[HistoryItem]


class Verification(Document, frozen=True):
    ok: bool
    entries: Count
    head: str | None
    first_bad: int | None


class Check(Document, frozen=True):
    environment: str
    check: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    hint: str


class Doctor(Document, frozen=True):
    items: list[Check]


class Error(Document, frozen=True):
    kind: ErrorKind
    message: str
    ref: str | None
    hint: str | None


class ErrorDocument(Document, frozen=True):
    error: Error


class Progress(Document, frozen=True):
    stage: Stage
    step: Count
    object: str
    at: Moment


# --- on call ----------------------------------------------------------------------------------------------------------


class Broken(Document, frozen=True):
    ref: RefName
    service: str | None
    problems: list[str]


class Gap(Document, frozen=True):
    """One target's share as it is set and as it is seen."""

    name: str
    set: Fraction | None
    seen: Figure | None
    significant: bool


class OffIntent(Document, frozen=True):
    ref: RefName
    service: str | None
    targets: list[Gap]


class LimitUse(Document, frozen=True):
    ref: RefName
    service: str | None
    key: list[str]
    rejected_per_second: Figure | None
    used: Figure | None


class OnCall(Document, frozen=True):
    """changes is null where the journal does not say; changes_unknown says why."""

    at: Moment
    broken: list[Broken]
    off_intent: list[OffIntent]
    throttled: list[LimitUse]
    saturated: list[LimitUse]
    changes: list[Happened] | None
    changes_unknown: str | None
    unreachable: list[Unreachable]
    age_seconds: Age


class Init(Document, frozen=True):
    """The deck file that `init` wrote or would write, and what it found."""

    deck: dict[str, Any]
    found: list[dict[str, Any]]
    path: str
    written: bool
