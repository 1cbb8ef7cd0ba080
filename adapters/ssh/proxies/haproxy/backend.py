"""Kind HAProxyBackend: the servers of a `backend` or `listen` section, their weights and states.

Weights live in the file and at runtime; the running ones decide, so they are what is shown. States live at runtime
only, unless a change asks for them to persist (`disabled` in the file).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from adapters.ssh.proxies.haproxy.mask import shown
from adapters.ssh.proxies.haproxy.runtime import Running, RunningServer
from adapters.ssh.proxies.haproxy.servers import Backend, Server, odd_number, templated_reason
from adapters.ssh.proxies.protocol import HostFacts, object_name
from adapters.ssh.section import PLATFORM
from control.model import (
    Editable,
    Grid,
    Health,
    Route,
    Semantics,
    Status,
    StatusState,
    Target,
    TargetState,
    Weight,
)
from control.model.ref import Ref
from control.text import clean

KIND = "HAProxyBackend"
MAXIMUM_WEIGHT = 256
GRID = Grid(minimum=1, maximum=MAXIMUM_WEIGHT, zero=True)
_STATIC_GRID = Grid(minimum=1, maximum=MAXIMUM_WEIGHT, zero=True, all_or_nothing=True)
_STATES = frozenset(TargetState)


def ref_of(facts: HostFacts, name: str) -> Ref:
    """The ref of a backend on a host."""
    return Ref(facts.environment, KIND, facts.host, name)


def read(
    found: Sequence[Backend],
    running: Running,
    facts: HostFacts,
    bases: Mapping[str, str],
    matches: Mapping[str, list[str]],
) -> list[Route]:
    """The routes. `bases` gives each file's base, `matches` the frontends that lead to each backend."""
    return [_route(backend, running, facts, bases, tuple(matches.get(backend.name, ()))) for backend in found]


def _route(
    backend: Backend, running: Running, facts: HostFacts, bases: Mapping[str, str], matches: tuple[str, ...]
) -> Route:
    targets = _targets(backend, running)
    return Route(
        ref=ref_of(facts, backend.ref_name),
        platform=PLATFORM,
        name=clean(backend.ref_name),
        semantics=Semantics.PROPORTIONAL,
        grid=GRID if backend.dynamic else _STATIC_GRID,
        targets=targets,
        object=object_name(facts, backend.path),
        base=bases[backend.path],
        read_at=facts.read_at,
        matches=matches,
        states=_STATES,
        sticky=_sticky(backend),
        status=_status(backend, running),
        editable=_editable(backend, running),
        notes=tuple(_notes(backend, running)),
        location=clean(backend.section.head.location),
    )


def weight_of(server: Server, running: RunningServer | None) -> int | None:
    """The weight that counts: the running one, else the file's. None where neither is known."""
    if running is not None and running.weight is not None:
        return running.weight
    return file_weight(server)


def file_weight(server: Server) -> int | None:
    """The weight that the file gives, or HAProxy's default of 1; None where the file does not tell."""
    setting = server.all.get("weight")
    if server.added or (setting is not None and not setting.known):
        return None
    return setting.number if setting else 1


def state_of(server: Server, running: RunningServer | None) -> TargetState:
    """The running state, else what the file says."""
    if running is not None and running.state is not None:
        return running.state
    return TargetState.MAINTENANCE if server.disabled else TargetState.ACTIVE


@dataclass(frozen=True, slots=True)
class _Row:
    server: Server
    now: RunningServer | None
    weight: int | None
    state: TargetState

    @property
    def usable(self) -> bool:
        """Would HAProxy send it requests, were it the only one?"""
        return self.state is TargetState.ACTIVE and self.weight != 0

    @property
    def backup(self) -> bool:
        return self.server.flag("backup")


def _targets(backend: Backend, running: Running) -> tuple[Target, ...]:
    rows = []
    for server in backend.servers:
        now = running.servers.get((backend.name, server.name))
        rows.append(_Row(server, now, weight_of(server, now), state_of(server, now)))
    serving = _serving(backend, rows)
    known = all(row.weight is not None for row in rows) and not any(
        row.server.unknown and row.now is None for row in rows
    )
    total = sum(row.weight or 0 for row in serving) or 1
    return tuple(
        _target(row, Fraction(row.weight or 0, total) if row in serving else Fraction(0), known) for row in rows
    )


def _serving(backend: Backend, rows: Sequence[_Row]) -> list[_Row]:
    """Those that get requests: all usable servers, else all usable backups or the first of them; in a proxy that is
    disabled none."""
    if backend.disabled:
        return []
    usable = [row for row in rows if row.usable]
    first = [row for row in usable if not row.backup]
    if first:
        return first
    return usable if _all_backups(backend) else usable[:1]


def _all_backups(backend: Backend) -> bool:
    """Whether `option allbackups` holds; `no option` in the section takes an inherited one away."""
    for owner in backend.section.chain():
        for line in reversed(owner.lines):
            if line.values[:2] == ["option", "allbackups"] or line.values[:3] == ["no", "option", "allbackups"]:
                return line.values[0] == "option"
    return False


def _target(row: _Row, share: Fraction, known: bool) -> Target:
    now, setting = row.now, row.server.all.get("weight")
    native: Weight | None = row.weight
    return Target(
        name=row.server.name,
        weight=native,
        share=share if known else None,
        state=row.state,
        health=_health(now),
        health_detail=clean(f"{now.status} {now.check}".strip()) if now else "",
        priority=1 if row.backup else 0,
        endpoints=(clean(row.server.address),) if row.server.address else (),
        native=setting.native if native is None and setting is not None else "",
    )


def _health(now: RunningServer | None) -> Health:
    """What its checks say. A server without checks is `no check`: then nobody looks."""
    if now is None or not now.status or now.status.startswith(("no check", "MAINT")):
        return Health.UNKNOWN
    if now.status.startswith("DOWN"):
        return Health.DOWN
    return Health.UP if now.check else Health.UNKNOWN


def _sticky(backend: Backend) -> str:
    cookie = backend.section.last("cookie")
    if cookie is not None and len(cookie.words) > 1:
        return f"cookie {clean(cookie.values[1])}"
    stick = backend.section.last("stick")
    if stick is not None:
        return clean(" ".join(stick.values))
    algorithm = backend.balance[0]
    hashed = algorithm not in ("roundrobin", "static-rr", "leastconn", "first") and not algorithm.startswith("random")
    return clean(" ".join(backend.balance)) if hashed else ""


def _status(backend: Backend, running: Running) -> Status:
    if backend.disabled:
        return Status(StatusState.WARNING, "disabled: requests that are led here get 503")
    row = running.proxies.get((backend.name, "BACKEND"))
    if not row:
        return Status()
    status = row.get("status", "")
    state = StatusState.OK if status.startswith("UP") else StatusState.ERROR
    return Status(state, clean(status))


def _editable(backend: Backend, running: Running) -> Editable:
    why = why_not_section(backend)
    if why:
        return Editable(False, why)
    if backend.doubled:
        names = ", ".join(clean(name) for name in sorted(backend.doubled))
        return Editable(False, f"server {names} stands more than once: which one holds depends on conditions")
    unknown = [
        server
        for server in backend.servers
        if weight_of(server, running.servers.get((backend.name, server.name))) is None
    ]
    if unknown:
        setting = unknown[0].all.get("weight")
        why = setting.why_unknown if setting else f"the weight of {clean(unknown[0].name)} is not known"
        return Editable(False, f"{why}: without the stats socket the weights here are not known")
    reasons = [why_not_server(server, running.servers.get((backend.name, server.name))) for server in backend.servers]
    return Editable(False, reasons[0]) if all(reasons) else Editable()


def why_not_section(backend: Backend) -> str:
    """Why nothing of this section can be edited, or nothing."""
    if backend.section.head.branches:
        return clean(backend.section.head.unknown)
    if backend.twin:
        return f"another section '{clean(backend.name)}' stands at {clean(backend.twin)}: which one holds is not known"
    return ""


def why_not_server(server: Server, now: RunningServer | None) -> str:
    """Why the weight of this server cannot be edited, or nothing."""
    if server.unknown:
        return server.unknown
    if server.runtime_only:
        return f"{server.runtime_only}, and the running HAProxy cannot be asked" if now is None else ""
    return templated_reason(server.own.get("weight"))


def _notes(backend: Backend, running: Running) -> list[str]:
    notes = [note for server in backend.servers if (note := odd_number("weight", server.all.get("weight")))]
    notes += [note for server in backend.servers if (note := templated_reason(server.own.get("weight")))]
    for server in backend.servers:
        if server.runtime_only and not server.added and (backend.name, server.name) not in running.servers:
            notes.append(f"{clean(server.name)}: {server.runtime_only}")
    if backend.disabled:
        notes.append("this proxy is disabled: it takes no requests, whatever the weights say")
    notes += _used(backend)
    algorithm = backend.balance[0]
    if not backend.dynamic:
        notes.append(
            f"balance {clean(algorithm)} is static: at runtime it takes only weight 0 and the file's own weight"
        )
    elif algorithm == "leastconn":
        notes.append("leastconn: weights show only under load")
    elif algorithm == "first":
        notes.append("balance first ignores weights")
    backups = [clean(server.name) for server in backend.servers if server.flag("backup")]
    if backups:
        which = "all backup servers" if _all_backups(backend) else "the first usable backup server"
        notes.append(f"{which} (priority 1: {', '.join(backups)}) only when no other can serve")
    agents = [clean(server.name) for server in backend.servers if server.flag("agent-check")]
    if agents:
        notes.append(f"agent-check: an agent may move the running weight or state of {', '.join(agents)} by itself")
    conditional = {server.unknown: clean(server.name) for server in backend.servers if server.unknown}
    notes += [f"{name}: {why}" for why, name in conditional.items()]
    return notes + drift(backend, running)


def _used(backend: Backend) -> list[str]:
    """`use-server` lines: requests that go to one server whatever the weights say."""
    return [
        f"{shown(line)}: such requests go there whatever the weights say"
        for line in backend.section.lines
        if line.values[0] == "use-server" and len(line.values) > 2
    ]


def drift(backend: Backend, running: Running) -> list[str]:
    """Where the running values differ from the file's: what a reload would lose."""
    found = []
    for server in backend.servers:
        now = running.servers.get((backend.name, server.name))
        name = f"{clean(backend.name)}/{clean(server.name)}"
        if now is None:
            if running.known and not server.unknown and not server.runtime_only:
                found.append(f"{name} is in the file and does not run")
            continue
        if server.added:
            found.append(f"{name} was added at runtime and is not in the file: a reload takes it away")
            continue
        written = file_weight(server)
        if written is not None and now.weight is not None and now.weight != written:
            found.append(f"{name} runs with weight {now.weight}, the file says {written}")
        in_file = TargetState.MAINTENANCE if server.disabled else TargetState.ACTIVE
        if now.state is not None and now.state is not in_file:
            found.append(f"{name} is {now.state.value} at runtime, {in_file.value} in the file")
    return found
