"""How a HAProxy is checked and reloaded on its host: a signal to the master, or the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.ssh.client.ports import Adoption, Authority, Candidate, Command, Process, Workers
from adapters.ssh.client.program import Program
from adapters.ssh.proxies.haproxy.processes import mains, process_of
from adapters.ssh.proxies.haproxy.program import PROGRAM
from adapters.ssh.proxies.lifecycle import by_master, named, no_right
from adapters.ssh.section import ProxyConfig
from control.errors import Forbidden


@dataclass(frozen=True, slots=True)
class HAProxyLifecycle:
    """See `adapters.ssh.client.ports.Lifecycle`."""

    config: ProxyConfig
    workers: Workers
    processes: Sequence[Process]
    program: Program = PROGRAM
    adoption: Adoption = Adoption.JOINED
    aside: tuple[str, ...] = ()
    unset: tuple[str, ...] = ("HAPROXY_MWORKER*", "HAPROXY_LOAD*", "HAPROXY_PROC*")

    @property
    def master(self) -> int | None:
        return self.workers.master

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.master,) if self.master else tuple(worker.pid for worker in self.workers.workers)

    @property
    def cwd(self) -> str:
        process = process_of(self.workers, self.processes)
        return (process.cwd or "") if process is not None else ""

    def reload(self, authority: Authority) -> Command:
        if self.config.reload:
            return named(self.config.reload, authority)
        if self.master is None and not self.workers.workers:
            return ()
        if self.master is None:
            raise Forbidden(
                f"{PROGRAM.name} runs without a master process, so no signal reloads it",
                hint="name its `reload` command in the deck file",
            )
        return (
            by_master(self.master, "-USR2", authority)
            or authority.by_sudo("systemctl", "reload", "haproxy")
            or no_right(PROGRAM)
        )

    def validate(self, authority: Authority) -> Command:
        return self.config.validate or self._check(mains(self.config, self.processes))

    def validate_beside(self) -> Command:
        """The new files where they lie, in the place of the old ones."""
        if self.config.validate:
            return ()
        return self._check([Candidate(path) for path in mains(self.config, self.processes)])

    def _check(self, files: Sequence[str]) -> Command:
        process = process_of(self.workers, self.processes)
        program = process.arguments[0] if process and process.arguments else "haproxy"
        return (program, "-c", *(word for file in files for word in ("-f", file)))
