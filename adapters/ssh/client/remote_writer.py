"""The writing verbs over a real SSH connection. Made only for armed sessions and writing commands."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import PurePosixPath

from adapters.ssh.client import discovery, pool, scripts
from adapters.ssh.client.connection import Connection
from adapters.ssh.client.discovery import Programs
from adapters.ssh.client.paths import checked, checked_command
from adapters.ssh.client.ports import Adoption, FileReplacement, HostState, Replaced
from adapters.ssh.client.privileges import Privileges, privileges_for
from adapters.ssh.client.remote_reader import RemoteReader
from adapters.ssh.client.shell import Done, assign
from adapters.ssh.client.sockets import Sockets
from adapters.ssh.client.write_script import REPLACE
from control.errors import ControlError, Forbidden, InvalidValue, Locked, PlatformError, Stale, Unreachable
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
    "foreign": "what is in force is not known",
    "unproved": "what is in force is not known",
    "invalid": "the proxy's own check refuses the new text; the old file is in force",
    "space": "could not be written; the old file is in force",
    "truncated": "nothing was written",
    "reload": "rolled back: the old file is in force",
    "adoption": "rolled back: the old file is in force again",
    "refused": "nothing was written",
    "forbidden": "nothing was written",
}


class RemoteWriter:
    """`HostWriter` of one host, on its reader's connection."""

    def __init__(self, host: str, connection: Connection, reader: RemoteReader, sudo: bool, programs: Programs) -> None:
        self.host = host
        self._connection = connection
        self._reader = reader
        self._sudo = sudo
        self._programs = programs
        self._sockets = Sockets(host, connection, reader.may_be_root)

    async def replace_files(self, replacement: FileReplacement) -> Replaced:
        paths = [change.path for change in replacement.files]
        privileges = await privileges_for(self._reader, replacement.lifecycle, paths, self._sudo, replacement.reload)
        mark = secrets.token_hex(16)
        script, data = _script(replacement, privileges, mark, self._programs)
        limit = LOCK_WAIT + 2 * replacement.adoption_seconds + _SLACK
        done = await pool.on(self._connection, self._connection.execute, script, data, limit, privileges.root)
        return self._outcome(done, replacement, mark)

    def _outcome(self, done: Done, replacement: FileReplacement, mark: str) -> Replaced:
        """What the verdict says. What else was printed, before it or among its lines, decides nothing."""
        said = (b"\n" + done.out).partition(f"\n{mark} ".encode())[2].decode("utf-8", "replace")
        status, *lines = said.splitlines() or [""]
        if status == "OK":
            files = ", ".join(PurePosixPath(change.path).name for change in replacement.files)
            told = f"replaced {clean(files)}"
            number = next((line for line in lines if line.isdigit()), "0")
            if replacement.reload:
                counted = f", {number} new workers" if replacement.lifecycle.adoption is not Adoption.ANSWERED else ""
                told = f"{told}, reloaded{counted}"
            return Replaced(told, self._state(done.out))
        host = clean(self.host)
        if not status.startswith("FAIL "):
            raise Unreachable(
                f"host {host}: the write ended without a verdict ({done.reason}): what came of it is not known"
            )
        kind = status.removeprefix("FAIL ")
        detail = clean(clean_lines("\n".join(lines)).strip().replace("\n", "; "), 1000)
        meaning = _MEANING.get(kind)
        raise _ERRORS.get(kind, PlatformError)(f"host {host}: {detail}{f'; {meaning}' if meaning else ''}")

    def _state(self, report: bytes) -> HostState:
        """What stands behind the verdict. A report that did not come whole says nothing of files and processes."""
        parts = discovery.sections(report.decode("utf-8", "surrogateescape"))
        processes = discovery.processes(parts, self._programs) if "end" in parts else []
        return HostState(discovery.files(parts, True), tuple(processes))

    async def tell(self, program: str, socket: str, commands: Sequence[str]) -> list[str]:
        known = self._programs[program]
        answers: list[str] = []
        for command in [checked_command(known, one) for one in commands]:
            answer = (await pool.on(self._connection, self._sockets.exchange, socket, command, known.title)).strip()
            if not known.done.fullmatch(answer):
                kind = Forbidden if answer.startswith("Permission denied") else PlatformError
                raise kind(
                    f"host {clean(self.host)}: {known.title} refused '{clean(command)}': {clean(answer)}"
                    f" ({len(answers)} of {len(commands)} commands were done)"
                )
            answers.append(answer)
        return answers

    async def close(self) -> None:
        """The connection is the reader's."""


def _script(replacement: FileReplacement, privileges: Privileges, mark: str, programs: Programs) -> tuple[str, bytes]:
    lifecycle = replacement.lifecycle
    values: dict[str, str | int] = {
        "VERDICT": mark,
        "NAME": lifecycle.program.name,
        "BY": lifecycle.adoption.value,
        "ASIDE": "\n".join(lifecycle.aside),
        "UNSET": " ".join(lifecycle.unset),
        "N": len(replacement.files),
        "FOLDER": str(PurePosixPath(replacement.files[0].path).parent),
        "WAIT": LOCK_WAIT,
        "ADOPT": max(1, round(replacement.adoption_seconds)),
        "ROOT": int(privileges.root),
        "RELOADS": int(replacement.reload),
        "RELOAD": privileges.reload,
        "VALIDATE": privileges.validate,
        "BESIDE": privileges.beside,
        "MASTER": lifecycle.master or "",
        "CWD": lifecycle.cwd,
        "PATHS": "\n".join(change.path for change in replacement.files),
    }
    for number, change in enumerate(replacement.files, 1):
        values[f"P{number}"] = checked(change.path)
        values[f"E{number}"] = change.expected_sha256
        values[f"H{number}"] = hashlib.sha256(change.data).hexdigest()
        values[f"L{number}"] = len(change.data)
    script = assign(**values) + scripts.of_processes(programs.values()) + REPLACE + scripts.FACTS + scripts.PROCESSES
    return script, b"".join(change.data for change in replacement.files)
