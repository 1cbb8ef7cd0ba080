"""What people write into files of hosts beside settings: keys in headers and comments are in no plan and no journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.ssh.memory import MemoryHost, MemoryHosts, MemoryWriters
from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.haproxy.program import CONFIG as HAPROXY_CONFIG
from adapters.ssh.proxies.nginx.codec import NginxCodec
from adapters.ssh.proxies.nginx.program import CONFIG as NGINX_CONFIG
from adapters.ssh.reader import SshReader
from adapters.ssh.section import SECTION as SSH
from adapters.ssh.section import ProxyConfig, SshConfig
from adapters.ssh.writer import SshWriter
from control.contract.plans import plan_to_json
from control.deck.config import DeckConfig, EnvironmentConfig
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import SharesEdit
from control.planning.plan import ResultOutcome

NGINX = b"""events {}
http {
  # login of the registry: deploy hunter2hunter2
  upstream llama { zone llama 64k; server 10.0.0.1:80 weight=9; server 10.0.0.2:80; } # was sk-live-51Habcdefgh
  server {
    listen 80;
    location / {
      proxy_set_header X-Upstream-Key k3y-of-upstream;
      proxy_set_header Host llama.internal;
      proxy_set_header X-Real-IP $remote_addr;
      add_header X-Gate gate-word always;
      fastcgi_param HTTP_X_GATE param-word;
      proxy_pass http://llama;
    }
  }
}
"""
HAPROXY = b"""# operator's note: hunter2hunter2
global
    stats socket /run/haproxy/admin.sock level admin
frontend front
    bind :80
    http-request set-header X-Upstream-Key k3y-of-upstream if { path_beg /v1 }
    http-request set-header X-Forwarded-Proto https
    http-response add-header X-Gate gate-word
    default_backend chat
backend chat
    option httpchk
    http-check send meth GET uri / hdr X-Probe param-word
    server a 10.0.0.1:80 weight 90 check # was sk-live-51Habcdefgh
    server b 10.0.0.2:80 weight 10 check
"""
SECRETS = ("k3y-of-upstream", "gate-word", "param-word", "hunter2hunter2", "sk-live-51Habcdefgh")


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
async def test_neither_plan_nor_journal_holds_what_stands_beside_the_settings(kind: str, tmp_path: Path) -> None:
    path, data = (NGINX_CONFIG, NGINX) if kind == "nginx" else (HAPROXY_CONFIG, HAPROXY)
    host = MemoryHost("h-1", {path: data})
    config = EnvironmentConfig("vm", settings=SshConfig(("h-1",)), section=SSH, proxies=(ProxyConfig(kind),))
    reader = SshReader(config, MemoryHosts([host]))
    writer = SshWriter(reader, MemoryWriters([host]))
    deck = DeckConfig(tmp_path / "deck.yaml", (config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(deck, {"vm": reader}, lambda _config, _made: writer, "me@here")
    ref = Ref("vm", "NginxUpstream", "h-1", "llama") if kind == "nginx" else Ref("vm", "HAProxyBackend", "h-1", "chat")
    target = "10.0.0.1:80" if kind == "nginx" else "a"
    plan = await plane.plan([SharesEdit(ref, ((target, 7),))])
    assert "# …" in plan.steps[0].diff
    result = await plane.apply(plan)
    assert result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN)
    kept = (tmp_path / "journal.db").read_bytes()
    native = (await plane.native(ref)).text
    for secret in SECRETS:
        assert secret.encode() in data or secret == "param-word"
        assert secret not in json.dumps(plan_to_json(plan)) and secret.encode() not in kept
        assert secret in ("hunter2hunter2",) or secret not in native
    assert b"# was sk-live-51Habcdefgh" in host.files[path]


def test_harmless_headers_and_words_stay() -> None:
    nginx = NginxCodec().mask("/etc/nginx/nginx.conf", NGINX)
    for kept in (
        "Host llama.internal;",
        "X-Real-IP $remote_addr;",
        "X-Gate ******** always;",
        "# login of the registry",
    ):
        assert kept in nginx
    haproxy = HAProxyCodec().mask("/etc/haproxy/haproxy.cfg", HAPROXY)
    for kept in ("X-Forwarded-Proto https", "X-Upstream-Key ******** if { path_beg /v1 }", "weight 90 check # was"):
        assert kept in haproxy


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        (b"# password: hunter2", "# password: ********"),
        (b"# api_key=abc then more", "# api_key=******** then more"),
        (b"# curl -u admin:hunter2 http://x", "# curl -u admin:******** http://x"),
        (b"# see https://ops:hunter2@wiki/page", "# see https://ops:********@wiki/page"),
        (b"# AKIAIOSFODNN7EXAMPLE rotates", "# ******** rotates"),
        (b"# proxy_set_header Authorization 'Bearer abc';", "# proxy_set_header Authorization 'Bearer ********';"),
        (b"# token buckets live in /etc/nginx/conf.d", "# token buckets live in /etc/nginx/conf.d"),
    ],
)
def test_comments_in_native_views(comment: bytes, shown: str) -> None:
    assert NginxCodec().mask("/etc/nginx/nginx.conf", comment + b"\nevents {}\n").split("\n")[0] == shown
    assert NginxCodec().mask("/etc/nginx/nginx.conf", comment + b"\nevents {}\n", comments=False).startswith("# …\n")


def test_a_file_that_cannot_be_read_shows_no_comment_either() -> None:
    broken = b"events { # secret=abc\n"
    assert "abc" not in NginxCodec().mask("x", broken) and NginxCodec().mask("x", broken, False) == "events { # …\n"
