"""The ways to a host's SSH server: straight, or through a `ProxyCommand` of the user's."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from typing import IO, Any

from adapters.ssh.client.hosts import HostConfig
from control.errors import Unreachable
from control.text import clean

CONNECT_TIMEOUT = 5.0
PROXY_TIMEOUT = 15.0
"""A ProxyCommand may have to log in somewhere itself before the server behind it can answer."""
_END_SECONDS = 1.0


class _QuickSocket:
    """A socket that acknowledges at once: asked for after every read, since the kernel forgets it."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._option: int | None = getattr(socket, "TCP_QUICKACK", None)

    def recv(self, size: int) -> bytes:
        data = self._raw.recv(size)
        if self._option is not None and data:
            with contextlib.suppress(OSError):
                self._raw.setsockopt(socket.IPPROTO_TCP, self._option, 1)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class ProxyStream:
    """Our end of a socket whose other end is the standard input and output of a command; ends with it."""

    def __init__(self, command: str) -> None:
        ours, theirs = socket.socketpair()
        self._raw = ours
        self._lock = threading.Lock()
        self._said = ""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the stream
        with theirs:
            # a session of its own: it must neither ask on our terminal nor get its signals
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
                start_new_session=True,
            )

    def complaint(self) -> str:
        """The last line that the command wrote to its standard error, cleaned."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS / 2)  # it may be about to say why it ends
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._errors.seek(0)
            lines = [line for line in self._errors.read(65536).decode("utf-8", "replace").splitlines() if line.strip()]
            self._said = clean(lines[-1], 300) if lines else ""
        return self._said

    def close(self) -> None:
        """End the command with the socket. Idempotent; the library closes from a thread of its own too."""
        self._raw.close()
        for number in (signal.SIGHUP, signal.SIGKILL):
            if self._process.poll() is None:
                with contextlib.suppress(OSError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_END_SECONDS)
        self.complaint()
        with self._lock:
            self._errors.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def straight(config: HostConfig) -> Any:
    """A socket to the host's server. Raises `Unreachable`."""
    name = clean(config.name)
    try:
        return _QuickSocket(socket.create_connection((config.hostname, config.port), timeout=CONNECT_TIMEOUT))
    except TimeoutError as error:
        raise Unreachable(f"host {name} ({config.address}): no answer in time") from error
    except OSError as error:
        reason = clean(error.strerror or str(error))
        raise Unreachable(f"host {name} ({config.address}): {reason}") from error


def by_command(config: HostConfig) -> ProxyStream:
    """The way through the host's ProxyCommand. Raises `Unreachable` where it cannot be started."""
    assert config.proxy_command is not None
    try:
        return ProxyStream(config.proxy_command)
    except OSError as error:
        reason = clean(error.strerror or str(error))
        raise Unreachable(f"host {clean(config.name)}: its ProxyCommand cannot be started: {reason}") from error
