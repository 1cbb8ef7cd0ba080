"""Writes `DIR/deck.yaml`: the deck on this bed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.bed import aws, haproxy, kubernetes, nginx
from tests.bed.layout import ADMIN_PORT, EDGE_HOST, LB_HOSTS, TRAEFIK_REPLICAS, WEB_HOSTS, Layout
from tests.bed.objects import NAMESPACE
from tests.bed.planes import PLANES

PRODUCTION = "eu"
CODES = {PRODUCTION: "eu"}
FRONT_ROUTE = f"edge/HAProxyBackend/{EDGE_HOST}/edge-llama"


def content(layout: Layout) -> dict[str, Any]:
    return {
        "environments": [
            {
                **_cluster(layout, "eu", {"region": "eu-west-1", "tier": "production"}),
                "code": CODES[PRODUCTION],
            },
            _cluster(layout, "us", {"region": "us-east-1", "tier": "staging"}),
            _hosts(layout, "web", list(WEB_HOSTS), sudo=False, proxy=_nginx(), region="eu-west-1"),
            _hosts(layout, "lb", list(LB_HOSTS), sudo=True, proxy=_haproxy(), region="eu-west-1"),
            _hosts(layout, "edge", [EDGE_HOST], sudo=False, proxy=_haproxy(), region="global"),
            {
                "name": "fn",
                "aws": {"region": aws.REGION, "functions": ["chat*"], "endpoints": aws.endpoints(layout)},
                "labels": {"region": aws.REGION, "tier": "staging", "figures": "synthetic"},
            },
        ],
        "services": [
            {
                "name": "llama",
                "routes": [
                    f"eu/HTTPRoute/{NAMESPACE}/llama*",
                    f"us/HTTPRoute/{NAMESPACE}/llama*",
                    f"eu/IngressRoute/{NAMESPACE}/limited*",
                    "web/NginxUpstream/*/llama",
                    "lb/HAProxyBackend/*/llama",
                    f"fn/LambdaAlias/{aws.REGION}/{aws.FUNCTION}:{aws.ALIAS}",
                    FRONT_ROUTE,
                ],
                "front": {"route": FRONT_ROUTE, "targets": {"k8s": "eu", "vm": "web", "fn": "fn"}},
            },
            {
                "name": "mixtral",
                "routes": [f"eu/TraefikService/{NAMESPACE}/mixtral", f"eu/IngressRoute/{NAMESPACE}/mixtral*"],
            },
            {"name": "qwen", "routes": [f"eu/IngressRoute/{NAMESPACE}/qwen*"]},
            {"name": "mistral", "routes": ["web/NginxUpstream/*/mistral"]},
        ],
        "guards": {"maximum_move": 25, "cool_down_seconds": 60},
        "journal": {"path": str(layout.state / "journal.db")},
        "theme": "dusk",
    }


def write(layout: Layout, planes: tuple[str, ...] = ()) -> Path:
    """The deck file; with the kinds that the manual declares, where a plane has such objects."""
    layout.state.mkdir(parents=True, exist_ok=True)
    path = layout.dir / "deck.yaml"
    head = "# The deck on the test bed. Everything in it is on this machine's loopback.\n"
    made = content(layout)
    if any(PLANES[name].own_kinds for name in planes):
        from tests import own_kinds  # it reads deck files, which is more than the bed else needs

        made |= yaml.safe_load(own_kinds.DECLARED)
    path.write_text(head + yaml.safe_dump(made, sort_keys=False, width=110))
    return path


def _cluster(layout: Layout, cluster: str, labels: dict[str, str]) -> dict[str, Any]:
    replicas = [layout.traefik(cluster, number) for number in range(1, TRAEFIK_REPLICAS[cluster] + 1)]
    bases = [f"http://{address}:{ADMIN_PORT}" for address in replicas]
    return {
        "name": cluster,
        "kubernetes": {
            "kubeconfig": str(layout.kubeconfig(cluster, kubernetes.DECK_USER)),
            "context": cluster,
            "namespaces": [NAMESPACE],
        },
        "labels": labels,
        "proxies": [{"kind": "traefik", "api": base, "metrics": f"{base}/metrics"} for base in bases],
    }


def _hosts(
    layout: Layout, name: str, hosts: list[str], *, sudo: bool, proxy: dict[str, str], region: str
) -> dict[str, Any]:
    return {
        "name": name,
        "ssh": {"hosts": hosts, "config": str(layout.ssh / "config"), "sudo": sudo},
        "labels": {"region": region, "tier": "staging"},
        "proxies": [proxy],
    }


def _nginx() -> dict[str, str]:
    return {"kind": "nginx", "config": "/etc/nginx/nginx.conf", "access_log": nginx.ACCESS_LOG}


def _haproxy() -> dict[str, str]:
    return {
        "kind": "haproxy",
        "config": "/etc/haproxy/haproxy.cfg",
        "socket": haproxy.SOCKET,
        "master": haproxy.MASTER,
    }
