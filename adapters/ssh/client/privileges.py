"""How a proxy is checked and reloaded on a host by this user; a missing right is named before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.ssh import discovery
from adapters.ssh.client.paths import checked
from adapters.ssh.client.ports import Probe, Process, Workers
from adapters.ssh.client.shell import quote
from adapters.ssh.section import ProxyConfig
from control.errors import Forbidden
from control.text import clean


class Asks(Protocol):
    """What is asked of the host's reader."""

    host: str

    async def probed(self, pid: int | None) -> Probe: ...
    async def rights(self, paths: Sequence[str], pids: Iterable[int]) -> set[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Privileges:
    root: bool
    """Everything is done as root: we are root, or sudo gives us a root shell."""
    reload: str
    """Quoted words; "" where nothing runs, or no reload is wanted."""
    validate: str
    """The proxy's own check of the files in place; "" where there is none for this user."""
    beside: str
    """The same of the candidate (`$T1`, …) beside the file, where the proxy can be told another path."""
    master: int | None
    cwd: str


async def privileges_for(
    host: Asks, proxy: ProxyConfig, workers: Workers, paths: Sequence[str], sudo: bool, reload: bool
) -> Privileges:
    """The means to replace `paths`. Raises `Forbidden` that names the missing right and how to give it."""
    probed = await host.probed(workers.master)
    proxy = discovery.settle(proxy, probed)
    root = probed.uid == 0 or (sudo and probed.rights.get("shell", False))
    pids = [workers.master] if workers.master else [worker.pid for worker in workers.workers]
    signals = root
    allowed = await host.rights(paths, pids)
    _refuse_impossible(host.host, paths, allowed)
    if not root:
        _require(host.host, paths, allowed, probed.sudo_trouble if sudo else None)
        signals = all(("K", str(pid)) in allowed for pid in pids)
    chosen = _Choice(host.host, proxy, probed, workers, sudo and not root)
    process = chosen.process
    return Privileges(
        root,
        chosen.reload(signals) if reload else "",
        chosen.validate(root),
        chosen.beside(paths),
        workers.master,
        (process.cwd or "") if process is not None and proxy.kind == "haproxy" else "",
    )


def main_files(proxy: ProxyConfig, probed: Probe) -> list[str]:
    """The main files in their order: all `-f` of the running HAProxy where the deck's file is among them."""
    assert proxy.config is not None
    if proxy.kind == "haproxy":
        for process in probed.processes:
            named = discovery.configs(process) if process.kind == "haproxy" else ()
            if proxy.config in named:
                return [checked(name) for name in named]
    return [checked(proxy.config)]


def _refuse_impossible(host: str, paths: Sequence[str], allowed: set[tuple[str, str]]) -> None:
    """Name what not even root could write."""
    for path in paths:
        if ("R", path) in allowed:
            raise Forbidden(
                f"host {clean(host)}: {clean(path)} is on a read-only file system",
                hint="mount it read-write, or change the file where it comes from",
            )
        if ("I", path) in allowed:
            raise Forbidden(
                f"host {clean(host)}: {clean(path)} or its folder is immutable (chattr)",
                hint="somebody protects it on purpose: ask them, or chattr -i it there",
            )


def _require(
    host: str, paths: Sequence[str], allowed: set[tuple[str, str]], sudo_trouble: tuple[str, str] | None
) -> None:
    """`sudo_trouble`: why sudo, which the deck file allows, gives no root shell."""
    cause = f", and {sudo_trouble[0]}" if sudo_trouble else ""
    for path in paths:
        if ("W", path) not in allowed:
            raise Forbidden(
                f"host {clean(host)}: this user may not replace {clean(path)} in its folder{cause}",
                hint=sudo_trouble[1]
                if sudo_trouble
                else "give the group write access to file and folder, or allow sudo and set `sudo: true`",
            )
        if ("O", path) not in allowed:
            raise Forbidden(
                f"host {clean(host)}: {clean(path)} belongs to somebody else, and its owner could not be kept{cause}",
                hint=sudo_trouble[1]
                if sudo_trouble
                else "make this user its owner, or allow sudo and set `sudo: true`",
            )


@dataclass(frozen=True, slots=True)
class _Choice:
    host: str
    proxy: ProxyConfig
    probed: Probe
    workers: Workers
    by_sudo: bool
    """Single commands by sudo, since there is no root shell."""

    @property
    def process(self) -> Process | None:
        pid = self.workers.master or next((worker.pid for worker in self.workers.workers), None)
        return next((process for process in self.probed.processes if process.pid == pid), None)

    def reload(self, signals: bool) -> str:
        kind, sudo = self.proxy.kind, ["sudo", "-n"] if self.by_sudo else []
        if self.proxy.reload:
            return _words([*sudo, *self.proxy.reload])
        if self.workers.master is None and not self.workers.workers:
            return ""  # nothing runs: the script refuses before it writes
        if self.workers.master is None:
            raise Forbidden(
                f"host {clean(self.host)}: {kind} runs without a master process, so no signal reloads it",
                hint="name its `reload` command in the deck file",
            )
        if signals:
            return _words(["kill", "-HUP" if kind == "nginx" else "-USR2", str(self.workers.master)])
        if sudo and self.probed.rights.get(f"systemctl reload {kind}"):
            return _words([*sudo, "systemctl", "reload", kind])
        if sudo and kind == "nginx" and self.probed.rights.get("nginx -s reload"):
            return _words([*sudo, "nginx", "-s", "reload"])
        raise Forbidden(
            f"host {clean(self.host)}: this user may not reload {kind}",
            hint=f"allow 'systemctl reload {kind}' in sudoers without a password and set `sudo: true` in the deck file",
        )

    def validate(self, root: bool) -> str:
        if self.proxy.validate:
            return _words(self.proxy.validate)
        if self.proxy.kind == "haproxy":
            return self._haproxy([quote(path) for path in main_files(self.proxy, self.probed)])
        if not root:
            return _words(["sudo", "-n", "nginx", "-t"]) if self.probed.rights.get("nginx -t") else ""
        process = self.process
        program = process.arguments[0] if process and process.arguments else "nginx"
        prefix = discovery.option(process, "-p") if process else None
        return _words([program, "-t", "-q", "-c", str(self.proxy.config), *(["-p", prefix] if prefix else [])])

    def beside(self, paths: Sequence[str]) -> str:
        """HAProxy's check of the new files where they lie, in the place of the old ones."""
        if self.proxy.kind != "haproxy" or self.proxy.validate:
            return ""
        slots = {path: f'"$T{number}"' for number, path in enumerate(paths, 1)}
        files = main_files(self.proxy, self.probed)
        if not any(path in slots for path in files):
            return ""
        return self._haproxy([slots.get(path, quote(path)) for path in files])

    def _haproxy(self, quoted: Sequence[str]) -> str:
        process = self.process
        program = process.arguments[0] if process and process.arguments else "haproxy"
        return f"{quote(program)} -c -f " + " -f ".join(quoted)


def _words(words: Sequence[str]) -> str:
    return " ".join(quote(word) for word in words)
