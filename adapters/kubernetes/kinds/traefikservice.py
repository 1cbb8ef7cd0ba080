"""Traefik TraefikService: a weighted one is a route; its other shapes are shown and not edited.

Source: traefik v3.7 provider/kubernetes/crd/traefikio/v1alpha1/service.go. Traefik writes no status.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.jsonpatch import Op
from adapters.kubernetes.kinds.common import (
    Codec,
    Native,
    Read,
    base,
    convert,
    guards,
    list_at,
    object_ref,
    weight_ops,
)
from adapters.kubernetes.kinds.numbers import text, whole
from adapters.kubernetes.kinds.traefik_members import (
    FORMER_GROUPS,
    GRID,
    GROUP,
    VERSIONS,
    endpoint,
    leads_to,
    member_names,
    sticky_text,
    targets,
    unclear,
)
from adapters.kubernetes.section import PLATFORM
from adapters.kubernetes.wire.traefik import FailoverSpec, MirroringSpec, TraefikRef, TraefikService, TraefikServiceSpec
from control.errors import InvalidValue
from control.model import Editable, Mirror, Route, Semantics, Status, StatusState, Target
from control.planning.edit import Change
from control.text import clean

RESOURCE = Resource(GROUP, VERSIONS, "traefikservices", "TraefikService", former_groups=FORMER_GROUPS)
NO_STATUS = Status(StatusState.UNKNOWN, "Traefik writes no status")


def read(native: TraefikService, environment: str, at: float) -> Read:
    """The one route that a TraefikService is."""
    spec = native.spec
    namespace = native.metadata.namespace
    semantics, editable = Semantics.PROPORTIONAL, Editable()
    found: tuple[Target, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    sticky, location = "", ""
    notes: tuple[str, ...] = ()
    if spec.weighted is not None:
        found = targets(spec.weighted.services or [], environment, namespace)
        sticky, location = sticky_text(spec.weighted.sticky), "spec.weighted.services"
        why_not = unclear(spec.weighted.services or [])
        editable = Editable(not why_not, why_not)
    elif spec.mirroring is not None:
        found, mirrors = _mirroring(spec.mirroring, environment, namespace)
        location, editable = "spec.mirroring", _read_only("mirroring")
        notes = _unclear_copies(spec.mirroring)
    elif spec.highest_random_weight is not None:
        found = targets(spec.highest_random_weight.services or [], environment, namespace)
        sticky, location = "consistent hash of the client address", "spec.highestRandomWeight.services"
        editable = _read_only("highestRandomWeight")
    elif spec.failover is not None:
        found = _failover(spec.failover, environment, namespace)
        semantics, location, editable = Semantics.PRIORITY, "spec.failover", _read_only("failover")
    else:
        editable = Editable(False, "it has no shape that is known here")
    ref = object_ref(environment, RESOURCE.kind, native.metadata)
    route = Route(
        ref=ref,
        platform=PLATFORM,
        name=clean(native.metadata.name),
        semantics=semantics,
        grid=GRID,
        targets=found,
        object=str(ref),
        base=base(native.metadata),
        read_at=at,
        sticky=sticky,
        mirrors=mirrors,
        status=NO_STATUS,
        editable=editable,
        notes=notes + _passed_over(spec),
        location=location,
    )
    return Read((route,))


def _passed_over(spec: TraefikServiceSpec) -> tuple[str, ...]:
    """Traefik looks for one shape after the other and takes the first."""
    shapes = {
        "weighted": spec.weighted,
        "mirroring": spec.mirroring,
        "highestRandomWeight": spec.highest_random_weight,
        "failover": spec.failover,
    }
    first, *others = [name for name, shape in shapes.items() if shape is not None] or [""]
    return (f"Traefik takes its {first} and passes over {' and '.join(others)}",) if others else ()


def _read_only(shape: str) -> Editable:
    return Editable(False, f"a TraefikService of the shape {shape} is shown here, not edited")


def _mirroring(spec: MirroringSpec, environment: str, namespace: str) -> tuple[tuple[Target, ...], tuple[Mirror, ...]]:
    main = Target(
        name=spec.name,
        weight=None,
        share=Fraction(1),
        endpoints=(endpoint(spec, namespace),),
        to=leads_to(spec, environment, namespace),
    )
    found = [(clean(mirror.name), percent(mirror)) for mirror in spec.mirrors or []]
    return (main,), tuple(Mirror(name, Fraction(part, 100)) for name, part in found if part is not None)


def percent(mirror: TraefikRef) -> int | None:
    """Of how many requests in a hundred a mirror gets a copy, 0 where nothing stands; None where it is no number."""
    return 0 if mirror.percent is None else whole(mirror.percent)


def _unclear_copies(spec: MirroringSpec) -> tuple[str, ...]:
    return tuple(
        f"how much {clean(mirror.name)} gets, {text(mirror.percent)}, is not understood"
        for mirror in spec.mirrors or []
        if percent(mirror) is None
    )


def _failover(spec: FailoverSpec, environment: str, namespace: str) -> tuple[Target, ...]:
    members = [member for member in (spec.service, spec.fallback) if member is not None]
    return tuple(
        Target(
            name=name,
            weight=None,
            share=None,
            priority=priority,
            endpoints=(endpoint(member, namespace),),
            to=leads_to(member, environment, namespace),
        )
        for priority, (name, member) in enumerate(zip(member_names(members), members, strict=True))
    )


def edit(native: Native, changes: Sequence[Change]) -> list[Op]:
    """A guarded patch that sets weights of a weighted TraefikService."""
    typed = convert(native, TraefikService)
    if not changes:
        return guards(native)
    if typed.spec.weighted is None:
        raise InvalidValue("only a weighted TraefikService can be edited here", ref=str(changes[0].ref))
    members = list_at(native, "spec", "weighted", "services")
    names = member_names(typed.spec.weighted.services or [])
    return guards(native) + weight_ops(members, names, ("spec", "weighted", "services"), changes, GRID)


CODEC = Codec(RESOURCE, TraefikService, "Traefik weighted service: weights of its members", read, edit)
