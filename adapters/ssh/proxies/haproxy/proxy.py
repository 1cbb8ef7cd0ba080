"""HAProxy as a proxy: the file first, then the running process, then read back. It reloads only where it must."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from adapters.ssh.client.ports import (
    ConfigTree,
    FileChange,
    FileFacts,
    FileReplacement,
    HostReader,
    HostWriter,
    Lifecycle,
    Probe,
    Process,
    Workers,
)
from adapters.ssh.proxies.adopted import file_runs, pending_files, processes_of
from adapters.ssh.proxies.haproxy import counts as haproxy_counts
from adapters.ssh.proxies.haproxy import processes as haproxy_processes
from adapters.ssh.proxies.haproxy import proof as haproxy_proof
from adapters.ssh.proxies.haproxy import runtime as haproxy_runtime
from adapters.ssh.proxies.haproxy.backend import KIND as BACKEND
from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.haproxy.config import Config
from adapters.ssh.proxies.haproxy.lifecycle import HAProxyLifecycle
from adapters.ssh.proxies.haproxy.maxconn import KIND as MAXCONN
from adapters.ssh.proxies.haproxy.program import KINDS, PROGRAM
from adapters.ssh.proxies.haproxy.request_limit import KIND as REQUEST_LIMIT
from adapters.ssh.proxies.haproxy.sockets import stats_sockets
from adapters.ssh.proxies.protocol import HostFacts, Proxy, Report, Runtime, Step
from adapters.ssh.section import ProxyConfig
from control.errors import ControlError, Forbidden, InvalidValue, PlatformError, Stale, Unreachable
from control.model import Counted, Limit, Route
from control.planning.edit import Change
from control.ports import ProofPart, ProofState
from control.text import clean

_ALWAYS = ("stat", "servers state", "info")


class HAProxyProxy:
    """See `adapters.ssh.proxies.protocol.Proxy`."""

    program = PROGRAM
    object_kind = "HAProxyFile"
    kinds: Mapping[str, str] = KINDS
    deadline_seconds = 15.0
    reloads_always = False

    def __init__(self) -> None:
        self.codec = HAProxyCodec()
        self._denied: dict[tuple[str, str, str], tuple[float, dict[str, int]]] = {}

    def version(self, probe: Probe) -> str:
        return haproxy_processes.version(probe)

    def settle(self, config: ProxyConfig, probe: Probe) -> ProxyConfig:
        return haproxy_processes.settle(config, probe)

    def mains(self, config: ProxyConfig, probe: Probe) -> tuple[str, ...]:
        return haproxy_processes.mains(config, probe.processes)

    def sockets(self, tree: ConfigTree) -> tuple[str, ...]:
        return tuple(stats_sockets([(path, tree.files[path]) for path in tree.main if path in tree.files]))

    def workers(self, facts: HostFacts, processes: Sequence[Process]) -> Workers:
        return haproxy_processes.workers(facts.proxy, processes)

    def lifecycle(self, facts: HostFacts, processes: Sequence[Process]) -> Lifecycle:
        return HAProxyLifecycle(facts.proxy, self.workers(facts, processes), processes)

    async def answers(self, host: HostReader, socket: str) -> bool:
        try:
            await show(host, socket, "info")
        except (Forbidden, InvalidValue, PlatformError):
            return False
        return True

    async def fingerprint(self, host: HostReader, facts: HostFacts) -> bytes:
        """Weights and states; what it counts and since when is left out."""
        if not facts.proxy.socket:
            return b""
        try:
            answer = await show(host, facts.proxy.socket, "servers state")
        except ControlError:
            return b"closed"
        return haproxy_runtime.fingerprint(answer)

    def doubt(self, kind: str, path: str, runtime: Runtime) -> str:
        """A process with a socket says itself what runs of some kinds."""
        if runtime.answers and kind in (BACKEND, MAXCONN):
            return ""
        return f"{clean(path)} was changed on disk after this HAProxy started: what runs may differ from what is shown"

    async def runtime(self, host: HostReader, facts: HostFacts, tree: ConfigTree) -> Runtime:
        """What the stats socket says, with the maps of the configuration; why not, where it cannot be asked."""
        workers, pending, why_not = Workers(), tuple[str, ...](), ""
        try:
            workers = self.workers(facts, await processes_of(host, facts))
            pending = pending_files(tree, workers)
        except ControlError as error:
            why_not = error.message
        answers: dict[str, str] = {}
        socket = facts.proxy.socket
        if not socket:
            why_not = "no stats socket is known"
        else:
            try:
                for what in [*_ALWAYS, *(f"map {name}" for name in Config(tree).maps_to_ask())]:
                    answers[what] = await show(host, socket, what)
            except ControlError as error:
                why_not, answers = error.message, {}
        if answers and socket:
            answers["denied"] = self._denied_rates((facts.environment, facts.host, socket), answers["stat"])
        return Runtime(time.time(), workers, answers, pending, why_not)

    def _denied_rates(self, key: tuple[str, str, str], stat: str) -> str:
        """Refusals a second of each frontend since the last look, one `name rate` on a line."""
        now = time.time()
        rows = [row for row in haproxy_runtime.rows(stat) if row.get("svname") == "FRONTEND"]
        counts = {row["pxname"]: haproxy_runtime.whole(row.get("dreq")) or 0 for row in rows}
        before_at, before = self._denied.get(key, (0.0, {}))
        self._denied[key] = (now, counts)
        passed = Fraction(now - before_at).limit_denominator(1000)
        if not before or passed <= 0:
            return ""
        grown = {name: max(count - before.get(name, count), 0) for name, count in counts.items()}
        return "\n".join(f"{name} {Fraction(count) / passed}" for name, count in grown.items())

    async def write(self, reader: HostReader, writer: HostWriter, step: Step) -> Report:
        """Compare what runs, replace the file, give the commands, read back; take the file back where they fail."""
        edit, socket = step.edit, step.facts.proxy.socket
        if edit.commands and not socket:
            raise PlatformError("no stats socket is known: nothing was written")
        await self._unchanged(reader, step)
        said, written = list[str](), dict[str, FileFacts]()
        files = _files(step)
        if files:
            replacement = FileReplacement(
                await self._now(reader, step), files, edit.needs_reload, self.deadline_seconds
            )
            done = await writer.replace_files(replacement)
            said.append(done.said)
            written |= done.state.files
        if not edit.commands or not socket:
            return Report("; ".join(said), written)
        try:
            if files and not edit.needs_reload:
                await self._unchanged(reader, step)  # replacing the file took its time
            await writer.tell(PROGRAM.name, socket, edit.commands)
            running = await self.runtime(reader, replace(step.facts, processes=None), step.tree)
            wrong = haproxy_proof.differences(self.codec, step, running)
            if wrong:
                raise PlatformError(wrong[0])
        except Unreachable:
            raise
        except ControlError as error:
            raise await self._given_up(reader, writer, step, files, error) from error
        said.append(f"{len(edit.commands)} runtime {'command' if len(edit.commands) == 1 else 'commands'}, read back")
        return Report("; ".join(filter(None, said)), written, running)

    async def _given_up(
        self, reader: HostReader, writer: HostWriter, step: Step, files: Sequence[FileChange], error: ControlError
    ) -> ControlError:
        """Put the former file and running values back after a refused command, as far as they are still ours. Returns
        `error` with what came of it: of its own kind only where nothing of the step is left."""
        back = tuple(
            FileChange(file.path, hashlib.sha256(file.data).hexdigest(), step.tree.files.get(file.path, b""))
            for file in files
        )
        left: list[str] = []
        later = replace(step, facts=replace(step.facts, processes=None))
        if back:
            try:
                lifecycle = await self._now(reader, later)
                await writer.replace_files(FileReplacement(lifecycle, back, step.edit.needs_reload))
            except ControlError as problem:
                left.append(f"the file ({problem.message})")
        now = await self.runtime(reader, replace(step.facts, processes=None), step.tree)
        commands, foreign = haproxy_proof.former_commands(self.codec, step, now)
        left += foreign
        if commands and step.facts.proxy.socket:
            try:
                await writer.tell(PROGRAM.name, step.facts.proxy.socket, commands)
            except ControlError as problem:
                left.append(f"running values ({problem.message})")
        if left:
            return PlatformError(f"{error.message}: not all could be taken back; left alone: {'; '.join(left)}")
        told = f"{error.message}: rolled back, the former values are in force"
        return type(error)(told, ref=error.ref, hint=error.hint)

    async def _now(self, reader: HostReader, step: Step) -> Lifecycle:
        return self.lifecycle(step.facts, await processes_of(reader, step.facts))

    async def _unchanged(self, reader: HostReader, step: Step) -> None:
        """Refuse where the running values are no longer what the step was made on."""
        if step.runtime is None or not step.runtime.answers:
            return
        now = await self.runtime(reader, replace(step.facts, processes=None), step.tree)
        if self.codec.base(step.tree, step.edit.path, now) != self.codec.base(step.tree, step.edit.path, step.runtime):
            raise Stale(
                "the running values were changed since the plan was made: nothing was written", hint="plan again"
            )

    async def loaded(self, host: HostReader, step: Step) -> ProofPart:
        """Yes, when the running process says the new values; for thresholds in rules, when a new process answers."""
        edit = step.edit
        seen = await host.stat([edit.path] if edit.data is not None else [])
        if edit.data is not None:
            file = seen.files.get(edit.path)
            if file is None or file.sha256 != hashlib.sha256(edit.data).hexdigest():
                return ProofPart(ProofState.NO, f"{clean(edit.path)} is not what was written")
        facts = replace(step.facts, processes=seen.processes)
        now = await self.runtime(host, facts, step.tree)
        if edit.needs_reload and not haproxy_proof.reloaded(step, now):
            return ProofPart(ProofState.PENDING, "the former process still answers")
        if not now.answers:
            if edit.needs_reload:
                return ProofPart(ProofState.YES, "a new process serves; its values cannot be asked")
            return ProofPart(ProofState.UNKNOWN, clean(now.why_not))
        wrong = haproxy_proof.differences(self.codec, step, now)
        if wrong:
            return ProofPart(ProofState.PENDING if edit.needs_reload else ProofState.NO, wrong[0])
        return ProofPart(ProofState.YES, haproxy_proof.told(step))

    async def running(
        self,
        host: HostReader,
        tree: ConfigTree,
        runtime: Runtime,
        path: str,
        changes: Sequence[Change],
        recorded: Mapping[str, Any],
    ) -> ProofPart:
        """What the running process says of itself was compared already; thresholds in rules need a process that has
        read the file."""
        in_rules = {definition.name for definition in Config(tree).definitions() if definition.map_key is None}
        if any(change.ref.kind == REQUEST_LIMIT and change.ref.name in in_rules for change in changes):
            facts = (await host.stat([path])).files.get(path)
            return file_runs(tree, path, facts, runtime, recorded)
        if not runtime.answers:
            return ProofPart(ProofState.UNKNOWN, clean(runtime.why_not))
        return ProofPart(ProofState.YES, "the running process says so")

    async def count(
        self,
        host: HostReader,
        facts: HostFacts,
        tree: ConfigTree,
        routes: Sequence[Route],
        limits: Sequence[Limit] = (),
    ) -> list[Counted]:
        """HAProxy's own counters of routes, and of the sections in which `limits` stand."""
        socket = facts.proxy.socket
        if not socket:
            return []
        rows = haproxy_runtime.rows(await show(host, socket, "stat"))
        return haproxy_counts.counted(Config(tree), rows, routes, limits, time.time())


def _files(step: Step) -> tuple[FileChange, ...]:
    wanted: dict[str, bytes] = dict(step.edit.also)
    if step.edit.data is not None and step.edit.data != step.tree.files.get(step.edit.path):
        wanted[step.edit.path] = step.edit.data
    return tuple(FileChange(path, step.tree.sha256(path), data) for path, data in wanted.items())


async def show(host: HostReader, socket: str, what: str) -> str:
    """`show WHAT` on a stats socket. Raises as `HostReader.ask`, and `Forbidden` where its level is too low."""
    answer = await host.ask(PROGRAM.name, socket, f"show {what}")
    if answer.startswith("Permission denied"):
        raise Forbidden(
            f"host {clean(host.host)}: the socket {clean(socket)} does not answer 'show {clean(what)}'",
            hint="its `level` in the HAProxy configuration is too low",
        )
    return answer


PROXY: Proxy = HAProxyProxy()
