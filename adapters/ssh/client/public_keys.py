"""Public halves of keys, found as OpenSSH finds them without any passphrase, and which certificate is of which key."""

from __future__ import annotations

import base64
import binascii
import struct
from pathlib import Path

_BEGIN, _END = b"-----BEGIN OPENSSH PRIVATE KEY-----", b"-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_LARGEST = 1 << 20


def public_of(path: str) -> bytes | None:
    """The wire form of the public half of an identity, looked for in OpenSSH's order: the file where that is a public
    key, the `.pub` file beside it (its private half may be in an agent alone), the private file. None for none."""
    return _of_line(_read(Path(path))) or _of_line(_read(Path(f"{path}.pub"))) or public_in_private(path)


def public_in_private(path: str) -> bytes | None:
    """The public half that a private file of OpenSSH's own format holds unencrypted."""
    return _of_private(_read(Path(path)))


def certificate_in(path: str) -> bytes | None:
    """The wire form of the certificate in a file; None where there is none."""
    blob = _of_line(_read(Path(path)))
    return blob if blob is not None and b"-cert-v0" in _first(blob) else None


def is_of(certificate: bytes, public: bytes) -> bool:
    """Does a certificate certify this public key?"""
    try:
        kind, rest = _split(certificate)
        _, rest = _split(rest)  # the nonce; then come the fields of the key
        own, fields = _split(public)
    except (struct.error, ValueError):
        return False
    return kind.startswith(own) and bool(fields) and rest.startswith(fields)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()[:_LARGEST] if path.is_file() else b""
    except OSError:
        return b""


def _of_line(data: bytes) -> bytes | None:
    for line in data.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith(b"#"):
            continue
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            return None
        return blob if _first(blob) == words[0] else None
    return None


def _of_private(data: bytes) -> bytes | None:
    """OpenSSH's own format holds the public half unencrypted before the private one."""
    text = data.partition(_BEGIN)[2].partition(_END)[0]
    try:
        body = base64.b64decode(b"".join(text.split()), validate=True)
        if not body.startswith(_MAGIC):
            return None
        rest = body[len(_MAGIC) :]
        for _ in range(3):  # cipher, how the passphrase is stretched, its options
            _, rest = _split(rest)
        (number,) = struct.unpack_from(">I", rest)
        return _split(rest[4:])[0] if number == 1 else None
    except (binascii.Error, ValueError, struct.error):
        return None


def _first(blob: bytes) -> bytes:
    try:
        return _split(blob)[0]
    except (struct.error, ValueError):
        return b""


def _split(data: bytes) -> tuple[bytes, bytes]:
    """A length-prefixed string and what follows it."""
    (length,) = struct.unpack_from(">I", data)
    if length > len(data) - 4:
        raise ValueError("cut off")
    return data[4 : 4 + length], data[4 + length :]
