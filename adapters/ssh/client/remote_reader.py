"""The reading verbs over a real SSH connection."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from adapters.ssh.client import discovery, pool, scripts
from adapters.ssh.client.connection import Connection
from adapters.ssh.client.discovery import Programs
from adapters.ssh.client.paths import checked, checked_log, checked_names, checked_question, roots
from adapters.ssh.client.ports import HostState, Lifecycle, Look, Probe, Process, TreeRequest
from adapters.ssh.client.privileges import privileges_for
from adapters.ssh.client.shell import Done, assign
from adapters.ssh.client.sockets import Sockets
from adapters.ssh.client.tree import MAXIMUM_FILE, UNREADABLE, NotWhole, TreeParts
from control.errors import ControlError, Forbidden, NotFound, Unreachable
from control.text import clean

READ_TIMEOUT = 8.0
_LEVELS = 10
_PROBE_AGE = 300.0
"""For how long a probe is good: tools, versions and sudo change rarely; processes are always asked anew."""
_RIGHTS_AGE = 60.0
"""For how long it is taken as known what this user may write and signal."""


class RemoteReader:
    """`HostReader` of one host. Its only way to the host are the constant scripts and questions to sockets."""

    def __init__(self, host: str, connection: Connection, sudo: bool, programs: Programs) -> None:
        self.host = host
        self._connection = connection
        self._sudo = sudo
        self._programs = programs
        self._probed: Probe | None = None
        self._sockets = Sockets(host, connection, self.may_be_root)
        self._globs: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        """What the main files of a program led to at the last look: asked for with them at the next."""
        self._rights: dict[str, tuple[float, frozenset[str]]] = {}
        """Path or pid -> when it was asked about, and the letters of `scripts.RIGHTS` that hold."""
        self._rights_asked: dict[tuple[str, tuple[str, ...]], float] = {}

    async def probe(self) -> Probe:
        return await pool.on(self._connection, self._probe)

    def _probe(self) -> Probe:
        began = time.time()
        done = self._shell(scripts.probe(self._programs.values(), self._sudo))
        self._probed = discovery.parse_probe(_text(done.out), self.host, began, time.time(), self._programs)
        return self._probed

    async def probed(self) -> Probe:
        """The last probe while it is good, else a new one."""
        return await pool.on(self._connection, self._known)

    def _known(self) -> Probe:
        probed = self._probed
        return probed if probed and time.time() - probed.read_at < _PROBE_AGE else self._probe()

    def may_be_root(self) -> bool:
        """Whether sudo gives us a root shell. Blocking where that is not yet known."""
        if not self._sudo:
            return False
        known = self._known()
        return known.uid != 0 and known.root_shell

    async def look(self, request: TreeRequest) -> Look:
        return await pool.on(self._connection, self._look, request)

    def _look(self, request: TreeRequest) -> Look:
        try:
            return self._whole_look(request)
        except NotWhole:
            return self._whole_look(request)

    def _whole_look(self, request: TreeRequest) -> Look:
        """As ourselves; as root where a file is not readable else."""
        mains = [checked(main) for main in request.mains]
        look, unreadable = self._seen(request, mains, False)
        if self.may_be_root() and any(why == UNREADABLE for why in unreadable.values()):
            look, unreadable = self._seen(request, mains, True)
        if not look.tree.main:
            raise self._no_main(mains, unreadable)
        return look

    def _seen(self, request: TreeRequest, mains: Sequence[str], root: bool) -> tuple[Look, dict[str, str]]:
        """Main files with what they led to the last time; then level by level what they lead to now beside that."""
        parts = TreeParts(root=self.may_be_root())
        folders = roots(self._programs[request.program], mains, request.named)
        key = (request.program, tuple(mains))
        globs = [checked(path) for path in dict.fromkeys((*request.named, *self._globs.get(key, ())))]
        rights = request.rights and time.monotonic() - self._rights_asked.get(key, -_RIGHTS_AGE) >= _RIGHTS_AGE
        processes = self._fetch(parts, mains, globs, folders, root, rights)
        found = parts.mains(mains)
        for _ in range(_LEVELS):
            if not found:
                break
            globs = [checked(glob) for glob in parts.named_by(found, request.named, request.includes)]
            missing = parts.missing(globs)
            if not missing:
                break
            self._fetch(parts, (), missing, folders, root, rights)
        self._globs[key] = globs
        if rights:
            self._rights_asked[key] = time.monotonic()
        return Look(parts.tree(found, mains, globs), processes), parts.unreadable

    def _no_main(self, mains: Sequence[str], unreadable: Mapping[str, str]) -> ControlError:
        where = ", ".join(clean(main) for main in mains)
        if unreadable:
            trouble = self._known().sudo_trouble if self._sudo else None
            cause, hint = (f", and {trouble[0]}", trouble[1]) if trouble else ("", _READ_HINT)
            return Forbidden(f"host {clean(self.host)}: {where} is not readable for this user{cause}", hint=hint)
        return NotFound(f"host {clean(self.host)}: there is no {where}", hint="name `config` of this proxy in the deck")

    def _fetch(
        self,
        parts: TreeParts,
        mains: Sequence[str],
        globs: Sequence[str],
        folders: Sequence[str],
        root: bool,
        rights: bool,
    ) -> tuple[Process, ...]:
        """One round trip: adds files to `parts`; returns the processes that run meanwhile."""
        mark = secrets.token_hex(16)
        values = assign(
            MAINS="\n".join(mains),
            GLOBS="\n".join(globs),
            ROOTS="\n".join(folders),
            MARK=mark,
            MAXIMUM=MAXIMUM_FILE,
            PATHS="",
            PIDS="",
        )
        names = scripts.of_processes(self._programs.values())
        script = values + names + scripts.TREE + scripts.PROCESSES + (scripts.RIGHTS if rights else "")
        files, end, rest = self._shell(script, root).out.partition(f"\n{mark} end\n".encode())
        if not end:
            raise NotWhole("the list of configuration files did not arrive whole")
        parts.take(files, mark)
        sections = discovery.sections(_text(rest))
        self._keep_rights(sections.get("rights", []))
        return tuple(discovery.processes(sections, self._programs))

    async def stat(self, paths: Sequence[str] = ()) -> HostState:
        return await pool.on(self._connection, self._stat, paths)

    def _stat(self, paths: Sequence[str]) -> HostState:
        names = scripts.of_processes(self._programs.values())
        facts = assign(PATHS=_lines(paths)) + scripts.FACTS if paths else ""
        root = self.may_be_root()
        parts = discovery.sections(_text(self._shell(names + facts + scripts.PROCESSES, bool(paths) and root).out))
        return HostState(discovery.files(parts, root), tuple(discovery.processes(parts, self._programs)))

    async def ask(self, program: str, socket: str, question: str) -> str:
        known = self._programs[program]
        line = checked_question(known, question)
        return await pool.on(self._connection, self._sockets.exchange, socket, line, known.title)

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
        """(`W` writable | `O` ours | `K` may be signalled | …, path or pid), asked without doing any of it, at most
        once a minute."""
        own = [str(int(pid)) for pid in pids]
        now = time.monotonic()
        known = [self._rights.get(name) for name in (*paths, *own)]
        if not all(one is not None and now - one[0] < _RIGHTS_AGE for one in known):
            values = assign(PATHS=_lines(paths), PIDS="\n".join(own) or " ")
            done = await pool.on(self._connection, self._shell, values + scripts.RIGHTS)
            self._keep_rights(_text(done.out).split("\n"))
        folders = dict.fromkeys(path.rpartition("/")[0] + "/" for path in paths)
        return {
            (letter, name)
            for name in (*paths, *folders, *own)
            for letter in self._rights.get(name, (0.0, frozenset[str]()))[1]
        }

    def _keep_rights(self, lines: Sequence[str]) -> None:
        """What was asked now is as it was answered now; a right that was lost meanwhile fails the write itself."""
        found: dict[str, set[str]] = {}
        for letter, tab, name in (line.partition("\t") for line in lines):
            if tab:
                found.setdefault(name, set()).add(letter)
        now = time.monotonic()
        self._rights |= {name: (now, frozenset(letters)) for name, letters in found.items()}

    async def may_write(self, lifecycle: Lifecycle, paths: Sequence[str], reload: bool) -> str:
        try:
            await privileges_for(self, lifecycle, paths, self._sudo, reload)
        except Forbidden as error:
            return str(error)
        return ""

    async def fingerprint(self, paths: Sequence[str], pids: Sequence[int]) -> bytes:
        values = assign(PATHS=_lines(paths), PIDS=" ".join(str(int(pid)) for pid in pids))
        return (await pool.on(self._connection, self._shell, values + scripts.WATCH)).out

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
