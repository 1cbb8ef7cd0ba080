"""A reader that is made at its first use, away from the event loop: opening the fleet imports no platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from control.model import Access, Counted, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.ports import Check, Delta, Fetched, NativeText, Prepared, ProofPart, Reader, Writer, Written

Part = tuple[Reader, Callable[[Reader], Writer]]
"""A reader, and how to make a writer beside it."""


class LazyReader:
    """`control.ports.Reader` that passes everything on to what `make` makes."""

    def __init__(self, name: str, make: Callable[[], Part]) -> None:
        self.name = name
        self._make = make
        self._part: Part | None = None
        self._making = asyncio.Lock()

    async def inner(self) -> Reader:
        """The reader itself."""
        if self._part is None:
            async with self._making:
                if self._part is None:
                    self._part = await asyncio.to_thread(self._make)
        return self._part[0]

    async def writer(self) -> Writer:
        """A writer beside it."""
        reader = await self.inner()
        assert self._part is not None
        return self._part[1](reader)

    def confirmed_at(self) -> float | None:
        return self._part[0].confirmed_at() if self._part is not None else None

    async def read(self, since: Delta | None = None) -> Snapshot:
        return await (await self.inner()).read(since)

    def object_of(self, ref: Ref) -> str | None:
        return self._part[0].object_of(ref) if self._part is not None else None

    def stands_alone(self, ref: Ref) -> bool:
        return self._part is not None and self._part[0].stands_alone(ref)

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        return await (await self.inner()).fetch(objects)

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        assert self._part is not None, "what was fetched was fetched by it"
        return self._part[0].prepare(fetched, changes)

    async def native(self, ref: Ref) -> NativeText:
        return await (await self.inner()).native(ref)

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        return await (await self.inner()).edits_of(ref, original, text)

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        return await (await self.inner()).count(refs)

    async def loaded(self, step: Prepared) -> ProofPart:
        return await (await self.inner()).loaded(step)

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        return await (await self.inner()).running(object, changes, recorded)

    async def access(self) -> Access:
        return await (await self.inner()).access()

    async def check(self) -> list[Check]:
        return await (await self.inner()).check()

    async def watch(self) -> AsyncIterator[Delta]:
        async for delta in (await self.inner()).watch():
            yield delta

    async def close(self) -> None:
        if self._part is not None:
            await self._part[0].close()


class LazyWriter:
    """`control.ports.Writer` beside a `LazyReader`."""

    def __init__(self, reader: LazyReader) -> None:
        self._reader = reader
        self._writer: Writer | None = None

    async def write(self, step: Prepared) -> Written:
        if self._writer is None:
            self._writer = await self._reader.writer()
        return await self._writer.write(step)

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer.close()
