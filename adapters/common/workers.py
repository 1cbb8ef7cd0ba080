"""A bounded pool of threads for a blocking client: where everything waits that waits for a server in a thread.

The threads are daemons, unlike those of `concurrent.futures`: a call that hangs on a dead server must not keep the
process from ending.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
P = ParamSpec("P")
_Job = tuple["Future[Any]", Callable[[], Any]]


class Workers:
    """At most `size` threads, started as they are needed, each ending with `close`."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False

    async def run(self, function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """Call `function` in a thread. Cancelling leaves a call that already runs to end by itself, unheard."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed")
            self._waiting += 1
            if self._waiting > self._threads and self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put((future, functools.partial(function, *args, **kwargs)))
        result: Result = await asyncio.wrap_future(future)
        return result

    def close(self) -> None:
        """Let idle threads end, and busy ones after what they do. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            try:
                if future.set_running_or_notify_cancel():
                    _settle(future, function)
            finally:
                with self._lock:
                    self._waiting -= 1
                del job, future, function


def _settle(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # everything must reach the caller, or it waits for ever
        future.set_exception(error)
