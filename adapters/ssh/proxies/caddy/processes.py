"""Which process is a Caddy, and which file it was started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.ssh.client.ports import Probe, Process, Worker, Workers
from adapters.ssh.proxies.caddy.program import CONFIG, PROGRAM
from adapters.ssh.proxies.processes import below, option, own
from adapters.ssh.section import ProxyConfig
from control.text import clean


def process_of(config: ProxyConfig, processes: Sequence[Process]) -> Process | None:
    """The process that was started with the configuration, or the only one there is."""
    running = [process for process in own(processes, PROGRAM.name)[0] if "run" in process.arguments[1:2]]
    if len(running) > 1:
        running = [process for process in running if config.config in (config_of(process), None)]
    return max(running, key=lambda process: process.started, default=None)


def workers(config: ProxyConfig, processes: Sequence[Process]) -> Workers:
    """One process does everything and stays through reloads."""
    process = process_of(config, processes)
    return Workers(process.pid, (Worker(process.pid, process.started),)) if process else Workers()


def config_of(process: Process) -> str:
    """The file of a command line; without one it is the Caddyfile of the folder where Caddy was started."""
    named = option(process.arguments, "--config", "-c")
    return below(process.cwd or "/", named or "Caddyfile")


def resumes(process: Process | None) -> bool:
    """Whether it runs what its API was told last, and not its file."""
    return process is not None and ("--resume" in process.arguments or "-r" in process.arguments)


def version(probe: Probe) -> str:
    line = next(iter(probe.said.get(PROGRAM.name, ())), "")
    return clean(line.split()[0].removeprefix("v")) if line else ""


def settle(config: ProxyConfig, probe: Probe) -> ProxyConfig:
    """With the file of the running process."""
    if config.config:
        return config
    process = process_of(config, probe.processes)
    return replace(config, config=config_of(process) if process else CONFIG)
