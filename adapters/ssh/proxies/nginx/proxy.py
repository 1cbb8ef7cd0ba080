"""nginx as a proxy: every change is a file and a reload; adopted when no former worker serves any more."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from adapters.ssh.proxies.adopted import CLOCK_GRAIN, file_runs, not_as_written, pending_files, processes_of
from adapters.ssh.proxies.nginx import processes as nginx_processes
from adapters.ssh.proxies.nginx.codec import NginxCodec
from adapters.ssh.proxies.nginx.lifecycle import NginxLifecycle
from adapters.ssh.proxies.nginx.log import Log, Request, logs, requests
from adapters.ssh.proxies.nginx.program import KINDS, PROGRAM
from adapters.ssh.proxies.nginx.tree import tree_of
from adapters.ssh.proxies.nginx.upstream import ADDRESSES, host_names
from adapters.ssh.proxies.protocol import HostFacts, Proxy, Report, Runtime, Step
from adapters.ssh.section import ProxyConfig
from control.errors import ControlError, PlatformError
from control.model import Counted, Limit, Route, TargetCount
from control.planning.edit import Change
from control.ports import ProofPart, ProofState
from control.text import clean

_NAMES_AGE = 60.0
"""Seconds for which the addresses of host names are taken as known."""
_LOG_CHUNK = 4 * 1024 * 1024
_MOST_CHUNKS = 8
_REMEMBERED = 2000


@dataclass(slots=True)
class _LogCount:
    """What was counted of one log since it was first looked at."""

    offset: int
    rest: bytes = b""
    requests: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, deque[float]] = field(default_factory=dict)
    limited: int = 0

    def add(self, request: Request) -> None:
        """Count one line."""
        if not request.address:
            self.limited += request.limited
            return
        self.requests[request.address] = self.requests.get(request.address, 0) + 1
        if request.status is not None and request.status >= 500:
            self.errors[request.address] = self.errors.get(request.address, 0) + 1
        if request.seconds is not None:
            self.seconds.setdefault(request.address, deque(maxlen=_REMEMBERED)).append(request.seconds)


class NginxProxy:
    """See `adapters.ssh.proxies.protocol.Proxy`."""

    program = PROGRAM
    object_kind = "NginxFile"
    kinds: Mapping[str, str] = KINDS
    deadline_seconds = 10.0
    reloads_always = True

    def __init__(self) -> None:
        self.codec = NginxCodec()
        self._resolved: dict[tuple[str, str], tuple[float, tuple[str, ...], dict[str, str]]] = {}
        self._counts: dict[tuple[str, str, str], _LogCount] = {}
        self._logs: dict[tuple[str, str, str | None], tuple[ConfigTree, Sequence[Log]]] = {}

    def version(self, probe: Probe) -> str:
        return nginx_processes.version(probe)

    def settle(self, config: ProxyConfig, probe: Probe) -> ProxyConfig:
        return nginx_processes.settle(config, probe)

    def mains(self, config: ProxyConfig, probe: Probe) -> tuple[str, ...]:
        return (str(config.config),)

    def sockets(self, tree: ConfigTree) -> tuple[str, ...]:
        """It has none that says what runs."""
        return ()

    def workers(self, facts: HostFacts, processes: Sequence[Process]) -> Workers:
        return nginx_processes.workers(facts.proxy, facts.probe, processes)

    def lifecycle(self, facts: HostFacts, processes: Sequence[Process]) -> Lifecycle:
        return NginxLifecycle(facts.proxy, self.workers(facts, processes), processes)

    async def answers(self, host: HostReader, socket: str) -> bool:
        return False

    async def fingerprint(self, host: HostReader, facts: HostFacts) -> bytes:
        return b""

    def doubt(self, kind: str, path: str, runtime: Runtime) -> str:
        """The codec says it of all rows, since only a reload changes anything."""
        return ""

    async def runtime(self, host: HostReader, facts: HostFacts, tree: ConfigTree) -> Runtime:
        """Which workers run, and which files are newer than they are."""
        try:
            workers = self.workers(facts, await processes_of(host, facts))
            pending = pending_files(tree, workers)
        except ControlError as error:
            return Runtime(time.time(), why_not=error.message)
        why_not = "" if workers.master else "no nginx master process runs"
        answers = await self._addresses(host, facts, tree)
        return Runtime(time.time(), workers, answers, pending=pending, why_not=why_not)

    async def _addresses(self, host: HostReader, facts: HostFacts, tree: ConfigTree) -> dict[str, str]:
        """The addresses of the host names of upstreams, asked for once in a while; none where they cannot be had."""
        try:
            names = host_names(tree_of(tree))
        except PlatformError:
            return {}
        if not names:
            return {}
        key = (facts.environment, facts.host)
        at, asked, known = self._resolved.get(key, (0.0, (), {}))
        if asked != names or time.monotonic() - at > _NAMES_AGE:
            try:
                found = await host.addresses(names)
            except ControlError:
                found = {}
            known = {ADDRESSES + name: "\n".join(addresses) for name, addresses in found.items()}
            self._resolved[key] = (time.monotonic(), names, known)
        return known

    async def write(self, reader: HostReader, writer: HostWriter, step: Step) -> Report:
        """Replace the file and reload; the transport proves adoption and rolls back."""
        edit = step.edit
        if edit.data is None:
            raise PlatformError(f"nothing to write to {clean(edit.path)}")
        lifecycle = self.lifecycle(step.facts, await processes_of(reader, step.facts))
        files = [FileChange(edit.path, step.tree.sha256(edit.path), edit.data)]
        files += [FileChange(path, step.tree.sha256(path), data) for path, data in edit.also.items()]
        done = await writer.replace_files(FileReplacement(lifecycle, tuple(files), True, self.deadline_seconds))
        workers = self.workers(step.facts, done.state.processes)
        later = {**step.tree.facts, **done.state.files}
        pending = pending_files(replace(step.tree, facts=later), workers)
        answers = step.runtime.answers if step.runtime else {}
        return Report(done.said, done.state.files, Runtime(time.time(), workers, answers, pending))

    async def loaded(self, host: HostReader, step: Step) -> ProofPart:
        """Yes, when only workers serve that started after the file was written and that did not run before."""
        now = await host.stat([step.edit.path])
        workers, facts = self.workers(step.facts, now.processes), now.files.get(step.edit.path)
        wrong = not_as_written(step.edit, facts)
        if wrong is not None:
            return wrong
        assert facts is not None  # of a file that is gone it said no
        if workers.master is None:
            return ProofPart(ProofState.UNKNOWN, "no nginx master process runs: live at its next start")
        before = step.runtime.workers.serving if step.runtime else frozenset()
        since, retiring = workers.since, sum(worker.retiring for worker in workers.workers)
        if since is None or workers.serving & before or since + CLOCK_GRAIN < facts.ctime:
            return ProofPart(ProofState.PENDING, "workers with the former configuration still serve")
        detail = f"{len(workers.serving)} new workers"
        return ProofPart(ProofState.YES, f"{detail}, {retiring} old ones finish their requests" if retiring else detail)

    async def running(
        self,
        host: HostReader,
        tree: ConfigTree,
        runtime: Runtime,
        path: str,
        changes: Sequence[Change],
        recorded: Mapping[str, Any],
    ) -> ProofPart:
        """Yes, when every serving worker has read the file as it is."""
        facts = (await host.stat([path])).files.get(path)
        return file_runs(tree, path, facts, runtime, recorded)

    async def count(
        self,
        host: HostReader,
        facts: HostFacts,
        tree: ConfigTree,
        routes: Sequence[Route],
        limits: Sequence[Limit] = (),
    ) -> list[Counted]:
        """What access logs that name `$upstream_addr` say since they were first looked at; nothing where none does.

        A log does not say which limit refused, so no limit is counted by itself.
        """
        found = self._logs_of(tree, facts)
        counts = [await self._counted(host, facts, log) for log in found]
        if not counts:
            return []
        source = "access log " + ", ".join(clean(log.path) for log in found)
        return [c for route in routes if (c := _of_route(route, routes, counts, source))]

    def _logs_of(self, tree: ConfigTree, facts: HostFacts) -> Sequence[Log]:
        """The access logs of a configuration, looked for once as long as it is the same one."""
        key = (facts.environment, facts.host, facts.proxy.config)
        known = self._logs.get(key)
        if known is None or known[0] is not tree:
            known = self._logs[key] = (tree, logs(tree_of(tree), facts.access_log or facts.proxy.access_log))
        return known[1]

    async def _counted(self, host: HostReader, facts: HostFacts, log: Log) -> _LogCount:
        key = (facts.environment, facts.host, log.path)
        count = self._counts.get(key)
        if count is None:
            offset, _ = await host.log_tail(log.path, None, 0)
            count = self._counts[key] = _LogCount(offset)
            return count
        for _ in range(_MOST_CHUNKS):
            count.offset, data = await host.log_tail(log.path, count.offset, _LOG_CHUNK)
            whole, _, count.rest = (count.rest + data).rpartition(b"\n")
            for request in requests(log, whole):
                count.add(request)
            if len(data) < _LOG_CHUNK:
                break
        return count


def _of_route(route: Route, routes: Sequence[Route], counts: Sequence[_LogCount], source: str) -> Counted | None:
    addresses = {target.name: _logged(target.endpoints[0]) for target in route.targets if target.endpoints}
    if not addresses or not all(addresses.values()):
        return None
    targets, seconds = [], list[float]()
    for name, address in addresses.items():
        seen = sum(count.requests.get(address, 0) for count in counts)
        errors = sum(count.errors.get(address, 0) for count in counts)
        targets.append((name, TargetCount(Fraction(seen), Fraction(errors))))
        seconds += [s for count in counts for s in count.seconds.get(address, ())]
    others = [
        str(other.ref)
        for other in routes
        if other.ref != route.ref and {_logged(e) for t in other.targets for e in t.endpoints} & set(addresses.values())
    ]
    limited = sum(count.limited for count in counts)
    total = sum((count.requests for _, count in targets), Fraction(0))
    return Counted(
        ref=route.ref,
        at=time.time(),
        targets=tuple(targets),
        total=total + (limited if len(routes) == 1 else 0),
        errors=sum((count.errors or Fraction(0) for _, count in targets), Fraction(0)),
        throttled=Fraction(limited) if len(routes) == 1 else None,
        p95_seconds=_p95(seconds),
        source=source,
        together_with=tuple(others),
    )


def _logged(endpoint: str) -> str:
    """An address as `$upstream_addr` writes it; "" for names, which nginx logs as the address they resolve to."""
    if endpoint.startswith("unix:"):
        return endpoint
    host, mark, port = endpoint.rpartition(":") if not endpoint.endswith("]") else (endpoint, "", "")
    if not mark:
        host, port = endpoint, "80"
    plain = host.strip("[]")
    numeric = ":" in plain or all(part.isdigit() for part in plain.split("."))
    return f"{host}:{port}" if numeric else ""


def _p95(seconds: Sequence[float]) -> Fraction | None:
    if len(seconds) < 20:
        return None
    return Fraction(sorted(seconds)[int(len(seconds) * 0.95)]).limit_denominator(1000)


PROXY: Proxy = NginxProxy()
