"""Hosts in memory, for the demo fleet and for tests: files, and the proxies that run there (`MemoryTwin`).

They answer as the real ones do: a file is replaced only on the sha256 it had, a reload publishes everything that is on
disk and loses what was only set at runtime. State goes out with `dump` and comes back with `load`, as plain JSON.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.ssh.client.paths import checked_command, checked_question
from adapters.ssh.client.ports import (
    ConfigTree,
    FileFacts,
    FileReplacement,
    HostState,
    HostWriter,
    Lifecycle,
    Look,
    Probe,
    Process,
    Replaced,
    TreeRequest,
)
from adapters.ssh.proxies.protocol import MemoryTwin
from adapters.ssh.proxies.table import programs, proxy_for, twins
from control.errors import Forbidden, InvalidValue, NotFound, PlatformError, Stale, Unreachable
from control.text import clean

_LEVELS = 10
_ADDRESS = "192.0.2.1"
_AGE = 30 * 86400.0
"""For how long a host that is opened anew has been running."""


class MemoryHost:
    """One host. Change `unreachable`, `delay_seconds`, `writable` and `refuses_reload` to make it sick."""

    def __init__(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        clock: Callable[[], float] = time.time,
        user: str = "deploy",
    ) -> None:
        self.name = name
        self.files = dict(files)
        self.user = user
        self.clock = clock
        self.unreachable = ""
        """A reason: while it is set every call fails with it."""
        self.delay_seconds = 0.0
        self.writable = True
        self.refuses_reload = ""
        """A reason: while it is set a reload is accepted and not adopted."""
        self.logs: dict[str, Callable[[], bytes]] = {}
        """Path of an access log -> its whole text now."""
        self.addresses: dict[str, tuple[str, ...]] = {}
        """Host name -> its addresses; a name that is not in it has one."""
        self.writes: list[str] = []
        """Every write that was asked for, refused ones too."""
        self.generation = 1
        self.started = clock() - _AGE
        self.loaded: dict[str, bytes] = dict(files)
        """The files as the proxies last read them."""
        self.changed = dict.fromkeys(files, self.started - 60.0)
        self.proxies: dict[str, MemoryTwin] = twins(self.files)
        """What runs there, by kind."""

    # --- state --------------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """The state as JSON."""
        return {
            "files": {path: data.decode("latin-1") for path, data in self.files.items()},
            "loaded": {path: data.decode("latin-1") for path, data in self.loaded.items()},
            "changed": dict(self.changed),
            "generation": self.generation,
            "started": self.started,
            "proxies": {kind: twin.dump() for kind, twin in self.proxies.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.files = {path: text.encode("latin-1") for path, text in state["files"].items()}
        self.loaded = {path: text.encode("latin-1") for path, text in state["loaded"].items()}
        self.changed = dict(state["changed"])
        self.generation = state["generation"]
        self.started = state["started"]
        for kind, running in state["proxies"].items():
            if kind in self.proxies:
                self.proxies[kind].load(running)

    def write_file(self, path: str, data: bytes) -> None:
        """Somebody else edits a file on the host; nothing is reloaded."""
        self.files[path] = data
        self.changed[path] = self.clock()

    def reload(self) -> None:
        """The proxies read their files anew."""
        self.generation += 1
        self.started = self.clock()
        self.loaded = dict(self.files)
        for twin in self.proxies.values():
            twin.reload(self.files)

    def processes(self) -> tuple[Process, ...]:
        """As discovery sees them; pids change with every reload."""
        first = 1000 + 20 * self.generation
        found = [twin.processes(self.started, first + 5000 * n) for n, twin in enumerate(self.proxies.values())]
        return tuple(process for own in found for process in own)


class MemoryReader:
    """`HostReader` of a host in memory."""

    def __init__(self, memory: MemoryHost) -> None:
        self.memory = memory
        self.host = memory.name

    async def reach(self) -> None:
        """Take the time a host takes, or fail as it fails."""
        await asyncio.sleep(self.memory.delay_seconds)
        if self.memory.unreachable:
            raise Unreachable(f"host {clean(self.host)}: {self.memory.unreachable}")

    async def probe(self) -> Probe:
        await self.reach()
        return Probe(
            hostname=self.host,
            user=self.memory.user,
            uid=1000,
            clock=self.memory.clock(),
            read_at=self.memory.clock(),
            tools=frozenset({"flock", "sha256sum"}),
            processes=self.memory.processes(),
            said={kind: twin.said for kind, twin in self.memory.proxies.items()},
        )

    async def look(self, request: TreeRequest) -> Look:
        await self.reach()
        main, includes = request.mains[0], request.includes
        if main not in self.memory.files:
            raise NotFound(f"host {clean(self.host)}: there is no {clean(main)}")
        files: dict[str, bytes] = {}
        expanded: dict[str, tuple[str, ...]] = {}
        wanted = [main]
        for _ in range(_LEVELS):
            fresh: list[str] = []
            for glob in (glob for glob in dict.fromkeys(wanted) if glob not in expanded):
                expanded[glob] = self._expand(glob)
                fresh += [path for path in expanded[glob] if path not in files]
                files.update({path: self.memory.files[path] for path in expanded[glob]})
            wanted = [glob for path in dict.fromkeys(fresh) for glob in includes(main, path, files[path])]
            if not wanted:
                break
        facts = {path: self._facts(path) for path in files}
        return Look(ConfigTree((main,), files, expanded, facts), self.memory.processes())

    def _expand(self, glob: str) -> tuple[str, ...]:
        same_depth = (path for path in self.memory.files if path.count("/") == glob.count("/"))
        found = (path for path in same_depth if fnmatch.fnmatchcase(path, glob))
        return tuple(sorted(path for path in found if path == glob or not path.rpartition("/")[2].startswith(".")))

    async def stat(self, paths: Sequence[str] = ()) -> HostState:
        await self.reach()
        return HostState(
            {path: self._facts(path) for path in paths if path in self.memory.files}, self.memory.processes()
        )

    async def ask(self, program: str, socket: str, question: str) -> str:
        await self.reach()
        line = checked_question(programs()[program], question)
        return self.twin(program, socket).ask(line)

    def twin(self, program: str, socket: str) -> MemoryTwin:
        """What answers on a socket. Raises `Forbidden` where nothing does."""
        if program not in self.memory.proxies:
            raise Forbidden(f"host {clean(self.host)}: nothing listens on {clean(socket)}")
        return self.memory.proxies[program]

    async def log_tail(self, path: str, offset: int | None, maximum: int) -> tuple[int, bytes]:
        await self.reach()
        if path not in self.memory.logs:
            raise NotFound(f"host {clean(self.host)}: the log {clean(path)} is missing")
        text = self.memory.logs[path]()
        start = len(text) if offset is None else offset if offset <= len(text) else 0
        data = text[start : start + maximum]
        return start + len(data), data

    def _facts(self, path: str) -> FileFacts:
        data, at = self.memory.files[path], self.memory.changed.get(path, self.memory.started)
        digest = hashlib.sha256(data).hexdigest()
        return FileFacts(path, digest, len(data), "root", "root", "644", at, at, self.memory.writable)

    async def addresses(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        await self.reach()
        return {name: self.memory.addresses.get(name, (_ADDRESS,)) for name in names}

    async def may_write(self, lifecycle: Lifecycle, paths: Sequence[str], reload: bool) -> str:
        await self.reach()
        if self.memory.writable:
            return ""
        return f"host {clean(self.host)}: this user may not replace {clean(', '.join(paths))}"

    async def fingerprint(self, paths: Sequence[str], pids: Sequence[int]) -> bytes:
        await self.reach()
        running = [twin.dump() for twin in self.memory.proxies.values()]
        return repr((self.memory.generation, sorted(self.memory.changed.items()), running)).encode()

    async def close(self) -> None:
        """Nothing is open."""


class MemoryWriter:
    """`HostWriter` of a host in memory. `check` is a program's own check of the files as they would be."""

    def __init__(self, memory: MemoryHost, check: Callable[[str, Mapping[str, bytes]], str] | None = None) -> None:
        self.memory = memory
        self._reader = MemoryReader(memory)
        self._check = check

    async def replace_files(self, replacement: FileReplacement) -> Replaced:
        memory = self.memory
        memory.writes += [f"replace {change.path}" for change in replacement.files]
        await self._reader.reach()
        if not memory.writable:
            raise Forbidden(f"host {clean(memory.name)}: this user may not replace {clean(replacement.files[0].path)}")
        for change in replacement.files:
            if hashlib.sha256(memory.files.get(change.path, b"")).hexdigest() != change.expected_sha256:
                raise Stale(f"host {clean(memory.name)}: {clean(change.path)} was changed")
        after = {**memory.files, **{change.path: change.data for change in replacement.files}}
        refusal = self._check(replacement.lifecycle.program.name, after) if self._check else ""
        if refusal:
            raise InvalidValue(f"host {clean(memory.name)}: {refusal}; the old file is in force")
        if replacement.reload and memory.refuses_reload:
            raise PlatformError(f"host {clean(memory.name)}: {memory.refuses_reload}; rolled back")
        for change in replacement.files:
            memory.write_file(change.path, change.data)
        if replacement.reload:
            memory.reload()
        state = await self._reader.stat([change.path for change in replacement.files])
        return Replaced("replaced and reloaded" if replacement.reload else "replaced", state)

    async def tell(self, program: str, socket: str, commands: Sequence[str]) -> list[str]:
        self.memory.writes += list(commands)
        await self._reader.reach()
        known = programs()[program]
        twin = self._reader.twin(program, socket)
        answers: list[str] = []
        for command in [checked_command(known, one) for one in commands]:
            answer = twin.tell(command)
            if not known.done.fullmatch(answer):
                raise PlatformError(
                    f"host {clean(self.memory.name)}: {known.title} refused '{clean(command)}': {clean(answer)}"
                    f" ({len(answers)} of {len(commands)} commands were done)"
                )
            answers.append(answer)
        return answers

    async def close(self) -> None:
        """Nothing is open."""


class MemoryHosts:
    """The hosts of one environment in memory, as `sources.Hosts`."""

    def __init__(self, hosts: Sequence[MemoryHost]) -> None:
        self.names = tuple(host.name for host in hosts)
        self._hosts = {host.name: host for host in hosts}

    async def reader(self, name: str) -> MemoryReader:
        return MemoryReader(self._hosts[name])

    async def identity(self, name: str) -> str:
        return f"{self._hosts[name].user}@{name}"

    async def close(self) -> None:
        """Nothing is open."""


class MemoryWriters:
    """The writers of the same hosts, as `sources.WritableHosts`."""

    def __init__(self, hosts: Sequence[MemoryHost]) -> None:
        self._hosts = {host.name: host for host in hosts}

    async def writer(self, name: str) -> HostWriter:
        return MemoryWriter(self._hosts[name], refusal)


def refusal(program: str, files: Mapping[str, bytes]) -> str:
    """What stands for a program's own check: does our codec read the main file?"""
    twin = twins(files).get(program)
    try:
        if twin is not None:
            proxy_for(program).codec.includes(twin.main, twin.main, files[twin.main])
    except PlatformError as error:
        return error.message
    return ""
