"""Our own keys: the agent's, identity files, and passphrases from the keyring."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.ssh.hosts import HostConfig
from control.errors import AuthError
from control.ports import Secrets

if TYPE_CHECKING:
    from paramiko import PKey

_AGENT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Candidate:
    key: PKey
    what: str
    """Where it came from, for messages."""


class KeyRing:
    """Our keys for one environment. Each identity file is opened, and its passphrase asked for, once for all hosts:
    opening an encrypted one is slow on purpose."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._lock = threading.Lock()
        self._opened: dict[tuple[str, int], PKey | None] = {}
        """(path, time of its last change) -> the opened key; None for a file that holds none we can use."""
        self._refused: set[tuple[str, int]] = set()

    def candidates(self, config: HostConfig) -> Iterator[Candidate]:
        """Keys to offer for one host, best first: the agent's copy of a named identity, files, then the agent's others.

        Lazy, so that a passphrase is asked for only when no earlier key was accepted. An encrypted file without a
        passphrase is skipped; `AuthError` comes at the end when nothing at all could be offered because of that.
        """
        agent = _agent_keys(config)
        files = [path for path in config.identity_files if Path(path).is_file()]
        public = {blob: path for path in files if (blob := _public_blob(path)) is not None}
        named = [key for key in agent if key.asbytes() in public]
        offered = len(named)
        yield from (Candidate(key, f"agent ({public[key.asbytes()]})") for key in named)
        in_agent = {public[key.asbytes()] for key in named}
        locked: list[str] = []
        for path in files:
            if path in in_agent:
                continue
            key = self._load(path, locked)
            if key is not None:
                offered += 1
                yield Candidate(key, path)
        if not config.identities_only:
            others = [key for key in agent if key not in named]
            offered += len(others)
            yield from (Candidate(key, "agent") for key in others)
        if locked:
            raise AuthError(
                f"host {config.name}: the passphrase of {', '.join(locked)} is not to be had",
                hint=f"add the key to the agent (ssh-add {locked[0]}) or store its passphrase when asked at the start",
            )
        if not offered:
            raise AuthError(
                f"host {config.name}: there is no key to offer for {config.user}@{config.address}",
                hint="name an IdentityFile in the ssh config, or start the agent with the key in it",
            )

    def _load(self, path: str, locked: list[str]) -> PKey | None:
        with self._lock:
            version = (path, Path(path).stat().st_mtime_ns)
            if version not in self._opened and version not in self._refused:
                try:
                    self._opened[version] = _open(path, self._secrets)
                except _NoPassphrase:
                    self._refused.add(version)
            if version in self._refused:
                locked.append(path)
                return None
            return self._opened[version]


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


def _public_blob(path: str) -> bytes | None:
    """The wire form of the public key beside an identity file, where there is one."""
    from base64 import b64decode
    from binascii import Error

    try:
        fields = Path(path + ".pub").read_text("ascii", "replace").split()
        return b64decode(fields[1], validate=True)
    except (OSError, IndexError, Error, ValueError):
        return None


class _NoPassphrase(Exception):
    pass


def _open(path: str, secrets: Secrets) -> PKey | None:
    from paramiko import PKey
    from paramiko.pkey import UnknownKeyType
    from paramiko.ssh_exception import PasswordRequiredException, SSHException

    try:
        return PKey.from_path(path)
    except (PasswordRequiredException, TypeError):
        pass  # encrypted: the library says so in one of these two ways, by the format of the file
    except (SSHException, UnknownKeyType, ValueError, OSError):
        return None
    passphrase = secrets.ask(f"passphrase of the SSH key {path}", f"ssh:{path}")
    if passphrase is None:
        raise _NoPassphrase
    try:
        return PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]  # it takes bytes only
    except (SSHException, UnknownKeyType, ValueError, OSError) as error:
        raise AuthError(
            f"the passphrase given for the SSH key {path} does not open it",
            hint=f"correct the entry 'ssh:{path}' in the keyring, or use the agent",
        ) from error
