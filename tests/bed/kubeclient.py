"""Just enough of a Kubernetes client for setting up: create objects, look at them."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx

from tests.bed.errors import BedError

_RESOURCES = {
    "Namespace": ("/api/v1", "namespaces", False),
    "Service": ("/api/v1", "services", True),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "GatewayClass": ("/apis/gateway.networking.k8s.io/v1", "gatewayclasses", False),
    "Gateway": ("/apis/gateway.networking.k8s.io/v1", "gateways", True),
    "HTTPRoute": ("/apis/gateway.networking.k8s.io/v1", "httproutes", True),
    "IngressRoute": ("/apis/traefik.io/v1alpha1", "ingressroutes", True),
    "TraefikService": ("/apis/traefik.io/v1alpha1", "traefikservices", True),
    "Middleware": ("/apis/traefik.io/v1alpha1", "middlewares", True),
}


SECONDS = 15.0


class KubeClient:
    """One apiserver, one token. Every call has its deadline."""

    def __init__(self, url: str, token: str, authority: Path | None) -> None:
        verify = ssl.create_default_context(cafile=str(authority)) if authority else False
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "trafficdeck-bed"}
        self._http = httpx.Client(base_url=url, headers=headers, verify=verify, timeout=SECONDS)

    def ready(self) -> bool:
        try:
            return self._http.get("/readyz", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def create(self, obj: dict[str, Any]) -> None:
        """Create one object; one that is there already is fine. Raises `BedError` with the server's message."""
        usual = (f"/apis/{obj['apiVersion']}", f"{obj['kind'].lower()}s", True)
        prefix, plural, namespaced = _RESOURCES.get(obj["kind"], usual)
        namespace = f"/namespaces/{obj['metadata']['namespace']}" if namespaced else ""
        answer = self._post(f"{prefix}{namespace}/{plural}", obj)
        if answer.status_code not in (200, 201, 409):
            name = obj["metadata"]["name"]
            raise BedError(f"creating {obj['kind']} {name} failed with {answer.status_code}: {answer.text[:300]}")

    def _post(self, path: str, obj: dict[str, Any]) -> httpx.Response:
        """Post; once more where a busy server did not answer in time (an object that is there by then is a 409)."""
        try:
            return self._http.post(path, json=obj)
        except httpx.TransportError:
            return self._http.post(path, json=obj)

    def established(self, names: list[str]) -> bool:
        """True when every one of these CRDs is served."""
        try:
            listed = self._http.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").json()
        except httpx.TransportError:
            return False
        served = {
            item["metadata"]["name"]
            for item in listed.get("items") or []
            for condition in item.get("status", {}).get("conditions") or []
            if condition["type"] == "Established" and condition["status"] == "True"
        }
        return served.issuperset(names)

    def close(self) -> None:
        self._http.close()
