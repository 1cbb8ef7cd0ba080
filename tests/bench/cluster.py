"""One real API server with 2,000 HTTPRoutes, and Traefik where a benchmark wants a data plane."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bed import build
from tests.bed.kubeclient import KubeClient

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "kubernetes"))

import kube_servers

ROUTES = 2000
NAMESPACE = "inference"
GATEWAY_API = "gateway.networking.k8s.io/v1"


def httproute(name: str, weights: dict[str, int]) -> dict[str, Any]:
    """A route as an inference platform writes it: a host, a path, a header, a timeout, weighted backends."""
    matches = [{"path": {"type": "PathPrefix", "value": "/v1"}, "headers": [{"name": "X-Model", "value": name}]}]
    backends = [{"name": service, "port": 8080, "weight": weight} for service, weight in weights.items()]
    rule = {"name": "main", "matches": matches, "backendRefs": backends, "timeouts": {"request": "60s"}}
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "models", "team": "inference"},
            "annotations": {"example.com/description": f"weights of {name}"},
        },
        "spec": {"parentRefs": [{"name": "main"}], "hostnames": [f"{name}.test"], "rules": [rule]},
    }


@contextmanager
def started(folder: Path, routes: int = ROUTES, traefik: bool = False) -> Iterator[kube_servers.Servers]:
    """An API server with `routes` routes `model-NNNN`; with Traefik and two backends before them where asked."""
    folder.mkdir(parents=True, exist_ok=True)
    servers = kube_servers.start(folder, build.build())
    try:
        gateway = build.module_folder("sigs.k8s.io/gateway-api")
        kube_servers.install_crds(servers, gateway, build.module_folder("github.com/traefik/traefik/v3"))
        servers.put("v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        if traefik:
            _data_plane(servers)
        _fill(servers, routes)
        yield servers
    finally:
        servers.stop()


def _fill(servers: kube_servers.Servers, count: int) -> None:
    client = KubeClient(servers.server, kube_servers.ADMIN, servers.ca)
    objects = [httproute(f"model-{number:04}", {"v1": 90, "v2": 10}) for number in range(count)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client.create, objects))
    client.close()


def _data_plane(servers: kube_servers.Servers) -> None:
    metadata = {"name": "traefik"}
    spec: dict[str, Any] = {"controllerName": "traefik.io/gateway-controller"}
    servers.put(
        GATEWAY_API,
        "gatewayclasses",
        {"apiVersion": GATEWAY_API, "kind": "GatewayClass", "metadata": metadata, "spec": spec},
    )
    listener = {"name": "web", "protocol": "HTTP", "port": servers.web_port}
    metadata = {"name": "main", "namespace": NAMESPACE}
    spec = {
        "gatewayClassName": "traefik",
        "listeners": [{**listener, "allowedRoutes": {"namespaces": {"from": "All"}}}],
    }
    servers.put(
        GATEWAY_API, "gateways", {"apiVersion": GATEWAY_API, "kind": "Gateway", "metadata": metadata, "spec": spec}
    )
    for number, name in enumerate(("v1", "v2")):
        servers.backend(NAMESPACE, name, f"127.96.250.{10 + number}")
    servers.start_traefik()
