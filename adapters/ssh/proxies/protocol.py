"""What a proxy on a host is to the rest of this platform: its text, read and edited, and its running process.

Codecs are pure; drivers know the order of things for one proxy. Texts that reach the model are cleaned by both with
`control.text.clean`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapters.ssh.client.ports import ConfigTree, HostReader, HostWriter, Workers, sha256_of
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


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the running proxy says of itself. Raw answers, parsed by the codec."""

    read_at: float
    workers: Workers = field(default_factory=Workers)
    answers: Mapping[str, str] = field(default_factory=dict)
    """HAProxy: `stat`, `servers state`, `info`, `map PATH`, `table NAME` -> the answer. nginx: `addresses NAME` -> the
    addresses of a host name, a line each."""
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
    base = "sha256:" + sha256_of(data)
    return f"{base}+running:{hashlib.sha256(running.encode()).hexdigest()[:16]}" if running else base
