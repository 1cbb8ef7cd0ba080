"""The bounded threads that all blocking SSH calls run in.

Connections are made in threads of their own, so that hosts which do not answer keep nobody else waiting; that is also
the bound on parallel handshakes.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

HANDSHAKES = 32
CALLS = 16
_P = ParamSpec("_P")
_T = TypeVar("_T")


@functools.cache
def _threads(name: str, number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(number, thread_name_prefix=f"ssh-{name}")


async def run(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a blocking call, which bounds its own time, off the event loop."""
    threads = _threads("call", CALLS)
    return await asyncio.get_running_loop().run_in_executor(threads, functools.partial(call, *args, **kwargs))


async def connect(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """The same for what may wait for a host that does not answer."""
    threads = _threads("connect", HANDSHAKES)
    return await asyncio.get_running_loop().run_in_executor(threads, functools.partial(call, *args, **kwargs))


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
