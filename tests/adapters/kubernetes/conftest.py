from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import kube_servers
import pytest
from kube_servers import Servers

from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import KubernetesConfig, ProxyConfig
from control.deck.config import EnvironmentConfig

NAMESPACE = "inference"


def _without(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A real cluster's servers: API, two Traefik replicas, three backends."""
    binary = kube_servers.bedkube()
    gateway = kube_servers.module_folder(kube_servers.GATEWAY_MODULE)
    traefik = kube_servers.module_folder(kube_servers.TRAEFIK_MODULE)
    if binary is None:
        _without("the Kubernetes binary is not built (make bed builds it)")
    if gateway is None or traefik is None:
        _without("the CRDs' Go modules cannot be had")
    assert binary and gateway and traefik
    servers = kube_servers.start(tmp_path_factory.mktemp("kube"), binary)
    try:
        kube_servers.install_crds(servers, gateway, traefik)
        servers.put("v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        _gateway(servers)
        block = 1 + os.getpid() % 200
        for index, name in enumerate(("v1", "v2", "v3")):
            servers.backend(NAMESPACE, name, f"127.96.{block}.{10 + index}")
        servers.start_traefik()
        servers.start_traefik()
        yield servers
    finally:
        servers.stop()


def _gateway(servers: Servers) -> None:
    api = "gateway.networking.k8s.io/v1"
    servers.put(
        api,
        "gatewayclasses",
        {
            "apiVersion": api,
            "kind": "GatewayClass",
            "metadata": {"name": "traefik"},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
    )
    listener = {
        "name": "web",
        "protocol": "HTTP",
        "port": servers.web_port,
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    servers.put(
        api,
        "gateways",
        {
            "apiVersion": api,
            "kind": "Gateway",
            "metadata": {"name": "main", "namespace": NAMESPACE},
            "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
        },
    )


@pytest.fixture
async def reader_of(kube: Servers) -> AsyncIterator[Callable[..., KubernetesReader]]:
    """Makes readers of the real cluster and closes them."""
    made: list[KubernetesReader] = []

    def make(token: str = kube_servers.DECK, replicas: int = 2, **config: object) -> KubernetesReader:
        proxies = tuple(ProxyConfig("traefik", api=api, metrics=f"{api}/metrics") for api, _ in kube.proxies[:replicas])
        section = KubernetesConfig(context="bed", kubeconfig=str(kube.kubeconfig(token)))
        environment = EnvironmentConfig(name="bed", settings=section, proxies=proxies, **config)  # type: ignore[arg-type]
        made.append(KubernetesReader(environment))
        return made[-1]

    yield make
    for reader in made:
        await reader.close()


@pytest.fixture
def fixtures() -> Path:
    """Objects as real clusters hold them."""
    return Path(__file__).parent / "fixtures"
