"""Ways to reload a program that has a master process."""

from __future__ import annotations

from adapters.ssh.client.ports import Authority, Command
from adapters.ssh.client.program import Program
from control.errors import Forbidden


def named(command: Command | None, authority: Authority) -> Command:
    """The reload command that the deck file names, by sudo where that is how this user may; nothing where none is."""
    return (*(("sudo", "-n") if authority.sudo else ()), *command) if command else ()


def by_master(master: int, signal: str, authority: Authority) -> Command:
    """A signal to the master, where we may send it one; else nothing."""
    return ("kill", signal, str(master)) if authority.signals else ()


def no_right(program: Program) -> Command:
    """Raises `Forbidden`: nothing that this user may do reloads it."""
    service = f"systemctl reload {program.name}"
    raise Forbidden(
        f"this user may not reload {program.name}",
        hint=f"allow '{service}' in sudoers without a password and set `sudo: true` in the deck file",
    )
