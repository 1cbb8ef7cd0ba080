"""The demo fleet's hosts: nginx and HAProxy configurations as one finds them, comments and all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NGINX_MAIN = "/etc/nginx/nginx.conf"
NGINX_SITES = "/etc/nginx/conf.d"
NGINX_LOG = "/var/log/nginx/inference.log"
HAPROXY_MAIN = "/etc/haproxy/haproxy.cfg"
HAPROXY_SOCKET = "/run/haproxy/admin.sock"


@dataclass(frozen=True, slots=True)
class Pool:
    """One upstream or backend. `servers` is name (HAProxy) or address (nginx) -> weight."""

    name: str
    servers: Mapping[str, int]
    rps: float
    """Requests per second on all hosts of the environment together."""
    rate: tuple[int, int] | None = None
    """nginx: requests per second of one API key, and burst. HAProxy: requests in 10 s of one source, and nothing."""
    total: tuple[int, int] | None = None
    """nginx: requests per second of all callers together on one host, and burst."""
    connections: int | None = None
    """nginx: connections of one API key. HAProxy: maxconn of each server."""
    down: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    """Servers whose health check fails."""


@dataclass(frozen=True, slots=True)
class Group:
    """The hosts of one environment, all alike."""

    hosts: tuple[str, ...]
    nginx: tuple[Pool, ...] = ()
    haproxy: tuple[Pool, ...] = ()
    unreachable: tuple[str, ...] = ()


def _gpus(first: int, *weights: int) -> dict[str, int]:
    return {f"10.8.1.{first + index}:8000": weight for index, weight in enumerate(weights)}


GROUPS: Mapping[str, Group] = {
    "gpu-eu": Group(
        hosts=("gpu-eu-1", "gpu-eu-2", "gpu-eu-3"),
        nginx=(
            Pool("llama", _gpus(11, 8, 8, 4), 33, (20, 40), (25, 50)),
            Pool("mistral", _gpus(21, 3, 1), 12, (20, 40), connections=16),
            Pool("embed", _gpus(31, 1, 1), 44, (80, 160), (40, 80)),
            Pool("guard", _gpus(41, 5, 5), 51, None, (30, 60)),
        ),
    ),
    "gpu-us": Group(
        hosts=("gpu-us-1", "gpu-us-2"),
        nginx=(
            Pool("llama", _gpus(51, 8, 8), 21, (20, 40)),
            Pool("embed", _gpus(61, 1, 1), 25, (80, 160)),
            Pool("guard", _gpus(71, 2, 1), 34, None, (30, 60)),
        ),
        unreachable=("gpu-us-2",),
    ),
    "edge": Group(
        hosts=("lb-1", "lb-2"),
        haproxy=(
            Pool("edge-llama", {"k8s-eu": 55, "k8s-us": 25, "gpu": 15, "fn": 5}, 240, (600, 0), connections=400),
            Pool("edge-mistral", {"k8s-eu": 60, "k8s-us": 40}, 70, connections=200),
            Pool("edge-guard", {"gpu-eu": 60, "gpu-us": 40}, 85, connections=120),
            Pool("edge-embed", {"k8s-eu": 45, "k8s-us": 35, "gpu": 20}, 320, (3000, 0), connections=600),
        ),
    ),
    "lab": Group(
        hosts=("lab-1",),
        nginx=(Pool("llama-next", _gpus(91, 1, 1), 0.8, (5, 5)),),
        haproxy=(
            Pool("lab-llama", {"a100": 3, "h100": 7}, 1.5, connections=32),
            Pool("lab-whisper", {"l4-1": 1, "l4-2": 1}, 0.6, connections=8, failing=("l4-2",)),
        ),
    ),
}


def files(environment: str, host: str) -> dict[str, bytes]:
    """Path -> bytes of one host's configuration files."""
    group = GROUPS[environment]
    made: dict[str, str] = {}
    if group.nginx:
        made[NGINX_MAIN] = _nginx_main(host)
        for pool in group.nginx:
            made[f"{NGINX_SITES}/{pool.name}.conf"] = _nginx_site(pool)
    if group.haproxy:
        made[HAPROXY_MAIN] = _haproxy(group.haproxy)
    return {path: text.encode() for path, text in made.items()}


def _nginx_main(host: str) -> str:
    return f"""# {host}: inference proxy. Managed by hand; ask #inference before you reload.
user  www-data;
worker_processes  4;
pid  /run/nginx.pid;

events {{
    worker_connections  4096;
}}

http {{
    log_format  inference  '$remote_addr [$msec] "$request" $status '
                           'upstream_name=$proxy_host upstream=$upstream_addr took=$upstream_response_time';
    access_log  {NGINX_LOG}  inference;

    include  {NGINX_SITES}/*.conf;
}}
"""


def _nginx_site(pool: Pool) -> str:
    lines = []
    for server, weight in pool.servers.items():
        down = " down" if server in pool.down else ""
        lines.append(f"    server  {server}  weight={weight} max_fails=2 fail_timeout=5s{down};")
    rate, use = "", ""
    zones = [("keys", "$http_x_api_key", pool.rate), ("total", "all", pool.total)]
    for suffix, key, limit in zones:
        if limit:
            rate += f"limit_req_zone   {key:<16} zone={pool.name}_{suffix}:10m  rate={limit[0]}r/s;\n"
            use += f"        limit_req         zone={pool.name}_{suffix}  burst={limit[1]}  nodelay;\n"
    if use:
        use += "        limit_req_status  429;\n"
    if pool.connections:
        rate += f"limit_conn_zone  $http_x_api_key  zone={pool.name}_conns:10m;\n"
        use += f"        limit_conn         {pool.name}_conns  {pool.connections};\n"
        use += "        limit_conn_status  429;\n"
    servers = "\n".join(lines)
    return f"""{rate}
upstream {pool.name} {{
    zone  {pool.name}  64k;
{servers}
    keepalive  32;
}}

server {{
    listen       8080;
    server_name  {pool.name}.inference.example;

    location /v1/ {{
{use}        proxy_pass        http://{pool.name};
        proxy_read_timeout  300s;  # long generations
    }}
}}
"""


def _haproxy(pools: tuple[Pool, ...]) -> str:
    head = f"""# Inference edge. Weights are moved at runtime first, then here.
global
    daemon
    maxconn 20000
    stats socket {HAPROXY_SOCKET} mode 660 level admin

defaults
    mode http
    timeout connect 2s
    timeout client  300s
    timeout server  300s

frontend inference
    bind :8080
"""
    uses = "".join(f"    use_backend {pool.name} if {{ hdr(host) -i {pool.name}.example }}\n" for pool in pools)
    return head + uses + "".join(_haproxy_backend(pool) for pool in pools)


def _haproxy_backend(pool: Pool) -> str:
    rate = ""
    if pool.rate:
        rate = f"""    stick-table type ip size 100k expire 30s store http_req_rate(10s)
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) ge {pool.rate[0]} }}
    http-request track-sc0 src
"""
    servers = "".join(
        f"    server {name} 10.9.0.{index}:8000 weight {weight} maxconn {pool.connections or 100} check\n"
        for index, (name, weight) in enumerate(pool.servers.items(), start=10)
    )
    return f"""
backend {pool.name}
    balance roundrobin
{rate}{servers}"""
