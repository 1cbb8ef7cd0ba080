"""A real HAProxy on a configuration of a test's own, with the small servers `a` to `d` behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from localproxy import Backends, LocalHost, free_port, program

from adapters.ssh.proxies.haproxy.proxy import HAProxyProxy

HEAD = """\
global
    stats socket {folder}/s.sock mode 600 level admin
{globals}
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    timeout tarpit 200ms
"""
Start = Callable[..., "Proxy"]


class Proxy(LocalHost):
    port: int
    other: int
    """A second port, for a second frontend."""

    def unseen(self) -> None:
        """From now on its socket is not known."""
        self.proxy = type(self.proxy)("haproxy", config=str(self.config), socket=None)

    async def table(self, name: str, column: str) -> int:
        """What a stick table holds of its only key."""
        answer = await self.show(f"table {name}")
        words = [word.partition("=") for word in answer.split()]
        return sum(int(value) for key, _, value in words if key.partition("(")[0] == column)


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory, backends: Backends) -> Iterator[Start]:
    """Start a HAProxy on a body; `@a@` to `@d@` are the small servers, `@port@` and `@other@` its own ports. The
    frontend `edge` that leads to `app` is added where the body has none."""
    program("haproxy")
    running = []

    def make(body: str, globals: str = "", files: dict[str, str] | None = None) -> Proxy:
        folder = tmp_path_factory.mktemp("h")  # short: the path of a unix socket has 107 bytes at most
        host = Proxy("haproxy", folder, "haproxy.cfg")
        host.port, host.other = free_port(), free_port()
        if "@port@" not in body:
            body = f"frontend edge\n    bind @port@\n    default_backend app\n{body}"
        values = {name: f"127.0.0.1:{backends.port(name)}" for name in "abcd"}
        values |= {"port": f"127.0.0.1:{host.port}", "other": f"127.0.0.1:{host.other}", "folder": str(folder)}
        text = HEAD.format(folder=folder, globals=globals) + body
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        host.config.write_text(text)
        for name, content in (files or {}).items():
            (folder / name).write_text(content)
        host.start()
        running.append(host)
        return host

    yield make
    for host in running:
        host.stop()


@pytest.fixture
def driver() -> HAProxyProxy:
    return HAProxyProxy()
