"""Every change below a folder, from the kernel: inotify through ctypes, new folders included."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_VERBS = {
    0x002: "modify",
    0x004: "attributes",
    0x040: "moved_from",
    0x080: "moved_to",
    0x100: "create",
    0x200: "delete",
}
_MASK = sum(_VERBS)
_IS_FOLDER = 0x40000000
_OVERFLOW = 0x4000
_NONBLOCK = 0x800
_EVENT = struct.Struct("iIII")

_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """One inotify instance over a tree. `fileno` becomes readable when something changed."""

    def __init__(self, root: Path) -> None:
        self._fd = _libc.inotify_init1(_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: dict[int, Path] = {}
        self._add(root)

    def fileno(self) -> int:
        return int(self._fd)

    def _add(self, folder: Path) -> None:
        number = _libc.inotify_add_watch(self._fd, os.fsencode(folder), _MASK)
        if number < 0:
            return  # gone again already
        self._folders[number] = folder
        for child in folder.iterdir():
            if child.is_dir() and not child.is_symlink():
                self._add(child)

    def read(self) -> Iterator[tuple[str, Path]]:
        """What happened since the last call: (verb, path). Several events of one write are several entries."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        place = 0
        while place < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, place)
            name = os.fsdecode(data[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0"))
            place += _EVENT.size + length
            if mask & _OVERFLOW:
                yield "overflow", Path()
                continue
            folder = self._folders.get(number)
            if folder is None:
                continue
            path = folder / name if name else folder
            if mask & _IS_FOLDER and mask & (0x100 | 0x080):
                self._add(path)
            for bit, verb in _VERBS.items():
                if mask & bit:
                    yield verb, path
