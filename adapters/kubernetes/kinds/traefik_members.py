"""What Traefik's kinds share: lists of weighted Services and TraefikServices.

Source: traefik v3.7 provider/kubernetes/crd/kubernetes_http.go: a missing weight is 1, a weight of 0 or less drops the
member.
"""

from __future__ import annotations

from typing import Any

from adapters.engine.kind import Api, Endpoint, Leads, StatusOf, Targets
from adapters.kubernetes.wire.traefik import Sticky
from control.text import clean

NAMES = ("name", "{name}:{port}", "{namespace}/{name}:{port}")
ENDPOINT = Endpoint(namespace="namespace", kind="kind", port="port")
LEADS = (Leads(when={"kind": "TraefikService"}, kind="TraefikService", namespace="namespace", foreign="@"),)
"""A TraefikService that a member is; names with a provider are of others."""
NO_STATUS = StatusOf(silent="Traefik writes no status")


def api(plural: str) -> Api:
    """Where one of Traefik's kinds is listed."""
    return Api(group="traefik.io", versions=("v1alpha1",), plural=plural, former_groups=("traefik.containo.us",))


def members(at: str, **more: Any) -> Targets:
    """The weighted members of a list."""
    return Targets(
        at=at,
        identity=NAMES,
        weight="weight",
        absent=1,
        zero="held",
        maximum=2_147_483_647,
        endpoint=ENDPOINT,
        leads=LEADS,
        **more,
    )


def sticky_text(sticky: Sticky | None) -> str:
    """How sessions stick, empty where they do not."""
    if sticky is None or sticky.cookie is None:
        return ""
    return clean(f"cookie {sticky.cookie.name}".strip())
