"""Which driver is for which kind of proxy; imported on first use."""

from __future__ import annotations

from functools import cache

from adapters.ssh.seam import Driver
from control.errors import DeckError
from control.text import clean


@cache
def driver_for(kind: str) -> Driver:
    """The driver of `nginx` or `haproxy`. Raises `DeckError` for another kind."""
    if kind == "nginx":
        from adapters.ssh.drivers.nginx import NginxDriver

        return NginxDriver()
    if kind == "haproxy":
        from adapters.ssh.drivers.haproxy import HAProxyDriver

        return HAProxyDriver()
    raise DeckError(f"a proxy of kind '{clean(kind)}' is not supported on hosts", hint="nginx or haproxy")
