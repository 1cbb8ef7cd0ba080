"""The demo fleet's Kubernetes side: the platform's own reader and writer over clusters in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx

from adapters.demo.apiserver import HealedApi, StoredTransport
from adapters.demo.clusters import objects
from adapters.demo.deck import replicas
from adapters.demo.simulation import Simulator
from adapters.demo.store import Stored
from adapters.demo.traefik import TraefikFleet, TraefikPages
from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.writer import KubernetesWriter
from control.deck.config import EnvironmentConfig
from control.ports import Reader, Writer

EDITED_BY_HAND = ("prod-us", "httproutes", "llama", 1500.0)
"""Somebody used kubectl edit, so many seconds ago."""


def open_cluster(
    config: EnvironmentConfig, folder: Path, simulator: Simulator
) -> tuple[Reader, Callable[[Reader], Writer]]:
    """One environment's reader, and how to make a writer beside it."""
    api = HealedApi(objects(config.name), simulator.now)
    _edit_by_hand(config.name, api)
    stored = Stored(folder, config.name, api.dump, api.load)
    traefik = TraefikFleet(config.name, replicas(config.name), lambda: api.objects.values(), simulator)
    api.before_change = traefik.adopt

    def pages() -> httpx.AsyncBaseTransport:
        return TraefikPages(traefik, stored)

    async def opened() -> httpx.AsyncBaseTransport:
        incidents = simulator.incidents
        return StoredTransport(api, stored, lambda: incidents.edits(config.name) if incidents else [])

    async def headers(renew: bool) -> list[tuple[str, str]]:
        return []

    server = f"https://{config.name}.invalid:6443"
    connection = Connection(server, opened, headers, what=f"context '{config.name}' at {server}", pages=pages)

    def write_beside(reader: Reader) -> Writer:
        assert isinstance(reader, KubernetesReader)
        return KubernetesWriter(reader)

    return KubernetesReader(config, connection), write_beside


def _edit_by_hand(environment: str, api: HealedApi) -> None:
    where, plural, name, ago = EDITED_BY_HAND
    if where != environment:
        return
    for key, native in api.objects.items():
        if key[0] == plural and key[2] == name:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))
            entry = {"manager": "kubectl-edit", "operation": "Update", "time": at}
            native["metadata"]["managedFields"] = [entry]
