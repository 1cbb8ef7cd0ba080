"""What stands between transport (hosts), codecs and drivers of the SSH platform.

Transports make `HostReader` and `HostWriter`; codecs are pure; drivers know the order of things for one proxy.
Paths are absolute and real (symlinks resolved) unless a docstring says otherwise; bytes are raw, as on the host;
texts that reach the model are cleaned by codecs and drivers with `control.text.clean`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from control.deck.config import ProxyConfig
from control.model import Counted, Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofPart

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
        return "" if data is None else _sha256(data)


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


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything around one proxy of one host that codecs and drivers need to know."""

    environment: str
    host: str
    read_at: float
    """Unix time of this read, here."""
    proxy: ProxyConfig
    """With `config`, `socket` and `master` filled from discovery where the deck file does not name them."""
    proxies_in_environment: int = 1
    """How many proxies of this kind share the environment's requests (one per host): N of per-instance limits."""
    proxies_source: str = "deck file: 1 host"
    workers: Workers = Workers()
    version: str = ""
    sudo: bool = False
    access_log: str | None = None
    clock_offset: float = 0.0
    """Their clock minus ours, in seconds."""
    discovered: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the running proxy says of itself. Raw answers, parsed by the codec."""

    read_at: float
    workers: Workers = Workers()
    answers: Mapping[str, str] = field(default_factory=dict)
    """HAProxy: `stat`, `servers state`, `info`, `map PATH`, `table NAME` -> the answer. nginx: `addresses NAME` -> the
    addresses of a host name, a line each."""
    pending: tuple[str, ...] = ()
    """Files that changed on disk after the running workers started: a reload publishes them."""
    why_not: str = ""
    """Why the runtime could not be asked, if it could not."""


# --- what is written --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NativeEdit:
    """The edit of one native object, which is one file on one host, pure."""

    path: str
    """The file that is the object."""
    changes: tuple[Change, ...]
    data: bytes | None = None
    """The file's new bytes; None where only the runtime changes."""
    commands: tuple[str, ...] = ()
    """HAProxy runtime commands, in order, one per entry: `set server be/srv weight 7`."""
    needs_reload: bool = False
    also: Mapping[str, bytes] = field(default_factory=dict)
    """Other files that must go along in the same write (a server-state file)."""
    loses: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """`Prepared.payload` of this platform: an edit with what it was made on."""

    facts: HostFacts
    tree: ConfigTree
    runtime: Runtime | None
    edit: NativeEdit


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


# --- the ports --------------------------------------------------------------------------------------------------------


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


class Codec(Protocol):
    """One proxy's native text, read and edited. Pure."""

    kinds: Mapping[str, str]
    """Kind name -> one line of what it is."""
    language: str
    """`nginx` or `haproxy`, for native views."""

    def includes(self, main: str, path: str, data: bytes) -> list[str]: ...

    def read(self, tree: ConfigTree, runtime: Runtime | None, facts: HostFacts) -> tuple[list[Route], list[Limit]]:
        """Raises `PlatformError` with file and line for a text that does not parse."""
        ...

    def edit(
        self, tree: ConfigTree, changes: Sequence[Change], facts: HostFacts, runtime: Runtime | None
    ) -> list[NativeEdit]:
        """One edit per file, in the order in which they must be written. Raises `InvalidValue`, `NotFound`."""
        ...

    def base(self, tree: ConfigTree, path: str, runtime: Runtime | None) -> str:
        """The base of the object that the file `path` is, runtime values included where they live there too."""
        ...

    def after(self, tree: ConfigTree, edit: NativeEdit, runtime: Runtime | None) -> tuple[ConfigTree, Runtime | None]:
        """Files and runtime answers as they will be once `edit` is written: `read` on them gives what will be."""
        ...

    def mask(self, path: str, data: bytes, comments: bool = True) -> str:
        """The file as text for native views, secrets masked, lines cleaned (`clean_lines`); for differences, which are
        kept in plans and journals, without what comments say (`comments` false)."""
        ...


class Driver(Protocol):
    """One proxy: what its runtime says, the order of writes, proof and counters."""

    deadline_seconds: float
    """How long `loaded` may take before it is pending."""

    @property
    def codec(self) -> Codec: ...

    async def runtime(self, host: HostReader, facts: HostFacts, tree: ConfigTree) -> Runtime: ...

    async def write(self, reader: HostReader, writer: HostWriter, step: Step) -> str:
        """Do the step's writes in their order. Raises as `control.ports.Writer.write`."""
        ...

    async def loaded(self, host: HostReader, step: Step) -> ProofPart: ...

    async def running(
        self,
        host: HostReader,
        tree: ConfigTree,
        runtime: Runtime,
        path: str,
        changes: Sequence[Change],
        recorded: Mapping[str, Any],
    ) -> ProofPart:
        """Does the proxy run what the file at `path` holds, as just read? See `control.ports.Reader.running`."""
        ...

    async def count(
        self,
        host: HostReader,
        facts: HostFacts,
        tree: ConfigTree,
        routes: Sequence[Route],
        limits: Sequence[Limit] = (),
    ) -> list[Counted]:
        """Counters of these routes, and of these limits where the proxy counts what each of them saw and refused."""
        ...


# --- names and bases --------------------------------------------------------------------------------------------------

OBJECT_KINDS = {"nginx": "NginxFile", "haproxy": "HAProxyFile"}


def object_name(facts: HostFacts, path: str) -> str:
    """The printable name of the native object that a file on a host is: `Route.object`, `Limit.object`."""
    return str(Ref(facts.environment, OBJECT_KINDS[facts.proxy.kind], facts.host, path))


def base_of(data: bytes, running: str = "") -> str:
    """The base of a file, and of `running` where values live at runtime too (their canonical text)."""
    base = "sha256:" + _sha256(data)
    return f"{base}+running:{hashlib.sha256(running.encode()).hexdigest()[:16]}" if running else base


@lru_cache(maxsize=64)
def _sha256(data: bytes) -> str:
    """Every row of a file asks for it, and hosts of a group hold the same file."""
    return hashlib.sha256(data).hexdigest()
