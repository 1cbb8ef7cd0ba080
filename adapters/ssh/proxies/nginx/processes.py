"""Which processes are an nginx's, and what its master was started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.ssh.client.ports import Probe, Process, Worker, Workers
from adapters.ssh.proxies.nginx.program import CONFIG, PROGRAM
from adapters.ssh.proxies.processes import below, option, own
from adapters.ssh.section import ProxyConfig
from control.text import clean

_MASTER = "master process"


def words_of(master: Process) -> tuple[str, ...]:
    """The command line of a master, which stands behind its title."""
    return master.arguments or tuple(master.title.removeprefix(_MASTER).split())


def workers(config: ProxyConfig, probe: Probe | None, processes: Sequence[Process]) -> Workers:
    """The master whose arguments name the configuration, or the only one there is, with its workers."""
    all_of_it, first = own(processes, PROGRAM.name)
    masters = [process for process in first if process.title.startswith(_MASTER)]
    if len(masters) > 1:
        masters = [process for process in masters if config.config in (config_of(process, probe), None)]
    if not masters:
        return Workers()
    master = max(masters, key=lambda process: process.started)
    children = [process for process in all_of_it if process.parent == master.pid and "worker" in process.title]
    return Workers(
        master.pid, tuple(Worker(child.pid, child.started, "shutting down" in child.title) for child in children)
    )


def config_of(master: Process, probe: Probe | None) -> str:
    """The configuration file that a master was started with."""
    words = words_of(master)
    named = option(words, "-c")
    return below(option(words, "-p") or built(probe).get("--prefix", ""), named) if named else CONFIG


def built(probe: Probe | None) -> dict[str, str]:
    """The paths that are built into the installed nginx: `--conf-path`, `--prefix`."""
    lines = probe.said.get(PROGRAM.name, ()) if probe else ()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def version(probe: Probe) -> str:
    lines = probe.said.get(PROGRAM.name, ())
    return next((clean(line.removeprefix("nginx/").split()[0]) for line in lines if line.startswith("nginx/")), "")


def settle(config: ProxyConfig, probe: Probe) -> ProxyConfig:
    """With the configuration file of the running master, or of the build."""
    if config.config:
        return config
    master = workers(config, probe, probe.processes).master
    named = next((p for p in probe.processes if p.pid == master and option(words_of(p), "-c")), None)
    return replace(config, config=config_of(named, probe) if named else built(probe).get("--conf-path", CONFIG))
