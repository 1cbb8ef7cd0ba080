"""What Kubernetes declares of itself: its section of the deck file, and how its data planes are named there.

Everything that starts the program imports this, so it imports nothing that is not light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.deck.sections import ARGUMENTS, TEXT, TEXTS, DeckSection, Schema, closed

if TYPE_CHECKING:
    from adapters.engine.kind import Kind
    from control.deck.config import EnvironmentConfig
    from control.deck.yamlcheck import Part

PLATFORM = "kubernetes"
KINDS = {
    "HTTPRoute": "Gateway API route: weights of each rule's backends",
    "GRPCRoute": "Gateway API route of gRPC calls: weights of each rule's backends",
    "TraefikService": "Traefik weighted service: weights of its members",
    "IngressRoute": "Traefik route: inline weights of each rule's services",
    "VirtualService": "Istio routes: weights of each rule's destinations",
    "Middleware": "Traefik rateLimit or inFlightReq",
}


@dataclass(frozen=True, slots=True)
class KubernetesConfig:
    """The section `kubernetes` of an environment."""

    context: str | None = None
    kubeconfig: str | None = None
    """Path, `~` expanded; None for the usual places (KUBECONFIG, ~/.kube/config)."""
    namespaces: tuple[str, ...] = ()
    """Empty for all that the identity may list."""
    kinds: tuple[str, ...] = ()
    """Empty for all that the adapter reads. What is not asked for is not missing either."""


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """Where a replica of a data plane itself can be asked."""

    kind: str
    """`traefik`."""
    api: str | None = None
    metrics: str | None = None


def _parse(part: Part) -> KubernetesConfig:
    given = part.values
    namespaces, kinds = tuple(given.get("namespaces", ())), tuple(given.get("kinds", ()))
    return KubernetesConfig(given.get("context"), part.path("kubeconfig"), namespaces, kinds)


def _parse_proxy(part: Part) -> ProxyConfig:
    return ProxyConfig(part.values["kind"], part.values.get("api"), part.values.get("metrics"))


def _kinds_schema() -> Schema:
    from adapters.engine.user_kind import schema

    return schema()


def _parse_kinds(part: Part) -> tuple[Kind, ...]:
    """The user's own kinds. Each is told apart by its name, which is what refs call it by."""
    from adapters.engine.user_kind import Fault, converted

    found: list[Kind] = []
    for number, values in enumerate(part.values):
        try:
            kind = converted(values)
        except Fault as fault:
            raise part.error(fault.message, fault.hint, number, *fault.path) from None
        if kind.kind in KINDS:
            raise part.error(f"'{kind.kind}' is a kind that is read already", None, number, "kind")
        for other, former in enumerate(found):
            if former.kind == kind.kind:
                line = part.below(other).line
                raise part.error(f"the kind '{kind.kind}' is there twice", f"first at line {line}", number, "kind")
        found.append(kind)
    return tuple(found)


SECTION = DeckSection(
    key="kubernetes",
    platform=PLATFORM,
    schema=closed(
        {
            "kubeconfig": TEXT,
            "context": TEXT,
            "namespaces": TEXTS | {"description": "only these are read; without it all"},
            "kinds": ARGUMENTS | {"description": "only these are read, as HTTPRoute; without it all"},
        }
    ),
    parse=_parse,
    proxy_kinds=("traefik",),
    proxy_keys={"api": TEXT, "metrics": TEXT},
    parse_proxy=_parse_proxy,
    kinds_schema=_kinds_schema,
    parse_kinds=_parse_kinds,
)


def settings_of(config: EnvironmentConfig) -> KubernetesConfig:
    """What the deck file says of a cluster."""
    assert isinstance(config.settings, KubernetesConfig)
    return config.settings
