"""Registers hosts over SSH with nginx and HAProxy: the deck file's `ssh` section."""

from __future__ import annotations

from adapters.ssh.section import SECTION, settings_of
from control.deck.config import EnvironmentConfig
from control.ports import PlatformAdapter, Reader, Secrets, Writer

KINDS = {
    "NginxUpstream": "The servers of an nginx upstream: weight, down, backup",
    "NginxSplitClients": "The percentages of an nginx split_clients",
    "NginxLimitReq": "A request rate of nginx: limit_req_zone with the limit_req lines that use it",
    "NginxLimitConn": "A concurrency of nginx: limit_conn with its zone",
    "NginxMaxConns": "A concurrency of nginx: max_conns of an upstream's server",
    "HAProxyBackend": "The servers of a HAProxy backend: weight and state, in the file and running",
    "HAProxyRequestLimit": "A request rate of HAProxy: a stick-table threshold, in a rule or in a map",
    "HAProxyMaxconn": "A concurrency of HAProxy: maxconn of servers, queued beyond it",
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


ADAPTER = PlatformAdapter(SECTION, KINDS, open_reader, open_writer)
