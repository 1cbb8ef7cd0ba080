"""One proxy on one host: read it, and turn changes into steps on it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from adapters.common.differences import unified
from adapters.ssh.client.ports import ConfigTree, HostReader, Lifecycle, Look, Probe, TreeRequest
from adapters.ssh.proxies import adopted
from adapters.ssh.proxies.protocol import HostFacts, NativeEdit, Proxy, Report, Runtime, Step, object_name
from adapters.ssh.section import ProxyConfig
from control.background import in_background
from control.errors import InvalidValue, PlatformError
from control.model import Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change, Edit
from control.planning.text_edits import changes_of, edits_between, refuse_others
from control.ports import Fetched, NativeText, Prepared, ReplaceFile, RuntimeCommand, Write
from control.structs import replace
from control.text import clean

_PROBE_AGE = 300.0
_Row = TypeVar("_Row", Route, Limit)


@dataclass(frozen=True, slots=True)
class State:
    """What was read of a proxy."""

    facts: HostFacts
    tree: ConfigTree
    runtime: Runtime
    routes: tuple[Route, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ProxyRead:
    """`Fetched.native` of this platform: what was read of the proxy, whichever of its files was asked for."""

    instance: ProxyInstance
    state: State


def files_with_rows(state: State) -> list[str]:
    """The files that hold a route or a limit, which are those we may have to replace; the main file where none does."""
    rows: tuple[Route | Limit, ...] = (*state.routes, *state.limits)
    objects = dict.fromkeys(row.object for row in rows)
    return list(dict.fromkeys(Ref.parse(name).name for name in objects)) or list(state.tree.main)


class ProxyInstance:
    """One proxy on one host, with what was last read of it."""

    def __init__(
        self, environment: str, host: HostReader, config: ProxyConfig, proxy: Proxy, siblings: int, sudo: bool
    ) -> None:
        self.environment = environment
        self.host = host
        self.config = config
        """As the deck file has it; `State.facts.proxy` has what was found, too."""
        self.proxy = proxy
        self._siblings = siblings
        self._sudo = sudo
        self.known: Probe | None = None
        """The last look at the host; another proxy of the same host may put its own here."""
        self.state: State | None = None
        self._answered: tuple[tuple[str, ...], str] | None = None
        """The sockets that the configuration opens, and the one of them that answered."""
        self.written: dict[str, str] = {}
        """Path -> sha-256 of what we wrote there in this session: that is no change of somebody else."""

    @property
    def kind(self) -> str:
        return self.config.kind

    def holds(self, kind: str) -> bool:
        """Is `NginxUpstream` and the like something of this proxy?"""
        return kind in self.proxy.kinds

    async def read(self, rights: bool = False) -> State:
        """Read everything of this proxy anew. `rights`: to be written soon, so what that takes is asked with it."""
        codec = self.proxy.codec
        probe = await self._probed()
        config = self.proxy.settle(self.config, probe)
        named = tuple(path for path in (*config.map_files, config.state_file) if path)
        request = TreeRequest(config.kind, self.proxy.mains(config, probe), codec.includes, named, rights)
        look = await self.host.look(request)
        tree = look.tree
        if not config.socket:
            config = replace(config, socket=await self._answering(self.proxy.sockets(tree)))
        facts = self._facts(config, probe, look)
        runtime = await self.proxy.runtime(self.host, facts, tree)
        facts = replace(facts, workers=runtime.workers)
        self.state = await in_background(self._state, facts, tree, runtime)
        return self.state

    def _state(self, facts: HostFacts, tree: ConfigTree, runtime: Runtime) -> State:
        routes, limits = self.proxy.codec.read(tree, runtime, facts)
        changed = self._changed_since_start(tree, runtime)
        return State(
            facts,
            tree,
            runtime,
            tuple(self._doubted(row, changed, runtime) for row in routes),
            tuple(self._doubted(row, changed, runtime) for row in limits),
        )

    def objects(self) -> list[str]:
        """The native objects of which its configuration was made when it was last read."""
        return [] if self.state is None else [object_name(self.state.facts, path) for path in self.state.tree.files]

    def lifecycle(self, state: State) -> Lifecycle:
        """How the proxy is checked and reloaded."""
        return self.proxy.lifecycle(state.facts, state.facts.processes or ())

    def _changed_since_start(self, tree: ConfigTree, runtime: Runtime) -> frozenset[str]:
        """Files that are newer than the process, but for those as we wrote them: running values went with them."""
        return frozenset(path for path in runtime.pending if self.written.get(path) != tree.sha256(path))

    def _doubted(self, row: _Row, changed: Collection[str], runtime: Runtime) -> _Row:
        """A row whose file changed since the process started says so, as far as its proxy cannot tell what runs."""
        path = Ref.parse(row.object).name
        note = self.proxy.doubt(row.kind, path, runtime) if path in changed else ""
        return replace(row, notes=(*row.notes, note)) if note else row

    async def _answering(self, sockets: tuple[str, ...]) -> str | None:
        """The first of several sockets that answers; the first of all where none does, to say why."""
        if len(sockets) < 2:
            return sockets[0] if sockets else None
        if self._answered is None or self._answered[0] != sockets:
            for socket in sockets:
                if await self.proxy.answers(self.host, socket):
                    self._answered = (sockets, socket)
                    break
            else:
                return sockets[0]
        return self._answered[1]

    async def _probed(self) -> Probe:
        if self.known is None or time.time() - self.known.read_at > _PROBE_AGE:
            self.known = await self.host.probe()
        return self.known

    def _facts(self, config: ProxyConfig, probe: Probe, look: Look) -> HostFacts:
        hosts = "1 host" if self._siblings == 1 else f"{self._siblings} hosts"
        return HostFacts(
            environment=self.environment,
            host=self.host.host,
            read_at=time.time(),
            proxy=config,
            proxies_in_environment=self._siblings,
            proxies_source=f"deck file: {hosts}",
            version=self.proxy.version(probe),
            sudo=self._sudo,
            access_log=config.access_log,
            clock_offset=probe.clock - probe.read_at,
            discovered={"hostname": probe.hostname, "user": probe.user},
            object_kind=self.proxy.object_kind,
            probe=probe,
            processes=look.processes,
        )

    def fetched(self, state: State, object: str, path: str) -> Fetched:
        """One file with its rows, as it was read."""
        return Fetched(
            object,
            self.environment,
            self.proxy.codec.base(state.tree, path, state.runtime),
            tuple(route for route in state.routes if route.object == object),
            tuple(limit for limit in state.limits if limit.object == object or _bound_in(limit, path)),
            state.facts.read_at,
            ProxyRead(self, state),
        )

    def after(self, step: Step, report: Report) -> Fetched | None:
        """A step's file as what was reported of the write has it; None where that does not tell files and runtime."""
        tree, _ = self.proxy.codec.after(step.tree, step.edit, step.runtime)
        changed = [path for path in tree.files if tree.files[path] is not step.tree.files.get(path)]
        known = [report.files[path].sha256 for path in changed if path in report.files]
        if report.runtime is None or known != [tree.sha256(path) for path in changed]:
            return None
        tree = replace(tree, facts={**tree.facts, **report.files})
        facts = replace(step.facts, workers=report.runtime.workers, read_at=report.runtime.read_at, processes=None)
        self.state = self._state(facts, tree, report.runtime)
        return self.fetched(self.state, object_name(facts, step.edit.path), step.edit.path)

    def prepare(self, state: State, changes: Sequence[Change]) -> list[Prepared]:
        """Steps for changes of this proxy, one per file, on what was read. Each tells what will be once it and those
        before it are written: a limit may stand in two files."""
        edits = self.proxy.codec.edit(state.tree, changes, state.facts, state.runtime)
        tree = state.tree
        runtime: Runtime | None = state.runtime
        prepared: list[Prepared] = []
        for edit in edits:
            tree, runtime = self.proxy.codec.after(tree, edit, runtime)
            prepared.append(self._prepared(state, edit, tree, runtime))
        return prepared

    def _prepared(self, state: State, edit: NativeEdit, tree: ConfigTree, runtime: Runtime | None) -> Prepared:
        """`tree` and `runtime` are as they will be."""
        codec = self.proxy.codec
        name = object_name(state.facts, edit.path)
        routes, limits = codec.read(tree, runtime, state.facts)
        changed = {change.ref for change in edit.changes}
        return Prepared(
            object=name,
            environment=self.environment,
            changes=edit.changes,
            diff=self._diff(state, edit),
            base=codec.base(state.tree, edit.path, state.runtime),
            routes_after=tuple(route for route in routes if route.object == name),
            limits_after=tuple(limit for limit in limits if limit.object == name or limit.ref in changed),
            loses=edit.loses,
            warnings=edit.warnings + self._rights(state, edit),
            deadline_seconds=self.proxy.deadline_seconds,
            recorded=adopted.recorded(state.tree, edit.path, state.runtime),
            writes=_writes(name, state, edit),
            payload=Step(state.facts, state.tree, state.runtime, edit),
        )

    def _rights(self, state: State, edit: NativeEdit) -> tuple[str, ...]:
        known = state.tree.facts.get(edit.path)
        if edit.data is None or known is None or known.writable:
            return ()
        user = clean(state.facts.discovered.get("user", "this user"))
        return (f"{user} may not replace {clean(edit.path)} on {clean(self.host.host)}: applying this will be refused",)

    def _diff(self, state: State, edit: NativeEdit) -> str:
        where = f"{clean(self.host.host)}:"
        lines: list[str] = []
        for path, data in (((edit.path, edit.data),) if edit.data is not None else ()) + tuple(edit.also.items()):
            before = self.proxy.codec.mask(path, state.tree.files.get(path, b""), comments=False)
            after = self.proxy.codec.mask(path, data, comments=False)
            lines.append(unified(before.split("\n"), after.split("\n"), where + clean(path)))
        lines += [f"{where}{clean(state.facts.proxy.socket or '')} > {clean(command)}" for command in edit.commands]
        return "\n".join(filter(None, lines))

    def native(self, state: State, object: str, path: str) -> NativeText:
        """One file as text, masked."""
        codec = self.proxy.codec
        return NativeText(object, codec.language, codec.mask(path, state.tree.files[path]))

    def edits_of(self, state: State, path: str, original: str, text: str) -> list[Edit]:
        """What an edited text of a file asks for. Raises `InvalidValue` for anything that is not ours to change."""
        codec, facts = self.proxy.codec, state.facts
        raw = state.tree.files[path]
        shown = codec.mask(path, raw)
        before, after = _unmasked(shown, raw, original), _unmasked(shown, raw, text)
        trees = [replace(state.tree, files={**state.tree.files, path: data}) for data in (before, after)]
        try:
            # The file alone, before and after: what runs may differ from it, and stays.
            old, new = (codec.read(tree, None, facts) for tree in trees)
        except PlatformError as error:
            raise InvalidValue(error.message) from error
        edits = edits_between((*old[0], *old[1]), (*new[0], *new[1]))
        changes = changes_of(edits, (*state.routes, *state.limits))
        made = codec.edit(trees[0], changes, facts, state.runtime) if changes else []
        ours = before
        for edit in made:
            ours = edit.data if edit.path == path and edit.data is not None else edit.also.get(path, ours)
        refuse_others(codec.mask(path, ours), codec.mask(path, after), clean(path))
        return edits


def _writes(object: str, state: State, edit: NativeEdit) -> tuple[Write, ...]:
    """The files that an edit replaces, and the commands to the running process behind them."""
    files = {**edit.also, **({edit.path: edit.data} if edit.data is not None else {})}
    replaced = [ReplaceFile(object, path, state.tree.sha256(path), data) for path, data in files.items()]
    return (*replaced, *(RuntimeCommand(object, state.facts.proxy.socket or "", one) for one in edit.commands))


def carried_out(edit: NativeEdit, writes: Sequence[Write]) -> NativeEdit:
    """The edit that these writes are."""
    files = {one.path: one.data for one in writes if isinstance(one, ReplaceFile)}
    commands = tuple(one.command for one in writes if isinstance(one, RuntimeCommand))
    data = files.pop(edit.path, None)
    return replace(edit, data=data, also=files, commands=commands)


def _bound_in(limit: Limit, path: str) -> bool:
    """Whether part of a limit stands in this file though its definition does not (nginx: the burst, at its use)."""
    return any(binding.location.rpartition(":")[0] == clean(path) for binding in limit.bindings)


def _unmasked(shown: str, raw: bytes, text: str) -> bytes:
    """The edited text with the lines that were left alone as they stand in the file, secrets and line ends included."""
    before, lines, now = shown.split("\n"), raw.split(b"\n"), text.split("\n")
    if len(before) != len(lines):
        return text.encode("utf-8", "surrogateescape")
    out: list[bytes] = []
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if tag == "equal":
            out += lines[i:i_end]
        else:
            out += [line.encode("utf-8", "surrogateescape") for line in now[j:j_end]]
    return b"\n".join(out)
