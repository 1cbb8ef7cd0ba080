"""Our own keys: the agent's, identity files, certificates, and passphrases from the keyring."""

from __future__ import annotations

import copy
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.ssh.client.hosts import HostConfig
from adapters.ssh.client.public_keys import certificate_in, is_of, public_in_private, public_of
from control.errors import AuthError
from control.ports import Secrets
from control.text import clean

if TYPE_CHECKING:
    from paramiko import PKey

MAXIMUM_KEYS = 6
"""sshd closes the connection after six refused keys."""
_AGENT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Candidate:
    key: PKey
    what: str
    """Where it came from, for messages."""


@dataclass(frozen=True, slots=True)
class _Identity:
    """An `IdentityFile`: a private key, or only its public half where an agent holds the private one."""

    path: str
    public: bytes | None


@dataclass(slots=True)
class _Certificates:
    """The certificates that the ssh config names, and those beside identity files."""

    held: list[tuple[str, bytes]] = field(default_factory=list)

    def of(self, public: bytes | None, key: PKey) -> Iterator[Candidate]:
        """`key` with each of its certificates."""
        for path, blob in self.held:
            if public is not None and is_of(blob, public):
                yield Candidate(_certified(key, path), f"certificate {path}")


class KeyRing:
    """Our keys for one environment. Each identity file is opened, and its passphrase asked for, once for all hosts:
    opening an encrypted one is slow on purpose."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, int], PKey | None] = {}
        """(path, time of its last change) -> the opened key; None for a file that holds none we can use."""
        self._locked: set[tuple[str, int]] = set()
        self._refused: set[tuple[str, int]] = set()

    def candidates(self, config: HostConfig) -> Iterator[Candidate]:
        """Keys to offer for one host, in OpenSSH's order but for one thing: identity files that need no passphrase come
        before what else an agent holds, which may be more than sshd lets us try. A certificate stands before its key.

        Lazy, so that a passphrase is asked for only when no earlier key was accepted. An encrypted file without a
        passphrase is skipped; `AuthError` comes at the end when nothing at all could be offered because of that.
        """
        agent = _agent_keys(config)
        identities = [_Identity(path, public_of(path)) for path in config.identity_files]
        certificates = _certificates(config)
        named = [key for key in agent if any(key.asbytes() == one.public for one in identities)]
        certified = [key for key in agent if any(is_of(blob, key.asbytes()) for _, blob in certificates.held)]
        sure: list[Candidate] = []
        for key in _once([*certified, *named]):
            path = next((one.path for one in identities if one.public == key.asbytes()), "")
            sure += certificates.of(key.asbytes(), key)
            if key in named:
                sure.append(Candidate(key, f"agent ({path})"))
        held = {key.asbytes() for key in named}
        locked, useless = list[_Identity](), list[str]()
        for one in identities:
            if one.public in held or not Path(one.path).is_file():
                continue
            opened, needs_passphrase = self._load(one.path)
            if needs_passphrase:
                locked.append(one)
            elif opened is not None:
                sure += [*certificates.of(opened.asbytes(), opened), Candidate(opened, one.path)]
            else:
                useless.append(one.path)
        yield from sure
        others = [] if config.identities_only else [Candidate(key, "agent") for key in agent if key not in named]
        soon = max(0, MAXIMUM_KEYS - len(sure) - len(locked))
        yield from others[:soon]
        offered, closed = len(sure) + len(others), list[str]()
        for one in locked:
            unlocked = self._unlock(one.path)
            if unlocked is None:
                closed.append(one.path)
                continue
            offered += 1
            yield from certificates.of(unlocked.asbytes(), unlocked)
            yield Candidate(unlocked, one.path)
        yield from others[soon:]
        _nothing_left(config, closed, offered, useless)

    def _load(self, path: str) -> tuple[PKey | None, bool]:
        """(the key of a file, whether a passphrase is needed for it)."""
        with self._lock:
            version = _version(path)
            if version not in self._opened and version not in self._locked:
                try:
                    self._opened[version] = _open(path)
                except _NeedsPassphrase:
                    self._locked.add(version)
            return self._opened.get(version), version in self._locked and version not in self._opened

    def _unlock(self, path: str) -> PKey | None:
        """The key of an encrypted file; None where its passphrase is not to be had."""
        with self._lock:
            version = _version(path)
            if version not in self._opened and version not in self._refused:
                passphrase = self._secrets.ask(f"passphrase of the SSH key {path}", f"ssh:{path}")
                if passphrase is None:
                    self._refused.add(version)
                else:
                    self._opened[version] = _open_with(path, passphrase)
            return self._opened.get(version)


def _version(path: str) -> tuple[str, int]:
    try:
        return path, Path(path).stat().st_mtime_ns
    except OSError:
        return path, 0


def _once(keys: Sequence[PKey]) -> list[PKey]:
    return [key for at, key in enumerate(keys) if all(key is not other for other in keys[:at])]


def _nothing_left(config: HostConfig, closed: Sequence[str], offered: int, useless: Sequence[str]) -> None:
    """Say why, where everything that there is was offered."""
    if closed:
        raise AuthError(
            f"host {config.name}: the passphrase of {', '.join(closed)} is not to be had",
            hint=f"add the key to the agent (ssh-add {closed[0]}) or store its passphrase when asked at the start",
        )
    if offered:
        return
    only = [path for path in config.identity_files if public_of(path) is not None and path not in useless]
    why = f"; the private half of {clean(only[0])} is in no agent" if only else ""
    if useless:
        why = f"; {clean(useless[0])} holds no private key that can be used (one on a FIDO token needs an agent)"
    raise AuthError(
        f"host {config.name}: there is no key to offer for {config.user}@{config.address}{why}",
        hint="name an IdentityFile in the ssh config, or start the agent with the key in it",
    )


def _certificates(config: HostConfig) -> _Certificates:
    paths = [*config.certificate_files, *(f"{path}-cert.pub" for path in config.identity_files)]
    found = [(path, certificate_in(path)) for path in dict.fromkeys(paths)]
    return _Certificates([(path, blob) for path, blob in found if blob is not None])


def _certified(key: PKey, path: str) -> PKey:
    """A copy of a key that shows the certificate in `path`."""
    from paramiko.agent import AgentKey

    # an agent's key cannot be copied: it asks its inner key for what it lacks, which a copy in the making has not yet
    own = AgentKey(key.agent, key.blob, key.comment) if isinstance(key, AgentKey) else copy.copy(key)
    own.load_certificate(path)
    return own


def _agent_keys(config: HostConfig) -> list[PKey]:
    """The agent's keys; an agent that is gone or silent is no agent."""
    from paramiko.agent import AgentSSH
    from paramiko.ssh_exception import SSHException

    path = config.agent or os.environ.get("SSH_AUTH_SOCK")
    if not path or path == "none":
        return []
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.settimeout(_AGENT_TIMEOUT)
    agent = AgentSSH()
    try:
        stream.connect(path)
        agent._connect(stream)  # type: ignore[attr-defined]
        return list(agent.get_keys())
    except (SSHException, OSError):
        stream.close()
        return []


class _NeedsPassphrase(Exception):
    pass


def _open(path: str) -> PKey | None:
    """The key in a file that needs no passphrase; None for what is no key that we can use."""
    from paramiko.ssh_exception import PasswordRequiredException, SSHException

    try:
        return _loaded(path, None)
    except (PasswordRequiredException, TypeError) as error:
        # encrypted: the library says so in one of these two ways, by the format of the file
        raise _NeedsPassphrase from error
    except (SSHException, ValueError, OSError):
        return None


def _open_with(path: str, passphrase: str) -> PKey:
    from paramiko.ssh_exception import SSHException

    try:
        return _loaded(path, passphrase)
    except (SSHException, ValueError, OSError) as error:
        raise AuthError(
            f"the passphrase given for the SSH key {path} does not open it",
            hint=f"correct the entry 'ssh:{path}' in the keyring, or use the agent",
        ) from error


def _loaded(path: str, passphrase: str | None) -> PKey:
    """The private key alone: the library's own way takes a certificate beside it in its place, and gives up the key
    where that certificate is damaged."""
    from paramiko import ECDSAKey, Ed25519Key, RSAKey
    from paramiko.ssh_exception import PasswordRequiredException, SSHException

    public = public_in_private(path) or b""
    kinds: dict[bytes, type[RSAKey | ECDSAKey | Ed25519Key]] = {
        b"ssh-ed25519": Ed25519Key,
        b"ssh-rsa": RSAKey,
        b"ecdsa-sha2": ECDSAKey,
    }
    of_type = [kind for name, kind in kinds.items() if name in public[:64]] or list(kinds.values())
    failure: Exception = SSHException("no key that can be used")
    for kind in of_type:
        try:
            return kind.from_private_key_file(path, passphrase)
        except PasswordRequiredException:
            raise
        except (SSHException, ValueError, IndexError) as error:
            failure = error
    raise failure
