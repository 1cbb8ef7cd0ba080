"""Which driver is for which kind of proxy; imported on first use."""

from __future__ import annotations

from functools import cache

from adapters.ssh.proxies.protocol import Driver
from control.errors import DeckError
from control.text import clean


@cache
def driver_for(kind: str) -> Driver:
    """The driver of `nginx` or `haproxy`. Raises `DeckError` for another kind."""
    if kind == "nginx":
        from adapters.ssh.proxies.nginx.driver import NginxDriver

        return NginxDriver()
    if kind == "haproxy":
        from adapters.ssh.proxies.haproxy.driver import HAProxyDriver

        return HAProxyDriver()
    raise DeckError(f"a proxy of kind '{clean(kind)}' is not supported on hosts", hint="nginx or haproxy")
