"""Small native objects for tests."""

from __future__ import annotations

from typing import Any

NAMESPACE = "inference"
GATEWAY_API = "gateway.networking.k8s.io/v1"
TRAEFIK_API = "traefik.io/v1alpha1"


def httproute(name: str, host: str, weights: dict[str, int], rule: str = "main", **more: Any) -> dict[str, Any]:
    refs = [{"name": target, "port": 8080, "weight": weight} for target, weight in weights.items()]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "main"}],
            "hostnames": [host],
            "rules": [{**({"name": rule} if rule else {}), "backendRefs": refs, **more}],
        },
    }


def traefik(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": TRAEFIK_API, "kind": kind, "metadata": metadata, "spec": spec}


def service(name: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 8080, "nativeLB": True, **({} if weight is None else {"weight": weight}), **more}


def limited(name: str, host: str, middleware: str, target: str = "v1") -> dict[str, Any]:
    """An HTTPRoute with one backend, under a Middleware."""
    extension = {"group": "traefik.io", "kind": "Middleware", "name": middleware}
    return httproute(name, host, {target: 1}, filters=[{"type": "ExtensionRef", "extensionRef": extension}])
