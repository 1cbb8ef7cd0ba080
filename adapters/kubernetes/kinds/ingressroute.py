"""Traefik IngressRoute: every rule is a route; with several services Traefik splits by their inline weights.

Source: traefik v3.7 provider/kubernetes/crd/kubernetes_http.go. With one service its weight means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.jsonpatch import Op
from adapters.kubernetes.kinds.common import (
    PART,
    Codec,
    Native,
    Read,
    base,
    convert,
    guards,
    list_at,
    object_ref,
    rule_index,
    weight_ops,
)
from adapters.kubernetes.kinds.traefik_members import (
    FORMER_GROUPS,
    GRID,
    GROUP,
    VERSIONS,
    member_names,
    targets,
    unclear,
)
from adapters.kubernetes.kinds.traefikservice import NO_STATUS
from adapters.kubernetes.section import PLATFORM
from adapters.kubernetes.shown import masked_rule
from adapters.kubernetes.wire.traefik import IngressRoute, IngressRule
from control.errors import InvalidValue
from control.model import Editable, Route, Semantics, Target
from control.model.ref import Ref
from control.planning.edit import Change
from control.structs import replace
from control.text import clean

RESOURCE = Resource(GROUP, VERSIONS, "ingressroutes", "IngressRoute", former_groups=FORMER_GROUPS)


def read(native: IngressRoute, environment: str, at: float) -> Read:
    """The routes of one IngressRoute, one for each rule."""
    rules = native.spec.routes or []
    whole = object_ref(environment, RESOURCE.kind, native.metadata)
    the_base = base(native.metadata, [rule.match for rule in rules])
    return Read(tuple(_route(rule, index, len(rules), whole, the_base, at) for index, rule in enumerate(rules)))


def _route(rule: IngressRule, index: int, count: int, whole: Ref, the_base: str, at: float) -> Route:
    found = targets(rule.services or [], whole.environment, whole.scope)
    return Route(
        ref=Ref(whole.environment, whole.kind, whole.scope, whole.name, f"{PART}{index}"),
        platform=PLATFORM,
        name=clean(f"{whole.name} {index}" if count > 1 else whole.name),
        semantics=Semantics.PROPORTIONAL,
        grid=GRID,
        targets=_alone(found),
        object=str(whole),
        base=the_base,
        read_at=at,
        matches=(clean(masked_rule(rule.match)),),
        status=NO_STATUS,
        editable=_editable(found, unclear(rule.services or [])),
        location=f"spec.routes[{index}].services",
    )


def _alone(found: tuple[Target, ...]) -> tuple[Target, ...]:
    """A single service gets everything: Traefik does not read its weight."""
    if len(found) != 1:
        return found
    weight = 1 if found[0].weight is None else found[0].weight
    return (replace(found[0], share=Fraction(1), weight=weight, native=""),)


def _editable(found: tuple[Target, ...], why_not: str) -> Editable:
    if not found:
        return Editable(False, "this rule has no services")
    if len(found) == 1:
        to = found[0].to
        instead = f"; edit {clean(str(to))}" if to else ""
        return Editable(False, f"its one service gets everything: Traefik does not read its weight{instead}")
    return Editable(not why_not, why_not)


def edit(native: Native, changes: Sequence[Change]) -> list[Op]:
    """A guarded patch that sets inline weights in one or more rules."""
    rules = convert(native, IngressRoute).spec.routes or []
    ops = guards(native)
    by_rule: dict[int, list[Change]] = {}
    for change in changes:
        by_rule.setdefault(rule_index(change.ref, [""] * len(rules)), []).append(change)
    for index, of_rule in by_rule.items():
        services = rules[index].services or []
        if len(services) < 2:
            raise InvalidValue("Traefik does not read the weight of a single service", ref=str(of_rule[0].ref))
        members = list_at(native, "spec", "routes", index, "services")
        ops += weight_ops(members, member_names(services), ("spec", "routes", index, "services"), of_rule, GRID)
    return ops


CODEC = Codec(RESOURCE, IngressRoute, "Traefik route: inline weights of each rule's services", read, edit)
