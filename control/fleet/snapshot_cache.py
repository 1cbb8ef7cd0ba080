"""The last read of each environment on disk, so that a deck that starts has rows at once; they show their age.

Never a source of truth: plans read anew, and a file that cannot be read is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path

from control import model
from control.fleet.views import REMEMBERED
from control.model import Reach, ReachState, Snapshot
from control.model.ref import Ref
from control.serialiser import pack, unpack
from control.structs import Frozen, replace

_VERSION = 2


@cache
def _fingerprint() -> str:
    """Of all that a snapshot is made of: the file's name changes with it."""
    named = [value for name, value in sorted(vars(model).items()) if isinstance(value, type)]
    fields = [(cls.__name__, cls.__struct_fields__) for cls in [Ref, *named] if issubclass(cls, Frozen)]
    return hashlib.sha256(repr([*fields, _VERSION]).encode()).hexdigest()[:8]


def cache_file(folder: Path, deck: Path, environment: str) -> Path:
    """Where the last read of one environment of a deck file is kept."""
    mark = hashlib.sha256(f"{deck.absolute()}\0{environment}".encode()).hexdigest()[:16]
    return folder / f"{mark}.{_fingerprint()}"


def save(path: Path, snapshot: Snapshot) -> None:
    """Keep a snapshot. A disk that is full or a folder that is read-only costs the cache only."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pack(snapshot))
        beside.replace(path)


def load(path: Path) -> Snapshot | None:
    """The kept snapshot, marked as not read yet, or None."""
    try:
        snapshot = unpack(path.read_bytes(), Snapshot)
    except (OSError, ValueError):
        return None
    reach = Reach(ReachState.DEGRADED, REMEMBERED)
    return replace(snapshot, environment=replace(snapshot.environment, reach=reach))
