"""Locks of the operating system on small files: they end with the process that holds them, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

from control.errors import JournalError, Locked


def file_mode(folder: Path) -> int:
    """The mode for files of ours in `folder`: shared with the group where the folder is."""
    return 0o660 if folder.stat().st_mode & 0o020 else 0o600


def _open(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(f"cannot open the lock {path}: {error.strerror}", hint="check the folder's rights") from None
    mode = file_mode(path.parent)
    if os.fstat(descriptor).st_uid == os.geteuid() and (os.fstat(descriptor).st_mode & 0o777) != mode:
        os.fchmod(descriptor, mode)
    return descriptor


class FileLock:
    """An exclusive lock on one file. Held from `take` to `release`, or to the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, wait_seconds: float, what: str) -> None:
        """Wait at most so long for the lock; then raise `Locked` naming `what`."""
        deadline = time.monotonic() + wait_seconds
        pause = 0.005
        while not self._try():
            if time.monotonic() >= deadline:
                raise Locked(f"{what} is locked by another process", hint="try again in a moment")
            time.sleep(pause)
            pause = min(pause * 2, 0.1)

    def _try(self) -> bool:
        descriptor = _open(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise JournalError(f"cannot lock {self.path}: {error.strerror}", hint="put it on a local disk") from None
        if self._replaced(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _replaced(self, descriptor: int) -> bool:
        """True where the file was removed between opening and locking it."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return True
        mine = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def release(self) -> None:
        """Give the lock back. The file goes first, while it is ours, so that no dead locks pile up."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    def is_held(self) -> bool | None:
        """Does some process hold it? None where we may not ask. Asking disturbs nobody: it takes a shared lock for a
        moment."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            return False if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR) else None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False
