"""Which paths and words may be sent to a host at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from adapters.ssh.client.ports import SHOWS
from adapters.ssh.section import ProxyConfig
from control.errors import Forbidden, InvalidValue
from control.text import clean

_WIDE = frozenset(
    {"/", "/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/usr/local", "/usr/local/etc", "/var"}  # noqa: S108
)
_OWN = {
    "nginx": (
        "/etc/nginx",
        "/usr/local/etc/nginx",
        "/usr/local/nginx/conf",
        "/usr/share/nginx/modules-available",
        "/etc/letsencrypt/options-ssl-nginx.conf",
    ),
    "haproxy": ("/etc/haproxy", "/usr/local/etc/haproxy", "/var/lib/haproxy"),
}
_PRIVATE = ("/etc/", "/proc/", "/sys/", "/dev/", "/root/", "/boot/")
_WORD = re.compile(r"[A-Za-z0-9_./@:+,=%-]+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
MOST_NAMES = 64
_COMMAND = re.compile(
    r"(set server|set maxconn (server|frontend|global)|set weight|(set|add|del|clear|prepare|commit) map"
    r"|(enable|disable) server) [\x20-\x7e]+"
)


def checked(path: str) -> str:
    """An absolute path on one line. Raises `InvalidValue`."""
    if not path.startswith("/") or any(c in path for c in "\n\r\0\t"):
        raise InvalidValue(f"'{clean(path)}' is not an absolute path on one line")
    return path


_TCP = re.compile(r"\A(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):(\d{1,5})\Z")


def tcp_place(socket: str) -> tuple[str, int] | None:
    """Host and port of a socket that is named `HOST:PORT`; None for a path."""
    match = _TCP.match(socket)
    return (match[1] or match[2], int(match[3])) if match else None


def checked_socket(socket: str) -> str:
    """An absolute path on one line, or `HOST:PORT`. Raises `InvalidValue`."""
    return socket if tcp_place(socket) else checked(socket)


def roots(proxy: ProxyConfig, mains: Sequence[str]) -> list[str]:
    """The proxy's own tree: the folders of its main files (not of system-wide ones), its usual folders, and the files
    that the deck file names."""
    named = [*mains, *proxy.map_files, *((proxy.state_file,) if proxy.state_file else ())]
    folders = [str(PurePosixPath(main).parent) for main in mains]
    own = [folder for folder in folders if folder not in _WIDE]
    return list(dict.fromkeys(checked(path) for path in (*named, *own, *_OWN[proxy.kind])))


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


def checked_show(what: str) -> str:
    """What may be asked of a HAProxy socket with `show`. Raises `InvalidValue`."""
    words = what.split(" ")
    first = "servers state" if what.startswith("servers state") else words[0]
    rest = words[2:] if first == "servers state" else words[1:]
    if first not in SHOWS or len(rest) > 1 or not all(_WORD.fullmatch(word) or word == "#" for word in rest):
        raise InvalidValue(f"'show {clean(what)}' is not among what may be asked of a HAProxy socket")
    return what


def checked_command(command: str) -> str:
    """A runtime command of HAProxy that changes something the model covers. Raises `InvalidValue`."""
    if not _COMMAND.fullmatch(command) or ";" in command or "<<" in command or "\\" in command:
        raise InvalidValue(f"'{clean(command)}' is not a HAProxy command that may be sent")
    return command
