"""What the servers themselves hold, read past the deck: to judge that nothing changed."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed import build
from tests.bed.aws import FUNCTION
from tests.bed.description import Bed
from tests.bed.figures import signed_for

KINDS = (
    "httproutes.gateway.networking.k8s.io,ingressroutes.traefik.io,traefikservices.traefik.io,middlewares.traefik.io"
)
DECK_KEY = "trafficdeck"
"""The access key that the deck signs with where the deck file names emulators and no profile."""


@dataclass(frozen=True)
class State:
    files: dict[str, bytes]
    objects: dict[str, Any]
    aliases: Any
    writes: dict[str, int]
    """Lines in each write log by the deck's identity (all lines, where a log knows no identity)."""


def look(bed: Bed) -> State:
    return State(_files(bed), _objects(bed), _aliases(bed), _writes(bed))


def _files(bed: Bed) -> dict[str, bytes]:
    found = {}
    for entry in bed.hosts:
        for path in sorted(Path(entry.config).parent.rglob("*")):
            if path.is_file():
                found[f"{entry.host}:{path}"] = path.read_bytes()
    return found


def _objects(bed: Bed) -> dict[str, Any]:
    found = {}
    for entry in bed.kubernetes:
        argv = [str(build.binary_path()), "kubectl", "--kubeconfig", entry.kubeconfig, "-n", "inference"]
        text = subprocess.run([*argv, "get", KINDS, "-o", "json"], capture_output=True, timeout=30, check=True).stdout
        for item in json.loads(text)["items"]:
            name = f"{entry.environment}/{item['kind']}/{item['metadata']['name']}"
            found[name] = {"spec": item["spec"], "generation": item["metadata"]["generation"]}
    return found


def _aliases(bed: Bed) -> Any:
    url = f"{bed.aws[0].endpoint}/2015-03-31/functions/{FUNCTION}/aliases"
    with urllib.request.urlopen(urllib.request.Request(url, headers=signed_for("lambda")), timeout=5) as answer:
        return json.loads(answer.read())


def _writes(bed: Bed) -> dict[str, int]:
    identities = {entry.write_log: entry.user for entry in bed.kubernetes}
    identities |= {entry.write_log: DECK_KEY for entry in bed.aws}
    found = {}
    for log in bed.write_logs():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        identity = identities.get(str(log))
        found[str(log)] = sum(identity is None or line["by"] == identity for line in lines)
    return found
