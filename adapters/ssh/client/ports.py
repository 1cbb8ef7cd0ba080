"""What the client offers to the proxies above it: what is read of a host, what is written, and the verbs for both.

The client knows files, processes, commands and sockets. What it must know of a kind of proxy is a `Program`, plain data
that the folder of that proxy declares. Paths are absolute and real (symlinks resolved) unless a docstring says
otherwise; bytes are raw, as on the host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

from adapters.ssh.client.program import Program

Includes = Callable[[str, str, bytes], list[str]]
"""`Codec.includes`: (main file, path, bytes) -> absolute globs of files still to fetch."""


# --- what is read of a host -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that serves requests."""

    pid: int
    started: float
    """Unix time there, to some 20 ms: take files as changed since only when their ctime is 0.05 s later."""
    retiring: bool = False
    """It finishes the requests that it has and takes no new ones."""


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
    """Where the proxy starts to read, in order. Real paths."""
    files: Mapping[str, bytes]
    """Real path -> bytes, what they name followed."""
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
    program: str
    """`Program.name`."""
    pid: int
    parent: int
    started: float
    """Unix time there, to some 20 ms."""
    arguments: tuple[str, ...]
    """The command line; empty where a title stands over it."""
    title: str = ""
    """What it wrote there: `master process …`, `worker process is shutting down`, …"""
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
    said: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Program -> the lines that its `describe` printed."""
    root_shell: bool = False
    """Sudo gives us one."""
    allowed: frozenset[tuple[str, ...]] = frozenset()
    """Those commands of `Program.sudo` that sudo allows."""
    sudo_trouble: tuple[str, str] | None = None
    """(cause, what to do), where sudo was asked for a root shell and gives none."""


# --- what is written --------------------------------------------------------------------------------------------------


class Candidate(str):
    """In a command, the new text of the file of this path, where it lies beside the one that is in force."""

    __slots__ = ()


Command = tuple[str, ...]
"""Words, each quoted before it goes to a host; a `Candidate` among them becomes the path of that text."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What this user may do on a host beside writing files."""

    root: bool
    """Everything is done as root."""
    signals: bool
    """The processes may be sent signals."""
    sudo: bool
    """Single commands are done by sudo."""
    allowed: frozenset[tuple[str, ...]] = frozenset()
    """Which, of `Program.sudo`."""

    def by_sudo(self, *command: str) -> Command:
        """The command by sudo, where sudo allows it; else nothing."""
        return ("sudo", "-n", *command) if command in self.allowed else ()


class Adoption(StrEnum):
    """What shows that a reload was taken."""

    REPLACED = "replaced"
    """None of the former workers serves any more."""
    JOINED = "joined"
    """A new worker serves and stays; former ones finish under the same title."""
    ANSWERED = "answered"
    """The reload command itself: it waits, and fails where the new configuration was refused."""


class Lifecycle(Protocol):
    """How one running program is checked and reloaded on its host, told by the folder of its proxy. Pure."""

    @property
    def program(self) -> Program: ...
    @property
    def master(self) -> int | None: ...
    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that a reload would have to signal."""
        ...

    @property
    def cwd(self) -> str:
        """Where it was started; "" where its paths do not depend on that."""
        ...

    @property
    def adoption(self) -> Adoption: ...
    @property
    def aside(self) -> tuple[str, ...]:
        """Parts of the titles of children that do not serve."""
        ...

    @property
    def unset(self) -> tuple[str, ...]:
        """Shell patterns of variables of the running process that a check of its files must not see."""
        ...

    def reload(self, authority: Authority) -> Command:
        """Empty where nothing runs, so that nothing would load a new file. Raises `Forbidden` without the host's
        name, which the caller adds."""
        ...

    def validate(self, authority: Authority) -> Command:
        """The program's own check of the files in place; empty where there is none for this user."""
        ...

    def validate_beside(self) -> Command:
        """The same with a `Candidate` in the place of each file that the check can be told; else empty."""
        ...


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    expected_sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FileReplacement:
    """One guarded replacement of one or more files: all or none, then a reload if asked for, else rolled back."""

    lifecycle: Lifecycle
    files: tuple[FileChange, ...]
    reload: bool
    adoption_seconds: float = 6.0
    """How long to wait for the proof that the reload was adopted before the old files are put back."""


# --- the verbs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TreeRequest:
    """Which files make up the configuration of one program on a host."""

    program: str
    mains: tuple[str, ...]
    """Where it starts to read."""
    includes: Includes
    named: tuple[str, ...] = ()
    """Files that the deck file names beside them."""
    rights: bool = False
    """Ask for the rights to write them on the way; they are kept for a minute."""


@dataclass(frozen=True, slots=True)
class Look:
    """Files and processes of a program, seen together."""

    tree: ConfigTree
    processes: tuple[Process, ...]


@dataclass(frozen=True, slots=True)
class HostState:
    """What stands and runs on a host now."""

    files: Mapping[str, FileFacts]
    """Those of the paths that were asked for which exist."""
    processes: tuple[Process, ...]


class HostReader(Protocol):
    """Reads one host. Named verbs only: each a constant script with validated arguments; none takes a command."""

    host: str

    async def probe(self) -> Probe: ...

    async def look(self, request: TreeRequest) -> Look:
        """The main files and all that `includes` names, inside the program's own tree, with the processes of all
        programs. One round trip where the same files make up the tree as at the last look. Raises `NotFound` (no main
        file), `Forbidden` (main file not readable)."""
        ...

    async def stat(self, paths: Sequence[str] = ()) -> HostState:
        """Facts of files, and the processes of all programs, in one round trip."""
        ...

    async def ask(self, program: str, socket: str, question: str) -> str:
        """The answer of a socket to one of `Program.questions`. Raises `Unreachable`, `Forbidden`, `InvalidValue`."""
        ...

    async def log_tail(self, path: str, offset: int | None, maximum: int) -> tuple[int, bytes]:
        """Bytes of a log from `offset` (None: its end, so no bytes), at most `maximum`, and the offset after them.
        A log shorter than `offset` was rotated: then from its start."""
        ...

    async def addresses(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The addresses of host names as the host itself resolves them now; a name that it cannot resolve is not there,
        and none is where it has no means to ask."""
        ...

    async def may_write(self, lifecycle: Lifecycle, paths: Sequence[str], reload: bool) -> str:
        """ "" when this user may replace all of `paths` and reload the program where that is needed, else which right
        is missing. Nothing is written to find out."""
        ...

    async def fingerprint(self, paths: Sequence[str], pids: Sequence[int]) -> bytes:
        """A text that changes when one of the files or folders, or the workers of one of the masters, do. Cheap."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a host reported of a replacement that it did."""

    said: str
    """In words."""
    state: HostState
    """The replaced files and the processes, right after it."""


class HostWriter(Protocol):
    """Writes one host. Made only for armed sessions and writing commands."""

    async def replace_files(self, replacement: FileReplacement) -> Replaced:
        """Lock, compare, write beside, keep owner/mode/ACL/xattr, fsync, validate, rename, reload, prove adoption,
        roll back. Raises `Stale`, `Locked`, `Forbidden`, `InvalidValue` (the program's own check refuses),
        `PlatformError` (rolled back), `Unreachable` (outcome unknown)."""
        ...

    async def tell(self, program: str, socket: str, commands: Sequence[str]) -> list[str]:
        """Commands of `Program.commands` to a socket, in order, each with its answer; an answer that refuses stops
        them with `PlatformError`."""
        ...

    async def close(self) -> None: ...


@lru_cache(maxsize=64)
def sha256_of(data: bytes) -> str:
    """Hex digest. Every row of a file asks for it, and hosts of a group hold the same file."""
    return hashlib.sha256(data).hexdigest()
