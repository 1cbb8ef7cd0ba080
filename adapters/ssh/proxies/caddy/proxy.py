"""Caddy as a proxy: the file is edited and loaded, and the running configuration says whether it runs.

The file is the truth, as `caddy reload` and every restart take it to be; the admin endpoint is only read. (Weights told
to its API would be gone at the next of either.) Where a Caddy runs with `--resume` it is the other way round, and its
rows are not edited.
"""

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
    FileReplacement,
    HostReader,
    HostWriter,
    Lifecycle,
    Probe,
    Process,
    Workers,
)
from adapters.ssh.proxies.adopted import not_as_written, processes_of
from adapters.ssh.proxies.caddy import processes as caddy_processes
from adapters.ssh.proxies.caddy import running as caddy_running
from adapters.ssh.proxies.caddy.codec import CaddyCodec
from adapters.ssh.proxies.caddy.lifecycle import CaddyLifecycle
from adapters.ssh.proxies.caddy.program import KINDS, PROGRAM
from adapters.ssh.proxies.caddy.reverse_proxy import differs, reverse_proxies
from adapters.ssh.proxies.caddy.tree import tree_of
from adapters.ssh.proxies.protocol import HostFacts, Proxy, Report, Runtime, Step
from adapters.ssh.section import ProxyConfig
from control.errors import ControlError, PlatformError
from control.model import Counted, Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofPart, ProofState
from control.text import clean


class CaddyProxy:
    """See `adapters.ssh.proxies.protocol.Proxy`."""

    program = PROGRAM
    object_kind = "CaddyFile"
    kinds: Mapping[str, str] = KINDS
    deadline_seconds = 10.0
    reloads_always = True

    def __init__(self) -> None:
        self.codec = CaddyCodec()

    def version(self, probe: Probe) -> str:
        return caddy_processes.version(probe)

    def settle(self, config: ProxyConfig, probe: Probe) -> ProxyConfig:
        return caddy_processes.settle(config, probe)

    def mains(self, config: ProxyConfig, probe: Probe) -> tuple[str, ...]:
        return (str(config.config),)

    def sockets(self, tree: ConfigTree) -> tuple[str, ...]:
        """Its admin endpoint; none where the Caddyfile turns it off or cannot be read."""
        try:
            admin = tree_of(tree).admin
        except PlatformError:
            return ()
        return (admin,) if admin else ()

    def workers(self, facts: HostFacts, processes: Sequence[Process]) -> Workers:
        return caddy_processes.workers(facts.proxy, processes)

    def lifecycle(self, facts: HostFacts, processes: Sequence[Process]) -> Lifecycle:
        return CaddyLifecycle(facts.proxy, caddy_processes.process_of(facts.proxy, processes))

    async def answers(self, host: HostReader, socket: str) -> bool:
        try:
            await caddy_running.page(host, socket, caddy_running.CONFIG)
        except ControlError:
            return False
        return True

    async def fingerprint(self, host: HostReader, facts: HostFacts) -> bytes:
        """The running configuration."""
        if not facts.proxy.socket:
            return b""
        try:
            page = await caddy_running.page(host, facts.proxy.socket, caddy_running.CONFIG)
        except ControlError:
            return b"closed"
        return hashlib.sha256(page.encode("utf-8", "surrogateescape")).digest()

    def doubt(self, kind: str, path: str, runtime: Runtime) -> str:
        """The codec says where what runs differs; the process stays through reloads, so its age says nothing."""
        return ""

    async def runtime(self, host: HostReader, facts: HostFacts, tree: ConfigTree) -> Runtime:
        """The running configuration, and what its metrics say of upstreams where it has them."""
        workers, why_not, answers = Workers(), "", dict[str, str]()
        socket = facts.proxy.socket
        try:
            workers = self.workers(facts, await processes_of(host, facts))
            if socket is None:
                why_not = "its admin endpoint is off"
            elif workers.master is None:
                why_not = "no Caddy process runs"
            else:
                answers[caddy_running.CONFIG] = await caddy_running.page(host, socket, caddy_running.CONFIG)
                answers |= await self._metrics(host, socket)
        except ControlError as error:
            why_not = error.message
        return Runtime(time.time(), workers, answers, why_not=why_not)

    async def _metrics(self, host: HostReader, socket: str) -> dict[str, str]:
        try:
            return {caddy_running.METRICS: await caddy_running.page(host, socket, caddy_running.METRICS)}
        except ControlError:
            return {}

    async def write(self, reader: HostReader, writer: HostWriter, step: Step) -> Report:
        """Replace the file and load it; the reload command waits for the answer of the admin endpoint."""
        edit = step.edit
        if edit.data is None:
            raise PlatformError(f"nothing to write to {clean(edit.path)}")
        lifecycle = self.lifecycle(step.facts, await processes_of(reader, step.facts))
        change = FileChange(edit.path, step.tree.sha256(edit.path), edit.data)
        done = await writer.replace_files(FileReplacement(lifecycle, (change,), True, self.deadline_seconds))
        workers = self.workers(step.facts, done.state.processes)
        # what it runs now is for `loaded` to ask; the report tells the file and the process
        return Report(done.said, done.state.files, Runtime(time.time(), workers, why_not="not asked since the write"))

    async def loaded(self, host: HostReader, step: Step) -> ProofPart:
        """Yes, when the running configuration has the weights of the file."""
        now = await host.stat([step.edit.path])
        wrong = not_as_written(step.edit, now.files.get(step.edit.path))
        if wrong is not None:
            return wrong
        tree, _ = self.codec.after(step.tree, step.edit, None)
        runtime = await self.runtime(host, replace(step.facts, processes=now.processes), tree)
        return self._judged(tree, runtime, step.edit.changes)

    async def running(
        self,
        host: HostReader,
        tree: ConfigTree,
        runtime: Runtime,
        path: str,
        changes: Sequence[Change],
        recorded: Mapping[str, Any],
    ) -> ProofPart:
        """Does the running configuration have the weights of the file?"""
        return self._judged(tree, runtime, changes)

    def _judged(self, tree: ConfigTree, runtime: Runtime, changes: Sequence[Change]) -> ProofPart:
        now = caddy_running.parse(runtime)
        if not now.known:
            return ProofPart(ProofState.UNKNOWN, clean(runtime.why_not))
        parsed = tree_of(tree)
        asked = {(change.ref.name, change.ref.part) for change in changes}
        for proxy in reverse_proxies(parsed):
            if (proxy.site, proxy.part) in asked:
                if "" in proxy.dials:
                    return ProofPart(ProofState.UNKNOWN, "its upstreams have placeholders: what runs cannot be told")
                wrong = differs(parsed, proxy, now)
                if wrong:
                    return ProofPart(ProofState.NO, wrong)
        return ProofPart(ProofState.YES, "the running configuration says so")

    async def count(
        self,
        host: HostReader,
        facts: HostFacts,
        tree: ConfigTree,
        routes: Sequence[Route],
        limits: Sequence[Limit] = (),
    ) -> list[Counted]:
        """Requests of routes that are alone in their server: metrics know servers, and no single upstream."""
        socket = facts.proxy.socket
        if socket is None:
            return []
        answers = await self._metrics(host, socket)
        counted = caddy_running.requests_by_server(answers.get(caddy_running.METRICS, ""))
        if not counted:
            return []
        answers[caddy_running.CONFIG] = await caddy_running.page(host, socket, caddy_running.CONFIG)
        now = caddy_running.parse(Runtime(time.time(), answers=answers))
        refs = {proxy.dials: proxy.ref(facts) for proxy in reverse_proxies(tree_of(tree))}
        known: dict[str, list[Ref | None]] = {}
        for one in now.proxies:
            known.setdefault(one.server, []).append(refs.get(one.dials))
        return [
            _counted(own[0], *counted[server])
            for server, own in known.items()
            if len(own) == 1 and own[0] is not None and server in counted
        ]


def _counted(ref: Ref, total: Fraction, errors: Fraction) -> Counted:
    return Counted(ref=ref, at=time.time(), targets=(), total=total, errors=errors, source="metrics of its server")


PROXY: Proxy = CaddyProxy()
