"""Host keys, checked strictly: our own reading of known_hosts files, which the SSH library cannot read whole.

One `@revoked`, `@cert-authority` or damaged line makes the library give up the file, and it knows no wildcards. Here a
line that cannot be read is skipped and every other one counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.ssh.client.patterns import matches_any
from control.errors import AuthError
from control.text import clean

PINNED = "ssh_known_hosts"


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One line of a known_hosts file."""

    marker: str
    """`@revoked`, `@cert-authority` or nothing."""
    names: str
    """The first field as it stands: patterns with commas, or one hashed name."""
    key_type: str
    key: bytes
    where: str
    """`file:line`, for messages."""


def fingerprint(key: bytes) -> str:
    """`SHA256:…` of a public key's wire form, as ssh-keygen prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def pinned_file() -> Path:
    """The product's own known_hosts file, in its state folder."""
    own = os.environ.get("TRAFFICDECK_STATE_DIR")
    if own:
        return Path(own) / PINNED
    import platformdirs

    return Path(platformdirs.user_state_dir("trafficdeck")) / PINNED


def parse(text: str, where: str) -> list[KnownKey]:
    """Every line that can be read; the others are skipped."""
    found: list[KnownKey] = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3 or marker not in ("", "@revoked", "@cert-authority"):
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        if key:
            found.append(KnownKey(marker, fields[0], fields[1], key, f"{where}:{number}"))
    return found


def load(paths: Iterable[str | Path]) -> list[KnownKey]:
    """The keys of every file that can be read, in order. Blocking."""
    found: list[KnownKey] = []
    for path in dict.fromkeys(str(path) for path in paths):
        try:
            text = Path(path).read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        found += parse(text, path)
    return found


def matches(names: str, name: str) -> bool:
    """Does the first field of a line stand for `name` (`host`, or `[host]:port`)? A `!pattern` that matches rules."""
    if names.startswith("|"):
        return _hash_matches(names, name)
    return matches_any(names.split(","), name)


def _hash_matches(names: str, name: str) -> bool:
    parts = names.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, digest = base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.lower().encode(), hashlib.sha1).digest(), digest)


def key_types(known: Sequence[KnownKey], name: str) -> list[str]:
    """The key types known for `name`, so that the connection asks for one of them."""
    return list(dict.fromkeys(key.key_type for key in known if not key.marker and matches(key.names, name)))


def check(known: Sequence[KnownKey], name: str, host: str, key_type: str, key: bytes, doubt: str = "") -> None:
    """Accept the key that `host` showed, or raise `AuthError` that says why not and what to do.

    `name` is the host as known_hosts files hold it, `host` as the user knows it. A key held for the host without its
    port is accepted too, as ssh does. A `@revoked` line counts for its host on every port.
    `doubt` is what else might have known the host and could not be asked.
    """
    plain = _without_port(name)
    shown = f"{clean(key_type)} {fingerprint(key)}"
    for one in known:
        if one.marker == "@revoked" and one.key == key and _on_any_port(one.names, name, plain):
            raise revoked(host, shown, one.where)
    of_host = [one for one in known if matches(one.names, name) or (plain != name and matches(one.names, plain))]
    if any(not one.marker and one.key == key for one in of_host):
        return
    held = [one for one in of_host if not one.marker and matches(one.names, name)]
    if held:
        old = ", ".join(f"{clean(one.key_type)} {fingerprint(one.key)} ({one.where})" for one in held)
        raise AuthError(
            f"host key of {host} has CHANGED: it shows {shown}, known is {old}",
            hint="ask the host's owner whether the key was renewed; only then remove the old line from that file",
        )
    raise _unknown(of_host, name, host, key_type, key, shown, doubt)


def revoked(host: str, shown: str, where: str) -> AuthError:
    """What is said of a key that somebody revoked. `shown` is its type and fingerprint, `where` what revokes it."""
    return AuthError(
        f"host {host} shows a REVOKED key: {shown} ({where})",
        hint="somebody may be posing as this host: connect to it no more and tell its owner",
    )


def _without_port(name: str) -> str:
    return name[1:].partition("]")[0] if name.startswith("[") else name


def _on_any_port(names: str, name: str, plain: str) -> bool:
    """Does a line stand for the host, whatever port it names? Of a hashed name only this port and none can be told."""
    if names.startswith("|"):
        return any(_hash_matches(names, one) for one in {name, plain, f"[{plain}]:22"})
    patterns = [re.sub(r"^(!?)\[(.*)\]:.*$", r"\1\2", pattern) for pattern in names.split(",")]
    return matches_any(names.split(","), name) or matches_any(patterns, plain)


def _unknown(
    of_host: list[KnownKey], name: str, host: str, key_type: str, key: bytes, shown: str, doubt: str
) -> AuthError:
    line = shlex.quote(f"{name} {clean(key_type)} {base64.b64encode(key).decode()}")
    path = pinned_file()
    algorithm = key_type.removeprefix("ssh-").partition("-")[0]
    why = f"; {doubt}" if doubt else ""
    if any(one.marker == "@cert-authority" for one in of_host):
        why += "; it is verified by a certificate authority, which is not supported: pin its own key"
    return AuthError(
        f"host key of {host} is unknown: {shown}{why}",
        hint=f"compare it with 'ssh-keygen -lf /etc/ssh/ssh_host_{algorithm}_key.pub' on the host itself; "
        f"if equal, pin it: mkdir -p {shlex.quote(str(path.parent))} && echo {line} >> {shlex.quote(str(path))}",
    )
