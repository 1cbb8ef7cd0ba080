"""What is known of Caddy before anything of it is read. Light: discovery imports it for every host."""

from __future__ import annotations

import re

from adapters.ssh.client.program import Program

CONFIG = "/etc/caddy/Caddyfile"
ADMIN = "localhost:2019"
"""Where its admin endpoint listens unless the Caddyfile says otherwise."""
PAGES = ("/config/", "/metrics", "/reverse_proxy/upstreams")
"""All that is asked of the admin endpoint. It has no level that may only read, so nothing else is sent to it."""
PROGRAM = Program(
    name="caddy",
    title="Caddy",
    folders=("/etc/caddy", "/usr/local/etc/caddy"),
    describe="command -v caddy >/dev/null 2>&1 && caddy version | head -n 1",
    sudo=(("systemctl", "reload", "caddy"),),
    questions=re.compile(rf"GET ({'|'.join(PAGES)}) HTTP/1\.0\r\nHost: [A-Za-z0-9.:\[\]_-]{{1,255}}\r\n\r"),
)
KINDS = {"CaddyReverseProxy": "The upstreams of a Caddy reverse_proxy: weights of lb_policy weighted_round_robin"}
