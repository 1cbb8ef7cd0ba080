"""Registers hosts over SSH with their proxies: the deck file's `ssh` section."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from adapters.ssh.proxies import kinds as proxies
from adapters.ssh.section import SECTION, settings_of
from control.deck.config import EnvironmentConfig
from control.ports import PlatformAdapter, Reader, Secrets, Writer

KINDS = {
    name: text
    for kind in proxies.KINDS
    for name, text in import_module(f"{proxies.__package__}.{kind}.program").KINDS.items()
}


def open_reader(config: EnvironmentConfig, secrets: Secrets) -> Reader:
    """A reader for the hosts of one environment. No I/O and no paramiko before its first call."""
    from adapters.ssh.reader import SshReader
    from adapters.ssh.sources import RemoteHosts

    return SshReader(config, RemoteHosts(config, secrets), settings_of(config).sudo)


def open_writer(config: EnvironmentConfig, secrets: Secrets, reader: Reader) -> Writer:
    """A writer beside `reader`, on its connections."""
    from adapters.ssh.reader import SshReader
    from adapters.ssh.sources import RemoteHosts, RemoteWriters
    from adapters.ssh.writer import SshWriter

    if not isinstance(reader, SshReader) or not isinstance(reader.hosts, RemoteHosts):
        raise TypeError("the reader is not of this platform")
    return SshWriter(reader, RemoteWriters(reader.hosts, settings_of(config).sudo))


def _find(home: Path) -> list[dict[str, str]]:
    from adapters.ssh.finding import find_hosts

    return [{"host": host} for host in find_hosts(home)]


ADAPTER = PlatformAdapter(SECTION, KINDS, open_reader, open_writer, _find)
