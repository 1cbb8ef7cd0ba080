"""Watches: one stream for each kind and namespace, resumed where they break, listed anew where they are too old.

A kind whose watch is refused or impossible (no right, a proxy that knows no watches, a server that forgets at once) is
listed instead, with pauses that grow, and is said to be read that way. Others are still followed.

Source: "Efficient detection of changes" in the Kubernetes API concepts; bookmarks come about once a minute, so a
stream that is silent for longer than that is taken for dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.objects import Bare, WatchEvent
from adapters.kubernetes.client.refusals import Busy, Gone, status_of
from adapters.kubernetes.client.resource import GroupKind, Resource
from control.errors import ControlError, Forbidden, PlatformError, Unreachable
from control.text import clean

SILENCE_SECONDS = 100.0
STREAM_SECONDS = 300
COALESCE_SECONDS = 0.1
SHORTEST_STREAM_SECONDS = 1.0
"""A stream that ends sooner than this is not resumed at once."""
STEADY_SECONDS = 30.0
"""A stream that lived for so long shows that the kind can be watched: earlier refusals count no more."""
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0
RELIST_SECONDS = 600.0
MAXIMUM_LINE = 8 * 1024 * 1024
Key = tuple[GroupKind, str]
"""(kind, namespace); an empty namespace stands for all."""
Lister = Callable[[Key], Awaitable[bool]]
"""Lists one kind in one namespace anew, and tells the version by `Watcher.listed`."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A kind that is followed: in which version, and as what its objects are decoded."""

    resource: Resource
    wire: type[Any]


class Store(Protocol):
    """What is kept up to date."""

    def put(self, kind: GroupKind, native: Any) -> None:
        """An object is there, or is otherwise than before."""

    def drop(self, kind: GroupKind, native: Any) -> None:
        """An object is gone."""


@dataclass(slots=True)
class Lost:
    """A kind in a namespace that is not followed at this time."""

    why: str = ""
    """What refuses the watch; empty where it was merely interrupted."""
    pause: float = 0.0
    """Seconds between two tries."""
    until: float = 0.0
    """When it is tried again, on the monotonic clock."""
    failures: int = 0


class Watcher:
    """Keeps a store up to date. `changed` tells when to look."""

    def __init__(self, api: Api, lister: Lister, watched: Callable[[GroupKind], Watched]) -> None:
        self._api = api
        self._lister = lister
        self._watched = watched
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._connected: set[Key] = set()
        self._versions: dict[Key, str] = {}
        self._lost: dict[Key, Lost] = {}
        """Kept from one list of everything to the next: a refusal does not end because something else was read."""
        self._listed_at: dict[Key, float] = {}
        self._changed = asyncio.Event()
        self._moved: dict[tuple[GroupKind, str, str], bool] = {}
        """(kind, namespace, name) -> whether it is gone, of what the streams told since that was last asked."""
        self._relist = False
        self._pause = 0.0
        self._whole_at = 0.0

    @property
    def usable(self) -> bool:
        """True while what is held is followed, except for what is `lost`."""
        fresh = time.monotonic() - self._whole_at < RELIST_SECONDS
        return bool(self._tasks) and not self._relist and fresh

    @property
    def alive(self) -> bool:
        """True while every stream is connected, so that the store is as fresh as the server."""
        return self.usable and self._connected >= set(self._tasks)

    def lost(self) -> list[Key]:
        """The kinds and namespaces that are not followed now, and were not listed a moment ago either."""
        recent = time.monotonic() - SHORTEST_STREAM_SECONDS
        return [key for key in self._tasks if key not in self._connected and self._listed_at.get(key, 0.0) < recent]

    def unwatched(self) -> list[str]:
        """A sentence for each reason why kinds cannot be watched."""
        found: dict[str, list[tuple[str, float]]] = {}
        for (kind, namespace), lost in self._lost.items():
            if lost.why and (kind, namespace) not in self._connected:
                name = self._watched(kind).resource.qualified + (f" in {clean(namespace)}" if namespace else "")
                found.setdefault(lost.why, []).append((name, lost.pause))
        return [
            f"{', '.join(name for name, _ in kinds)} cannot be watched, and what changes there shows after up to "
            f"{max(pause for _, pause in kinds):.0f} s: {why}"
            for why, kinds in found.items()
        ]

    def restart(self, versions: Mapping[Key, str], store: Store) -> None:
        """Follow `store` from the versions that it was listed at."""
        for task in self._tasks.values():
            task.cancel()
        self._connected.clear()
        self._relist = False
        self._pause = 0.0
        self._whole_at = time.monotonic()
        self._versions = dict(versions)
        self._listed_at = dict.fromkeys(versions, self._whole_at)
        self._lost = {key: lost for key, lost in self._lost.items() if key in versions}
        self._tasks = {key: asyncio.create_task(self._follow(key, store)) for key in versions}

    def listed(self, key: Key, version: str, store: Store) -> bool:
        """Take note that a kind was listed that is not followed now; `version` is empty where that failed. False where
        it is followed again, and knows better by now."""
        if key in self._connected:
            return False
        self._versions[key] = version
        self._listed_at[key] = time.monotonic()
        if key not in self._tasks and version:
            self._tasks[key] = asyncio.create_task(self._follow(key, store))
        return True

    def relist_soon(self) -> None:
        """Ask for a new list of everything, after a pause that grows while it keeps failing."""
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

    def moved(self) -> dict[tuple[GroupKind, str, str], bool]:
        """The objects that the streams told of since the last call, and whether each is gone."""
        moved, self._moved = self._moved, {}
        return moved

    async def _follow(self, key: Key, store: Store) -> None:
        """Follow one kind in one namespace for good."""
        if key in self._lost:
            await asyncio.sleep(self._lost[key].until - time.monotonic())
        while True:
            started = time.monotonic()
            anew, error = False, None
            try:
                async for version in self._stream(key, store):
                    self._versions[key] = version
            except ControlError as problem:
                error, anew = problem, not isinstance(problem, Unreachable)
            lived = time.monotonic() - started
            if lived > STEADY_SECONDS or (lived > SHORTEST_STREAM_SECONDS and not anew):
                self._lost.pop(key, None)
            if error is None and lived > SHORTEST_STREAM_SECONDS:
                continue  # as servers end them
            await asyncio.sleep(self._pause_after(key, error))
            if anew:
                with contextlib.suppress(ControlError):  # whoever reads lists too, and tells
                    if key in self.lost():
                        await self._lister(key)
                        self._changed.set()  # also where nothing is new: it is seen to hold

    def _pause_after(self, key: Key, error: ControlError | None) -> float:
        """How long to leave a kind alone whose stream failed or ended at once: longer each time."""
        self._connected.discard(key)
        lost = self._lost.setdefault(key, Lost())
        lost.failures += 1
        if isinstance(error, Gone) and lost.failures == 1:
            pause = COALESCE_SECONDS  # a pause of ours was too long for the server: that mends itself by a list
        else:
            pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, lost.pause * 2))
            lost.pause = pause
        if isinstance(error, Busy):
            pause = lost.pause = max(pause, error.after_seconds)
        if error is None:
            told = "the server ends its watches at once"
        elif isinstance(error, Gone):
            told = "the server no longer knows what it listed a moment ago (410)"
        elif isinstance(error, Forbidden):
            told = "we may not watch"
        else:
            told = error.message
        before = lost.why
        lost.why = (
            told if lost.failures > 1 or (error is not None and not isinstance(error, Gone | Unreachable)) else ""
        )
        if lost.why != before or lost.failures == 1:
            self._changed.set()
        pause *= random.uniform(0.9, 1.1)  # noqa: S311 - spreads reconnects, no secret
        lost.until = time.monotonic() + pause
        return pause

    async def _stream(self, key: Key, store: Store) -> AsyncIterator[str]:
        """The resource versions that one stream reaches, each after its event has been taken into `store`."""
        watched = self._watched(key[0])
        seconds = STREAM_SECONDS + random.randint(0, 60)  # noqa: S311 - spreads reconnects
        params: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._versions[key],
            "timeoutSeconds": seconds,
        }
        path = watched.resource.path(key[1])
        async with self._api.stream(path, params, SILENCE_SECONDS) as chunks:
            if key not in self._connected:
                self._connected.add(key)
                self._changed.set()
            async for line in lines(chunks):
                reached = self._take(line, watched, store)
                if reached:
                    yield reached

    def _take(self, line: bytes, watched: Watched, store: Store) -> str:
        try:
            event = msgspec.json.decode(line, type=WatchEvent)
            if event.type == "ERROR":
                status = status_of(bytes(event.object))
                if status.code == 410:
                    raise Gone("the watch is too old")
                told = clean(status.message, 300)
                raise Unreachable(f"the watch of {watched.resource.plural} ended with {status.code}: {told}")
            metadata = msgspec.json.decode(event.object, type=Bare).metadata
            if event.type != "BOOKMARK":
                self._apply(event, watched, store)
        except msgspec.ValidationError:
            raise Gone("an object came that cannot be understood") from None  # a list names it
        except msgspec.DecodeError:
            raise PlatformError("what comes is no watch") from None
        return metadata.resource_version

    def _apply(self, event: WatchEvent, watched: Watched, store: Store) -> None:
        native = msgspec.json.decode(event.object, type=watched.wire)
        gone, kind, metadata = event.type == "DELETED", watched.resource.group_kind, native.metadata
        (store.drop if gone else store.put)(kind, native)
        self._moved[kind, metadata.namespace, metadata.name] = gone
        self._changed.set()

    async def close(self) -> None:
        """End all streams."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
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
