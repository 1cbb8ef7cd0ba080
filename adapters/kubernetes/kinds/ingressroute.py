"""Traefik IngressRoute: every rule is a route; with several services Traefik splits by their inline weights.

Source: traefik v3.7 provider/kubernetes/crd/kubernetes_http.go. With one service its weight means nothing.
"""

from __future__ import annotations

from adapters.engine.coded import CodedKind, CodedRoutes, Reads
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.traefik_members import NO_STATUS, api, members
from adapters.kubernetes.shown import masked_rule
from adapters.kubernetes.wire.traefik import IngressRoute
from control.text import clean


def match_words(match: str | None) -> tuple[str, ...]:
    """What a rule is for, with the values of headers masked that look like secrets."""
    return (clean(masked_rule(match or "")),)


CODEC = Codec(
    CodedKind(
        kind="IngressRoute",
        title="Traefik route: inline weights of each rule's services",
        api=api("ingressroutes"),
        wire=IngressRoute,
        routes=(
            CodedRoutes(
                at="spec.routes",
                distinct="match",
                matches_by=Reads(match_words, ("match",)),
                targets=members(
                    "services",
                    single="all",
                    alone="its one service gets everything: Traefik does not read its weight",
                    empty="this rule has no services",
                ),
            ),
        ),
        status=NO_STATUS,
    )
)
RESOURCE = CODEC.resource
