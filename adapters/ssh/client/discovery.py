"""Reading what the discovery script printed: who we are there, what runs, what each program says of itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from adapters.ssh.client.ports import FileFacts, Probe, Process
from adapters.ssh.client.program import Program
from adapters.ssh.client.sudo import trouble
from control.errors import PlatformError
from control.text import clean

Programs = Mapping[str, Program]
"""By name."""
_START_FIELD = 19
"""Of /proc/PID/stat after the name: state is 0, the parent 1, the start time 19."""

_TICKS = 100.0
"""A second, as /proc counts: Linux shows 100 on every architecture that matters."""
_SAID = "said "


def sections(text: str) -> dict[str, list[str]]:
    """The lines under each `@@name`."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("@@"):
            lines = found.setdefault(line[2:], [])
        else:
            lines.append(line)
    return found


def parse_probe(text: str, host: str, began: float, ended: float, programs: Programs) -> Probe:
    """`began` and `ended` are our clock around the call. Raises `PlatformError` when it is no such answer."""
    parts = sections(text)
    identity = _filled(parts.get("identity", []))
    if len(identity) < 3 or "end" not in parts:
        raise PlatformError(f"host {clean(host)}: discovery gave no usable answer", hint="does it run a POSIX shell?")
    allowed = _filled(parts.get("allowed", []))
    return Probe(
        hostname=clean(identity[2]),
        user=clean(identity[0]),
        uid=int(identity[1]) if identity[1].isdigit() else -1,
        clock=clock(parts) or ended,
        read_at=(began + ended) / 2,
        tools=frozenset(_filled(parts.get("tools", []))),
        processes=tuple(processes(parts, programs)),
        sockets=tuple(_filled(parts.get("sockets", []))),
        said={
            name.removeprefix(_SAID): tuple(_filled(lines)) for name, lines in parts.items() if name.startswith(_SAID)
        },
        root_shell=bool(_filled(parts.get("shell", []))),
        allowed=frozenset(tuple(line.split(" ")) for line in allowed),
        sudo_trouble=trouble("\n".join(parts.get("sudo", [])).encode("utf-8", "surrogateescape")),
    )


def clock(parts: dict[str, list[str]]) -> float | None:
    """Unix time there."""
    try:
        return float(parts["clock"][0])
    except (KeyError, IndexError, ValueError):
        return None


def processes(parts: dict[str, list[str]], programs: Programs) -> list[Process]:
    """The processes of these programs, from the sections clock and processes."""
    lines = parts.get("clock", [])
    try:
        before, _, after = lines[1].partition(" ")
        boot = float(lines[0]) - (float(before) + float(after)) / 2
    except (IndexError, ValueError):
        boot = time.time()
    found: list[Process] = []
    rows = parts.get("processes", [])
    for head, argv, cwd in zip(rows[0::3], rows[1::3], rows[2::3], strict=False):
        words = head.split()
        program = programs.get(words[2]) if len(words) >= 4 + _START_FIELD and words[0] == "P" else None
        if program is None:
            continue
        title, arguments = _arguments(program, argv)
        if title or arguments:
            started = boot + int(words[3 + _START_FIELD]) / _TICKS
            found.append(Process(program.name, int(words[1]), int(words[4]), started, arguments, title, cwd or None))
    return found


def files(parts: Mapping[str, Sequence[str]], root: bool) -> dict[str, FileFacts]:
    """The facts of the section files. `root`: whether we may write as root."""
    found: dict[str, FileFacts] = {}
    for line in parts.get("files", ()):
        fields = line.split("\t")
        if len(fields) == 5 and fields[0] == "F":
            found[fields[4]] = facts_of(fields[1], fields[2], fields[4], fields[3], root)
    return found


def facts_of(stat: str, writable: str, path: str, sha256: str, root: bool) -> FileFacts:
    """Facts from `stat -c '%s %a %U %G %.6Y %.6Z'`; user and group names hold no spaces."""
    size, mode, owner, group, mtime, ctime = (stat.split(" ") + [""] * 6)[:6]
    return FileFacts(
        path=path,
        sha256=sha256,
        size=int(size) if size.isdigit() else 0,
        owner=owner,
        group=group,
        mode=mode,
        mtime=_number(mtime),
        ctime=_number(ctime),
        writable=root or writable == "1",
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _arguments(program: Program, argv: str) -> tuple[str, tuple[str, ...]]:
    """(title, arguments), one of which is empty."""
    words = tuple(word for word in argv.strip("\x1f ").split("\x1f") if word)
    if program.titled and words and words[0].startswith(f"{program.name}: "):
        return words[0].removeprefix(f"{program.name}: ").strip(), ()
    return "", words


def _filled(lines: Iterable[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]
