"""`RevokedHostKeys` files: public keys one a line, or the binary lists (KRL) that `ssh-keygen -k` makes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

from adapters.ssh.client import known_hosts
from control.errors import AuthError
from control.text import clean

_MAGIC = b"SSHKRL\n\0"
_HEADER = struct.Struct(">IQQQ")
"""Version of the format; number, date and flags of the list."""
_KEYS, _SHA1, _SHA256 = 2, 3, 5


def refuse_revoked(path: str, host: str, key_type: str, key: bytes) -> None:
    """Raise `AuthError` where the file at `path` revokes `key`; also where it cannot be read, as ssh does: then no
    host is trusted. `host` is the host as the user knows it. Blocking."""
    try:
        listed = _lists(Path(path).read_bytes(), key)
    except (OSError, ValueError, struct.error) as error:
        why = clean(getattr(error, "strerror", None) or str(error))
        raise AuthError(
            f"host {host}: the RevokedHostKeys file {clean(path)} cannot be read ({why}), so no host key is trusted",
            hint="restore the file, or take RevokedHostKeys out of the ssh config",
        ) from error
    if listed:
        raise known_hosts.revoked(host, f"{clean(key_type)} {known_hosts.fingerprint(key)}", clean(path))


def _lists(data: bytes, key: bytes) -> bool:
    if data.startswith(_MAGIC):
        return any(_section_lists(kind, body, key) for kind, body in _sections(data))
    return any(key in _of_line(line) for line in data.split(b"\n"))


def _of_line(line: bytes) -> Iterator[bytes]:
    """The keys of one line: a word that is base64 after a word that names a type."""
    words = line.split()
    if not words or words[0].startswith(b"#"):
        return
    for word in words[1:3]:
        try:
            yield base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            continue


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = len(_MAGIC)
    version, *_ = _HEADER.unpack_from(data, at)
    if version != 1:
        raise ValueError(f"a list of format {version}, of which only 1 is known")
    at += _HEADER.size
    for _ in range(2):  # reserved, comment
        _, at = _string(data, at)
    while at < len(data):
        kind = data[at]
        body, at = _string(data, at + 1)
        yield kind, body


def _section_lists(kind: int, body: bytes, key: bytes) -> bool:
    wanted = {
        _KEYS: key,
        _SHA1: hashlib.sha1(key).digest(),  # noqa: S324  # what such lists hold
        _SHA256: hashlib.sha256(key).digest(),
    }.get(kind)
    at = 0
    while wanted is not None and at < len(body):
        one, at = _string(body, at)
        if one == wanted:
            return True
    return False


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError("it is cut off")
    return data[at + 4 : end], end
