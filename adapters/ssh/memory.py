"""Hosts in memory, for the demo fleet and for tests: files, nginx workers and HAProxy's running state.

They answer as the real ones do: a file is replaced only on the sha256 it had, nginx reloads publish everything that is
on disk, a HAProxy reload loses what was only set at runtime. State goes out with `dump` and comes back with `load`, as
plain JSON.
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.ssh.client.paths import checked_command, checked_show
from adapters.ssh.client.ports import (
    ConfigTree,
    FileFacts,
    FileReplacement,
    HostWriter,
    Includes,
    Probe,
    Process,
    Worker,
    Workers,
)
from adapters.ssh.proxies.haproxy.memory import MemoryHAProxy
from adapters.ssh.section import ProxyConfig
from control.errors import Forbidden, InvalidValue, NotFound, PlatformError, Stale, Unreachable
from control.text import clean

NGINX_CONFIG = "/etc/nginx/nginx.conf"
HAPROXY_CONFIG = "/etc/haproxy/haproxy.cfg"
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
        workers: int = 4,
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
        """The files as nginx last read them: what its workers run on."""
        self.changed = dict.fromkeys(files, self.started - 60.0)
        self._workers = workers
        self.haproxy = MemoryHAProxy(self.files, HAPROXY_CONFIG) if HAPROXY_CONFIG in self.files else None

    # --- state --------------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """The state as JSON."""
        return {
            "files": {path: data.decode("latin-1") for path, data in self.files.items()},
            "loaded": {path: data.decode("latin-1") for path, data in self.loaded.items()},
            "changed": dict(self.changed),
            "generation": self.generation,
            "started": self.started,
            "haproxy": self.haproxy.dump() if self.haproxy else None,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `dump` gave."""
        self.files = {path: text.encode("latin-1") for path, text in state["files"].items()}
        self.loaded = {path: text.encode("latin-1") for path, text in state["loaded"].items()}
        self.changed = dict(state["changed"])
        self.generation = state["generation"]
        self.started = state["started"]
        if self.haproxy is not None and state["haproxy"] is not None:
            self.haproxy.load(state["haproxy"])

    def write_file(self, path: str, data: bytes) -> None:
        """Somebody else edits a file on the host; nothing is reloaded."""
        self.files[path] = data
        self.changed[path] = self.clock()

    def reload(self) -> None:
        """The proxies read their files anew: nginx gets new workers, HAProxy starts from its files."""
        self.generation += 1
        self.started = self.clock()
        self.loaded = dict(self.files)
        if self.haproxy is not None:
            self.haproxy.seed(self.files)

    def processes(self) -> list[Process]:
        """nginx and HAProxy as discovery sees them; pids change with every reload."""
        found: list[Process] = []
        first = 1000 + 20 * self.generation
        if NGINX_CONFIG in self.files:
            found.append(Process("nginx", 800, 1, self.started, ("/usr/sbin/nginx",), "master process"))
            numbers = range(first, first + self._workers)
            found += [Process("nginx", number, 800, self.started, (), "worker process") for number in numbers]
        if self.haproxy is not None:
            arguments = ("/usr/sbin/haproxy", "-Ws", "-f", HAPROXY_CONFIG)
            found.append(Process("haproxy", 900, 1, self.started, arguments))
            found.append(Process("haproxy", first + 19, 900, self.started, arguments))
        return found


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
            processes=tuple(self.memory.processes()),
            versions={"nginx": "1.26.3", "haproxy": "3.0.11"},
            builds={"--conf-path": NGINX_CONFIG},
        )

    async def config_tree(self, proxy: ProxyConfig, includes: Includes) -> ConfigTree:
        await self.reach()
        main = proxy.config or (NGINX_CONFIG if proxy.kind == "nginx" else HAPROXY_CONFIG)
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
        facts = await self.file_facts(list(files))
        return ConfigTree((main,), files, expanded, facts)

    def _expand(self, glob: str) -> tuple[str, ...]:
        same_depth = (path for path in self.memory.files if path.count("/") == glob.count("/"))
        found = (path for path in same_depth if fnmatch.fnmatchcase(path, glob))
        return tuple(sorted(path for path in found if path == glob or not path.rpartition("/")[2].startswith(".")))

    async def haproxy_show(self, socket: str, what: str) -> str:
        await self.reach()
        if self.memory.haproxy is None:
            raise Forbidden(f"host {clean(self.host)}: nothing listens on {clean(socket)}")
        return self.memory.haproxy.show(checked_show(what))

    async def workers(self, proxy: ProxyConfig) -> Workers:
        await self.reach()
        processes = [process for process in self.memory.processes() if process.kind == proxy.kind]
        if not processes:
            return Workers()
        master, *others = processes
        return Workers(master.pid, tuple(Worker(process.pid, process.started) for process in others))

    async def log_tail(self, path: str, offset: int | None, maximum: int) -> tuple[int, bytes]:
        await self.reach()
        if path not in self.memory.logs:
            raise NotFound(f"host {clean(self.host)}: the log {clean(path)} is missing")
        text = self.memory.logs[path]()
        start = len(text) if offset is None else offset if offset <= len(text) else 0
        data = text[start : start + maximum]
        return start + len(data), data

    async def file_facts(self, paths: Sequence[str]) -> dict[str, FileFacts]:
        await self.reach()
        return {path: self._facts(path) for path in paths if path in self.memory.files}

    def _facts(self, path: str) -> FileFacts:
        data, at = self.memory.files[path], self.memory.changed.get(path, self.memory.started)
        digest = hashlib.sha256(data).hexdigest()
        return FileFacts(path, digest, len(data), "root", "root", "644", at, at, self.memory.writable)

    async def addresses(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        await self.reach()
        return {name: self.memory.addresses.get(name, (_ADDRESS,)) for name in names}

    async def may_write(self, proxy: ProxyConfig, paths: Sequence[str]) -> str:
        await self.reach()
        if self.memory.writable:
            return ""
        return f"host {clean(self.host)}: this user may not replace {clean(', '.join(paths))}"

    async def fingerprint(self, paths: Sequence[str], pids: Sequence[int]) -> bytes:
        await self.reach()
        running = self.memory.haproxy.dump() if self.memory.haproxy else None
        return repr((self.memory.generation, sorted(self.memory.changed.items()), running)).encode()

    async def close(self) -> None:
        """Nothing is open."""


class MemoryWriter:
    """`HostWriter` of a host in memory. `check` is the proxy's own check of the files as they would be."""

    def __init__(
        self, memory: MemoryHost, check: Callable[[ProxyConfig, Mapping[str, bytes]], str] | None = None
    ) -> None:
        self.memory = memory
        self._reader = MemoryReader(memory)
        self._check = check

    async def replace_files(self, replacement: FileReplacement) -> str:
        memory = self.memory
        memory.writes += [f"replace {change.path}" for change in replacement.files]
        await self._reader.reach()
        if not memory.writable:
            raise Forbidden(f"host {clean(memory.name)}: this user may not replace {clean(replacement.files[0].path)}")
        for change in replacement.files:
            if hashlib.sha256(memory.files.get(change.path, b"")).hexdigest() != change.expected_sha256:
                raise Stale(f"host {clean(memory.name)}: {clean(change.path)} was changed")
        after = {**memory.files, **{change.path: change.data for change in replacement.files}}
        refusal = self._check(replacement.proxy, after) if self._check else ""
        if refusal:
            raise InvalidValue(f"host {clean(memory.name)}: {refusal}; the old file is in force")
        if replacement.reload and memory.refuses_reload:
            raise PlatformError(f"host {clean(memory.name)}: {memory.refuses_reload}; rolled back")
        for change in replacement.files:
            memory.write_file(change.path, change.data)
        if replacement.reload:
            memory.reload()
        return "replaced and reloaded" if replacement.reload else "replaced"

    async def haproxy_set(self, socket: str, commands: Sequence[str]) -> list[str]:
        self.memory.writes += list(commands)
        await self._reader.reach()
        if self.memory.haproxy is None:
            raise Forbidden(f"host {clean(self.memory.name)}: nothing listens on {clean(socket)}")
        answers: list[str] = []
        for command in [checked_command(one) for one in commands]:
            answer = self.memory.haproxy.set(command)
            if answer:
                raise PlatformError(
                    f"host {clean(self.memory.name)}: HAProxy refused '{clean(command)}': {clean(answer)}"
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


def refusal(proxy: ProxyConfig, files: Mapping[str, bytes]) -> str:
    """What stands for the proxy's own check: does our codec read the main file?"""
    from adapters.ssh.proxies.table import driver_for

    main = proxy.config or (NGINX_CONFIG if proxy.kind == "nginx" else HAPROXY_CONFIG)
    try:
        driver_for(proxy.kind).codec.includes(main, main, files[main])
    except PlatformError as error:
        return error.message
    return ""
