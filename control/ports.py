"""What control asks of a platform: the ports that adapters implement.

Two objects per environment, made apart: a `Reader`, which cannot write by construction, and a `Writer`, which only the
start-up code can have made, for an armed session or a writing command. Everything is `async`; blocking clients sit
behind a bounded pool inside their adapter. Every call has its own deadline and ends in seconds when a server is gone:
it raises `control.errors.Unreachable`. Errors are `ControlError`s, texts in them already cleaned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct, field

from control.deck.config import EnvironmentConfig
from control.deck.sections import DeckSection
from control.model import Access, Counted, Limit, Route, Snapshot
from control.model.ref import Ref
from control.planning.edit import Change, Edit


class NativeText(Struct, frozen=True):
    """A native object or file as text, for the detail view and $EDITOR; secrets are masked."""

    object: str
    language: str
    """`yaml`, `json`, or the proxy whose words these are."""
    text: str


IDENTITY = "uid"
"""The key in `Prepared.recorded` that says which object it is, whatever is edited of it."""


class Delta(Struct, frozen=True):
    """What moved in an environment, said by what saw it."""

    changed: frozenset[str] = frozenset()
    """Native objects that are otherwise than before, or new."""
    gone: frozenset[str] = frozenset()
    everything: bool = False
    """Any object may have changed: what it was cannot be said."""

    def and_then(self, later: Delta) -> Delta:
        """Both, one after the other."""
        return Delta(
            (self.changed - later.gone) | later.changed,
            (self.gone - later.changed) | later.gone,
            self.everything or later.everything,
        )


EVERYTHING = Delta(everything=True)


class Fetched(Struct, frozen=True):
    """One native object as it was just read: all that preparing a step on it takes."""

    object: str
    """`Route.object`, `Limit.object`."""
    environment: str
    base: str
    """Of the whole native object, as in `Route.base`."""
    routes: tuple[Route, ...]
    limits: tuple[Limit, ...]
    """What the object holds. Rows of other objects that its own are judged by may be among them."""
    read_at: float
    """Unix time."""
    native: Any
    """The adapter's own; never leaves the process."""


class SetField(Struct, frozen=True):
    """One value of an object's document becomes another one. None stands for what is not there."""

    object: str
    path: str
    """Where it stands: a JSON Pointer (RFC 6901)."""
    before: Any
    after: Any


class ReplaceFile(Struct, frozen=True):
    """One file of a host gets another content."""

    object: str
    path: str
    before: str
    """sha256 of the content that is replaced, in hexadecimal."""
    data: bytes


class RuntimeCommand(Struct, frozen=True):
    """One command to a running process, for what no file alone says."""

    object: str
    socket: str
    command: str


class ApiCall(Struct, frozen=True):
    """One call of a service's API."""

    object: str
    service: str
    operation: str
    arguments: Mapping[str, Any]


Write = SetField | ReplaceFile | RuntimeCommand | ApiCall
"""What a step does, as plain data: any sink can take it, and what a writer carries out is this and no more."""


class Prepared(Struct, frozen=True):
    """One step made ready on what was just read: all changes to one native object, as one guarded write.

    A pure description, nothing sent. `writes` and `payload` never leave the process; a saved plan keeps the rest, and
    apply prepares anew from the changes and compares the base.
    """

    object: str
    environment: str
    changes: tuple[Change, ...]
    diff: str
    """Native, unified, cleaned: what production would show."""
    base: str
    """Of the whole native object, as in `Route.base`."""
    routes_after: tuple[Route, ...] = ()
    limits_after: tuple[Limit, ...] = ()
    """The routes and limits of this object as they will be: what guards and effective limits are computed on."""
    loses: tuple[str, ...] = ()
    """What else this write would put live or lose: pending edits on disk, runtime-only values, bucket states."""
    warnings: tuple[str, ...] = ()
    deadline_seconds: float = 30.0
    """How long `loaded` may take before it is pending."""
    recorded: Mapping[str, Any] = field(default_factory=dict)
    """What `Reader.running` needs later to judge this write, as JSON: the processes that run now, digests of files. It
    is journaled before the write, so it holds no secret. `IDENTITY` in it, where the platform has such, is what an
    undo knows the object by: one that was deleted and made again has another."""
    writes: tuple[Write, ...] = ()
    """What is written, in this order. It may hold secrets of files: never shown, never journaled."""
    payload: Any = None
    """What the adapter keeps beside the writes: what they were made on."""


class ProofState(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    PENDING = "pending"
    WAITING_FOR_TRAFFIC = "waiting_for_traffic"


class ProofPart(Struct, frozen=True):
    state: ProofState
    detail: str = ""
    seconds: float | None = None
    """From the end of the write until this was known."""
    by_condition: bool = False
    """Only a status condition says it: a controller took it, and the data plane was not asked. No yes for `loaded`."""


class Found(StrEnum):
    """What reading back says of a step whose outcome was not known."""

    BEFORE = "before"
    AFTER = "after"
    OTHER = "other"
    UNREACHABLE = "unreachable"


class Check(Struct, frozen=True):
    """One line of `trafficdeck doctor`."""

    check: str
    state: str
    """`ok`, `warn` or `fail`."""
    detail: str
    hint: str = ""


@runtime_checkable
class Reader(Protocol):
    """Reads one environment. Has no method that can write."""

    name: str

    async def read(self, since: Delta | None = None) -> Snapshot:
        """Read everything; `since` is all that moved since the last read, where that is known: what did not move may
        then be taken as it was read. An environment of which nothing can be reached raises `Unreachable` or
        `AuthError`; one of which a part can be reached returns that part with a degraded reach that names the rest."""
        ...

    def object_of(self, ref: Ref) -> str | None:
        """The native object that holds a route or limit, where its name says so or what was read last; else None. It
        need not be there."""
        ...

    def stands_alone(self, ref: Ref) -> bool:
        """Whether `fetch` of the object of a row tells all of its environment that a plan on the row is judged by, so
        that nothing else of it need be read."""
        ...

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        """Read native objects anew (never from a cache), each once, in the order in which they are given.

        Each is a `Route.object` or `Limit.object`. What else a plan on them is judged by (who owns them, where a limit
        is bound, the rights to write them) is asked here too, once for all. Raises `NotFound` when one is gone.
        """
        ...

    def prepare(self, fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[Prepared]:
        """Turn changes into steps on what was fetched, one per native object, in the order in which they must be
        written. Pure: it waits for nothing and may be called in any thread.

        Raises `InvalidValue` for what the platform cannot hold (with the nearest values as hint), `Forbidden` for a
        missing right, `NotFound` for what is not among `fetched`. Does not compare `Change.before`: control does.
        """
        ...

    async def native(self, ref: Ref) -> NativeText:
        """The native text that holds a route or limit."""
        ...

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        """What somebody wants changed who was given `original` (`native(ref).text`) and made `text` of it.

        What others changed meanwhile is in neither and is left alone. Raises `InvalidValue`, naming the line, for a
        text that does not parse or that differs in anything but weights, shares, states and limits: the rest of the
        object is not ours.
        """
        ...

    async def count(self, refs: Sequence[Ref] | None = None) -> list[Counted]:
        """The traffic counters of some or all routes, as they stand now. Routes that cannot be counted are absent.

        `refs` may name limits: where the proxy counts what one of them saw and refused, that is returned under its
        ref. Limits are never in the counts of all.
        """
        ...

    async def loaded(self, step: Prepared) -> ProofPart:
        """Does the data plane use what `step` wrote, now? One look, no waiting: `yes`, `no` (it refused), `pending`
        (not yet) or `unknown` (nothing can be asked). Control polls until `deadline_seconds`."""
        ...

    async def running(self, object: str, changes: Sequence[Change], recorded: Mapping[str, Any]) -> ProofPart:
        """Does the data plane run the values that `changes` lead to, now that `object` holds them? One look.

        Unlike `loaded` it prepares nothing, so that it can be asked by another process, long after the write and
        whoever made it: it judges by what is there and by `recorded`, which is `Prepared.recorded` of the write that
        was planned (empty where none was kept). `yes`, `no` (something else runs, and nothing will change that by
        itself), `pending` (on its way) or `unknown` (nothing can be asked).
        """
        ...

    async def access(self) -> Access:
        """May this identity write here? Asked of the platform without writing anything."""
        ...

    async def check(self) -> list[Check]:
        """What `doctor` says of this environment: reach, identity, rights and what a missing one costs, clock."""
        ...

    def watch(self) -> AsyncIterator[Delta]:
        """Yield what moved, within a second of it; never ends by itself. Platforms that cannot push poll cheaply
        inside."""
        ...

    def confirmed_at(self) -> float | None:
        """When it was last seen, by watching, that what was read still holds; None where nothing is watched."""
        ...

    async def close(self) -> None:
        """Close connections and end threads. Idempotent."""
        ...


@runtime_checkable
class LogsIn(Protocol):
    """A reader whose identity comes from a program or a service that may take longer than a read."""

    async def log_in(self) -> None:
        """Get the identity ready. What was given up goes on, and the next call has it. Raises `AuthError`."""
        ...


class Written(Struct, frozen=True):
    """What the platform answered to a write that it accepted."""

    said: str
    """In words: "generation 8", "reloaded, 4 new workers"."""
    after: Fetched | None = None
    """The object as that answer has it: the reading back. None where the answer does not tell."""


@runtime_checkable
class Sink(Protocol):
    """What carries out steps: the platform's own writer, which makes them live, or another way to the same change.
    Exists only where somebody may write: none is made in read-only mode."""

    async def write(self, step: Prepared) -> Written:
        """Carry out `step.writes` once, with a precondition on `step.base`.

        Raises `Stale` when the object is not what `step.base` says (nothing written), `Forbidden`, `InvalidValue`,
        `Locked`, `PlatformError` (nothing written, or rolled back; the message says which), `Unreachable` (outcome
        unknown: control reads back).
        Never retries a write by itself.
        """
        ...

    async def close(self) -> None: ...


class Writer(Sink, Protocol):
    """The live sink of one environment: the write, then the reload that makes it live."""


class Secrets(Struct, frozen=True):
    """How an adapter may ask for a secret: keyring first, then one question before the screen starts."""

    ask: Callable[[str, str], str | None]
    """(what for, key in the keyring) -> the secret, or None when it is not to be had."""


def _finds_nothing(home: Path) -> list[dict[str, str]]:
    return []


class PlatformAdapter(Struct, frozen=True):
    """What a platform registers (`adapters.registry`, or the entry-point group `trafficdeck.adapters`)."""

    section: DeckSection
    """What it brings to the deck file, and what control must know of its platform."""
    kinds: Mapping[str, str]
    """Kind name -> one line of what it is."""
    open_reader: Callable[[EnvironmentConfig, Secrets], Reader]
    """Make a reader. Cheap: no I/O and no heavy import before the first call."""
    open_writer: Callable[[EnvironmentConfig, Secrets, Reader], Writer]
    """Make a writer beside its reader (whose connections it may share, whose guards it may not loosen)."""
    find: Callable[[Path], list[dict[str, str]]] = _finds_nothing
    """What the user's own files (under this home) name for a first deck file; nothing is asked over the network."""


WriterFactory = Callable[[EnvironmentConfig, Reader], Writer]
"""How a writer is made beside its reader; who is given none can write nothing."""
