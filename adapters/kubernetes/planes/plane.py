"""What a plane is: the running data plane that uses a cluster's objects, as Traefik does.

Objects say what somebody wants; a plane says whether it is so, how often a limit is counted, and how much passes. Each
has a folder of its own here and one line in `table`. It is handed what was read of a cluster (`Objects`) and never what
was read for another plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapters.common.http import Pages
from adapters.engine.operations import Op
from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.discovery import Discovery
from adapters.kubernetes.client.resource import GroupKind, Resource
from adapters.kubernetes.client.rights import Rights
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.table import Kinds
from adapters.kubernetes.wire.gateway_api import Gateway, GatewayClass
from control.deck.config import EnvironmentConfig
from control.model import Counted, Limit
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Check, ProofPart

Key = tuple[str, str]
"""(namespace, name)"""


class Objects(Protocol):
    """What was read of a cluster."""

    @property
    def objects(self) -> Mapping[GroupKind, Mapping[Key, Any]]:
        """Decoded objects of every kind that is read."""

    @property
    def gateways(self) -> Mapping[Key, Gateway]:
        """The Gateways that could be read."""

    @property
    def classes(self) -> Mapping[str, GatewayClass]:
        """The classes of Gateways, by name."""

    @property
    def whole(self) -> frozenset[tuple[GroupKind, str]]:
        """(kind, namespace) that was read with nothing left out; an empty namespace stands for all."""

    def of(self, kind: GroupKind) -> Iterable[Any]:
        """The objects of one kind."""


class Cluster(Protocol):
    """The cluster that a plane runs in, and how it is asked."""

    config: EnvironmentConfig
    kinds: Kinds

    @property
    def api(self) -> Api:
        """The API server, for reading."""

    @property
    def pages(self) -> Pages:
        """The planes' own pages."""

    @property
    def rights(self) -> Rights:
        """What we may do."""

    @property
    def discovery(self) -> Discovery:
        """What the API server has."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that are read; one empty name stands for all."""


@dataclass(frozen=True, slots=True)
class Instances:
    """How many replicas of a plane run, and where that is known from."""

    count: int | None
    source: str


@dataclass(frozen=True, slots=True)
class Use:
    """One place where a limit applies, and in how many ways it is counted apart there (None: not known, and why)."""

    on: str
    """The ref of a route, or the native name of what is no route here."""
    apart: int | None
    location: str
    why: str = ""
    through: str = ""
    """The parent whose count this shares; empty where it counts by itself."""
    counted_at: str = ""
    """Where that parent names it."""


Uses = Mapping[tuple[GroupKind, Key], Sequence[Use]]
"""The object of a limit -> where it applies."""


@dataclass(frozen=True, slots=True)
class Payload:
    """What `prepare` hands to `write` and `loaded`: whom the patch is for, and the object as it will be."""

    codec: Codec
    ref: Ref
    guards: tuple[Op, ...]
    """The tests that every patch begins with."""
    after: Any


class View(Protocol):
    """What a plane says of the objects that are held, at one moment; all of it follows from what was read."""

    @property
    def name(self) -> str:
        """The plane, for people."""

    @property
    def made_of(self) -> tuple[object, ...]:
        """What `bound` and `leaving` hang on besides an object: while it is equal they say the same."""

    @property
    def leaving(self) -> str:
        """What it does with endpoints that terminate and are all there is, in words; empty where nothing is known."""

    def faults(self, native: Any) -> list[str]:
        """For each row of an object, which may be a planned one, why the plane does not load it. Empty for none."""

    def bound(self, limit: Limit, native: Any, used: Sequence[Use], domain: str) -> Limit:
        """The limit with its bindings, and a word where it is wider or narrower than it looks. `domain` is where the
        kind says that it is counted; empty where it does not say."""


@dataclass(frozen=True, slots=True)
class Surrounding:
    """A kind that is no row and that a plane wants read."""

    resource: Resource
    costs: str
    """What is not known where it may not be listed."""


class Plane(Protocol):
    """One plane in one cluster. Made without I/O."""

    surroundings: tuple[Surrounding, ...]
    """What it wants read besides its kinds."""

    async def look(self) -> None:
        """Read what it needs besides the objects, where what it has is old. What cannot be read is left out."""

    def uses(self, objects: Objects) -> Uses:
        """Where routes, and what else it knows of, name its limits."""

    def view(self, objects: Objects) -> View:
        """What it says of these objects."""

    async def loaded(self, payload: Payload, changes: Sequence[Change], view: View) -> ProofPart:
        """One look at whether it runs what was written."""

    async def count(self, objects: Objects, refs: Sequence[Ref] | None) -> list[Counted]:
        """The counters of the routes that it counts. Raises `Unreachable` where no source answers."""

    async def checks(self) -> list[Check]:
        """What doctor says of it."""


@dataclass(frozen=True, slots=True)
class Family:
    """Which objects a plane serves, as data, so that nothing of it is imported before it is met."""

    name: str
    module: str
    """Holds `PLANE`, which makes a `Plane` from a `Cluster`."""
    controllers: frozenset[str] = field(default_factory=frozenset)
    """`GatewayClass.spec.controllerName` and `IngressClass.spec.controller`."""
    ingress_classes: frozenset[str] = field(default_factory=frozenset)
    """Names of classes in `ingressClassName` or the older annotation."""
    groups: frozenset[str] = field(default_factory=frozenset)
    """API groups whose kinds are its own."""
    proxy: str = ""
    """What the deck file calls its proxies."""
