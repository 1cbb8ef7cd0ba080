"""The writing verbs over a real SSH connection. Made only for armed sessions and writing commands."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from adapters.ssh import discovery, pool
from adapters.ssh.connection import Connection
from adapters.ssh.paths import checked, checked_command
from adapters.ssh.remote_reader import RemoteReader, main_files
from adapters.ssh.seam import FileReplacement, Probe, Process, Workers
from adapters.ssh.shell import Done, assign, quote
from adapters.ssh.write_script import REPLACE
from control.deckfile import ProxyConfig
from control.errors import ControlError, Forbidden, InvalidValue, Locked, PlatformError, Stale
from control.text import clean, clean_lines

LOCK_WAIT = 10
_SLACK = 15.0
"""Seconds for transfer and checks beside the waits that are asked for."""
_ERRORS: dict[str, type[ControlError]] = {
    "stale": Stale,
    "locked": Locked,
    "forbidden": Forbidden,
    "invalid": InvalidValue,
}
_MEANING = {
    "invalid": "the proxy's own check refuses the new text; the old file is in force",
    "space": "could not be written; the old file is in force",
    "truncated": "nothing was written",
    "reload": "rolled back: the old file is in force",
    "adoption": "rolled back: the old file is in force again",
    "refused": "nothing was written",
}


@dataclass(frozen=True, slots=True)
class _Means:
    """How a reload and a check are done on this host by this user."""

    root: bool
    reload: str
    validate: str
    beside: str
    master: int | None
    cwd: str


class RemoteWriter:
    """`HostWriter` of one host, on its reader's connection."""

    def __init__(self, host: str, connection: Connection, reader: RemoteReader, sudo: bool) -> None:
        self.host = host
        self._connection = connection
        self._reader = reader
        self._sudo = sudo

    async def replace_files(self, replacement: FileReplacement) -> str:
        workers = await self._reader.workers(replacement.proxy)
        probed = await self._reader.probed(workers.master)
        means = await self._means(replacement, probed, workers)
        script, data = _script(replacement, means)
        limit = LOCK_WAIT + 2 * replacement.adoption_seconds + _SLACK
        done = await pool.run(self._connection.execute, script, data, limit, means.root)
        return self._outcome(done, replacement)

    async def _means(self, replacement: FileReplacement, probed: Probe, workers: Workers) -> _Means:
        """Chosen and checked before anything is written; a missing right is named."""
        proxy = discovery.settle(replacement.proxy, probed)
        root = probed.uid == 0 or (self._sudo and probed.rights.get("shell", False))
        pids = [workers.master] if workers.master else [worker.pid for worker in workers.workers]
        if not root:
            paths = [change.path for change in replacement.files]
            allowed = await self._reader.rights(paths, pids)
            self._require(paths, allowed)
            signals = all(("K", str(pid)) in allowed for pid in pids)
        else:
            signals = True
        reload = self._reload(proxy, probed, workers, signals) if replacement.reload else ""
        validate, beside = self._check(proxy, probed, workers, replacement, root)
        process = _process(probed, workers)
        cwd = process.cwd if process is not None and process.cwd else ""
        return _Means(root, reload, validate, beside, workers.master, cwd if proxy.kind == "haproxy" else "")

    def _require(self, paths: Sequence[str], allowed: set[tuple[str, str]]) -> None:
        for path in paths:
            if ("W", path) not in allowed:
                raise Forbidden(
                    f"host {clean(self.host)}: this user may not replace {clean(path)} in its folder",
                    hint="give the group write access to file and folder, or allow sudo and set `sudo: true`",
                )
            if ("O", path) not in allowed:
                raise Forbidden(
                    f"host {clean(self.host)}: {clean(path)} belongs to somebody else, and its owner could not be kept",
                    hint="make this user its owner, or allow sudo and set `sudo: true`",
                )

    def _reload(self, proxy: ProxyConfig, probed: Probe, workers: Workers, signals: bool) -> str:
        sudo = ["sudo", "-n"] if self._sudo and probed.uid != 0 and not probed.rights.get("shell") else []
        if proxy.reload:
            return _words([*sudo, *proxy.reload])
        if workers.master is None and not workers.workers:
            return ""  # nothing runs: the script refuses before it writes
        if workers.master is None:
            raise Forbidden(
                f"host {clean(self.host)}: HAProxy runs without a master process, so there is no signal to reload it",
                hint="name its `reload` command in the deck file",
            )
        if signals:
            return _words(["kill", "-HUP" if proxy.kind == "nginx" else "-USR2", str(workers.master)])
        if sudo and probed.rights.get(f"systemctl reload {proxy.kind}"):
            return _words([*sudo, "systemctl", "reload", proxy.kind])
        if sudo and proxy.kind == "nginx" and probed.rights.get("nginx -s reload"):
            return _words([*sudo, "nginx", "-s", "reload"])
        raise Forbidden(
            f"host {clean(self.host)}: this user may not reload {proxy.kind}",
            hint=f"allow 'sudo -n systemctl reload {proxy.kind}' in sudoers and set `sudo: true` in the deck file",
        )

    def _check(
        self, proxy: ProxyConfig, probed: Probe, workers: Workers, replacement: FileReplacement, root: bool
    ) -> tuple[str, str]:
        """(check of the files in place, check of the candidate beside them), as quoted words; "" for none."""
        if proxy.validate:
            return _words(proxy.validate), ""
        process = _process(probed, workers)
        if proxy.kind == "haproxy":
            program = process.arguments[0] if process and process.arguments else "haproxy"
            files = main_files(proxy, probed)
            slots = {change.path: f'"$T{number}"' for number, change in enumerate(replacement.files, 1)}
            start = f"{quote(program)} -c -f "
            swapped = [slots.get(path, quote(path)) for path in files]
            in_place = start + " -f ".join(quote(path) for path in files)
            return in_place, start + " -f ".join(swapped) if any(path in slots for path in files) else ""
        program = process.arguments[0] if process and process.arguments else "nginx"
        prefix = discovery.option(process, "-p") if process else None
        words = [program, "-t", "-q", "-c", str(proxy.config), *(["-p", prefix] if prefix else [])]
        if root:
            return _words(words), ""
        may = self._sudo and probed.rights.get("nginx -t")
        return (_words(["sudo", "-n", "nginx", "-t"]) if may else ""), ""

    def _outcome(self, done: Done, replacement: FileReplacement) -> str:
        lines = done.out.decode("utf-8", "replace").splitlines()
        status = lines[0] if lines else ""
        if status == "OK":
            files = ", ".join(PurePosixPath(change.path).name for change in replacement.files)
            said = f"replaced {clean(files)}"
            return f"{said}, reloaded, {clean(lines[1])} new workers" if replacement.reload else said
        host = clean(self.host)
        if not status.startswith("FAIL "):
            if done.error.startswith(b"sudo:"):
                raise Forbidden(f"host {host}: {done.reason}")
            raise PlatformError(f"host {host}: the write ended without a verdict: {done.reason}")
        kind = status.removeprefix("FAIL ")
        detail = clean(clean_lines("\n".join(lines[1:])).strip().replace("\n", "; "), 1000)
        meaning = _MEANING.get(kind)
        raise _ERRORS.get(kind, PlatformError)(f"host {host}: {detail}{f'; {meaning}' if meaning else ''}")

    async def haproxy_set(self, socket: str, commands: Sequence[str]) -> list[str]:
        answers: list[str] = []
        for command in [checked_command(one) for one in commands]:
            answer = (await pool.run(self._reader.exchange, socket, command)).strip()
            if answer and not answer.startswith("New version created"):
                kind = Forbidden if answer.startswith("Permission denied") else PlatformError
                raise kind(
                    f"host {clean(self.host)}: HAProxy refused '{clean(command)}': {clean(answer)}"
                    f" ({len(answers)} of {len(commands)} commands were done)"
                )
            answers.append(answer)
        return answers

    async def close(self) -> None:
        """The connection is the reader's."""


def _script(replacement: FileReplacement, means: _Means) -> tuple[str, bytes]:
    values: dict[str, str | int] = {
        "KIND": replacement.proxy.kind,
        "N": len(replacement.files),
        "FOLDER": str(PurePosixPath(replacement.files[0].path).parent),
        "WAIT": LOCK_WAIT,
        "ADOPT": max(1, round(replacement.adoption_seconds)),
        "ROOT": int(means.root),
        "RELOADS": int(replacement.reload),
        "RELOAD": means.reload,
        "VALIDATE": means.validate,
        "BESIDE": means.beside,
        "MASTER": means.master or "",
        "CWD": means.cwd,
    }
    for number, change in enumerate(replacement.files, 1):
        values[f"P{number}"] = checked(change.path)
        values[f"E{number}"] = change.expected_sha256
        values[f"H{number}"] = hashlib.sha256(change.data).hexdigest()
        values[f"L{number}"] = len(change.data)
    return assign(**values) + REPLACE, b"".join(change.data for change in replacement.files)


def _process(probed: Probe, workers: Workers) -> Process | None:
    pid = workers.master or next((worker.pid for worker in workers.workers), None)
    return next((process for process in probed.processes if process.pid == pid), None)


def _words(words: Sequence[str]) -> str:
    return " ".join(quote(word) for word in words)
