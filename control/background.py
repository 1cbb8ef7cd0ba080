"""Calculations off the event loop, one at a time.

What waits for files of ours goes through `asyncio.to_thread`, what waits for a server through a client's own threads.

Python runs one thread at once. The loop, which the screen is drawn on, then shares the interpreter with one other
thread; with a thread for each of thirty environments it waited for seconds.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@functools.cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="calculating")


async def in_background(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a calculation that waits for nothing, off the event loop and after those that were asked for before it."""
    return await asyncio.get_running_loop().run_in_executor(_thread(), functools.partial(call, *args, **kwargs))
