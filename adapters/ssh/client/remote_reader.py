"""The reading verbs over a real SSH connection."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from adapters.ssh import discovery
from adapters.ssh.client import pool, scripts
from adapters.ssh.client.connection import Connection
from adapters.ssh.client.paths import checked, checked_log, checked_names, checked_show, roots
from adapters.ssh.client.ports import ConfigTree, FileFacts, Includes, Probe, Workers
from adapters.ssh.client.privileges import main_files, privileges_for
from adapters.ssh.client.shell import Done, assign
from adapters.ssh.client.sockets import Sockets
from adapters.ssh.client.tree import MAXIMUM_FILE, UNREADABLE, NotWhole, TreeParts
from adapters.ssh.section import ProxyConfig
from control.errors import Forbidden, NotFound, Unreachable
from control.text import clean

READ_TIMEOUT = 8.0
_LEVELS = 10
_PROBE_AGE = 300.0
"""For how long a probe is good: tools, rights and arguments change rarely; workers are always asked anew."""


class RemoteReader:
    """`HostReader` of one host. Its only way to the host are the constant scripts and `show` on a socket."""

    def __init__(self, host: str, connection: Connection, sudo: bool) -> None:
        self.host = host
        self._connection = connection
        self._sudo = sudo
        self._probed: Probe | None = None
        self._sockets = Sockets(host, connection, self.may_be_root)

    async def probe(self) -> Probe:
        return await pool.on(self._connection, self._probe)

    def _probe(self) -> Probe:
        began = time.time()
        done = self._shell(assign(SUDO=int(self._sudo)) + scripts.PROBE)
        self._probed = discovery.parse_probe(_text(done.out), self.host, began, time.time())
        return self._probed

    async def probed(self, pid: int | None) -> Probe:
        """The last probe while it is good and knows the process `pid`, else a new one."""
        known = self._probed
        fresh = known is not None and time.time() - known.read_at < _PROBE_AGE
        if known is not None and fresh and any(process.pid == pid for process in known.processes):
            return known
        return await self.probe()

    def _known(self) -> Probe:
        probed = self._probed
        return probed if probed and time.time() - probed.read_at < _PROBE_AGE else self._probe()

    def may_be_root(self) -> bool:
        """Whether sudo gives us a root shell. Blocking where that is not yet known."""
        if not self._sudo:
            return False
        known = self._known()
        return known.uid != 0 and known.rights.get("shell", False)

    async def config_tree(self, proxy: ProxyConfig, includes: Includes) -> ConfigTree:
        return await pool.on(self._connection, self._config_tree, proxy, includes)

    def _config_tree(self, proxy: ProxyConfig, includes: Includes) -> ConfigTree:
        try:
            return self._whole_tree(proxy, includes)
        except NotWhole:
            return self._whole_tree(proxy, includes)

    def _whole_tree(self, proxy: ProxyConfig, includes: Includes) -> ConfigTree:
        probed = self._known()
        proxy = discovery.settle(proxy, probed)
        mains = main_files(proxy, probed)
        parts = self._collect(proxy, mains, includes, False)
        if self.may_be_root() and any(why == UNREADABLE for why in parts.unreadable.values()):
            parts = self._collect(proxy, mains, includes, True)
        self._require(parts, mains)
        return parts.tree()

    def _collect(self, proxy: ProxyConfig, mains: Sequence[str], includes: Includes, root: bool) -> TreeParts:
        """Main files first, then what they include, one round trip a level."""
        parts = TreeParts(root=self.may_be_root())
        folders = roots(proxy, mains)
        fresh = parts.take(self._fetch(mains, folders, root, True))
        real = dict.fromkeys(path for main in mains for path in parts.expanded.get(main, ()))
        parts.mains = tuple(path for path in real if path in parts.files)
        for _ in range(_LEVELS):
            named = [glob for path in fresh for glob in includes(parts.mains[0], path, parts.files[path])]
            named += [glob for glob in (*proxy.map_files, proxy.state_file) if glob]
            globs = [checked(glob) for glob in dict.fromkeys(named) if glob not in parts.expanded]
            if not globs or not parts.mains:
                break
            fresh = parts.take(self._fetch(globs, folders, root, False))
        return parts

    def _require(self, parts: TreeParts, mains: Sequence[str]) -> None:
        if parts.mains:
            return
        where = ", ".join(clean(main) for main in mains)
        if parts.unreadable:
            trouble = self._known().sudo_trouble if self._sudo else None
            cause, hint = (f", and {trouble[0]}", trouble[1]) if trouble else ("", _READ_HINT)
            raise Forbidden(f"host {clean(self.host)}: {where} is not readable for this user{cause}", hint=hint)
        raise NotFound(f"host {clean(self.host)}: there is no {where}", hint="name `config` of this proxy in the deck")

    def _fetch(self, globs: Sequence[str], folders: Sequence[str], root: bool, first: bool) -> tuple[bytes, str]:
        marker = secrets.token_hex(16)
        values = assign(
            GLOBS="\n".join(globs), ROOTS="\n".join(folders), MARK=marker, MAXIMUM=MAXIMUM_FILE, DIRS=int(first)
        )
        return self._shell(values + scripts.TREE, root).out, marker

    async def haproxy_show(self, socket: str, what: str) -> str:
        answer = await pool.on(self._connection, self._sockets.exchange, socket, "show " + checked_show(what))
        if answer.startswith("Permission denied"):
            raise Forbidden(
                f"host {clean(self.host)}: the socket {clean(socket)} does not answer 'show {clean(what)}'",
                hint="its `level` in the HAProxy configuration is too low",
            )
        return answer

    async def workers(self, proxy: ProxyConfig) -> Workers:
        return await pool.on(self._connection, self._workers, proxy)

    def _workers(self, proxy: ProxyConfig) -> Workers:
        parts = discovery.sections(_text(self._shell(scripts.PROCESSES).out))
        prefix = self._known().builds.get("--prefix", "")
        return discovery.workers(discovery.processes(parts), proxy, prefix)

    async def log_tail(self, path: str, offset: int | None, maximum: int) -> tuple[int, bytes]:
        done = await pool.on(
            self._connection,
            self._may_need_root,
            assign(LOG=checked_log(path), FROM="end" if offset is None else int(offset), MAXIMUM=int(maximum))
            + scripts.LOG_TAIL,
            lambda done: done.out.startswith(b"unreadable"),
        )
        head, _, data = done.out.partition(b"\n")
        if not head.isdigit():
            kind = NotFound if head == b"missing" else Forbidden
            raise kind(f"host {clean(self.host)}: the log {clean(path)} is {clean(_text(head)) or 'unreadable'}")
        return int(head) + len(data), data

    async def file_facts(self, paths: Sequence[str]) -> dict[str, FileFacts]:
        done = await pool.on(self._connection, self._listed, assign(PATHS=_lines(paths)) + scripts.FACTS)
        root = await pool.run(self.may_be_root)
        found: dict[str, FileFacts] = {}
        for line in _text(done.out).split("\n"):
            fields = line.split("\t")
            if len(fields) == 5 and fields[0] == "F":
                found[fields[4]] = TreeParts.facts_of(fields[1], fields[2], fields[4], fields[3], root)
        return found

    async def addresses(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        asked = checked_names(names)
        if not asked:
            return {}
        values = assign(NAMES=" ".join(asked))
        found: dict[str, dict[str, None]] = {}
        for line in _text((await pool.on(self._connection, self._shell, values + scripts.ADDRESSES)).out).split("\n"):
            kind, _, rest = line.partition("\t")
            name, tab, address = rest.partition("\t")
            if kind == "A" and tab and name in asked:
                found.setdefault(name, {})[address] = None
        return {name: tuple(addresses) for name, addresses in found.items()}

    async def rights(self, paths: Sequence[str], pids: Iterable[int]) -> set[tuple[str, str]]:
        """(`W` writable | `O` ours | `K` may be signalled, path or pid), asked without doing any of it."""
        values = assign(PATHS=_lines(paths), PIDS="\n".join(str(int(pid)) for pid in pids))
        lines = _text((await pool.on(self._connection, self._shell, values + scripts.RIGHTS)).out).split("\n")
        return {(kind, what) for kind, tab, what in (line.partition("\t") for line in lines) if tab}

    async def may_write(self, proxy: ProxyConfig, paths: Sequence[str]) -> str:
        workers = await self.workers(proxy)
        try:
            await privileges_for(self, proxy, workers, paths, self._sudo, reload=proxy.kind == "nginx")
        except Forbidden as error:
            return str(error)
        return ""

    async def fingerprint(self, paths: Sequence[str], pids: Sequence[int]) -> bytes:
        values = assign(PATHS=_lines(paths), PIDS=" ".join(str(int(pid)) for pid in pids))
        return (await pool.on(self._connection, self._shell, values + scripts.WATCH)).out

    def _listed(self, script: str) -> Done:
        return self._shell(script, self.may_be_root())

    def _may_need_root(self, script: str, denied: Callable[[Done], bool]) -> Done:
        done = self._shell(script)
        return self._shell(script, True) if denied(done) and self.may_be_root() else done

    def _shell(self, script: str, root: bool = False) -> Done:
        try:
            return self._connection.shell(script, READ_TIMEOUT, root)
        except Unreachable:
            if self._connection.is_open:
                raise
        # the host ended a connection that looked open: reading again on a new one does no harm
        return self._connection.shell(script, READ_TIMEOUT, root)

    async def close(self) -> None:
        await pool.run(self._connection.close)


_READ_HINT = "add the user to the group that may read it, or set `sudo: true` in the deck file"


def _lines(paths: Sequence[str]) -> str:
    return "\n".join(checked(path) for path in paths)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
