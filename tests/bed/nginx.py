"""The two nginx hosts: the same sites on both, so that they are one host group."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.bed.layout import BACKEND_PORT, HTTP_PORT, LIMITED_PORT, Layout

LLAMA = (11, 12)
MISTRAL = (13, 14, 15)
ACCESS_LOG = "/var/log/nginx/access.log"

_MAIN = """\
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log notice;

events {
    worker_connections 512;
}

http {
    # Names the upstream and the server that answered: the only place where nginx tells the split.
    log_format upstreams '$remote_addr [$time_iso8601] "$request" $status host=$host '
                         'upstream=$proxy_host addr=$upstream_addr rt=$request_time urt=$upstream_response_time';
    access_log /var/log/nginx/access.log upstreams;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    keepalive_requests 100000;

    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""

_SITE = """\
# Model servers behind this host. Weights are moved by the traffic deck.
upstream llama {{
    zone llama 64k;
    server {llama[0]} weight=8;   # a100
    server {llama[1]} weight=2;   # h100, on trial
    keepalive 16;
}}

upstream mistral {{
    zone mistral 64k;
    server {mistral[0]} weight=5;
    server {mistral[1]} weight=5;
    server {mistral[2]} weight=5 down;  # waits for new disks
    keepalive 16;
}}

server {{
    include /etc/nginx/listen/open.conf;
    server_name llama.test;
    location / {{
        proxy_pass http://llama;
    }}
}}

server {{
    include /etc/nginx/listen/open.conf;
    server_name mistral.test;
    location / {{
        proxy_pass http://mistral;
    }}
}}
"""

_LIMITS = """\
limit_req_zone $http_x_client zone=per_client:1m rate=10r/s;
limit_conn_zone $http_x_client zone=streams:1m;
"""

_LIMITED_SITE = """\
# The limits have a port of their own, so that no other URL is under one.
server {
    include /etc/nginx/listen/limited.conf;
    server_name llama.test;
    location / {
        limit_req zone=per_client burst=20 nodelay;
        limit_req_status 429;
        proxy_pass http://llama;
    }
}

server {
    include /etc/nginx/listen/limited.conf;
    server_name streams.test;
    location / {
        limit_conn streams 4;
        limit_conn_status 429;
        proxy_pass http://llama;
    }
}
"""

_TRIAL_SITE = """\
# A trial by percentage, and batches through a socket. Nobody asks them for now.
split_clients $request_id $trial {
    12.5%  llama;
    *      mistral;
}

upstream batch {
    zone batch 64k;
    server unix:/run/batch.sock max_conns=8;
}

server {
    include /etc/nginx/listen/open.conf;
    server_name trial.test;
    location / {
        proxy_pass http://$trial;
    }
    location /batch/ {
        proxy_pass http://batch;
    }
}
"""


def targets(layout: Layout, numbers: tuple[int, ...]) -> list[str]:
    """The servers of an upstream as nginx names them, which is what the deck calls them."""
    return [f"{layout.vm_backend(number)}:{BACKEND_PORT}" for number in numbers]


def write_configuration(layout: Layout, host: str, tree: Path) -> None:
    """Fill `tree`, the host's /etc/nginx, as Debian lays it out."""
    for name in ("conf.d", "sites-available", "sites-enabled", "listen"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/etc/nginx/mime.types", tree / "mime.types")
    (tree / "nginx.conf").write_text(_MAIN)
    (tree / "conf.d" / "limits.conf").write_text(_LIMITS)
    site = _SITE.format(llama=targets(layout, LLAMA), mistral=targets(layout, MISTRAL))
    (tree / "sites-available" / "models").write_text(site)
    (tree / "sites-available" / "limited").write_text(_LIMITED_SITE)
    (tree / "sites-available" / "trial").write_text(_TRIAL_SITE)
    for name in ("models", "limited", "trial"):
        (tree / "sites-enabled" / name).symlink_to(f"../sites-available/{name}")
    (tree / "listen" / "open.conf").write_text(f"listen {layout.host(host)}:{HTTP_PORT};\n")
    (tree / "listen" / "limited.conf").write_text(f"listen {layout.host(host)}:{LIMITED_PORT};\n")


def backends(layout: Layout) -> dict[str, str]:
    """Address -> target name of every model server behind nginx."""
    return {name.rpartition(":")[0]: name for name in targets(layout, (*LLAMA, *MISTRAL))}
