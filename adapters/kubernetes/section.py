"""What Kubernetes declares of itself: its section of the deck file, and how its data planes are named there.

Everything that starts the program imports this, so it imports nothing that is not light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.deck.sections import ARGUMENTS, TEXT, TEXTS, DeckSection, closed

if TYPE_CHECKING:
    from control.deck.config import EnvironmentConfig
    from control.deck.yamlcheck import Part

PLATFORM = "kubernetes"


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
)


def settings_of(config: EnvironmentConfig) -> KubernetesConfig:
    """What the deck file says of a cluster."""
    assert isinstance(config.settings, KubernetesConfig)
    return config.settings
