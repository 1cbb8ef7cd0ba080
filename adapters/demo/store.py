"""Keeps the demo fleet between processes: one JSON file for each environment, and one lock for all of them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from control.errors import Locked

LOCK_SECONDS = 5.0
VERSION = 1
State = Mapping[str, Any]


class Stored:
    """The state of one environment on disk. A fleet that was never changed has no file."""

    def __init__(self, folder: Path, name: str, dump: Callable[[], State], load: Callable[[State], None]) -> None:
        self._folder = folder
        self._path = folder / "fleet" / f"{name}.json"
        self._dump = dump
        self._load = load
        self._seen: tuple[int, int] | None = None

    def refresh(self) -> None:
        """Take over what another process wrote since the last look."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen == self._seen:
            return
        try:
            held = json.loads(self._path.read_bytes())
        except ValueError:
            return
        self._seen = seen
        if held.get("version") == VERSION:
            self._load(held["state"])

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Hold the fleet's lock, with the newest state loaded before and the state saved after. Raises `Locked`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "fleet.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _lock(descriptor)
            self.refresh()
            try:
                yield
            finally:
                self._save()
        finally:
            os.close(descriptor)

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}.new")
        beside.write_text(json.dumps({"version": VERSION, "state": self._dump()}), encoding="utf-8")
        beside.replace(self._path)
        facts = self._path.stat()
        self._seen = (facts.st_mtime_ns, facts.st_ino)


async def _lock(descriptor: int) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise Locked("another process is writing the demo fleet", hint="try again") from None
            await asyncio.sleep(0.02)
        else:
            return


def reset(folder: Path) -> None:
    """Remove the fleet and its journal."""
    if folder.exists():
        shutil.rmtree(folder)
