"""The demo fleet's SSH side: the platform's own reader and writer over hosts in memory that keep their state."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.demo.hosts import GROUPS, NGINX_LOG, Group, files
from adapters.demo.simulation import Flow, Simulator
from adapters.demo.store import Stored
from adapters.ssh.client.ports import FileReplacement, HostWriter, Replaced
from adapters.ssh.memory import MemoryHost, MemoryHosts, MemoryReader, MemoryWriter, MemoryWriters, refusal
from adapters.ssh.proxies.haproxy.memory import MemoryHAProxy
from adapters.ssh.reader import SshReader
from adapters.ssh.writer import SshWriter
from control.deck.config import EnvironmentConfig
from control.errors import Unreachable
from control.ports import Reader, Writer

USER = "deck"
SILENCE = "no answer within 5 s"
LOG_KEPT = 8 * 1024 * 1024
MAINTENANCE_OR_DRAIN = 0x09
_UPSTREAM = re.compile(rb"^upstream\s+(\S+)\s*\{(.*?)^\}", re.MULTILINE | re.DOTALL)
_SERVER = re.compile(rb"^\s*server\s+(\S+?)(?:\s+([^;]*))?;", re.MULTILINE)
_WEIGHT = re.compile(rb"\bweight=(\d+)")


def open_hosts(
    config: EnvironmentConfig, folder: Path, simulator: Simulator
) -> tuple[Reader, Callable[[Reader], Writer]]:
    """One environment's reader, and how to make a writer beside it."""
    group = GROUPS[config.name]
    hosts = [_host(config.name, group, name) for name in group.hosts]
    stored = Stored(folder, config.name, lambda: _dump(hosts), lambda state: _load(hosts, state))
    traffic = Traffic(config.name, group, hosts, simulator)

    def write_beside(reader: Reader) -> Writer:
        assert isinstance(reader, SshReader)
        return SshWriter(reader, StoredWriters(hosts, stored, traffic))

    return SshReader(config, StoredHosts(hosts, stored, simulator)), write_beside


def _host(environment: str, group: Group, name: str) -> MemoryHost:
    host = MemoryHost(name, files(environment, name), user=USER)
    if name in group.unreachable:
        host.unreachable = SILENCE
    haproxy = _haproxy(host)
    if haproxy is not None:
        haproxy.down = frozenset((pool.name, server) for pool in group.haproxy for server in pool.failing)
    return host


def _haproxy(host: MemoryHost) -> MemoryHAProxy | None:
    twin = host.proxies.get("haproxy")
    return twin if isinstance(twin, MemoryHAProxy) else None


def _dump(hosts: Sequence[MemoryHost]) -> dict[str, Any]:
    return {host.name: host.dump() for host in hosts}


def _load(hosts: Sequence[MemoryHost], state: Mapping[str, Any]) -> None:
    for host in hosts:
        if host.name in state:
            host.load(state[host.name])


# --- transport that keeps its state -----------------------------------------------------------------------------------


class StoredReader(MemoryReader):
    """A host that other processes may change, too."""

    def __init__(self, memory: MemoryHost, stored: Stored, simulator: Simulator) -> None:
        super().__init__(memory)
        self._stored = stored
        self._simulator = simulator

    async def reach(self) -> None:
        self._stored.refresh()
        if self._simulator.incidents and self._simulator.incidents.silences(self.memory.name):
            raise Unreachable(f"host {self.memory.name}: {SILENCE}")
        await super().reach()


class StoredHosts(MemoryHosts):
    """The hosts of one environment, as `sources.Hosts`."""

    def __init__(self, hosts: Sequence[MemoryHost], stored: Stored, simulator: Simulator) -> None:
        super().__init__(hosts)
        self._readers = {host.name: StoredReader(host, stored, simulator) for host in hosts}

    async def reader(self, name: str) -> MemoryReader:
        return self._readers[name]


class StoredWriter(MemoryWriter):
    """Each write under the fleet's lock, on the newest state."""

    def __init__(self, memory: MemoryHost, stored: Stored, traffic: Traffic) -> None:
        super().__init__(memory, refusal)
        self._stored = stored
        self._traffic = traffic

    async def replace_files(self, replacement: FileReplacement) -> Replaced:
        async with self._stored.changing():
            self._traffic.settle(self.memory)
            return await super().replace_files(replacement)

    async def tell(self, program: str, socket: str, commands: Sequence[str]) -> list[str]:
        async with self._stored.changing():
            self._traffic.settle(self.memory)
            return await super().tell(program, socket, commands)


class StoredWriters(MemoryWriters):
    """The writers of the same hosts."""

    def __init__(self, hosts: Sequence[MemoryHost], stored: Stored, traffic: Traffic) -> None:
        super().__init__(hosts)
        self._writers = {host.name: StoredWriter(host, stored, traffic) for host in hosts}

    async def writer(self, name: str) -> HostWriter:
        return self._writers[name]


# --- traffic ----------------------------------------------------------------------------------------------------------


class Traffic:
    """The requests of one environment's proxies: HAProxy's counters and nginx's access logs."""

    def __init__(self, environment: str, group: Group, hosts: Sequence[MemoryHost], simulator: Simulator) -> None:
        self._simulator = simulator
        self._flows: dict[tuple[str, str], Flow] = {}
        """(host, pool) -> its requests."""
        alive = max(1, len(group.hosts) - len(group.unreachable))
        for host in hosts:
            for pool in group.nginx:
                shares = _nginx_shares(host, pool.name)
                self._add(host, pool.name, Flow(f"{environment}/{host.name}/{pool.name}", pool.rps / alive, shares))
            for pool in group.haproxy:
                shares = _haproxy_shares(host, pool.name)
                self._add(host, pool.name, Flow(f"{environment}/{host.name}/{pool.name}", pool.rps / alive, shares))
            if group.nginx:
                log = AccessLog(simulator, {pool.name: self._flows[host.name, pool.name] for pool in group.nginx})
                host.logs[NGINX_LOG] = log.text
            haproxy = _haproxy(host)
            if haproxy is not None:
                haproxy.counters = self._counters(host.name)

    def _add(self, host: MemoryHost, pool: str, flow: Flow) -> None:
        self._flows[host.name, pool] = flow
        self._simulator.add(flow)

    def settle(self, host: MemoryHost) -> None:
        """Count up to now; called right before weights change."""
        for (name, _), flow in self._flows.items():
            if name == host.name:
                self._simulator.settle(flow.key)

    def _counters(self, host: str) -> Callable[[str, str], Mapping[str, int]]:
        def counters(backend: str, server: str) -> Mapping[str, int]:
            flow = self._flows.get((host, backend))
            if flow is None:
                return {}
            tally = self._simulator.tally(flow.key)
            if server == "BACKEND":
                requests, errors = sum(tally.requests.values()), sum(tally.errors.values())
            else:
                requests, errors = tally.requests.get(server, 0.0), tally.errors.get(server, 0.0)
            return _columns(int(requests), int(errors))

        return counters


def _columns(requests: int, errors: int) -> dict[str, int]:
    sent = {"stot": requests, "lbtot": requests, "req_tot": requests}
    return {**sent, "hrsp_2xx": requests - errors, "hrsp_5xx": errors, "dreq": 0, "scur": requests % 5, "qcur": 0}


def _nginx_shares(host: MemoryHost, pool: str) -> Callable[[], Mapping[str, float]]:
    def shares() -> Mapping[str, float]:
        weights: dict[str, int] = {}
        for data in host.loaded.values():
            for name, body in _UPSTREAM.findall(data):
                if name.decode() == pool:
                    weights = {address.decode(): _weight(options) for address, options in _SERVER.findall(body)}
        return _split(weights)

    return shares


def _weight(options: bytes) -> int:
    found = _WEIGHT.search(options)
    return 0 if b"down" in options.split() else int(found[1]) if found else 1


def _haproxy_shares(host: MemoryHost, pool: str) -> Callable[[], Mapping[str, float]]:
    def shares() -> Mapping[str, float]:
        haproxy = _haproxy(host)
        assert haproxy is not None
        return _split(
            {
                name: 0 if server.admin & MAINTENANCE_OR_DRAIN or (pool, name) in haproxy.down else server.weight
                for (backend, name), server in haproxy.servers.items()
                if backend == pool
            }
        )

    return shares


def _split(weights: Mapping[str, int]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total else {}


class AccessLog:
    """One nginx access log: a line for each request since somebody first looked."""

    def __init__(self, simulator: Simulator, flows: Mapping[str, Flow]) -> None:
        self._simulator = simulator
        self._flows = flows
        self._text = b""
        self._logged: dict[tuple[str, str], tuple[float, float]] = {}

    def text(self) -> bytes:
        """The whole log now; it begins anew when it has grown too long, as a rotated one does."""
        now = self._simulator.now()
        lines: list[str] = []
        for pool, flow in self._flows.items():
            tally = self._simulator.tally(flow.key)
            for address, requests in tally.requests.items():
                errors = tally.errors.get(address, 0.0)
                before, failed = self._logged.get((pool, address), (requests, errors))
                bad = int(errors) - int(failed)
                good = max(0, int(requests) - int(before) - bad)
                lines += [_line(now, pool, address, 200)] * good + [_line(now, pool, address, 502)] * bad
                self._logged[pool, address] = (requests, errors)
        written = "".join(lines).encode()
        self._text = written if len(self._text) > LOG_KEPT else self._text + written
        return self._text


def _line(at: float, pool: str, address: str, status: int) -> str:
    return (
        f'10.1.0.7 [{at:.3f}] "POST /v1/chat/completions HTTP/1.1" {status} '
        f"upstream_name={pool} upstream={address} took=0.412\n"
    )
