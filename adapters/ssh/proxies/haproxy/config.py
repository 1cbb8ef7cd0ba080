"""A parsed HAProxy configuration together with the maps and the state file that it names."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.haproxy import map as haproxy_map
from adapters.ssh.proxies.haproxy import proxy_limits as haproxy_proxy_limits
from adapters.ssh.proxies.haproxy import request_limit as haproxy_request_limit
from adapters.ssh.proxies.haproxy.branches import decide
from adapters.ssh.proxies.haproxy.lines import Section, sections
from adapters.ssh.proxies.haproxy.map import map_names
from adapters.ssh.proxies.haproxy.request_limit import Definition
from adapters.ssh.proxies.haproxy.runtime import Running, names_by_backend, parse
from adapters.ssh.proxies.haproxy.servers import backends
from adapters.ssh.proxies.protocol import Runtime, base_of

SMALL_MAP = 65536
"""Bytes. Larger maps are not asked for at every read."""


class Config:
    """A parsed configuration with the maps and the state file that it names."""

    def __init__(self, tree: ConfigTree, runtime: Runtime | None = None) -> None:
        """`runtime` tells which branches of `.if` are live and which servers were added. Raises `HAProxySyntaxError` (a
        `PlatformError`) with file and line."""
        self.tree = tree
        self.running = parse(runtime)
        files = [(path, tree.files[path]) for path in tree.main if path in tree.files]
        version = self.running.info.get("Version", "")
        self.sections = sections(files, version)
        decided = decide(self.sections, self.running)
        if decided:
            self.sections = sections(files, version, decided)
        self.backends = backends(self.sections, names_by_backend(self.running))

    def resolve(self, name: str) -> str:
        """The path of a file that the configuration names; relative ones are looked for beside the main file."""
        return resolve(self.tree.main[0], name)

    def map_data(self, name: str) -> bytes | None:
        return self.tree.files.get(self.real(name))

    def real(self, name: str) -> str:
        """As `resolve`, with symlinks followed as the transport found them."""
        path = self.resolve(name)
        found = self.tree.expanded.get(path, ())
        return found[0] if len(found) == 1 else path

    def definitions(self) -> list[Definition]:
        return haproxy_request_limit.definitions(self.sections, self.real, self.tree.files, self.map_data)

    def maps(self) -> dict[str, str]:
        """The maps that the configuration names, with their real paths."""
        return {name: self.real(name) for name in map_names(self.sections)}

    def maps_to_ask(self) -> list[str]:
        """The maps whose running content matters here: those with thresholds, and others that are small."""
        numbers = {d.rule.threshold.map_file for d in self.definitions() if d.rule.threshold}
        return [
            name
            for name, path in self.maps().items()
            if name in numbers or len(self.tree.files.get(path, b"")) <= SMALL_MAP
        ]

    def state_file(self) -> str | None:
        """The real path of the server-state file, where the configuration names one that is there."""
        name = state_file_name(self.sections)
        path = self.real(name) if name else None
        return path if path in self.tree.files else None

    def state_file_unread(self) -> str | None:
        """The state file where it exists and could not be read."""
        name = state_file_name(self.sections)
        path = self.real(name) if name else None
        return path if path in self.tree.unreadable else None


def resolve(main: str, name: str) -> str:
    """An absolute path; relative names count from the folder of the main file."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(main), name))


def state_file_name(found: Sequence[Section]) -> str:
    """The file of `server-state-file` (below `server-state-base`), or nothing."""
    name, folder = "", ""
    for section in found:
        for line in section.lines if section.keyword == "global" else ():
            if line.values[0] == "server-state-file" and len(line.words) > 1:
                name = line.values[1]
            if line.values[0] == "server-state-base" and len(line.words) > 1:
                folder = line.values[1]
    return posixpath.join(folder, name) if name else ""


def base(config: Config, path: str, runtime: Runtime | None, running: Running) -> str:
    """The file's digest with the running values of the servers in it, or of the map that it is."""
    data = config.tree.files.get(path, b"")
    if not running.known or runtime is None:
        return base_of(data)
    values = [
        f"{backend.name}/{server.name} {now.weight} {now.admin} {now.maxconn}"
        for backend in config.backends
        for server in backend.servers
        if server.line.path == path and (now := running.servers.get((backend.name, server.name)))
    ]
    values += [
        f"{limit.name} {number}"
        for limit in haproxy_proxy_limits.find(config.sections)
        if limit.setting.line.path == path and (number := limit.running(running)) is not None
    ]
    for name, real in config.maps().items():
        if real == path:
            entries = haproxy_map.running(runtime.answers.get(f"map {name}")) or {}
            values.extend(f"{key} {value}" for key, value in sorted(entries.items()))
    return base_of(data, "\n".join(values))
