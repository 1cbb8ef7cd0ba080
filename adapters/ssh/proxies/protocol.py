"""What a kind of proxy on hosts is to the rest of this platform: one folder each, all in this form.

A folder has `program.py` (light data: how it is recognised and reached), `processes.py` (which process is which),
`lifecycle.py` (check and reload), `codec.py` (its text, read and edited, pure), `memory.py` (its twin in memory) and
`proxy.py`, whose `PROXY` joins them and knows the order of things. `table.py` lists the folders. Texts that reach the
model are cleaned with `control.text.clean`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapters.ssh.client.ports import (
    ConfigTree,
    FileFacts,
    HostReader,
    HostWriter,
    Lifecycle,
    Probe,
    Process,
    Workers,
    sha256_of,
)
from adapters.ssh.client.program import Program
from adapters.ssh.section import ProxyConfig
from control.model import Counted, Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofPart


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
    workers: Workers = field(default_factory=Workers)
    version: str = ""
    sudo: bool = False
    access_log: str | None = None
    clock_offset: float = 0.0
    """Their clock minus ours, in seconds."""
    discovered: Mapping[str, str] = field(default_factory=dict)
    object_kind: str = ""
    """`Proxy.object_kind`."""
    probe: Probe | None = None
    processes: tuple[Process, ...] | None = None
    """Those that ran when the files were read; None where they were not looked at."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the running proxy says of itself. Raw answers, parsed by the codec."""

    read_at: float
    workers: Workers = field(default_factory=Workers)
    answers: Mapping[str, str] = field(default_factory=dict)
    """What was asked -> the answer."""
    pending: tuple[str, ...] = ()
    """Files that changed on disk after the running workers started: a reload publishes them."""
    why_not: str = ""
    """Why the runtime could not be asked, if it could not."""


@dataclass(frozen=True, slots=True)
class NativeEdit:
    """The edit of one native object, which is one file on one host, pure."""

    path: str
    """The file that is the object."""
    changes: tuple[Change, ...]
    data: bytes | None = None
    """The file's new bytes; None where only the runtime changes."""
    commands: tuple[str, ...] = ()
    """Commands to the socket of the running process, in order."""
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
class Report:
    """What a step's writes reported."""

    said: str
    """In words."""
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    """Those that were replaced, as they are after it."""
    runtime: Runtime | None = None
    """What runs after it, where the writing told."""


class Codec(Protocol):
    """One proxy's native text, read and edited. Pure."""

    language: str
    """For native views."""

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


class Proxy(Protocol):
    """One kind of proxy: how it is found, what its runtime says, the order of writes, proof and counters."""

    program: Program
    object_kind: str
    """The kind of the native object that one of its files is."""
    kinds: Mapping[str, str]
    """Kind name -> one line of what it is."""
    deadline_seconds: float
    """How long `loaded` may take before it is pending."""
    reloads_always: bool
    """No change of it goes live without a reload."""

    @property
    def codec(self) -> Codec: ...

    # --- how it is found: pure, on what discovery saw

    def version(self, probe: Probe) -> str:
        """The installed version; "" where it is not known."""
        ...

    def settle(self, config: ProxyConfig, probe: Probe) -> ProxyConfig:
        """With its configuration file filled from the running process or the build, where the deck is silent."""
        ...

    def mains(self, config: ProxyConfig, probe: Probe) -> tuple[str, ...]:
        """The files where it starts to read, in order. `config` is settled."""
        ...

    def sockets(self, tree: ConfigTree) -> tuple[str, ...]:
        """Sockets that its configuration opens and that may be asked, the best first."""
        ...

    def workers(self, facts: HostFacts, processes: Sequence[Process]) -> Workers: ...

    # --- what runs

    async def answers(self, host: HostReader, socket: str) -> bool:
        """Whether this socket answers us."""
        ...

    async def runtime(self, host: HostReader, facts: HostFacts, tree: ConfigTree) -> Runtime:
        """On `facts.processes`, or on those that run now where these are None."""
        ...

    async def fingerprint(self, host: HostReader, facts: HostFacts) -> bytes:
        """What changes when running values do that stand in no file. Cheap; what it counts is left out."""
        ...

    def doubt(self, kind: str, path: str, runtime: Runtime) -> str:
        """What a row of this kind must say where its file changed after the process started; "" for nothing more than
        the codec says itself."""
        ...

    # --- writing and proof

    def lifecycle(self, facts: HostFacts, processes: Sequence[Process]) -> Lifecycle: ...

    async def write(self, reader: HostReader, writer: HostWriter, step: Step) -> Report:
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


def object_name(facts: HostFacts, path: str) -> str:
    """The printable name of the native object that a file on a host is: `Route.object`, `Limit.object`."""
    return str(Ref(facts.environment, facts.object_kind, facts.host, path))


def base_of(data: bytes, running: str = "") -> str:
    """The base of a file, and of `running` where values live at runtime too (their canonical text)."""
    base = "sha256:" + sha256_of(data)
    return f"{base}+running:{hashlib.sha256(running.encode()).hexdigest()[:16]}" if running else base


class MemoryTwin(Protocol):
    """One proxy of a host in memory: how it runs there and what its socket answers."""

    program: Program
    main: str
    """Its configuration file."""
    said: tuple[str, ...]
    """What `Program.describe` prints there."""

    def processes(self, started: float, first: int) -> list[Process]:
        """As discovery sees them. Pids of workers begin at `first`, which moves with each reload."""
        ...

    def reload(self, files: Mapping[str, bytes]) -> None:
        """Start anew from the files: values that were set at runtime alone are gone."""
        ...

    def ask(self, question: str) -> str:
        """The answer to one of `Program.questions`."""
        ...

    def tell(self, command: str) -> str:
        """The answer to one of `Program.commands`."""
        ...

    def dump(self) -> dict[str, Any]:
        """The running state as JSON."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        ...
