"""What a running HAProxy answers on its stats socket, parsed by header names: columns grow with versions."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.ssh.proxies.protocol import Runtime
from control.model import TargetState

_MAINTENANCE = 0x01 | 0x02 | 0x20
"""SRV_ADMF_FMAINT, IMAINT, RMAINT. CMAINT (0x04) only remembers that the file said `disabled`."""
_DRAINING = 0x08 | 0x10
"""SRV_ADMF_FDRAIN, IDRAIN."""
FORCED_MAINTENANCE, FORCED_DRAIN = 0x01, 0x08
_OWN = ("be_name", "srv_name", "srv_admin_state", "srv_uweight", "srv_op_state")
ADMIN, WEIGHT, INITIAL = "srv_admin_state", "srv_uweight", "srv_iweight"


def rows(answer: str) -> list[dict[str, str]]:
    """The rows of `show stat`, each by column name."""
    text = answer.lstrip()
    if not text.startswith("#"):
        return []
    table = csv.DictReader(io.StringIO(text[1:].lstrip()))
    return [{name: value for name, value in row.items() if name and value} for row in table if row.get("pxname")]


def servers_state(answer: str) -> list[dict[str, str]]:
    """The rows of `show servers state`, each by column name."""
    header: list[str] = []
    found = []
    for line in answer.splitlines():
        words = line.split()
        if line.startswith("#"):
            header = words[1:]
        elif header and len(words) > 1:
            found.append(dict(zip(header, words, strict=False)))
    return found


def fingerprint(answer: str) -> bytes:
    """What changes when a server of `show servers state` gets another weight or state."""
    digest = hashlib.sha256()
    for row in servers_state(answer):
        digest.update(repr([row.get(name) for name in _OWN]).encode())
    return digest.digest()


def info(answer: str) -> dict[str, str]:
    """`show info` as a mapping."""
    pairs = (line.partition(": ") for line in answer.splitlines())
    return {name: value for name, mark, value in pairs if mark}


def whole(text: str | None) -> int | None:
    """A number of the statistics; None where the field is empty or something else."""
    return int(text) if text and text.isascii() and text.lstrip("-").isdigit() else None


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One server as it runs. Each field is None where the answer did not tell it."""

    weight: int | None = None
    initial_weight: int | None = None
    admin: int | None = None
    maxconn: int | None = None
    """0 is unlimited."""
    status: str = ""
    """`UP`, `DOWN`, `MAINT`, `DRAIN`, `no check`, `UP 1/3`, …"""
    check: str = ""
    sessions: int | None = None
    queued: int | None = None
    address: tuple[str, str] = ("", "")
    """Where it leads: address and port."""

    @property
    def state(self) -> TargetState | None:
        """What the operator set; None where it is not known."""
        if self.admin is None:
            return None
        if self.admin & _MAINTENANCE:
            return TargetState.MAINTENANCE
        return TargetState.DRAINING if self.admin & _DRAINING else TargetState.ACTIVE


@dataclass(frozen=True, slots=True)
class Running:
    """Everything parsed once. Servers by (backend, server); whole proxies by (name, `FRONTEND` or `BACKEND`)."""

    servers: Mapping[tuple[str, str], RunningServer] = field(default_factory=dict)
    proxies: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    known: bool = False
    info: Mapping[str, str] = field(default_factory=dict)
    """The process as a whole."""


def parse(runtime: Runtime | None) -> Running:
    """The running servers and proxies; `known` is false where the proxy could not be asked."""
    if runtime is None or not runtime.answers.get("servers state"):
        return Running()
    stats = {(row["pxname"], row.get("svname", "")): row for row in rows(runtime.answers.get("stat", ""))}
    servers = {}
    for state in servers_state(runtime.answers["servers state"]):
        name = (state.get("be_name", ""), state.get("srv_name", ""))
        servers[name] = _server(state, stats.get(name, {}))
    proxies = {name: row for name, row in stats.items() if name[1] in ("FRONTEND", "BACKEND")}
    return Running(servers, proxies, True, info(runtime.answers.get("info", "")))


def names_by_backend(running: Running) -> dict[str, list[str]]:
    """The servers that run, in their order, by backend."""
    found: dict[str, list[str]] = {}
    for backend, name in running.servers:
        found.setdefault(backend, []).append(name)
    return found


def _server(state: Mapping[str, str], stat: Mapping[str, str]) -> RunningServer:
    return RunningServer(
        weight=whole(state.get(WEIGHT)),
        initial_weight=whole(state.get(INITIAL)),
        admin=whole(state.get(ADMIN)),
        maxconn=(whole(stat.get("slim")) or 0) if stat else None,
        status=stat.get("status", ""),
        check=" ".join(filter(None, (stat.get("check_status", ""), stat.get("last_chk", "")))).strip(),
        sessions=whole(stat.get("scur")),
        queued=whole(stat.get("qcur")),
        address=(state.get("srv_addr", ""), state.get("srv_port", "")),
    )


def with_server(answers: Mapping[str, str], name: tuple[str, str], changed: Mapping[str, str]) -> dict[str, str]:
    """The answers once columns of one server have changed (`srv_uweight`, `srv_admin_state`, `slim`)."""
    result = dict(answers)
    result["servers state"] = _with_state(answers.get("servers state", ""), name, changed)
    if "slim" in changed and answers.get("stat"):
        result["stat"] = _with_stat(answers["stat"], name, changed["slim"])
    return result


def with_frontend(answers: Mapping[str, str], name: str, limit: str, column: str = "slim") -> dict[str, str]:
    """The answers once a frontend's maxconn (or what stands in another column) has changed."""
    stat = answers.get("stat", "")
    return {**answers, "stat": _with_stat(stat, (name, "FRONTEND"), limit, column)} if stat else dict(answers)


def with_info(answers: Mapping[str, str], name: str, number: str) -> dict[str, str]:
    """The answers once a number of the process has changed: `Maxconn`, `ConnRateLimit`, …"""
    text = answers.get("info")
    if text is None:
        return dict(answers)
    lines = [f"{name}: {number}" if line.startswith(f"{name}:") else line for line in text.split("\n")]
    return {**answers, "info": "\n".join(lines)}


def _with_state(answer: str, name: tuple[str, str], changed: Mapping[str, str]) -> str:
    header: list[str] = []
    out = []
    for line in answer.split("\n"):
        words = line.split()
        if line.startswith("#"):
            header = words[1:]
        elif header and len(words) > 1:
            row = dict(zip(header, words, strict=False))
            if (row.get("be_name"), row.get("srv_name")) == name:
                line = " ".join(changed.get(column, word) for column, word in zip(header, words, strict=False))
        out.append(line)
    return "\n".join(out)


def _with_stat(answer: str, name: tuple[str, str], limit: str, what: str = "slim") -> str:
    lines = answer.split("\n")
    header = lines[0].lstrip("# ").split(",")
    if what not in header:
        return answer
    column = header.index(what)
    for index, line in enumerate(lines[1:], 1):
        fields = line.split(",")
        if len(fields) > column and (fields[0], fields[1]) == name:
            fields[column] = limit
            lines[index] = ",".join(fields)
    return "\n".join(lines)
