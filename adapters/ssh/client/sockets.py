"""Ways to a socket on a host (a path, or `HOST:PORT` as seen from there): forwarded by sshd, or by a program there, as
ourselves or as root."""

from __future__ import annotations

from collections.abc import Callable

from adapters.ssh.client.connection import Connection
from adapters.ssh.client.paths import checked_socket
from adapters.ssh.client.scripts import SOCKET
from adapters.ssh.client.shell import assign
from control.errors import Forbidden
from control.text import clean

SOCKET_TIMEOUT = 8.0
_NO_PROGRAM = 90


class Sockets:
    """Lines to sockets of one host and their answers. Blocking. Remembers the way that works for each socket."""

    def __init__(self, host: str, connection: Connection, may_be_root: Callable[[], bool]) -> None:
        self._host = host
        self._connection = connection
        self._may_be_root = may_be_root
        self._ways: dict[str, str] = {}
        """Socket -> `forward`, `shell` or `root`."""

    def exchange(self, socket: str, line: str, title: str) -> str:
        """The whole answer to one line; `title` is whose socket it is. Raises `Forbidden` where no way leads in."""
        checked_socket(socket)
        refused: list[Forbidden] = []
        for way in [self._ways[socket]] if socket in self._ways else ["forward", "shell", "root"]:
            if way == "root" and not self._may_be_root():
                continue
            try:
                answer = self._by(way, socket, line, title)
            except Forbidden as error:
                refused.append(error)
                continue
            self._ways[socket] = way
            return answer
        self._ways.pop(socket, None)
        if not refused:
            raise Forbidden(f"host {clean(self._host)}: the socket {clean(socket)} is closed to us")
        last, first = refused[-1], refused[0]
        also = f"; {first.message}" if first is not last else ""
        raise Forbidden(f"{last.message}{also}", hint=last.hint)

    def _by(self, way: str, socket: str, line: str, title: str) -> str:
        if way == "forward":
            answer = self._connection.exchange(socket, line.encode() + b"\n", SOCKET_TIMEOUT)
            return answer.decode("utf-8", "surrogateescape")
        done = self._connection.shell(assign(SOCKET=socket, COMMAND=line) + SOCKET, SOCKET_TIMEOUT, way == "root")
        if done.code:
            why = "no program there can open it" if done.code == _NO_PROGRAM else "it does not let this user in"
            raise Forbidden(
                f"host {clean(self._host)}: the socket {clean(socket)}: {why}",
                hint=f"is {title} running, and is the user in the socket's group?",
            )
        return done.out.decode("utf-8", "surrogateescape")
