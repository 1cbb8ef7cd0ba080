"""Watches: one stream for each kind and namespace, resumed where they break, listed anew where they are too old.

Source: "Efficient detection of changes" in the Kubernetes API concepts; bookmarks come about once a minute, so a
stream that is silent for longer than that is taken for dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Literal

import msgspec

from adapters.kubernetes.api import Api
from adapters.kubernetes.codecs.common import Codec
from adapters.kubernetes.held import Held
from adapters.kubernetes.kinds import CODECS
from adapters.kubernetes.refusals import Gone, status_of
from adapters.kubernetes.wire import Bare, WatchEvent
from control.errors import ControlError, Unreachable

SILENCE_SECONDS = 100.0
STREAM_SECONDS = 300
COALESCE_SECONDS = 0.1
SHORTEST_STREAM_SECONDS = 1.0
"""A stream that ends sooner than this is not resumed at once."""
LONGEST_PAUSE_SECONDS = 30.0
RELIST_SECONDS = 600.0
MAXIMUM_LINE = 8 * 1024 * 1024
Key = tuple[str, str]


class Watcher:
    """Keeps a `Held` up to date. `changed` tells when to look."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._connected: set[Key] = set()
        self._changed = asyncio.Event()
        self._relist = False
        self._pause = 0.0
        self._listed_at = 0.0

    @property
    def alive(self) -> bool:
        """True while every stream is connected, so that the store is as fresh as the server."""
        fresh = time.monotonic() - self._listed_at < RELIST_SECONDS
        return bool(self._tasks) and not self._relist and fresh and self._connected >= set(self._tasks)

    def restart(self, versions: Mapping[Key, str], held: Held) -> None:
        """Follow `held` from the versions that it was listed at."""
        for task in self._tasks.values():
            task.cancel()
        self._connected.clear()
        self._relist = False
        self._pause = 0.0
        self._listed_at = time.monotonic()
        self._tasks = {key: asyncio.create_task(self._follow(key, version, held)) for key, version in versions.items()}

    def relist_soon(self) -> None:
        """Ask for a new list, after a pause that grows while it keeps failing."""
        self._pause = min(LONGEST_PAUSE_SECONDS, max(1.0, self._pause * 2))
        self._relist = True
        self._changed.set()

    async def changed(self) -> Literal["change", "relist"]:
        """Wait until something may have changed; `relist` where the caller must list anew first."""
        await self._changed.wait()
        if self._relist:
            await asyncio.sleep(self._pause)
        else:
            await asyncio.sleep(COALESCE_SECONDS)
        self._changed.clear()
        return "relist" if self._relist else "change"

    async def _follow(self, key: Key, version: str, held: Held) -> None:
        """Follow one kind in one namespace until it must be listed anew."""
        pause = 1.0
        codec = CODECS[key[0]]
        while True:
            started = time.monotonic()
            try:
                async for seen in self._stream(key, codec, version, held):
                    version, pause = seen, 1.0
                if time.monotonic() - started > SHORTEST_STREAM_SECONDS:
                    continue
            except Gone:
                self._relist = True
                self._changed.set()
                return
            except ControlError:
                # Whoever reads now lists and sees the error; without the right to watch this is a slow poll.
                self._connected.discard(key)
                self._changed.set()
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads reconnects, no secret
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)

    async def _stream(self, key: Key, codec: Codec, version: str, held: Held) -> AsyncIterator[str]:
        """The resource versions that one stream reaches, each after its event has been taken into `held`."""
        seconds = STREAM_SECONDS + random.randint(0, 60)  # noqa: S311 - spreads reconnects
        params: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": seconds,
        }
        path = codec.resource.path(key[1])
        async with self._api.stream(path, params, SILENCE_SECONDS) as chunks:
            if key not in self._connected:
                self._connected.add(key)
                self._changed.set()
            async for line in lines(chunks):
                reached = self._take(line, codec, held)
                if reached:
                    yield reached

    def _take(self, line: bytes, codec: Codec, held: Held) -> str:
        try:
            event = msgspec.json.decode(line, type=WatchEvent)
            if event.type == "ERROR":
                status = status_of(bytes(event.object))
                if status.code == 410:
                    raise Gone("the watch is too old")
                raise Unreachable(f"the watch of {codec.resource.plural} ended with {status.code}")
            metadata = msgspec.json.decode(event.object, type=Bare).metadata
            if event.type != "BOOKMARK":
                self._apply(event, codec, held)
        except msgspec.DecodeError:
            raise Gone("the watch sent what cannot be understood") from None
        return metadata.resource_version

    def _apply(self, event: WatchEvent, codec: Codec, held: Held) -> None:
        native = msgspec.json.decode(event.object, type=codec.wire)
        key = (native.metadata.namespace, native.metadata.name)
        store = held.objects.setdefault(codec.kind, {})
        if event.type == "DELETED":
            store.pop(key, None)
        else:
            store[key] = native
        self._changed.set()

    async def close(self) -> None:
        """End all streams."""
        for task in self._tasks.values():
            task.cancel()
        for task in self._tasks.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = {}
        self._changed.set()


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of a stream of chunks. Raises `Unreachable` for a line without an end."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield line
        if len(rest) > MAXIMUM_LINE:
            raise Unreachable("a watch event is larger than 8 MiB")
