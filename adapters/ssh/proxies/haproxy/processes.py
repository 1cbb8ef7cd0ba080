"""Which processes are a HAProxy's, and which files its master was started with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from adapters.ssh.client.ports import Probe, Process, Worker, Workers
from adapters.ssh.proxies.haproxy.program import CONFIG, PROGRAM
from adapters.ssh.proxies.processes import below, own
from adapters.ssh.section import ProxyConfig
from control.text import clean


def workers(config: ProxyConfig, processes: Sequence[Process]) -> Workers:
    """The process whose arguments name the configuration, or the only one there is. Where it is a master, its newest
    child serves and the others drain."""
    all_of_it, masters = own(processes, PROGRAM.name)
    if len(masters) > 1:
        masters = [process for process in masters if config.config in (files_of(process) or (CONFIG,))]
    if not masters:
        return Workers()
    master = max(masters, key=lambda process: process.started)
    children = [process for process in all_of_it if process.parent == master.pid]
    if not children:
        return Workers(None, (Worker(master.pid, master.started),))
    newest = max(children, key=lambda process: (process.started, process.pid))
    return Workers(master.pid, tuple(Worker(p.pid, p.started, p is not newest) for p in children))


def process_of(seen: Workers, processes: Sequence[Process]) -> Process | None:
    """The master, or the one process that there is."""
    pid = seen.master or next((worker.pid for worker in seen.workers), None)
    return next((process for process in processes if process.pid == pid), None)


def files_of(process: Process) -> tuple[str, ...]:
    """Every `-f` of a command line; several files may follow one."""
    words = process.arguments
    files: list[str] = []
    for at, word in enumerate(words[:-1]):
        if word == "-f":
            for value in words[at + 1 :]:
                if value.startswith("-"):
                    break
                files.append(below(process.cwd or "", value))
    return tuple(files)


def version(probe: Probe) -> str:
    for line in probe.said.get(PROGRAM.name, ())[:1]:
        found = re.search(r"version (\d[\w.]*)", line)
        return clean(found[1]) if found else ""
    return ""


def settle(config: ProxyConfig, probe: Probe) -> ProxyConfig:
    """With the first file of the running process."""
    if config.config:
        return config
    seen = workers(config, probe.processes)
    pids = {seen.master, *(worker.pid for worker in seen.workers)}
    named = [name for process in probe.processes if process.pid in pids for name in files_of(process)]
    return replace(config, config=named[0] if named else CONFIG)


def mains(config: ProxyConfig, processes: Sequence[Process]) -> tuple[str, ...]:
    """All files of the running process where the configuration is among them, in their order."""
    for process in processes:
        named = files_of(process) if process.program == PROGRAM.name else ()
        if config.config in named:
            return named
    return (str(config.config),)
