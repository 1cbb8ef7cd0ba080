"""The HAProxy hosts: two that form a group, and the edge, whose backend is the front of a service."""

from __future__ import annotations

from pathlib import Path

from tests.bed.layout import BACKEND_PORT, EDGE_HOST, HTTP_PORT, LIMITED_PORT, WEB_HOSTS, Layout

SOCKET = "/run/haproxy/admin.sock"
MASTER = "/run/haproxy/master.sock"
"""Where the deck connects: a logging proxy stands there and passes on to the sockets in `direct/`."""
DIRECT = "/run/haproxy/direct"

SERVERS = {"gpu-a": 21, "gpu-b": 22, "batch-a": 23, "batch-b": 24}
FRONT_TARGETS = ("k8s", "vm", "fn")

_HEAD = """\
global
    maxconn 2000
    nbthread 1
    stats socket {direct}/admin.sock mode 600 level admin
    stats timeout 30s

defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout queue 10s

"""

_GROUP = """\
frontend models
    bind {address}:{open}
    default_backend llama

# Limited callers come in by a port of their own. Denied requests are not counted: who keeps trying gets his share.
frontend limited
    bind {address}:{limited}
    http-request deny deny_status 429 if {{ req.hdr(X-Client),table_http_req_rate(callers) ge 20 }}
    http-request track-sc0 req.hdr(X-Client) table callers
    use_backend batch if {{ hdr(host) -i batch.test }}
    default_backend llama

backend callers
    stick-table type string len 64 size 10k expire 60s store http_req_rate(2s)

backend llama
    balance roundrobin
    server gpu-a {gpu_a} weight 80 check inter 2s
    server gpu-b {gpu_b} weight 20 check inter 2s  # new card

backend batch
    balance roundrobin
    server batch-a {batch_a} weight 10 maxconn 4 check inter 2s
    server batch-b {batch_b} weight 10 maxconn 4 check inter 2s
"""

_EDGE = """\
# The front of the service: how much of it each platform gets.
frontend edge
    bind {address}:{open}
    default_backend edge-llama

backend edge-llama
    balance roundrobin
    http-response set-header X-Backend %[srv_name]
    server k8s {k8s} weight 50 check inter 1s
    server vm {vm} weight 30 check inter 1s
    server fn {fn} weight 20 check inter 1s
"""


def configuration(layout: Layout, host: str) -> str:
    values = {"address": layout.host(host), "open": HTTP_PORT, "limited": LIMITED_PORT}
    if host == EDGE_HOST:
        values |= {
            "k8s": f"{layout.traefik('eu', 1)}:{HTTP_PORT}",
            "vm": f"{layout.host(WEB_HOSTS[0])}:{HTTP_PORT}",
            "fn": f"{layout.function_stand_in}:{BACKEND_PORT}",
        }
        body = _EDGE.format(**values)
    else:
        servers = {name.replace("-", "_"): _server(layout, number) for name, number in SERVERS.items()}
        body = _GROUP.format(**values, **servers)
    return _HEAD.format(direct=DIRECT) + body


def write_configuration(layout: Layout, host: str, tree: Path) -> None:
    """Fill `tree`, the host's /etc/haproxy."""
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "haproxy.cfg").write_text(configuration(layout, host))


def backends(layout: Layout) -> dict[str, str]:
    """Address -> target name of every model server behind HAProxy, the function's stand-in included."""
    found = {layout.vm_backend(number): name for name, number in SERVERS.items()}
    return found | {layout.function_stand_in: "fn"}


def _server(layout: Layout, number: int) -> str:
    return f"{layout.vm_backend(number)}:{BACKEND_PORT}"
