"""25 clusters, 500 VMs and 200 functions behind the platforms' own readers, `python -m tests.bench.fleet`.

The deck opens on them as on anything else: readers, watches, reads, the inventory and the screen are the product's.
Only the servers are in memory, in the same process, so what they cost is counted too. With `moving`, in every cluster
somebody changes one route every 2.5 seconds, one cluster after the other. `oncall`: the on-call view instead.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx

from tui.app import run

CLUSTERS, ROUTES, LIMITS = 25, 68, 106
GROUPS, HOSTS, UPSTREAMS = 5, 100, 20
ACCOUNTS, FUNCTIONS = 4, 50
MOVE_SECONDS = 2.5
READY = r"model-\d"

Native = dict[str, Any]


def _metadata(name: str) -> Native:
    return {"name": name, "namespace": "ml", "uid": name, "generation": 1, "resourceVersion": "1"}


def objects() -> list[Native]:
    """One cluster: as many HTTPRoutes as ROUTES, and LIMITS Middlewares bound to them in turn."""
    made: list[Native] = []
    for number in range(ROUTES):
        names = [f"limit-{n:03}" for n in range(number, LIMITS, ROUTES)]
        filters = [
            {"type": "ExtensionRef", "extensionRef": {"group": "traefik.io", "kind": "Middleware", "name": name}}
            for name in names
        ]
        backends = [{"name": f"model-{number:03}-{x}", "port": 80, "weight": w} for x, w in (("a", 90), ("b", 10))]
        rule = {"name": "chat", "filters": filters, "backendRefs": backends}
        made.append(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": _metadata(f"model-{number:03}"),
                "spec": {"parentRefs": [{"name": "gw"}], "rules": [rule]},
                "status": {"parents": [{"parentRef": {"name": "gw"}, "controllerName": "example/controller"}]},
            }
        )
    for number in range(LIMITS):
        rate = {"average": 10 + number, "burst": 20, "sourceCriterion": {"requestHeaderName": "X-Api-Key"}}
        made.append(
            {
                "apiVersion": "traefik.io/v1alpha1",
                "kind": "Middleware",
                "metadata": _metadata(f"limit-{number:03}"),
                "spec": {"rateLimit": rate},
            }
        )
    return made


def nginx() -> bytes:
    """One host's configuration: UPSTREAMS upstreams with two servers, and a zone that limits each of them."""
    zones = "".join(f"limit_req_zone $http_x_api_key zone=keys_{n}:1m rate={10 + n}r/s;\n" for n in range(UPSTREAMS))
    upstreams = "".join(
        f"upstream vm-model-{n:02} {{ zone u{n} 64k; server 10.0.0.{n}:80 weight=9; server 10.0.1.{n}:80; }}\n"
        for n in range(UPSTREAMS)
    )
    places = "".join(
        f"location /{n} {{ limit_req zone=keys_{n} burst=20; proxy_pass http://vm-model-{n:02}; }}\n"
        for n in range(UPSTREAMS)
    )
    return f"events {{}}\nhttp {{\n{zones}{upstreams}server {{ listen 80; {places} }}\n}}\n".encode()


class Fleet:
    """The deck, its readers, and the clusters that somebody changes."""

    def __init__(self) -> None:
        from adapters.kubernetes.memory.server import MemoryApi

        self.apis: list[Any] = [MemoryApi(deepcopy(objects())) for _ in range(CLUSTERS)]
        self.readers: dict[str, Any] = {}
        self.configs: list[Any] = []
        for number, api in enumerate(self.apis):
            self._cluster(f"k8s-{number:02}", api)
        for number in range(GROUPS):
            self._hosts(f"vm-{number:02}")
        for number in range(ACCOUNTS):
            self._functions(f"fn-{number:02}")

    def _add(self, config: Any, reader: Any) -> None:
        self.configs.append(config)
        self.readers[config.name] = reader

    def _cluster(self, name: str, api: Any) -> None:
        from adapters.kubernetes.client.transport import Connection
        from adapters.kubernetes.memory.server import MemoryTransport
        from adapters.kubernetes.reader import KubernetesReader
        from adapters.kubernetes.section import SECTION, KubernetesConfig
        from control.deck.config import EnvironmentConfig

        async def transport() -> httpx.AsyncBaseTransport:
            return MemoryTransport(api)

        async def headers(renew: bool) -> list[tuple[str, str]]:
            return []

        config = EnvironmentConfig(name, SECTION, KubernetesConfig())
        self._add(
            config, KubernetesReader(config, Connection(f"https://{name}.invalid", transport, headers, what=name))
        )

    def _hosts(self, name: str) -> None:
        from adapters.ssh.memory import MemoryHost, MemoryHosts
        from adapters.ssh.proxies.nginx.program import CONFIG as NGINX_CONFIG
        from adapters.ssh.reader import SshReader
        from adapters.ssh.section import SECTION, ProxyConfig, SshConfig
        from control.deck.config import EnvironmentConfig

        text = nginx()
        hosts = [MemoryHost(f"{name}-{number:02}", {NGINX_CONFIG: text}) for number in range(HOSTS)]
        names = tuple(host.name for host in hosts)
        config = EnvironmentConfig(name, SECTION, SshConfig(names), proxies=(ProxyConfig("nginx"),))
        self._add(config, SshReader(config, MemoryHosts(hosts)))

    def _functions(self, name: str) -> None:
        from adapters.serverless.aws.memory import MemoryAws, MemoryCloud
        from adapters.serverless.aws.operations import READS
        from adapters.serverless.aws.reader import LambdaReader
        from adapters.serverless.aws.section import SECTION, AwsConfig
        from control.deck.config import EnvironmentConfig

        aws = MemoryAws("eu-central-1", concurrency=10_000)
        for number in range(FUNCTIONS):
            aws.add_function(f"fn-model-{number:02}", 3)
            aws.add_alias(f"fn-model-{number:02}", "live", "2", {"3": 0.1})
        config = EnvironmentConfig(name, SECTION, AwsConfig("eu-central-1"))
        self._add(config, LambdaReader(config, MemoryCloud(aws, READS)))

    async def move(self) -> None:
        """Somebody changes weights, for ever."""
        number = 0
        while True:
            await asyncio.sleep(MOVE_SECONDS / CLUSTERS)
            api = self.apis[number % CLUSTERS]
            key = ("httproutes", "ml", f"model-{number // CLUSTERS % ROUTES:03}")
            after = deepcopy(api.objects[key])
            for backend in after["spec"]["rules"][0]["backendRefs"]:
                backend["weight"] = 1 + (number * 7 + backend["weight"]) % 90
            api.replace(key, after, "somebody")
            number += 1


def main(moving: bool, oncall: bool) -> int:
    kept: list[asyncio.Task[None]] = []

    async def make_session() -> Any:
        from control.deck.config import DeckConfig
        from control.plane import ControlPlane
        from tui.session import Session

        fleet = await asyncio.to_thread(Fleet)
        folder = Path(tempfile.mkdtemp())
        deck = DeckConfig(folder / "deck.yaml", tuple(fleet.configs), journal=folder / "journal.db")
        if moving:
            kept.append(asyncio.create_task(fleet.move()))
        return Session(ControlPlane(deck, fleet.readers, None, "bench@here"), deck, folder, folder)

    return run(make_session, mode="oncall" if oncall else "deck")


if __name__ == "__main__":
    sys.exit(main("moving" in sys.argv, "oncall" in sys.argv))
