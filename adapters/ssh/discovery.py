"""Reading what the discovery script printed, and telling which process is which proxy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from adapters.ssh.client.ports import Probe, Process, Worker, Workers
from adapters.ssh.client.sudo import trouble
from adapters.ssh.section import ProxyConfig
from control.errors import PlatformError
from control.text import clean

DEFAULT_CONFIG = {"nginx": "/etc/nginx/nginx.conf", "haproxy": "/etc/haproxy/haproxy.cfg"}
_START_FIELD = 19
"""Of /proc/PID/stat after the name: state is 0, the parent 1, the start time 19."""

_TICKS = 100.0
"""A second, as /proc counts: Linux shows 100 on every architecture that matters."""


def sections(text: str) -> dict[str, list[str]]:
    """The lines under each `@@name`."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("@@"):
            lines = found.setdefault(line[2:], [])
        else:
            lines.append(line)
    return found


def parse_probe(text: str, host: str, began: float, ended: float) -> Probe:
    """`began` and `ended` are our clock around the call. Raises `PlatformError` when it is no such answer."""
    parts = sections(text)
    identity = _filled(parts.get("identity", []))
    if len(identity) < 3 or "end" not in parts:
        raise PlatformError(f"host {clean(host)}: discovery gave no usable answer", hint="does it run a POSIX shell?")
    versions: dict[str, str] = {}
    builds: dict[str, str] = {}
    for line in parts.get("nginx", []):
        if line.startswith("nginx/"):
            versions["nginx"] = clean(line.removeprefix("nginx/").split()[0])
        key, _, value = line.partition("=")
        if key in ("--conf-path", "--prefix", "--pid-path"):
            builds[key] = value
    for line in _filled(parts.get("haproxy", []))[:1]:
        found = re.search(r"version (\d[\w.]*)", line)
        versions["haproxy"] = clean(found[1]) if found else ""
    return Probe(
        hostname=clean(identity[2]),
        user=clean(identity[0]),
        uid=int(identity[1]) if identity[1].isdigit() else -1,
        clock=clock(parts) or ended,
        read_at=(began + ended) / 2,
        tools=frozenset(_filled(parts.get("tools", []))),
        processes=tuple(processes(parts)),
        sockets=tuple(_filled(parts.get("sockets", []))),
        versions=versions,
        builds=builds,
        rights=dict.fromkeys(_filled(parts.get("rights", [])), True),
        sudo_trouble=trouble("\n".join(parts.get("sudo", [])).encode("utf-8", "surrogateescape")),
    )


def clock(parts: dict[str, list[str]]) -> float | None:
    """Unix time there."""
    try:
        return float(parts["clock"][0])
    except (KeyError, IndexError, ValueError):
        return None


def processes(parts: dict[str, list[str]]) -> list[Process]:
    """nginx and HAProxy processes of the sections clock and processes."""
    lines = parts.get("clock", [])
    try:
        before, _, after = lines[1].partition(" ")
        boot = float(lines[0]) - (float(before) + float(after)) / 2
    except (IndexError, ValueError):
        boot = time.time()
    found: list[Process] = []
    rows = parts.get("processes", [])
    for head, argv, cwd in zip(rows[0::3], rows[1::3], rows[2::3], strict=False):
        words = head.split()
        if len(words) < 4 + _START_FIELD or words[0] != "P":
            continue
        title, arguments = _arguments(words[2], argv)
        if title or arguments:
            started = boot + int(words[3 + _START_FIELD]) / _TICKS
            found.append(Process(words[2], int(words[1]), int(words[4]), started, arguments, title, cwd or None))
    return found


def _arguments(kind: str, argv: str) -> tuple[str, tuple[str, ...]]:
    """(title, arguments). nginx writes its title over its arguments and keeps the master's behind it."""
    words = tuple(word for word in argv.strip("\x1f ").split("\x1f") if word)
    if kind == "nginx" and words and words[0].startswith("nginx: "):
        title = words[0].removeprefix("nginx: ").strip()
        if title.startswith("master process"):
            return "master process", tuple(title.removeprefix("master process").split())
        return title, ()
    return "", words


def workers(found: Iterable[Process], proxy: ProxyConfig, prefix: str = "") -> Workers:
    """Master and workers of `proxy`: the one whose arguments name its configuration, or the only one there is."""
    same_kind = [process for process in found if process.kind == proxy.kind]
    pids = {process.pid for process in same_kind}
    masters = [p for p in same_kind if p.parent not in pids and (p.kind != "nginx" or p.title == "master process")]
    if len(masters) > 1:
        masters = [p for p in masters if proxy.config in (configs(p, prefix) or (DEFAULT_CONFIG[proxy.kind],))]
    if not masters:
        return Workers()
    master = max(masters, key=lambda process: process.started)
    children = [process for process in same_kind if process.parent == master.pid]
    if proxy.kind == "nginx":
        return Workers(
            master.pid,
            tuple(Worker(p.pid, p.started, "shutting down" in p.title) for p in children if "worker" in p.title),
        )
    if not children:
        return Workers(None, (Worker(master.pid, master.started),))
    newest = max(children, key=lambda process: (process.started, process.pid))
    return Workers(master.pid, tuple(Worker(p.pid, p.started, p is not newest) for p in children))


def configs(process: Process, prefix: str = "") -> tuple[str, ...]:
    """The configuration files that a proxy was started with: `-c` of nginx, every `-f` of HAProxy."""
    flag = "-c" if process.kind == "nginx" else "-f"
    base = option(process, "-p") or prefix if process.kind == "nginx" else process.cwd or ""
    words = process.arguments
    files: list[str] = []
    for at, word in enumerate(words[:-1]):
        if word == flag:
            following = words[at + 1 :] if process.kind == "haproxy" else words[at + 1 : at + 2]
            for value in following:
                if value.startswith("-"):
                    break
                files.append(str(PurePosixPath(base) / value))
    return tuple(files)


def option(process: Process, flag: str) -> str | None:
    """The word after `flag` in a command line."""
    words = process.arguments
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word == flag), None)


def settle(proxy: ProxyConfig, probe: Probe) -> ProxyConfig:
    """The proxy with its configuration file filled from the running process or the build, where the deck is silent."""
    if proxy.config:
        return proxy
    prefix = probe.builds.get("--prefix", "")
    running = workers(probe.processes, proxy, prefix)
    pids = {running.master, *(worker.pid for worker in running.workers)}
    named = [name for p in probe.processes if p.pid in pids and p.kind == proxy.kind for name in configs(p, prefix)]
    built = probe.builds.get("--conf-path") if proxy.kind == "nginx" else None
    return replace(proxy, config=named[0] if named else built or DEFAULT_CONFIG[proxy.kind])


def _filled(lines: Iterable[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]
