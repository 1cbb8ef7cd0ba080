"""How Traefik names what it makes of Kubernetes objects.

Source: traefik v3.7.13 pkg/provider/configuration.go (Normalize), provider/kubernetes/crd/name_builder.go (both naming
schemes), provider/kubernetes/gateway/kubernetes.go (makeRouterName).
"""

from __future__ import annotations

import hashlib

from adapters.kubernetes.wire.gateway_api import ParentRef

CONTROLLER = "traefik.io/gateway-controller"
CRD = "@kubernetescrd"
GATEWAY = "@kubernetesgateway"


def normalize(text: str) -> str:
    """Everything but letters and digits becomes single dashes."""
    return "-".join("".join(c if c.isalnum() else " " for c in text).split())


def crd_names(namespace: str, name: str) -> tuple[str, str]:
    """The full names that a CRD object may have: by the usual naming and by safe naming."""
    return normalize(f"{namespace}-{name}") + CRD, f"{namespace}_{name}{CRD}"


def ingress_router(namespace: str, name: str, match: str, index: int) -> tuple[str, str]:
    """The full names that the router of an IngressRoute's rule may have."""
    digest = hashlib.sha256(match.encode()).hexdigest()[:20]
    return normalize(f"{namespace}-{name}-{digest}") + CRD, f"{namespace}_{name}_{index}{CRD}"


def ingress_service(namespace: str, name: str, match: str, index: int) -> tuple[str, str]:
    """The full names that the weighted service of an IngressRoute's rule may have."""
    usual, _ = ingress_router(namespace, name, match, index)
    return usual, f"{namespace}_{name}_{index}_wrr{CRD}"


def child_service(namespace: str, name: str, port: int | str | None) -> str:
    """The full name of a Service that CRD objects use: shared by all of them."""
    return normalize(f"{namespace}-{name}-{port}" if port else f"{namespace}-{name}") + CRD


def gateway_prefix(kind: str, namespace: str, name: str, parent: ParentRef) -> str:
    """What the routers and services of an HTTPRoute or GRPCRoute on one Gateway begin with, up to the entry point."""
    gateway = f"{parent.namespace or namespace}-{parent.name}"
    return normalize(f"{kind.lower()}-{namespace}-{name}-gw-{gateway}-ep") + "-"


def gateway_rule(full: str) -> tuple[int, str] | None:
    """(rule index, the rest: ``, `-wrr` or `-svc-…`) of the full name of a router or service of such a route.

    The name is `…-ep-ENTRYPOINT-INDEX-HASH[-wrr|-svc-NAMESPACE-NAME-BACKEND]@kubernetesgateway`.
    """
    stem, _, provider = full.rpartition("@")
    if "@" + provider != GATEWAY:
        return None
    head, mark, tail = stem.rpartition("-svc-")
    words = (head if mark else stem.removesuffix("-wrr")).split("-")
    if len(words) < 3 or not words[-2].isdecimal() or len(words[-1]) != 20:
        return None
    rest = f"-svc-{tail}" if mark else ("-wrr" if stem.endswith("-wrr") else "")
    return int(words[-2]), rest


def backend_index(rest: str) -> int | None:
    """Which backend a child service is: the number that its name ends with."""
    last = rest.rpartition("-")[2]
    return int(last) if rest.startswith("-svc-") and last.isdecimal() else None
