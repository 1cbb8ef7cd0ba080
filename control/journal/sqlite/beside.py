"""What the journal could not take of a change is kept beside it, in a file with room reserved before the first write.

One file per change, `JOURNAL.CHANGE.kept`, with the mode of the journal itself: JSON lines, each one entry that the
journal would have got, synced before anybody is told. It holds everything of that change, its opening too, so that a
journal that was removed meanwhile can be given the whole story. Later commands tell it and take it into the journal.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from control.errors import JournalError
from control.journal.records import Record
from control.journal.sqlite.os_locks import file_mode
from control.serialiser import canonical, from_json

SUFFIX = ".kept"
LEAST_ROOM = 64 * 1024
"""Bytes that are reserved for what may have to be kept of the smallest change."""


def path_beside(journal: Path, change: str) -> Path:
    """Where what the journal could not take of `change` is kept."""
    return journal.with_name(f"{journal.name}.{change}{SUFFIX}")


class BesideFile:
    """The file of one change. Empty, but with its room reserved, as long as the journal takes everything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._descriptor: int | None = None

    def reserve(self, room: int) -> None:
        """Make the file with room for so many bytes. Raises `JournalError` where there is none."""
        try:
            self._make()
            assert self._descriptor is not None
            _reserve(self._descriptor, max(room, LEAST_ROOM))
        except OSError as error:
            self.drop()
            raise JournalError(
                f"there is no room beside the journal for what comes of a change ({self.path}): {error.strerror}",
                hint="check the free space and the rights of its folder; nothing was written",
            ) from None

    def keep(self, records: Sequence[Record]) -> None:
        """Add records, on disk when this returns. Raises `OSError`.

        `records` are all of the change so far: where the file itself was removed, it is written anew.
        """
        text = b"".join(_line(record) for record in records)
        if self._descriptor is not None:
            _write(self._descriptor, text)
        if not self._is_there():  # the file, or its folder, was removed or moved away: what was written goes with it
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.close()
            self._make()
            assert self._descriptor is not None
            _write(self._descriptor, text)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _make(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        with contextlib.suppress(PermissionError):  # another operator of the same group made it
            os.fchmod(self._descriptor, file_mode(self.path.parent))

    def _is_there(self) -> bool:
        """Whether the path leads to the file that is open."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except OSError:
            return False

    def records(self) -> list[Record]:
        """What is kept, as far as it was written whole; nothing without a file. Raises `OSError`."""
        try:
            return _records_in(self.path)
        except FileNotFoundError:
            return []

    def close(self) -> None:
        """Let go of the file and leave it there."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def drop(self) -> None:
        """Remove the file: the journal has everything."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


def _write(descriptor: int, text: bytes) -> None:
    written = 0
    while written < len(text):
        written += os.pwrite(descriptor, text[written:], written)
    os.fsync(descriptor)


def _reserve(descriptor: int, size: int) -> None:
    """Take the room on disk. Raises `OSError` where there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    written = 0
    while written < size:  # macOS has no such call: zeros take the room as well
        written += os.pwrite(descriptor, bytes(size - written), written)


def _line(record: Record) -> bytes:
    return canonical({"kind": record.kind, "at": record.at, "data": record.data}) + b"\n"


def changes_beside(journal: Path) -> list[str]:
    """The changes that have a file beside a journal, the oldest first. Files may hold nothing."""
    begin = f"{journal.name}."
    try:
        names = sorted(path.name for path in journal.parent.iterdir())
    except OSError:
        return []
    return [
        name.removeprefix(begin).removesuffix(SUFFIX)
        for name in names
        if name.startswith(begin) and name.endswith(SUFFIX)
    ]


def _records_in(path: Path) -> list[Record]:
    """What is kept in one file, as far as it was written whole. Raises `OSError` where it cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        text = file.read()
    records: list[Record] = []
    for line in text.split(b"\n")[:-1]:
        try:
            records.append(from_json(json.loads(line), Record))
        except ValueError:
            break
    return records
