"""`DIR/bed.json`: what there is, for whoever checks from outside; written by the bed, read as dataclasses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bed import aws, haproxy, hosts, kubernetes, nginx
from tests.bed.deck import CODES, FRONT_ROUTE
from tests.bed.layout import (
    CLUSTERS,
    EDGE_HOST,
    HTTP_PORT,
    LB_HOSTS,
    LIMITED_PORT,
    TRAEFIK_REPLICAS,
    WEB_HOSTS,
    Layout,
)
from tests.bed.objects import NAMESPACE
from tests.bed.processes import Ledger

VERSION = 1
CLIENT_HEADER = "X-Client"


@dataclass(frozen=True, slots=True)
class RouteEntry:
    ref: str
    url: str
    host: str
    targets: list[str]
    """What `X-Backend` says, which is how the deck names them."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LimitEntry:
    ref: str
    on: str
    urls: list[str]
    """One per replica: each counts for itself."""
    host: str
    headers: dict[str, str] = field(default_factory=dict)
    fresh_key_header: str | None = CLIENT_HEADER
    """A value never used before gets a full bucket."""
    reject_status: int = 429


@dataclass(frozen=True, slots=True)
class ClusterEntry:
    environment: str
    kubeconfig: str
    user: str
    write_log: str


@dataclass(frozen=True, slots=True)
class HostEntry:
    environment: str
    host: str
    proxy: str
    config: str
    reload: list[str]
    socket: str | None
    """HAProxy's own socket, past the logging proxy, as seen from outside."""
    write_log: str


@dataclass(frozen=True, slots=True)
class AwsEntry:
    environment: str
    endpoint: str
    write_log: str


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Bed:
    """The whole of `bed.json`; `dir` is the folder that it stands in."""

    dir: Path
    routes: list[RouteEntry]
    limits: list[LimitEntry]
    kubernetes: list[ClusterEntry]
    hosts: list[HostEntry]
    aws: list[AwsEntry]
    codes: dict[str, str]
    processes: list[ProcessEntry]
    version: int = VERSION

    @property
    def deck(self) -> Path:
        return self.dir / "deck.yaml"

    def route(self, ref: str) -> RouteEntry:
        """The entry of one route."""
        return next(entry for entry in self.routes if entry.ref == ref)

    def limit(self, ref: str) -> LimitEntry:
        return next(entry for entry in self.limits if entry.ref == ref)

    def host(self, name: str) -> HostEntry:
        return next(entry for entry in self.hosts if entry.host == name)

    def pid(self, name: str) -> int:
        """The pid of a process by its name."""
        return next(entry.pid for entry in self.processes if entry.name == name)

    def write_logs(self) -> list[Path]:
        logs = [entry.write_log for entry in self.kubernetes]
        logs += [entry.write_log for entry in self.hosts] + [entry.write_log for entry in self.aws]
        return [Path(log) for log in logs]


def read(folder: Path) -> Bed:
    """The bed that runs in `folder`."""
    content = json.loads((folder / "bed.json").read_text())
    return Bed(
        dir=folder,
        routes=[RouteEntry(**item) for item in content["routes"]],
        limits=[LimitEntry(**item) for item in content["limits"]],
        kubernetes=[ClusterEntry(**item) for item in content["kubernetes"]],
        hosts=[HostEntry(**item) for item in content["hosts"]],
        aws=[AwsEntry(**item) for item in content["aws"]],
        codes=content["codes"],
        processes=[ProcessEntry(**item) for item in content["processes"]],
        version=content["version"],
    )


def write(layout: Layout, ledger: Ledger, running: list[hosts.Running]) -> Path:
    """Write `bed.json`, whole or not at all."""
    bed = Bed(
        dir=layout.dir,
        routes=routes(layout),
        limits=limits(layout),
        kubernetes=[_cluster(layout, cluster) for cluster in CLUSTERS],
        hosts=[_host(layout, host) for host in running],
        aws=[AwsEntry("fn", aws.endpoint(layout), str(layout.write_log("aws")))],
        codes=CODES,
        processes=[ProcessEntry(process.name, process.pid) for process in ledger.all()],
    )
    content = asdict(bed)
    del content["dir"]
    path = layout.dir / "bed.json"
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({"version": VERSION} | content, indent=1) + "\n")
    unfinished.replace(path)
    return path


def routes(layout: Layout) -> list[RouteEntry]:
    """Every route that can be measured by sending requests. None of these URLs is under a limit."""
    eu = _url(layout.traefik("eu", 1))
    us = _url(layout.traefik("us", 1))
    return [
        RouteEntry(f"eu/HTTPRoute/{NAMESPACE}/llama#rule=chat", eu, "llama.test", ["llama-v1", "llama-v2"]),
        RouteEntry(f"eu/HTTPRoute/{NAMESPACE}/embed#rule=1", eu, "embed.test", ["embed-small", "embed-large"]),
        RouteEntry(f"eu/TraefikService/{NAMESPACE}/mixtral", eu, "mixtral.test", ["mixtral-a", "mixtral-b"]),
        RouteEntry(f"eu/IngressRoute/{NAMESPACE}/qwen#rule=0", eu, "qwen.test", ["qwen-a", "qwen-b"]),
        RouteEntry(f"us/HTTPRoute/{NAMESPACE}/llama#rule=chat", us, "llama.test", ["llama-v1", "llama-v2"]),
        RouteEntry(
            "web/NginxUpstream/*/llama",
            _url(layout.host(WEB_HOSTS[0])),
            "llama.test",
            nginx.targets(layout, nginx.LLAMA),
        ),
        RouteEntry("lb/HAProxyBackend/*/llama", _url(layout.host(LB_HOSTS[0])), "llama.test", ["gpu-a", "gpu-b"]),
        RouteEntry(FRONT_ROUTE, _url(layout.host(EDGE_HOST)), "llama.test", list(haproxy.FRONT_TARGETS)),
    ]


def limits(layout: Layout) -> list[LimitEntry]:
    """The request limits, each on a host or a port of its own."""
    found = [
        LimitEntry(
            f"{cluster}/Middleware/{NAMESPACE}/per-client",
            f"{cluster}/IngressRoute/{NAMESPACE}/limited#rule=0",
            [_url(layout.traefik(cluster, number)) for number in range(1, TRAEFIK_REPLICAS[cluster] + 1)],
            "limited.test",
        )
        for cluster in CLUSTERS
    ]
    web = [_url(layout.host(host), LIMITED_PORT) for host in WEB_HOSTS]
    lb = [_url(layout.host(host), LIMITED_PORT) for host in LB_HOSTS]
    return [
        *found,
        LimitEntry("web/NginxLimitReq/*/per_client", "web/NginxUpstream/*/llama", web, "llama.test"),
        LimitEntry("lb/HAProxyRequestLimit/*/limited%2Fcallers", "lb/HAProxyBackend/*/llama", lb, "llama.test"),
    ]


def _url(address: str, port: int = HTTP_PORT) -> str:
    return f"http://{address}:{port}/v1/models"


def _cluster(layout: Layout, cluster: str) -> ClusterEntry:
    administrator = str(layout.kubeconfig(cluster, kubernetes.ADMINISTRATOR))
    return ClusterEntry(cluster, administrator, kubernetes.DECK_USER, str(layout.write_log(cluster)))


def _host(layout: Layout, running: hosts.Running) -> HostEntry:
    host = running.host
    kind = hosts.proxy_kind(host)
    main = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind]
    socket = layout.host_folder(host) / haproxy.DIRECT.lstrip("/") / "admin.sock"
    return HostEntry(
        environment=hosts.environment_of(host),
        host=host,
        proxy=kind,
        config=str(hosts.configuration_tree(layout, host) / main),
        reload=hosts.reload_command(running),
        socket=str(socket) if kind == "haproxy" else None,
        write_log=str(layout.write_log(host)),
    )
