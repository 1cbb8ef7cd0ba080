"""The threads that all blocking SSH calls run in.

Connections are made in threads of their own, so that hosts which do not answer keep nobody else waiting; that is also
the bound on parallel handshakes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from adapters.common.workers import Workers

_P = ParamSpec("_P")
_T = TypeVar("_T")

_handshakes = Workers(32, "ssh-connect")
_calls = Workers(16, "ssh-call")

run = _calls.run
"""Run a blocking call, which bounds its own time, off the event loop."""
connect = _handshakes.run
"""The same for what may wait for a host that does not answer."""


class Opens(Protocol):
    """A connection as far as it matters here."""

    @property
    def is_open(self) -> bool: ...
    def open(self) -> None: ...


async def on(connection: Opens, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a blocking call that uses a connection, which is made first where it is not there."""
    if not connection.is_open:
        await connect(connection.open)
    return await run(call, *args, **kwargs)
