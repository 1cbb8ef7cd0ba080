"""Running constant scripts on a host: in a shell that stays open, or in a session with data on standard input.

Every answer stands between two lines that hold a mark made up for it. What a login shell, its start-up files or what
they left running print before, between or after answers is no part of one, and nothing is sent before the shell that
shall run it has said its mark: a start-up file that reads standard input gets nothing of ours.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.ssh.client.sudo import trouble
from control.errors import ControlError, Forbidden, InvalidValue, Unreachable
from control.text import clean

if TYPE_CHECKING:
    from paramiko import Channel

PRELUDE = (
    "LC_ALL=C; export LC_ALL; unset ENV CDPATH; umask 077; "
    "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n"
)
MAXIMUM_ANSWER = 256 * 1024 * 1024
_GARBLED = 97
"""Our own code for a script that did not arrive as it was sent; 0 and 1 are all that the scripts end with."""


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: bytes
    error: bytes = b""

    @property
    def reason(self) -> str:
        """The last line of what it complained, cleaned."""
        lines = [line for line in self.error.decode("utf-8", "replace").splitlines() if line.strip()]
        return clean(lines[-1]) if lines else f"exit code {self.code}"


def quote(value: str) -> str:
    """One word for a POSIX shell. Raises `InvalidValue` for a text that can be no argument."""
    if "\0" in value:
        raise InvalidValue("a text with a NUL character cannot be sent to a host")
    return "'" + value.replace("'", "'\\''") + "'"


def assign(**values: str | int) -> str:
    """`NAME='value'` lines to stand before a constant script: the only way that arguments get into one."""
    lines = []
    for name, value in values.items():
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            raise ValueError(name)
        lines.append(f"{name}={quote(str(value))}\n")
    return "".join(lines)


class ShellClosed(Exception):
    """The shell ended before the script was sent: it may be sent to another."""


class Shell:
    """`/bin/sh` in a session that stays open."""

    def __init__(self, channel: Channel, host: str, root: bool) -> None:
        self._channel = channel
        self._host = host
        self._lock = threading.Lock()
        self._fresh = True
        self._root = root
        self.broken = False
        self._mark = secrets.token_hex(16)
        channel.exec_command(_command(f'printf "\\n%s 0\\n" {self._mark}; exec /bin/sh', root))

    def run(self, script: str, timeout: float) -> Done:
        """Run one script without standard input; its standard error is dropped. After a failure it is `broken`.
        Raises `ShellClosed`, `Unreachable`, `Forbidden` where sudo gives no shell."""
        if not self._lock.acquire(timeout=timeout):
            raise Unreachable(f"host {self._host} is busy with another command")
        try:
            if self.broken:
                raise ShellClosed
            end = time.monotonic() + timeout
            text = ""
            if self._fresh:
                self._answer(self._mark, end)
                self._fresh, text = False, PRELUDE
            mark = secrets.token_hex(16)
            text += f"printf '\\n%s begin\\n' {mark}\n(\n{script}\n) </dev/null 2>/dev/null\n"
            self._channel.sendall(f"{text}printf '\\n%s %d\\n' {mark} \"$?\"\n".encode("utf-8", "surrogateescape"))
            done = self._answer(mark, end)
            _, begin, out = done.out.partition(f"\n{mark} begin\n".encode())
            if not begin:
                raise Unreachable(f"host {self._host}: an answer came that did not begin as it must")
            return Done(done.code, out)
        except BaseException:
            self.broken = True
            self._channel.close()
            raise
        finally:
            self._lock.release()

    def make_room(self) -> None:
        """End the shell where it does nothing now, so that the server may open another session."""
        if self._lock.acquire(blocking=False):
            try:
                self.broken = True
                self._channel.close()
            finally:
                self._lock.release()

    def _answer(self, mark: str, end: float) -> Done:
        """What came up to the line of the mark, and the code there."""
        got, looked = bytearray(), 0
        pattern = re.compile(rb"\n" + mark.encode() + rb" (\d+)\n")
        while True:
            found = pattern.search(got, max(0, looked - 64))
            if found:
                return Done(int(found[1]), bytes(got[: found.start()]))
            looked = len(got)
            data = _more(self._channel, end, looked)
            if data is None:
                raise Unreachable(f"host {self._host}: the command took too long")
            if not data:
                raise self._ended()
            got += data

    def _ended(self) -> Forbidden | Unreachable:
        if self._root:
            return _no_sudo(self._host, _errors(self._channel, bool(self._channel.eof_received)))
        return Unreachable(f"host {self._host}: its shell ended", hint="the account must be allowed to run /bin/sh")


def run_once(channel: Channel, script: str, data: bytes, timeout: float, host: str, root: bool) -> Done:
    """Run a script in its own session: the script first, then `data` on the same standard input.

    `dd` takes exactly the script's bytes, so that nothing of the data is swallowed, and the script is run only where it
    arrived whole; the command line itself holds only digits and words of ours and means the same to every login shell.
    Raises `Forbidden` where sudo gives no shell, `Unreachable` where what came of it is not known.
    """
    mark = secrets.token_hex(16)
    text = f"# {mark}\n{PRELUDE}(\n{script}\n)\nprintf '\\n%s %d\\n' {mark} \"$?\"\n# {mark}"
    encoded = text.encode("utf-8", "surrogateescape")
    command = (
        f'printf "\\n%s begin\\n" {mark}; x=$(dd bs=1 count={len(encoded)} 2>/dev/null); '
        f'case $x in "# {mark}"*{mark}) eval "$x";; *) printf "\\n%s {_GARBLED}\\n" {mark};; esac'
    )
    end = time.monotonic() + timeout
    try:
        channel.settimeout(timeout)
        channel.exec_command(_command(command, root))
        before = _until(channel, re.compile(rb"\n" + mark.encode() + rb" begin\n"), bytearray(), end)
        if before is None:
            raise _not_run(channel, host, root)
        channel.settimeout(max(0.1, end - time.monotonic()))
        channel.sendall(encoded + data)
        channel.shutdown_write()
        got = bytearray(before.string[before.end() - 1 :])
        answer = _until(channel, re.compile(rb"\n" + mark.encode() + rb" (\d+)\n"), got, end)
        if answer is None:
            raise Unreachable(f"host {host}: no whole answer came; what came of the command is not known")
        if int(answer[1]) == _GARBLED:
            raise Forbidden(f"host {host}: the command did not arrive as it was sent; nothing was done")
        return Done(int(answer[1]), bytes(got[1 : answer.start()]), _errors(channel))
    finally:
        channel.close()


def _command(script: str, root: bool) -> str:
    return f"exec {'sudo -n ' if root else ''}/bin/sh -c '{script}'"


def _not_run(channel: Channel, host: str, root: bool) -> ControlError:
    error = _errors(channel, bool(channel.eof_received))
    if root and trouble(error) is not None:
        return _no_sudo(host, error)
    said = Done(0, b"", error).reason if error.strip() else "no shell answered"
    return Unreachable(f"host {host}: {said}; nothing was done", hint="the account must be allowed to run /bin/sh")


def _no_sudo(host: str, error: bytes) -> Forbidden:
    cause, remedy = trouble(error) or ("sudo gives no root shell", "allow it without a password in sudoers")
    return Forbidden(f"host {host}: {cause}", hint=remedy)


def _until(channel: Channel, pattern: re.Pattern[bytes], got: bytearray, end: float) -> re.Match[bytes] | None:
    """Read into `got` until it holds the pattern; None where the channel ended or time ran out before."""
    looked = 0
    while True:
        found = pattern.search(got, max(0, looked - 64))
        if found:
            return found
        looked = len(got)
        data = _more(channel, end, looked)
        if not data:
            return None
        got += data


def _more(channel: Channel, end: float, so_far: int) -> bytes | None:
    """The next bytes; empty at the end, None where time ran out or too much came."""
    remaining = end - time.monotonic()
    if remaining <= 0 or so_far > MAXIMUM_ANSWER:
        return None
    channel.settimeout(remaining)
    try:
        return channel.recv(65536)
    except TimeoutError:
        return None


def _errors(channel: Channel, ended: bool = False) -> bytes:
    """What stands on standard error by now; where the command has ended, all of it."""
    got = bytearray()
    if ended:
        channel.settimeout(0.5)
    while len(got) < 65536 and (ended or channel.recv_stderr_ready()):
        try:
            data = channel.recv_stderr(4096)
        except TimeoutError:
            break
        if not data:
            break
        got += data
    return bytes(got)
