"""How a Caddy is checked and reloaded on its host: by its own commands, in the environment of the running one.

`caddy reload` reads the file where it stands, so that imports are found from its folder, and hands the result to the
admin endpoint; it fails where that is refused. It expands `{$NAME}` itself, so it must see the variables that the
running process has: whoever may not read those may only reload the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from adapters.ssh.client.ports import Adoption, Authority, Candidate, Command, Process
from adapters.ssh.client.program import Program
from adapters.ssh.proxies.caddy.program import PROGRAM
from adapters.ssh.proxies.lifecycle import named, no_right
from adapters.ssh.proxies.processes import option
from adapters.ssh.section import ProxyConfig
from control.errors import Forbidden


@dataclass(frozen=True, slots=True)
class CaddyLifecycle:
    """See `adapters.ssh.client.ports.Lifecycle`."""

    config: ProxyConfig
    """Its socket is the admin endpoint."""
    process: Process | None
    program: Program = PROGRAM
    adoption: Adoption = Adoption.ANSWERED
    aside: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()

    @property
    def master(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.process.pid,) if self.process else ()

    @property
    def cwd(self) -> str:
        return (self.process.cwd or "") if self.process else ""

    def reload(self, authority: Authority) -> Command:
        if self.config.reload:
            return named(self.config.reload, authority)
        if self.process is None:
            return ()
        if self.config.socket is None:
            raise Forbidden("the admin endpoint of this Caddy is off, so nothing reloads it", hint="restart it by hand")
        if not authority.signals:
            return authority.by_sudo("systemctl", "reload", "caddy") or no_right(PROGRAM)
        address = f"unix/{self.config.socket}" if self.config.socket.startswith("/") else self.config.socket
        return (*self._words("reload"), *self._file(str(self.config.config)), "--address", address)

    def validate(self, authority: Authority) -> Command:
        return self.config.validate or (*self._words("validate"), *self._file(str(self.config.config)))

    def validate_beside(self) -> Command:
        """The new main file where it lies: imports are found from the same folder."""
        if self.config.validate:
            return ()
        return (*self._words("validate"), *self._file(Candidate(str(self.config.config))))

    def _words(self, command: str) -> Command:
        program = self.process.arguments[0] if self.process and self.process.arguments else "caddy"
        return (program, command)

    def _file(self, path: str) -> Command:
        """As Caddy takes it: a Caddyfile by its name or by the adapter that the process was started with, else JSON."""
        words = self.process.arguments if self.process else ()
        by_name = "caddyfile" if PurePosixPath(path).name.startswith("Caddyfile") else None
        adapter = option(words, "--adapter", "-a") or by_name
        return ("--config", path, *(("--adapter", adapter) if adapter else ()))
