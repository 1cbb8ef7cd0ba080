"""The words in which a kind of native object is said: where its rules, targets, weights and limits stand, and what they
mean. Data only, so that a user's own kinds are said in them too; what else a built-in kind may say is in `coded`.

A **locator** is a string that names a place, relative to the nearest `at` (or to the object):

- `a.b` members · `a."x.y/z"` a key with dots or slashes · `a[]` each element of a list · `a{}` each value of a map,
  whose key is its name;
- `/a` from the object · `^a` from the element around.

The empty locator is the place that it is relative to. A missing member, list or map is absent, never an error. What
stands where a number should and is none is *not understood*: shown as it is written, never a lost object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

Locator: TypeAlias = str
Amounts = Literal["blocked", "unlimited", "zero", "default"]
PRESENT = "*"
"""In `when`: the member is there, whatever it holds."""


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all words share: unknown members are an error, and nothing changes once it is made."""


class Api(Word, frozen=True, kw_only=True):
    """Where objects of the kind are listed."""

    group: str = ""
    """Empty for the core group."""
    versions: tuple[str, ...]
    """In order of preference: the first one that the server has is read and written."""
    plural: str
    former_groups: tuple[str, ...] = ()
    """Groups under which the kind was served before; objects there are objects of their own."""
    scope: Literal["namespace", "cluster"] = "namespace"


class Leads(Word, frozen=True, kw_only=True):
    """A target that is another row: where `when` holds, it is `kind` of this name and namespace."""

    when: Mapping[str, str]
    """Locator in the target -> what stands there; `*` where it need only be there."""
    kind: str
    name: Locator = "name"
    namespace: Locator = ""
    """The object's own namespace where none stands there."""
    foreign: str = ""
    """A name that holds this text is somebody else's, and leads nowhere here."""


class Endpoint(Word, frozen=True, kw_only=True):
    """What a target stands for, so that its health can be looked up."""

    name: Locator = "name"
    namespace: Locator = ""
    kind: Locator = ""
    port: Locator = ""
    default_kind: str = "Service"


class Targets(Word, frozen=True, kw_only=True):
    """The targets of a rule, and how its requests are divided among them."""

    at: Locator | tuple[Locator, ...] = ""
    """The list of targets; the rule itself by default (a rule that has one target). Several locators: a target each."""
    identity: tuple[str, ...]
    """What tells targets apart. Locators: `[a, b]` is called `a`, and `a:b` where another target is called `a` too. An
    element with braces is a template of a name by itself: `{namespace}/{name}:{port}`, `{subset|-}` with a text where
    nothing stands. Where no name is unique the last one is numbered."""
    weight: Locator = ""
    """The number; without it there are no weights here."""
    absent: int | Literal["refuse"] = "refuse"
    """What a missing weight means; `refuse`: it is not understood."""
    zero: Literal["held", "dropped", "refused"] = "held"
    """What a weight of 0 is: a target without requests, no target at all on the platform, or not allowed."""
    minimum: int = 1
    maximum: int = 1_000_000
    """Of a target that gets requests."""
    semantics: Literal["proportional", "percent", "canary", "priority", "replica_ratio", "primary_additional"] = (
        "proportional"
    )
    """`percent`: whole percents that make `total`."""
    total: int | None = None
    """What the weights must make; 100 for `percent`."""
    single: Literal["weighted", "all"] = "weighted"
    """`all`: one target alone gets everything whatever its weight, which is then not editable."""
    rest: str = ""
    """The name of a further target, which has what the others leave of `total` and no number of its own."""
    priority: Locator = ""
    """Shares are counted inside equal priorities; 0 where nothing stands."""
    write: Literal["element", "list"] = "element"
    """`list`: the whole list is written at once."""
    text: bool = False
    """Numbers are strings on the platform."""
    alone: str = "its one target gets everything: its weight is not read"
    """Why the weight of a single target is not editable, where `single` is `all`."""
    empty: str = "it has no targets"
    """Why a rule without targets is not editable."""
    leads: tuple[Leads, ...] = ()
    endpoint: Endpoint | None = None


class RouteSection(Word, frozen=True, kw_only=True):
    """A part of an object that gives routes. Each section whose `when` holds gives one route for each of its rules."""

    at: Locator = ""
    """The list or map of rules; the object itself by default (one rule)."""
    part: str = "rule"
    """The rule is `#PART=NAME`; two sections never share one. A rule that is the object itself has no part."""
    name: Locator = ""
    """The rule's name; where it has none, a number, or the name of another one too, it is called by its index, and the
    base holds what tells it apart."""
    distinct: Locator = ""
    """What tells an unnamed rule from others: hashed into the base."""
    when: Mapping[str, str] = {}
    """Locator from the object -> what stands there; `*` where it need only be there. All must hold."""
    read_only: str = ""
    """Why it is shown and not edited; empty where it is edited."""
    matches: Locator = ""
    """Which requests a rule is for: a text, or a list of them."""
    sticky: Locator = ""
    note: Locator = ""
    targets: Targets | None = None
    """None where targets are not shown: such a section is read only."""


class Period(Word, frozen=True, kw_only=True):
    """A length of time that stands in the object."""

    at: Locator
    form: Literal["seconds", "words", "go", "gep2257"] = msgspec.field(default="seconds", name="as")
    """`seconds`: a whole number; `words`: one of `words`; `go`, `gep2257`: a duration such as `1m30s`."""
    words: Mapping[str, int] = {}
    """Word -> seconds. It is written back in the first word that means those seconds."""
    absent: int | None = None
    """Seconds where nothing stands; without it a missing period is not understood."""


class Window(Word, frozen=True, kw_only=True):
    """The time in which a limit's amount is counted."""

    kind: Literal["bucket", "fixed", "sliding", "calendar"] = "bucket"
    seconds: int | Period


class Burst(Word, frozen=True, kw_only=True):
    """How much passes in one moment from idle."""

    at: Locator
    absent: int | None = None
    """The native number where none stands; without it no burst is said then."""
    at_once: Literal["amount", "burst", "burst+1", "max(burst,1)"] = "burst"
    """What is admitted at once."""
    maximum: int = 2**31 - 1


class Attaches(Word, frozen=True, kw_only=True):
    """What binds a limit to routes. Several may be said."""

    target_refs: Locator = ""
    """A list of `{group, kind, name, sectionName}`, as policies of the Gateway API have it."""
    annotation: str = ""
    """Objects that name the limit in this annotation, separated by commas."""
    from_routes: bool = False
    """Routes name it themselves."""
    itself: bool = False
    """It holds for the routes of its own object."""


class LimitSection(Word, frozen=True, kw_only=True):
    """A part of an object that gives limits."""

    at: Locator = ""
    """The list or map of limits; the object itself by default (one limit)."""
    part: str = "limit"
    """A limit of a list is `#limit=NAME`, in a section of another name `#limit=PART.NAME`. The one limit of an object
    that holds nothing else has no part; where it holds more it is `#limit=FIELD`, the member that `amount` ends in."""
    name: Locator = ""
    """As in `RouteSection`."""
    distinct: Locator = ""
    when: Mapping[str, str] = {}
    read_only: str = ""
    measure: Literal[
        "requests", "tokens", "input_tokens", "output_tokens", "bytes", "money", "weighted", "inflight", "connections",
        "queue",
    ]  # fmt: skip
    amount: Locator
    absent: int | Literal["none", "unlimited"] = "none"
    """What a missing amount means; `none`: there is no limit."""
    zero: Amounts
    """What an amount of 0 means: everything is held back, nothing is, it is the number 0, or as if it were absent."""
    minimum: int = 1
    maximum: int = 2**31 - 1
    text: bool = False
    """Numbers are strings on the platform."""
    window: Window | None = None
    """None for what is held at one moment (in flight, connections)."""
    burst: Burst | None = None
    match: str = ""
    """Which requests it is for, in words."""
    key: str = ""
    """What gets a bucket of its own, in words; `@LOCATOR` for what stands in the object. Empty where all share one."""
    charge: Literal["admission", "after_response"] = "admission"
    domain: str = ""
    """Where it is counted: `instance`, `shared store`, …; empty where that is not known."""
    store_fail: Literal["none", "open", "closed", "local", "unknown"] = "none"
    status: int | None = 429
    """What a request over the limit is answered with; None where that is not known."""
    attaches: Attaches | tuple[Attaches, ...] = ()


class StatusOf(Word, frozen=True, kw_only=True):
    """Where the platform says how an object fares."""

    at: Locator = "status"
    shape: Literal["conditions", "parents", "ancestors"] = "conditions"
    """`parents`, `ancestors`: the conditions of each controller that looks at it, as the Gateway API has them."""
    conditions: tuple[str, ...] = ()
    """The types that must be `True`, the first one that is not is told. Without any the object has no status."""
    generation: Literal["condition", "object", "none"] = "condition"
    """Where the generation stands that the status speaks of: in each condition, beside them, or nowhere."""
    silent: str = ""
    """What is said of an object that has no such status."""


class Kind(Word, frozen=True, kw_only=True):
    """One kind of native object."""

    kind: str
    """As the platform names it, and as refs do."""
    api: Api
    title: str = ""
    """What it is, for people."""
    routes: tuple[RouteSection, ...] = ()
    limits: tuple[LimitSection, ...] = ()
    status: StatusOf = StatusOf()
    sections: Literal["all", "first"] = "all"
    """`first`: of the sections whose `when` holds the first one alone counts."""
    guard: Literal["generation", "resource_version"] = "generation"
    """What a write is conditional on. Annotations do not move the generation."""
    loses: tuple[str, ...] = ()
    """What the data plane loses when it loads an edit."""
