"""Traefik TraefikService: a weighted one is a route; its other shapes are shown and not edited.

Source: traefik v3.7 provider/kubernetes/crd/traefikio/v1alpha1/service.go. Traefik writes no status.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adapters.kubernetes.codecs.common import (
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
from adapters.kubernetes.codecs.traefik_members import (
    GRID,
    GROUP,
    VERSION,
    endpoint,
    leads_to,
    member_names,
    sticky_text,
    targets,
)
from adapters.kubernetes.jsonpatch import Op
from adapters.kubernetes.resource import Resource
from adapters.kubernetes.wire import FailoverSpec, MirroringSpec, TraefikService
from control.edit import Change
from control.errors import InvalidValue
from control.model import Editable, Mirror, Platform, Route, Semantics, Status, StatusState, Target
from control.text import clean

RESOURCE = Resource(GROUP, VERSION, "traefikservices", "TraefikService")
NO_STATUS = Status(StatusState.UNKNOWN, "Traefik writes no status")


def read(native: TraefikService, environment: str, at: float) -> Read:
    """The one route that a TraefikService is."""
    spec = native.spec
    namespace = native.metadata.namespace
    semantics, editable = Semantics.PROPORTIONAL, Editable()
    found: tuple[Target, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    sticky, location = "", ""
    if spec.weighted is not None:
        found = targets(spec.weighted.services or [], environment, namespace)
        sticky, location = sticky_text(spec.weighted.sticky), "spec.weighted.services"
    elif spec.highest_random_weight is not None:
        found = targets(spec.highest_random_weight.services or [], environment, namespace)
        sticky, location = "consistent hash of the client address", "spec.highestRandomWeight.services"
        editable = _read_only("highestRandomWeight")
    elif spec.mirroring is not None:
        found, mirrors = _mirroring(spec.mirroring, environment, namespace)
        location, editable = "spec.mirroring", _read_only("mirroring")
    elif spec.failover is not None:
        found = _failover(spec.failover, environment, namespace)
        semantics, location, editable = Semantics.PRIORITY, "spec.failover", _read_only("failover")
    else:
        editable = Editable(False, "it has no shape that is known here")
    ref = object_ref(environment, RESOURCE.kind, native.metadata)
    route = Route(
        ref=ref,
        platform=Platform.KUBERNETES,
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
        location=location,
    )
    return Read((route,))


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
    mirrors = tuple(Mirror(clean(m.name), Fraction(m.percent or 0, 100)) for m in spec.mirrors or [])
    return (main,), mirrors


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
    if typed.spec.weighted is None:
        raise InvalidValue("only a weighted TraefikService can be edited here", ref=str(changes[0].ref))
    members = list_at(native, "spec", "weighted", "services")
    names = member_names(typed.spec.weighted.services or [])
    return guards(native) + weight_ops(members, names, ("spec", "weighted", "services"), changes, GRID)


CODEC = Codec(RESOURCE, TraefikService, "Traefik weighted service: weights of its members", read, edit)
