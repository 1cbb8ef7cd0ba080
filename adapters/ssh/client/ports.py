"""What the client offers to the proxies above it: what is read of a host, what is written, and the verbs for both.

Paths are absolute and real (symlinks resolved) unless a docstring says otherwise; bytes are raw, as on the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from adapters.ssh.section import ProxyConfig

Includes = Callable[[str, str, bytes], list[str]]
"""`Codec.includes`: (main file, path, bytes) -> absolute globs of files still to fetch."""

SHOWS = frozenset({"stat", "servers state", "info", "map", "table", "acl", "proc", "backend"})
"""First words of what `haproxy_show` may ask; `map` and `table` take one argument (a path, a table's name)."""


# --- what is read of a host -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worker:
    pid: int
    started: float
    """Unix time there, to some 20 ms: take files as changed since only when their ctime is 0.05 s later."""
    retiring: bool = False
    """nginx: "shutting down". HAProxy: a former worker that still drains."""


@dataclass(frozen=True, slots=True)
class Workers:
    """The master of one proxy and its workers. `master` is None where no such process runs."""

    master: int | None = None
    workers: tuple[Worker, ...] = ()

    @property
    def serving(self) -> frozenset[int]:
        """The pids of the workers that take new requests."""
        return frozenset(worker.pid for worker in self.workers if not worker.retiring)

    @property
    def since(self) -> float | None:
        """When the oldest serving worker started: what the running configuration is as old as, at least."""
        return min((worker.started for worker in self.workers if not worker.retiring), default=None)


@dataclass(frozen=True, slots=True)
class FileFacts:
    path: str
    sha256: str
    size: int
    owner: str
    group: str
    mode: str
    """Octal digits: `640`."""
    mtime: float
    ctime: float
    writable: bool
    """By us, as we are: directly, or as root where the deck file allows sudo and sudo allows it."""


@dataclass(frozen=True, slots=True)
class ConfigTree:
    """The files of one proxy's configuration on one host."""

    main: tuple[str, ...]
    """Where the proxy starts to read, in order (HAProxy: each `-f`). Real paths."""
    files: Mapping[str, bytes]
    """Real path -> bytes, includes (and HAProxy's map and state files) followed."""
    expanded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """A glob as `includes` returned it -> real paths in the order in which the proxy loads them."""
    facts: Mapping[str, FileFacts] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Path -> why, for files that exist and could not be read."""

    def sha256(self, path: str) -> str:
        """Hex digest of one file; "" for a file that is not there."""
        data = self.files.get(path)
        return "" if data is None else sha256_of(data)


@dataclass(frozen=True, slots=True)
class Process:
    kind: str
    """`nginx` or `haproxy`."""
    pid: int
    parent: int
    started: float
    """Unix time there, to some 20 ms."""
    arguments: tuple[str, ...]
    """The command line; of nginx the words after "master process"."""
    title: str = ""
    """nginx: `master process`, `worker process`, `worker process is shutting down`, …"""
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """Discovery in one round trip, without root (reference of the discovery script: `scripts.PROBE`)."""

    hostname: str
    user: str
    uid: int
    clock: float
    """Unix time there, when asked."""
    read_at: float
    """Unix time here."""
    tools: frozenset[str]
    processes: tuple[Process, ...] = ()
    sockets: tuple[str, ...] = ()
    """Listening unix sockets."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """`nginx` -> `1.22.1`, `haproxy` -> `2.6.12`."""
    builds: Mapping[str, str] = field(default_factory=dict)
    """`nginx` -> its default configuration path."""
    rights: Mapping[str, bool] = field(default_factory=dict)
    """What `sudo -n -l` says: `shell`, `nginx -t`, `nginx -s reload`, `systemctl reload nginx`, …"""
    sudo_trouble: tuple[str, str] | None = None
    """(cause, what to do), where sudo was asked for a root shell and gives none."""


# --- what is written --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    expected_sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FileReplacement:
    """One guarded replacement of one or more files: all or none, then a reload if asked for, else rolled back."""

    proxy: ProxyConfig
    files: tuple[FileChange, ...]
    reload: bool
    adoption_seconds: float = 6.0
    """How long to wait for the proof that the reload was adopted before the old files are put back."""


# --- the verbs --------------------------------------------------------------------------------------------------------


class HostReader(Protocol):
    """Reads one host. Named verbs only: each a constant script with validated arguments; none takes a command."""

    host: str

    async def probe(self) -> Probe: ...

    async def config_tree(self, proxy: ProxyConfig, includes: Includes) -> ConfigTree:
        """The main files of `proxy.config` and all that `includes` names, inside the proxy's own tree. Raises
        `NotFound` (no main file), `Forbidden` (main file not readable)."""
        ...

    async def haproxy_show(self, socket: str, what: str) -> str:
        """`show WHAT` on a stats socket; WHAT from `SHOWS`. Raises `Unreachable`, `Forbidden`, `InvalidValue`."""
        ...

    async def workers(self, proxy: ProxyConfig) -> Workers:
        """Master and workers of the proxy (kind, and config where several run), without root."""
        ...

    async def log_tail(self, path: str, offset: int | None, maximum: int) -> tuple[int, bytes]:
        """Bytes of a log from `offset` (None: its end, so no bytes), at most `maximum`, and the offset after them.
        A log shorter than `offset` was rotated: then from its start."""
        ...

    async def file_facts(self, paths: Sequence[str]) -> dict[str, FileFacts]:
        """Facts of those of `paths` that exist, keyed as they were asked for."""
        ...

    async def addresses(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The addresses of host names as the host itself resolves them now; a name that it cannot resolve is not there,
        and none is where it has no means to ask."""
        ...

    async def may_write(self, proxy: ProxyConfig, paths: Sequence[str]) -> str:
        """ "" when this user may replace all of `paths` and reload the proxy, else which right is missing. Nothing is
        written to find out."""
        ...

    async def fingerprint(self, paths: Sequence[str], pids: Sequence[int]) -> bytes:
        """A text that changes when one of the files or folders, or the workers of one of the masters, do. Cheap."""
        ...

    async def close(self) -> None: ...


class HostWriter(Protocol):
    """Writes one host. Made only for armed sessions and writing commands."""

    async def replace_files(self, replacement: FileReplacement) -> str:
        """Lock, compare, write beside, keep owner/mode/ACL/xattr, fsync, validate, rename, reload, prove adoption,
        roll back. Returns what happened in words. Raises `Stale`, `Locked`, `Forbidden`, `InvalidValue` (the
        proxy's own check refuses), `PlatformError` (rolled back), `Unreachable` (outcome unknown)."""
        ...

    async def haproxy_set(self, socket: str, commands: Sequence[str]) -> list[str]:
        """Runtime commands in order, each with its answer. Stops with `PlatformError` at the first that is refused."""
        ...

    async def close(self) -> None: ...


@lru_cache(maxsize=64)
def sha256_of(data: bytes) -> str:
    """Hex digest. Every row of a file asks for it, and hosts of a group hold the same file."""
    return hashlib.sha256(data).hexdigest()
