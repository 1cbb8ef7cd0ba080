"""What all kinds of this platform share: where names stand, what a base is, how a write is guarded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from adapters.engine import editing
from adapters.engine.frame import Frame, Native, Read
from adapters.engine.kind import Kind
from adapters.engine.machine import Machine
from adapters.engine.naming import fingerprint, parts
from adapters.engine.operations import Op, test, test_uid
from adapters.engine.targets import TargetReader
from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.route_status import STATUSES
from adapters.kubernetes.section import PLATFORM
from adapters.kubernetes.shown import as_yaml, masked
from control.errors import NotFound
from control.model.ref import Ref
from control.planning.edit import Change
from control.text import clean

PART = "rule="
NO_SCOPE = "-"
"""The scope of objects that are in no namespace."""


class Codec:
    """One kind on this platform. It is compiled when its objects are first decoded, read or edited."""

    def __init__(self, kind: Kind) -> None:
        self.data = kind
        self.kind = kind.kind
        self.title = kind.title
        api = kind.api
        namespaced = api.scope == "namespace"
        self.resource = Resource(api.group, api.versions, api.plural, kind.kind, namespaced, api.former_groups)

    @cached_property
    def machine(self) -> Machine:
        """The compiled kind."""
        return Machine(self.data, FRAME)

    @property
    def wire(self) -> type[Any]:
        """What objects are decoded to."""
        return self.machine.wire

    def read(self, native: Any, environment: str, at: float) -> Read:
        """The rows of a decoded object, read at a time."""
        return self.machine.read(native, environment, at)

    def edit(self, native: Native, changes: Sequence[Change]) -> list[Op]:
        """A guarded patch of an object as it stands. Raises `InvalidValue`, `NotFound`."""
        return editing.edit(self.machine, native, changes)

    def recorded(self, native: Native, changes: Sequence[Change]) -> tuple[Change, ...]:
        """The changes, and how each of their fields stands natively."""
        return editing.recorded(self.machine, native, changes)

    def target_names(self, elements: Sequence[Any]) -> list[str]:
        """Names that tell the targets of one rule apart."""
        return self.targets.names(elements)

    @property
    def targets(self) -> TargetReader:
        """What reads the targets of its rules (of its first section)."""
        found = self.machine.routes[0].targets
        assert found is not None
        return found


def object_ref(environment: str, kind: str, metadata: Metadata) -> Ref:
    """The ref of a whole native object."""
    return Ref(environment, kind, metadata.namespace or NO_SCOPE, metadata.name)


def namespace_of(ref: Ref) -> str:
    """The namespace of an object; empty where its kind has none."""
    return "" if ref.scope == NO_SCOPE else ref.scope


def rule_parts(names: Sequence[str]) -> list[str]:
    """The part of each rule: its name, or its index where it has none, or one that is a number or not unique."""
    return parts(names, PART)


def rule_index(ref: Ref, names: Sequence[str]) -> int:
    """Which rule a ref means. Raises `NotFound`."""
    try:
        return rule_parts(names).index(ref.part or f"{PART}0")
    except ValueError:
        raise NotFound(f"{clean(str(ref.whole))} has no {clean(ref.part or 'rule')}", ref=str(ref)) from None


def _base(native: Any, unnamed: Sequence[object]) -> str:
    """uid, generation (which status writers and annotations do not move) and, where rules have no name of their own,
    a hash of what tells them apart."""
    metadata: Metadata = native.metadata
    digest = "." + fingerprint(unnamed) if unnamed else ""
    return f"{clean(metadata.uid or 'no-uid')}.{metadata.generation}{digest}"


def guards(native: Native, guard: str = "generation") -> list[Op]:
    """The tests that every patch begins with: this very object, as it was read. Any other spec has another generation,
    so nothing more need be tested to know that an index still means what it meant."""
    metadata: Mapping[str, Any] = native.get("metadata", {})
    uid = test_uid(metadata.get("uid", ""))
    if guard == "resource_version":
        return [uid, {"op": "test", "path": "/metadata/resourceVersion", "value": metadata.get("resourceVersion", "")}]
    return [uid, test("/metadata/generation", metadata.get("generation", 0))]


def _told(native: object) -> str:
    return as_yaml(masked(native)).rstrip()


FRAME = Frame(
    platform=PLATFORM,
    head={"metadata": Metadata},
    ref=lambda environment, kind, native: object_ref(environment, kind, native.metadata),
    base=_base,
    guards=guards,
    statuses=STATUSES,
    told=_told,
)
