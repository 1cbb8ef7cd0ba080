"""Which paths and words may be sent to a host at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from adapters.ssh.client.program import Program
from control.errors import Forbidden, InvalidValue
from control.text import clean

_WIDE = frozenset(
    {"/", "/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/local", "/usr/local/etc", "/var"}  # noqa: S108
)
_PRIVATE = ("/etc/", "/proc/", "/sys/", "/dev/", "/root/", "/boot/")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
MOST_NAMES = 64


def checked(path: str) -> str:
    """An absolute path on one line. Raises `InvalidValue`."""
    if not path.startswith("/") or any(c in path for c in "\n\r\0\t"):
        raise InvalidValue(f"'{clean(path)}' is not an absolute path on one line")
    return path


_TCP = re.compile(r"\A(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):(\d{1,5})\Z")


def tcp_address(socket: str) -> tuple[str, int] | None:
    """Host and port of a socket that is named `HOST:PORT`; None for a path."""
    match = _TCP.match(socket)
    return (match[1] or match[2], int(match[3])) if match else None


def checked_socket(socket: str) -> str:
    """An absolute path on one line, or `HOST:PORT`. Raises `InvalidValue`."""
    return socket if tcp_address(socket) else checked(socket)


def roots(program: Program, mains: Sequence[str], named: Sequence[str]) -> list[str]:
    """The program's own tree: the folders of its main files (not of system-wide ones), its usual folders, and the files
    that the deck file names."""
    folders = [str(PurePosixPath(main).parent) for main in mains]
    own = [folder for folder in folders if folder not in _WIDE]
    return list(dict.fromkeys(checked(path) for path in (*mains, *named, *own, *program.folders)))


def checked_names(names: Sequence[str]) -> list[str]:
    """Those of these host names that may be looked up, at most MOST_NAMES."""
    return [name for name in names if _NAME.fullmatch(name)][:MOST_NAMES]


def checked_log(path: str) -> str:
    """A path where a log may be. Raises `Forbidden` for system folders."""
    checked(path)
    normal = str(PurePosixPath(path))
    if ".." in PurePosixPath(path).parts or normal.startswith(_PRIVATE) or "/.ssh" in normal:
        raise Forbidden(f"'{clean(path)}' is no place for an access log", hint="name another `access_log`")
    return normal


def checked_question(program: Program, line: str) -> str:
    """A line that the program's socket may be asked. Raises `InvalidValue`."""
    if program.questions is None or not program.questions.fullmatch(line):
        raise InvalidValue(f"'{clean(line)}' is not among what may be asked of a {program.title} socket")
    return line


def checked_command(program: Program, line: str) -> str:
    """A line that the program's socket may be told. Raises `InvalidValue`."""
    if program.commands is None or not program.commands.fullmatch(line):
        raise InvalidValue(f"'{clean(line)}' is not a {program.title} command that may be sent")
    return line
