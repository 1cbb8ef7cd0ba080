"""Traefik TraefikService: a weighted one is a route; its other shapes are shown and not edited.

Source: traefik v3.7 provider/kubernetes/crd/traefikio/v1alpha1/service.go. Traefik writes no status.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adapters.engine.coded import CodedKind, CodedRoutes, Reads
from adapters.engine.kind import Targets
from adapters.engine.numbers import text, whole
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.traefik_members import ENDPOINT, LEADS, NAMES, NO_STATUS, api, members, sticky_text
from adapters.kubernetes.wire.traefik import TraefikRef, TraefikService, TraefikServiceSpec
from control.model import Mirror
from control.model.ref import Ref
from control.text import clean

SHAPES = ("weighted", "mirroring", "highestRandomWeight", "failover")
"""In the order in which Traefik looks for them; it takes the first."""


def passed_over(spec: TraefikServiceSpec) -> tuple[str, ...]:
    """A note of the shapes that stand there and that Traefik does not take."""
    there = (spec.weighted, spec.mirroring, spec.highest_random_weight, spec.failover)
    first, *others = [name for name, shape in zip(SHAPES, there, strict=True) if shape is not None] or [""]
    return (f"Traefik takes its {first} and passes over {' and '.join(others)}",) if others else ()


def _read_only(shape: str) -> str:
    return f"a TraefikService of the shape {shape} is shown here, not edited"


def copies(names: object, shares: object, mirrors: Sequence[TraefikRef] | None) -> tuple[Mirror, ...]:
    """What mirrors get a copy of."""
    found = [(clean(mirror.name), percent(mirror)) for mirror in mirrors or ()]
    return tuple(Mirror(name, Fraction(part, 100)) for name, part in found if part is not None)


def mirroring_notes(mirrors: Sequence[TraefikRef] | None, spec: TraefikServiceSpec) -> tuple[str, ...]:
    """What is not understood of mirrors, and what Traefik passes over."""
    return (
        *(
            f"how much {clean(mirror.name)} gets, {text(mirror.percent)}, is not understood"
            for mirror in mirrors or ()
            if percent(mirror) is None
        ),
        *passed_over(spec),
    )


def percent(mirror: TraefikRef) -> int | None:
    """Of how many requests in a hundred a mirror gets a copy, 0 where nothing stands; None where it is no number."""
    return 0 if mirror.percent is None else whole(mirror.percent)


PASSED_OVER = Reads(passed_over, ("spec",))
CODEC = Codec(
    CodedKind(
        kind="TraefikService",
        title="Traefik weighted service: weights of its members",
        api=api("traefikservices"),
        wire=TraefikService,
        sections="first",
        routes=(
            CodedRoutes(
                when={"spec.weighted": "*"},
                sticky_by=Reads(sticky_text, ("spec.weighted.sticky",)),
                notes_by=PASSED_OVER,
                targets=members("spec.weighted.services", empty=""),
            ),
            CodedRoutes(
                when={"spec.mirroring": "*"},
                read_only=_read_only("mirroring"),
                mirrors_by=Reads(copies, ("spec.mirroring.mirrors",)),
                notes_by=Reads(mirroring_notes, ("spec.mirroring.mirrors", "spec")),
                targets=Targets(at=("spec.mirroring",), identity=NAMES[:1], endpoint=ENDPOINT, leads=LEADS),
            ),
            CodedRoutes(
                when={"spec.highestRandomWeight": "*"},
                read_only=_read_only("highestRandomWeight"),
                sticky_by=Reads(lambda spec: "consistent hash of the client address", ("spec",)),
                notes_by=PASSED_OVER,
                targets=members("spec.highestRandomWeight.services"),
            ),
            CodedRoutes(
                when={"spec.failover": "*"},
                read_only=_read_only("failover"),
                notes_by=PASSED_OVER,
                targets=Targets(
                    at=("spec.failover.service", "spec.failover.fallback"),
                    identity=NAMES,
                    semantics="priority",
                    endpoint=ENDPOINT,
                    leads=LEADS,
                ),
            ),
            CodedRoutes(read_only="it has no shape that is known here"),
        ),
        status=NO_STATUS,
    )
)
RESOURCE = CODEC.resource


def member_names(members: Sequence[TraefikRef]) -> list[str]:
    """Names that tell the members apart: the Service's, with port and namespace where they must be."""
    return CODEC.target_names(members)


def leads_to(member: TraefikRef, environment: str, namespace: str) -> Ref | None:
    """The TraefikService that a member is; None for Services and for names of other providers."""
    return CODEC.targets.leads(member, environment, namespace)
