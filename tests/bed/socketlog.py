"""A logging proxy before a HAProxy socket: passes everything on, writes down every command that is no question."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from tests.bed.writelog import WriteLog

_QUESTIONS = frozenset({"show", "get", "help", "prompt", "quit", "expert-mode", "experimental-mode", "wait"})
_PREFIX = re.compile(r"^(@\S+\s+)+")


def writes_in(line: str) -> list[str]:
    """The commands of one line (`;` between them) that change something."""
    found = []
    for part in line.split(";"):
        command = part.strip()
        words = _PREFIX.sub("", command).split()
        if words and not words[0].startswith("@") and words[0] not in _QUESTIONS:
            found.append(command)
    return found


def short_path(path: Path) -> tuple[str, int]:
    """A name for a socket that fits the kernel's 107 bytes, and the descriptor that keeps it valid."""
    folder = os.open(path.parent, os.O_PATH)
    return f"/proc/self/fd/{folder}/{path.name}", folder


def _caller(writer: asyncio.StreamWriter, name_of: Callable[[int], str]) -> str:
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return name_of(struct.unpack("3i", credentials)[1])


def users_of(passwd: Path) -> Callable[[int], str]:
    """uid -> name by the host's own /etc/passwd."""
    names: dict[int, str] = {}
    for line in passwd.read_text().splitlines():
        name, _, uid = line.split(":")[:3]
        names.setdefault(int(uid), name)

    def name_of(uid: int) -> str:
        if uid in names:
            return names[uid]
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    return name_of


async def serve(listen: Path, target: Path, label: str, log: WriteLog, name_of: Callable[[int], str]) -> None:
    """Listen at `listen`, for every user of the host, and pass on to `target`."""
    target_name, _ = short_path(target)
    listen_name, _ = short_path(listen)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        by = _caller(writer, name_of)
        try:
            to_reader, to_writer = await asyncio.open_unix_connection(target_name)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_commands(reader, to_writer, log, by, label), _answers(to_reader, writer))

    await asyncio.start_unix_server(handle, listen_name)
    os.chmod(listen_name, 0o666)


async def _commands(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: WriteLog, by: str, label: str
) -> None:
    """Pass commands on; what changes something is in the log before HAProxy has it."""
    rest = ""
    try:
        while data := await reader.read(65536):
            *lines, rest = (rest + data.decode(errors="replace")).split("\n")
            for line in lines:
                for command in writes_in(line):
                    log.add(by, command.split()[0], f"{label}: {command}")
            writer.write(data)
            await writer.drain()
        for command in writes_in(rest):
            log.add(by, command.split()[0], f"{label}: {command}")
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, RuntimeError):
        writer.close()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
