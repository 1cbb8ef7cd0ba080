"""What is in the clusters: namespace, rights, Services, and the routes and limits of the YAML files here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import yaml

from tests.bed.layout import BACKEND_PORT, HTTP_PORT, Layout

NAMESPACE = "inference"
SERVICES = {
    "eu": (
        "llama-v1",
        "llama-v2",
        "mixtral-a",
        "mixtral-b",
        "qwen-a",
        "qwen-b",
        "embed-small",
        "embed-large",
        "limited-a",
        "limited-b",
    ),
    "us": ("llama-v1", "llama-v2", "limited-a", "limited-b"),
}
"""The Services of each cluster; the place in the list decides the ClusterIP."""


def backends(layout: Layout, cluster: str) -> dict[str, str]:
    """ClusterIP -> name of the Service whose backend answers there."""
    return {layout.service(cluster, number): name for number, name in enumerate(SERVICES[cluster])}


def cluster_objects(layout: Layout, cluster: str) -> Iterator[dict[str, Any]]:
    """Everything of one cluster, in an order in which it can be created."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield from _documents("rights", {})
    for address, name in backends(layout, cluster).items():
        yield _service(name, address)
    yield from _documents(cluster, {"http_port": str(HTTP_PORT)})


def _documents(name: str, values: dict[str, str]) -> Iterator[dict[str, Any]]:
    text = (Path(__file__).parent / f"{name}.yaml").read_text()
    yield from (document for document in yaml.safe_load_all(Template(text).substitute(values)) if document)


def _service(name: str, address: str) -> dict[str, Any]:
    """A Service with a loopback ClusterIP, which the proxy is told to use as it is (`nativelb`)."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"app": name},
            "annotations": {"traefik.io/service.nativelb": "true"},
        },
        "spec": {
            "clusterIP": address,
            "selector": {"app": name},
            "ports": [{"name": "http", "port": BACKEND_PORT, "targetPort": BACKEND_PORT}],
        },
    }
