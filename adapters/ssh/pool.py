"""The one bounded pool of threads that all blocking SSH calls run in, and with it the bound on parallel handshakes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

THREADS = 32
_P = ParamSpec("_P")
_T = TypeVar("_T")


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="ssh")


async def run(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a blocking call, which bounds its own time, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_pool(), functools.partial(call, *args, **kwargs))
