"""How an nginx is checked and reloaded on its host: a signal to the master, the service, or nginx itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.ssh.client.ports import Adoption, Authority, Command, Process, Workers
from adapters.ssh.client.program import Program
from adapters.ssh.proxies.lifecycle import by_master, named, no_right
from adapters.ssh.proxies.nginx.processes import words_of
from adapters.ssh.proxies.nginx.program import PROGRAM
from adapters.ssh.proxies.processes import option
from adapters.ssh.section import ProxyConfig


@dataclass(frozen=True, slots=True)
class NginxLifecycle:
    """See `adapters.ssh.client.ports.Lifecycle`."""

    config: ProxyConfig
    workers: Workers
    processes: Sequence[Process]
    program: Program = PROGRAM
    adoption: Adoption = Adoption.REPLACED
    aside: tuple[str, ...] = ("shutting down", "cache manager", "cache loader")
    unset: tuple[str, ...] = ()
    cwd: str = ""

    @property
    def master(self) -> int | None:
        return self.workers.master

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.master,) if self.master else ()

    def reload(self, authority: Authority) -> Command:
        if self.config.reload:
            return named(self.config.reload, authority)
        if self.master is None:
            return ()
        return (
            by_master(self.master, "-HUP", authority)
            or authority.by_sudo("systemctl", "reload", "nginx")
            or authority.by_sudo("nginx", "-s", "reload")
            or no_right(PROGRAM)
        )

    def validate(self, authority: Authority) -> Command:
        if self.config.validate:
            return self.config.validate
        if not authority.root:
            return authority.by_sudo("nginx", "-t")
        words = next((words_of(process) for process in self.processes if process.pid == self.master), ())
        prefix = option(words, "-p")
        program = words[0] if words else "nginx"
        return (program, "-t", "-q", "-c", str(self.config.config), *(("-p", prefix) if prefix else ()))

    def validate_beside(self) -> Command:
        """nginx checks its files in place alone: includes have no other path."""
        return ()
