"""Where hosts come from: real ones over SSH, or those of the in-memory fleet. Writers are made apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from adapters.ssh.client.keys import KeyRing
from adapters.ssh.client.ports import HostReader, HostWriter
from adapters.ssh.proxies.table import programs
from adapters.ssh.section import settings_of
from control.deck.config import EnvironmentConfig
from control.ports import Secrets

if TYPE_CHECKING:
    from adapters.ssh.client.connection import Connection
    from adapters.ssh.client.hosts import HostConfig
    from adapters.ssh.client.known_hosts import KnownKey
    from adapters.ssh.client.remote_reader import RemoteReader


class Hosts(Protocol):
    """The hosts of one environment."""

    names: tuple[str, ...]

    async def reader(self, name: str) -> HostReader:
        """Raises `DeckError` for a host that ssh config makes impossible. Connects to nothing."""
        ...

    async def identity(self, name: str) -> str:
        """Who we are there: `user@host`."""
        ...

    async def close(self) -> None: ...


class WritableHosts(Protocol):
    """Makes the writers of hosts, for an armed session."""

    async def writer(self, name: str) -> HostWriter: ...


class RemoteHosts:
    """The hosts of a deck file's `ssh` section, each with one connection; bastions are shared."""

    def __init__(self, config: EnvironmentConfig, secrets: Secrets) -> None:
        self._ssh = settings_of(config)
        self.names = self._ssh.hosts
        self._keys = KeyRing(secrets)
        self._readers: dict[str, RemoteReader] = {}
        self._connections: dict[tuple[str, ...], Connection] = {}
        self._configs: dict[str, HostConfig] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def reader(self, name: str) -> RemoteReader:
        from adapters.ssh.client.remote_reader import RemoteReader

        found = self._readers.get(name)
        if found is None:
            connection = self.connection(await self.host_config(name))
            found = self._readers.setdefault(name, RemoteReader(name, connection, self._ssh.sudo, programs()))
        return found

    async def host_config(self, name: str) -> HostConfig:
        """What ssh config says of a host, asked once."""
        from adapters.ssh.client import pool
        from adapters.ssh.client.hosts import resolve

        async with self._locks.setdefault(name, asyncio.Lock()):
            if name not in self._configs:
                self._configs[name] = await pool.connect(resolve, name, self._ssh)
            return self._configs[name]

    def connection(self, config: HostConfig) -> Connection:
        """The connection to a host, through its bastions, each of which is one connection for all behind it."""
        from adapters.ssh.client.connection import Connection

        through: Connection | None = None
        path: tuple[str, ...] = ()
        for hop in (*config.jumps, config):
            path = (*path, f"{hop.user}@{hop.hostname}:{hop.port}")
            if path not in self._connections:
                self._connections[path] = Connection(hop, self._keys, _known_of(hop), through)
            through = self._connections[path]
        assert through is not None
        return through

    async def identity(self, name: str) -> str:
        config = await self.host_config(name)
        return f"{config.user}@{name}"

    async def close(self) -> None:
        from adapters.ssh.client import pool

        for depth in sorted({len(path) for path in self._connections}, reverse=True):  # bastions last
            ending = [one for path, one in self._connections.items() if len(path) == depth]
            await asyncio.gather(*(pool.run(connection.close) for connection in ending))


class RemoteWriters:
    """The writers of the same hosts, on the readers' connections."""

    def __init__(self, hosts: RemoteHosts, sudo: bool) -> None:
        self._hosts = hosts
        self._sudo = sudo

    async def writer(self, name: str) -> HostWriter:
        from adapters.ssh.client.remote_writer import RemoteWriter

        reader = await self._hosts.reader(name)
        connection = self._hosts.connection(await self._hosts.host_config(name))
        return RemoteWriter(name, connection, reader, self._sudo, programs())


def _known_of(config: HostConfig) -> Callable[[], list[KnownKey]]:
    """Reads the known_hosts files of a host each time a connection is made: pinning a key needs no restart."""

    def known() -> list[KnownKey]:
        from adapters.ssh.client.known_hosts import load, pinned_file

        return load((*config.known_hosts, str(pinned_file())))

    return known
