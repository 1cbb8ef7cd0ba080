"""What the controllers of an HTTPRoute say of it: conditions, generations and times.

Source: gateway-api v1.6 apis/v1/shared_types.go. Each parent's controller writes conditions of its own; one that is not
`True` accepts nothing, `Unknown` included. A controller that says which generation it looked at is taken at its word;
one that does not is believed by the time at which its condition changed, where that is after the last write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from adapters.engine.coded import Reads
from adapters.engine.kind import StatusOf
from adapters.engine.numbers import from_text, whole
from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.wire.gateway_api import AncestorStatus, Condition, HTTPRoute, ParentRef, ParentStatus
from control.model import Status, StatusState
from control.text import clean

OK = Status(StatusState.OK, "accepted")
_WORST_FIRST = (StatusState.ERROR, StatusState.WARNING, StatusState.PENDING, StatusState.UNKNOWN, StatusState.OK)
_KINDS = ("Accepted", "ResolvedRefs")
Parent = tuple[str, str, str, str, str, int | None]
"""(group, kind, namespace, name, section, port)"""


def status_of(route: HTTPRoute) -> Status:
    """What its controllers say of an HTTPRoute."""
    return by_parents(route.metadata, route.spec.parent_refs, route.spec.use_default_gateways, route.status.parents)


def by_parents(
    metadata: Metadata,
    named: Sequence[ParentRef] | None,
    takes_defaults: str | None,
    parents: Sequence[ParentStatus] | None,
) -> Status:
    """The worst of what is said for the parents that the spec names; what is said of others is left over and passed
    over. A parent of which nobody says anything makes it unknown."""
    namespace = metadata.namespace
    keys = [_key(ref, namespace) for ref in named or ()]
    said = [one for one in parents or () if takes_defaults or _key(one.parent_ref, namespace) in keys]
    if not said:
        return Status(StatusState.UNKNOWN, "no controller has taken it")
    found = [_parent(parent, metadata) for parent in said]
    if len(found) == len(keys) == 1 and not takes_defaults:
        return found[0]
    heard = {_key(parent.parent_ref, namespace) for parent in said}
    found += [Status(StatusState.UNKNOWN, f"no controller has taken {_told(key)}") for key in keys if key not in heard]
    return min(found, key=lambda status: _WORST_FIRST.index(status.state))


def by_conditions(
    word: StatusOf, metadata: Metadata, conditions: Sequence[Condition] | None, observed: object = None
) -> Status:
    """The first of the word's conditions that is not `True`; unknown where nobody has said anything."""
    by_kind = {condition.type: condition for condition in conditions or ()}
    if not by_kind:
        return Status(StatusState.UNKNOWN, word.silent or "no controller has said anything of it")
    generation = from_text(observed) if isinstance(observed, str) else whole(observed)
    if word.generation == "object" and generation is not None and generation < metadata.generation:
        return Status(StatusState.PENDING, f"its status is of generation {generation}, not {metadata.generation}")
    return _first_not_true(word.conditions, by_kind, metadata if word.generation == "condition" else None)


def _by_parents(word: StatusOf) -> Reads:
    at = ("metadata", "spec.parentRefs", "spec.useDefaultGateways", f"{word.at}.parents")
    return Reads(by_parents, at, (None, list[ParentRef], None, list[ParentStatus]))


def _by_conditions(word: StatusOf) -> Reads:
    at = ("metadata", f"{word.at}.conditions", f"{word.at}.observedGeneration")
    function, types = partial(by_conditions, word), (None, list[Condition], None)
    return Reads(function, at, types) if word.generation == "object" else Reads(function, at[:2], types[:2])


def by_ancestors(word: StatusOf, metadata: Metadata, ancestors: Sequence[AncestorStatus] | None) -> Status:
    """The worst of what is said of a policy for what it is attached to."""
    kinds = word.conditions or _KINDS[:1]
    found = [
        _first_not_true(kinds, {condition.type: condition for condition in one.conditions or ()}, metadata)
        for one in ancestors or ()
    ]
    nobody = Status(StatusState.UNKNOWN, word.silent or "no controller has taken it")
    return min(found, key=lambda status: _WORST_FIRST.index(status.state), default=nobody)


def _by_ancestors(word: StatusOf) -> Reads:
    return Reads(partial(by_ancestors, word), ("metadata", f"{word.at}.ancestors"), (None, list[AncestorStatus]))


STATUSES = {"parents": _by_parents, "ancestors": _by_ancestors, "conditions": _by_conditions}
"""Shape of a status in a kind's words -> what reads it."""


def current(route: HTTPRoute) -> list[ParentStatus]:
    """What is said for parents that the spec still names, or (experimental) for Gateways that it takes by default."""
    if route.spec.use_default_gateways:
        return route.status.parents or []
    namespace = route.metadata.namespace
    named = {_key(ref, namespace) for ref in route.spec.parent_refs or []}
    return [one for one in route.status.parents or [] if _key(one.parent_ref, namespace) in named]


def _key(ref: ParentRef, namespace: str) -> Parent:
    return ref.group, ref.kind, ref.namespace or namespace, ref.name, ref.section_name, ref.port


def _told(key: Parent) -> str:
    section = f" {key[4]}" if key[4] else ""
    return clean(f"its parent {key[1]} {key[2]}/{key[3]}{section}")


def _parent(parent: ParentStatus, metadata: Metadata) -> Status:
    conditions = {condition.type: condition for condition in parent.conditions or []}
    partial = conditions.get("PartiallyInvalid")
    if partial is not None and partial.status == "True":
        return Status(StatusState.WARNING, _words(partial))
    return _first_not_true(_KINDS, conditions, metadata)


def _first_not_true(kinds: Sequence[str], conditions: Mapping[str, Condition], metadata: Metadata | None) -> Status:
    """`metadata`: of the object whose spec each condition must speak of; None where the conditions do not say."""
    for kind in kinds:
        condition = conditions.get(kind)
        if condition is None:
            return Status(StatusState.PENDING, f"{kind} is not yet said")
        if condition.status == "False":
            return Status(StatusState.ERROR, _words(condition))
        if condition.status != "True":
            return Status(StatusState.PENDING, clean(f"{kind} is {condition.status or 'empty'}: {_words(condition)}"))
        old = _of_an_older_spec(condition, metadata) if metadata is not None else None
        if old is not None:
            return old
    return OK


def _of_an_older_spec(condition: Condition, metadata: Metadata) -> Status | None:
    """None where the condition speaks of the spec as it is now."""
    observed, generation = whole(condition.observed_generation), metadata.generation
    if observed:
        if observed >= generation:
            return None
        return Status(StatusState.PENDING, f"{condition.type} is of generation {observed}, not {generation}")
    written, changed = _last_write(metadata), _unix(condition.last_transition_time)
    if generation <= 1 or (written is not None and changed is not None and changed >= written):
        return None
    told = "its controller does not say which generation it looked at"
    if written is None or changed is None:
        return Status(StatusState.UNKNOWN, f"{told}, nor when")
    return Status(StatusState.UNKNOWN, f"{told}, and last spoke before the last write")


def _last_write(metadata: Metadata) -> float | None:
    """When somebody last wrote the object itself, to the second; None where nobody's write is remembered."""
    times = [_unix(entry.time) for entry in metadata.managed_fields or [] if not entry.subresource]
    return max((time for time in times if time is not None), default=None)


def _unix(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _words(condition: Condition) -> str:
    return clean(f"{condition.reason}: {condition.message}".removesuffix(": "))
