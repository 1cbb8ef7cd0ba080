"""A real nginx on loopback with a configuration of the test's own: what is shown is held against what it does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from localproxy import LocalHost, free_port, get, program, read

from adapters.ssh.proxies.nginx.proxy import NginxProxy
from control.model import Limit, Route
from control.model.ref import Ref

_STREAM = ("/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so")
MAIN = """\
{load}
worker_processes {workers};
pid {folder}/pid;
user root;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  limit_req_status 429; limit_conn_status 429;
  include http.conf;
}}
{more}
"""


class Nginx(LocalHost):
    """`port` and `other` are two ports that a configuration may listen at."""

    port: int
    other: int


def stream_module() -> str:
    """The line that loads the stream module; skips where it is not installed (in CI that is a failure)."""
    found = next((path for path in _STREAM if os.path.exists(path)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("nginx has no stream module here (Debian: libnginx-mod-stream)")
        pytest.skip("nginx has no stream module here (Debian: libnginx-mod-stream)")
    return f"load_module {found};"


def started(
    folder: Path,
    http: str,
    *,
    load: str = "",
    more: str = "",
    workers: int = 1,
    prefix: tuple[str, ...] = (),
    **values: object,
) -> Nginx:
    """An nginx that runs `http` in its http block. `@NAME@` stands for a value, `@PORT@` and `@OTHER@` for ports."""
    program("nginx")
    host = Nginx("nginx", folder, "nginx.conf")
    host.port, host.other = free_port(), free_port()
    host.prefix = prefix
    values = {"port": host.port, "other": host.other, "folder": folder} | values
    for name, value in values.items():
        http, more = (text.replace(f"@{name.upper()}@", str(value)) for text in (http, more))
    (folder / "http.conf").write_text(http)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, load=load, more=more, workers=workers))
    host.start()
    return host


def with_hosts(folder: Path, hosts: str) -> tuple[str, ...]:
    """The words that run a command with an /etc/hosts of its own; skips for whoever may not mount."""
    if os.geteuid() != 0:
        pytest.skip("an /etc/hosts of a test's own takes root")
    (folder / "hosts").write_text(hosts)
    return ("unshare", "-m", "sh", "-c", f'mount --bind {folder}/hosts /etc/hosts && exec "$@"', "sh")


async def rows(host: Nginx) -> tuple[dict[str, Route], dict[str, Limit]]:
    """What the deck shows of it, by name (that of `stream` by name and part)."""
    return await read(NginxProxy(), host)


async def let_through(port: int, path: str, count: int, client: str = "one") -> int:
    """How many of `count` requests at once are answered by a backend or a file."""
    answers = await asyncio.gather(*(get(port, path, f"X-Client: {client}\r\n") for _ in range(count)))
    return sum(status == 200 for status, _ in answers)


def on(limit: Limit) -> set[str]:
    """What a limit is bound to: names of routes, and the words of places that lead to none."""
    return {Ref.parse(b.on).name if b.on.count("/") == 3 and " " not in b.on else b.on for b in limit.bindings}
