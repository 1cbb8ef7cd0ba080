"""Running constant scripts on a host: in a shell that stays open, or in a session with data on standard input."""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control.errors import Forbidden, InvalidValue, Unreachable
from control.text import clean

if TYPE_CHECKING:
    from paramiko import Channel

PRELUDE = (
    "LC_ALL=C; export LC_ALL; unset ENV CDPATH; umask 077; "
    "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n"
)
MAXIMUM_ANSWER = 256 * 1024 * 1024
_SUDO = "exec sudo -n /bin/sh"
_PLAIN = "exec /bin/sh"


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


class Shell:
    """`/bin/sh` in a session that stays open; each answer is framed by a random marker with the exit code."""

    def __init__(self, channel: Channel, host: str, root: bool) -> None:
        self._channel = channel
        self._host = host
        self._lock = threading.Lock()
        self._fresh = True
        self._root = root
        self.broken = False
        channel.exec_command(_SUDO if root else _PLAIN)

    def run(self, script: str, timeout: float) -> Done:
        """Run one script without standard input; its standard error is dropped. After a failure it is `broken`."""
        if not self._lock.acquire(timeout=timeout):
            raise Unreachable(f"host {self._host} is busy with another command")
        try:
            if self._fresh:
                self._begin(timeout)
            marker = secrets.token_hex(16)
            self._send(f"(\n{script}\n) </dev/null 2>/dev/null\nprintf '\\n%s %d\\n' {marker} \"$?\"\n")
            return self._answer(marker, time.monotonic() + timeout)
        except BaseException:
            self.broken = True
            self._channel.close()
            raise
        finally:
            self._lock.release()

    def _begin(self, timeout: float) -> None:
        """Drop what a login script may print, and see that there is a shell."""
        marker = secrets.token_hex(16)
        self._send(PRELUDE + f"printf '\\n%s %d\\n' {marker} 0\n")
        self._answer(marker, time.monotonic() + timeout)
        self._fresh = False

    def _send(self, text: str) -> None:
        self._channel.sendall(text.encode("utf-8", "surrogateescape"))

    def _answer(self, marker: str, end: float) -> Done:
        mark = f"\n{marker} ".encode()
        got = bytearray()
        while True:
            at = got.find(mark, max(0, len(got) - 65536 - len(mark)))
            if at >= 0 and got.endswith(b"\n") and len(got) > at + len(mark):
                return Done(int(got[at + len(mark) :]), bytes(got[:at]))
            remaining = end - time.monotonic()
            if remaining <= 0 or len(got) > MAXIMUM_ANSWER:
                raise Unreachable(f"host {self._host}: the command took too long")
            self._channel.settimeout(remaining)
            data = self._channel.recv(65536)
            if not data:
                raise self._ended()
            got += data

    def _ended(self) -> Forbidden | Unreachable:
        if self._root:
            return Forbidden(
                f"host {self._host}: sudo does not allow a root shell without a password",
                hint="allow it in sudoers, or set `sudo: false` in the deck file",
            )
        return Unreachable(f"host {self._host}: its shell ended", hint="the account must be allowed to run /bin/sh")


def run_once(channel: Channel, script: str, data: bytes, timeout: float, host: str, root: bool) -> Done:
    """Run a script in its own session: the script first, then `data` on the same standard input.

    `dd` takes exactly the script's bytes, so that nothing of the data is swallowed; the command line itself holds only
    digits of ours and means the same to every login shell.
    """
    text = (PRELUDE + script).encode("utf-8", "surrogateescape")
    command = f"exec {'sudo -n ' if root else ''}/bin/sh -c 'eval \"$(dd bs=1 count={len(text)} 2>/dev/null)\"'"
    end = time.monotonic() + timeout
    try:
        channel.settimeout(timeout)
        channel.exec_command(command)
        channel.sendall(text + data)
        channel.shutdown_write()
        out = _drain(channel, end, host)
        channel.status_event.wait(max(0.1, end - time.monotonic()))
        if channel.exit_status < 0:
            raise Unreachable(f"host {host}: the connection broke; what came of the command is not known")
        return Done(channel.exit_status, out, _errors(channel))
    finally:
        channel.close()


def _drain(channel: Channel, end: float, host: str) -> bytes:
    got = bytearray()
    while True:
        remaining = end - time.monotonic()
        if remaining <= 0 or len(got) > MAXIMUM_ANSWER:
            raise Unreachable(f"host {host}: no answer in time; what came of the command is not known")
        channel.settimeout(remaining)
        data = channel.recv(65536)
        if not data:
            return bytes(got)
        got += data


def _errors(channel: Channel) -> bytes:
    got = bytearray()
    while channel.recv_stderr_ready() and len(got) < 65536:
        got += channel.recv_stderr(4096)
    return bytes(got)
