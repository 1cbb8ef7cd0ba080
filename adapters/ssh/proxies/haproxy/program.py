"""What is known of HAProxy before anything of it is read. Light: discovery imports it for every host."""

from __future__ import annotations

import re

from adapters.ssh.client.program import Program

CONFIG = "/etc/haproxy/haproxy.cfg"
_VALUE = r"[A-Za-z0-9_./@:+,=%-]+"
PROGRAM = Program(
    name="haproxy",
    title="HAProxy",
    folders=("/etc/haproxy", "/usr/local/etc/haproxy", "/var/lib/haproxy"),
    describe="command -v haproxy >/dev/null 2>&1 && haproxy -v | head -n 1",
    sudo=(("systemctl", "reload", "haproxy"),),
    questions=re.compile(rf"show (stat|servers state|info|map|table|acl|proc|backend)( (#|{_VALUE}))?"),
    commands=re.compile(
        r"(set server|set maxconn (server|frontend|global)|set weight|(set|add|del|clear|prepare|commit) map"
        r"|(enable|disable) server) (?!.*(;|<<|\\))[\x20-\x7e]+"
    ),
    done=re.compile(r"(New version created.*)?", re.DOTALL),
)
KINDS = {
    "HAProxyBackend": "The servers of a HAProxy backend: weight and state, in the file and running",
    "HAProxyRequestLimit": "A request rate of HAProxy: a stick-table threshold, in a rule or in a map",
    "HAProxyMaxconn": "A concurrency of HAProxy: maxconn of servers, queued beyond it",
}
