"""What Traefik's kinds share: lists of weighted Services and TraefikServices.

Source: traefik v3.7 provider/kubernetes/crd/kubernetes_http.go: a missing weight is 1, a weight of 0 or less drops the
member.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.kubernetes.kinds.common import unique
from adapters.kubernetes.kinds.numbers import not_understood, shares, text, weights
from adapters.kubernetes.wire.traefik import Sticky, TraefikRef
from control.model import Grid, Target
from control.model.ref import Ref
from control.text import clean

GRID = Grid(minimum=1, maximum=2_147_483_647)
GROUP = "traefik.io"
VERSIONS = ("v1alpha1",)
FORMER_GROUPS = ("traefik.containo.us",)
"""Of Traefik 2."""


def member_names(members: Sequence[TraefikRef]) -> list[str]:
    """Names that tell the members apart: the Service's, with port and namespace where they must be."""
    return unique([(m.name, f"{m.name}:{m.port or ''}", f"{m.namespace}/{m.name}:{m.port or ''}") for m in members])


def targets(members: Sequence[TraefikRef], environment: str, namespace: str) -> tuple[Target, ...]:
    """The members as targets of a weighted route; a single one gets everything whatever its weight."""
    found = weights(member.weight for member in members)
    return tuple(
        Target(
            name=name,
            weight=weight,
            share=share,
            endpoints=(endpoint(member, namespace),),
            to=leads_to(member, environment, namespace),
            native="" if weight is not None else text(member.weight),
        )
        for name, weight, share, member in zip(member_names(members), found, shares(found), members, strict=True)
    )


def unclear(members: Sequence[TraefikRef]) -> str:
    """Why the weights of the members cannot be edited, empty where they can."""
    return not_understood(member_names(members), [member.weight for member in members])


def endpoint(member: TraefikRef, namespace: str) -> str:
    """Where a member stands, as people write it."""
    kind = "" if member.kind in ("", "Service") else f"{member.kind} "
    port = f":{member.port}" if member.port else ""
    return clean(f"{kind}{member.namespace or namespace}/{member.name}{port}")


def leads_to(member: TraefikRef, environment: str, namespace: str) -> Ref | None:
    """The TraefikService that a member is; None for Services and for names of other providers."""
    if member.kind != "TraefikService" or "@" in member.name:
        return None
    return Ref(environment, "TraefikService", member.namespace or namespace, member.name)


def sticky_text(sticky: Sticky | None) -> str:
    """How sessions stick, empty where they do not."""
    if sticky is None or sticky.cookie is None:
        return ""
    return clean(f"cookie {sticky.cookie.name}".strip())
