"""What is known of nginx before anything of it is read. Light: discovery imports it for every host."""

from __future__ import annotations

from adapters.ssh.client.program import Program

CONFIG = "/etc/nginx/nginx.conf"
PROGRAM = Program(
    name="nginx",
    title="nginx",
    folders=(
        "/etc/nginx",
        "/usr/local/etc/nginx",
        "/usr/local/nginx/conf",
        "/usr/share/nginx/modules-available",
        "/etc/letsencrypt/options-ssl-nginx.conf",
    ),
    describe="command -v nginx >/dev/null 2>&1 && nginx -V 2>&1 | tr ' ' '\\n'"
    " | grep -E '^nginx/|^--(conf-path|pid-path|prefix)='",
    titled=True,
    sudo=(("systemctl", "reload", "nginx"), ("nginx", "-t"), ("nginx", "-s", "reload")),
)
KINDS = {
    "NginxUpstream": "The servers of an nginx upstream: weight, down, backup",
    "NginxSplitClients": "The percentages of an nginx split_clients",
    "NginxLimitReq": "A request rate of nginx: limit_req_zone with the limit_req lines that use it",
    "NginxLimitConn": "A concurrency of nginx: limit_conn with its zone",
    "NginxMaxConns": "A concurrency of nginx: max_conns of an upstream's server",
}
