"""The last read of each environment on disk, so that a deck that starts has rows at once; they show their age.

Never a source of truth: plans read anew, and a file that cannot be read is as if it were not there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from control import model
from control.fleet.views import REMEMBERED
from control.model import Reach, ReachState, Snapshot
from control.model.ref import Ref

_VERSION = 1
_FRACTION, _SET, _FIRST_CLASS = 1, 2, 10


def _classes() -> list[type]:
    """Everything that a snapshot is made of, in a fixed order; the file's name changes with it."""
    named = [value for name, value in sorted(vars(model).items()) if isinstance(value, type)]
    ours = [
        v
        for v in named
        if v.__module__.startswith(model.__name__) and (dataclasses.is_dataclass(v) or issubclass(v, Enum))
    ]
    return [Ref, *ours]


_CLASSES = _classes()
_CODES = {cls: _FIRST_CLASS + number for number, cls in enumerate(_CLASSES)}
_FIELDS = {cls: [f.name for f in dataclasses.fields(cls)] for cls in _CLASSES if dataclasses.is_dataclass(cls)}
_SHAPE = hashlib.sha256(repr([(cls.__name__, _FIELDS.get(cls)) for cls in _CLASSES] + [_VERSION]).encode()).hexdigest()[
    :8
]


def cache_file(folder: Path, deck: Path, environment: str) -> Path:
    """Where the last read of one environment of a deck file is kept."""
    mark = hashlib.sha256(f"{deck.absolute()}\0{environment}".encode()).hexdigest()[:16]
    return folder / f"{mark}.{_SHAPE}"


def encode(snapshot: Snapshot) -> bytes:
    """A snapshot as bytes: every object an extension that names its class."""
    import msgspec

    pack = msgspec.msgpack.Encoder().encode
    ext = msgspec.msgpack.Ext

    def plain(value: Any) -> Any:
        if value is None or type(value) in (str, int, float, bool):
            return value
        if type(value) is tuple:
            return [plain(one) for one in value]
        if type(value) is Fraction:
            return ext(_FRACTION, f"{value.numerator}/{value.denominator}".encode())
        if type(value) is frozenset:
            return ext(_SET, pack([plain(one) for one in sorted(value, key=str)]))
        cls = type(value)
        if isinstance(value, Enum):
            return ext(_CODES[cls], str(value.value).encode())
        return ext(_CODES[cls], pack([plain(getattr(value, name)) for name in _FIELDS[cls]]))

    return pack(plain(snapshot))


@lru_cache(maxsize=4096)
def _small(code: int, data: bytes) -> Any:
    """Fractions and members of enumerations: few distinct ones, so each is made once."""
    if code == _FRACTION:
        numerator, _, denominator = data.decode().partition("/")
        return Fraction(int(numerator), int(denominator))
    return _CLASSES[code - _FIRST_CLASS](data.decode())


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if type(value) is list else value


def decode(data: bytes) -> Snapshot:
    """The snapshot again. Raises `ValueError` for what is none."""
    import msgspec

    def hook(code: int, inner: memoryview) -> Any:
        if code == _SET:
            return frozenset(unpack(inner))
        cls = _CLASSES[code - _FIRST_CLASS] if _FIRST_CLASS <= code < _FIRST_CLASS + len(_CLASSES) else None
        if cls is None or cls not in _FIELDS:
            return _small(code, bytes(inner))
        return cls(*map(_tuples, unpack(inner)))

    unpack: Callable[[Any], Any] = msgspec.msgpack.Decoder(ext_hook=hook).decode
    try:
        found = unpack(data)
    except (msgspec.MsgspecError, TypeError, IndexError) as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, Snapshot):
        raise ValueError("no snapshot")
    return found


def save(path: Path, snapshot: Snapshot) -> None:
    """Keep a snapshot. A disk that is full or a folder that is read-only costs the cache only."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode(snapshot))
        beside.replace(path)


def load(path: Path) -> Snapshot | None:
    """The kept snapshot, marked as not read yet, or None."""
    try:
        snapshot = decode(path.read_bytes())
    except (OSError, ValueError):
        return None
    reach = Reach(ReachState.DEGRADED, REMEMBERED)
    return dataclasses.replace(snapshot, environment=dataclasses.replace(snapshot.environment, reach=reach))
