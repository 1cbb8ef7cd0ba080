"""Kind HAProxyBackend: the servers of a `backend` or `listen` section, their weights and states.

Weights live in the file and at runtime; the running ones decide, so they are what is shown. States live at runtime
only, unless a change asks for them to persist (`disabled` in the file).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from adapters.ssh.codecs.haproxy_runtime import Running, RunningServer
from adapters.ssh.codecs.haproxy_servers import Backend, Server, odd_number, templated_reason
from adapters.ssh.seam import HostFacts, object_name
from control.model import (
    Editable,
    Grid,
    Health,
    Platform,
    Route,
    Semantics,
    Status,
    StatusState,
    Target,
    TargetState,
    Weight,
)
from control.ref import Ref
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
    return Route(
        ref=ref_of(facts, backend.name),
        platform=Platform.SSH,
        name=clean(backend.name),
        semantics=Semantics.PROPORTIONAL,
        grid=GRID if backend.dynamic else _STATIC_GRID,
        targets=_targets(backend, running),
        object=object_name(facts, backend.path),
        base=bases[backend.path],
        read_at=facts.read_at,
        matches=matches,
        states=_STATES,
        sticky=_sticky(backend),
        status=_status(backend, running),
        editable=_editable(backend),
        notes=tuple(_notes(backend, running)),
        location=clean(backend.section.head.location),
    )


def weight_of(server: Server, running: RunningServer | None) -> int:
    """The weight that counts: the running one, else the file's, else HAProxy's default of 1."""
    if running is not None and running.weight is not None:
        return running.weight
    return file_weight(server)


def file_weight(server: Server) -> int:
    """The weight that the file gives."""
    setting = server.all.get("weight")
    return setting.number if setting else 1


def state_of(server: Server, running: RunningServer | None) -> TargetState:
    """The running state, else what the file says."""
    if running is not None and running.state is not None:
        return running.state
    return TargetState.MAINTENANCE if server.disabled else TargetState.ACTIVE


def _targets(backend: Backend, running: Running) -> tuple[Target, ...]:
    rows: list[tuple[str, str, int, TargetState, int, RunningServer | None]] = []
    for server in backend.servers:
        now = running.servers.get((backend.name, server.name))
        priority = 1 if server.flag("backup") else 0
        rows.append((server.name, server.address, weight_of(server, now), state_of(server, now), priority, now))
    written = {server.name for server in backend.servers}
    for (proxy, name), now in running.servers.items():
        if proxy == backend.name and name not in written:
            rows.append((name, "", now.weight or 0, now.state or TargetState.ACTIVE, 0, now))
    active = [row for row in rows if row[3] is TargetState.ACTIVE and row[2] > 0]
    serving = [row for row in active if row[4] == 0] or active
    total = sum(row[2] for row in serving)
    return tuple(_target(row, Fraction(row[2], total) if row in serving else Fraction(0)) for row in rows)


def _target(row: tuple[str, str, int, TargetState, int, RunningServer | None], share: Fraction) -> Target:
    name, address, weight, state, priority, now = row
    native: Weight = weight
    return Target(
        name=name,
        weight=native,
        share=share,
        state=state,
        health=_health(now),
        health_detail=clean(f"{now.status} {now.check}".strip()) if now else "",
        priority=priority,
        endpoints=(clean(address),) if address else (),
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
    row = running.proxies.get((backend.name, "BACKEND"))
    if not row:
        return Status()
    status = row.get("status", "")
    state = StatusState.OK if status.startswith("UP") else StatusState.ERROR
    return Status(state, clean(status))


def _editable(backend: Backend) -> Editable:
    if backend.templates:
        return Editable(False, "server-template makes these servers: their weights cannot be written to the file")
    if backend.doubled:
        names = ", ".join(clean(name) for name in sorted(backend.doubled))
        return Editable(False, f"server {names} stands more than once: which one holds depends on conditions")
    reasons = [templated_reason(server.own.get("weight")) for server in backend.servers]
    return Editable(False, reasons[0]) if reasons and all(reasons) else Editable()


def _notes(backend: Backend, running: Running) -> list[str]:
    notes = [note for server in backend.servers if (note := odd_number("weight", server.all.get("weight")))]
    notes += [note for server in backend.servers if (note := templated_reason(server.own.get("weight")))]
    algorithm = backend.balance[0]
    if not backend.dynamic:
        notes.append(
            f"balance {clean(algorithm)} is static: at runtime it takes only weight 0 and the file's own weight"
        )
    elif algorithm == "leastconn":
        notes.append("leastconn: weights show only under load")
    elif algorithm == "first":
        notes.append("balance first ignores weights")
    if any(server.flag("backup") for server in backend.servers):
        every = backend.section.last("option", "allbackups") is not None
        notes.append(
            f"{'all backup servers' if every else 'the first backup server'} (priority 1) only when all others fail"
        )
    agents = [clean(server.name) for server in backend.servers if server.flag("agent-check")]
    if agents:
        notes.append(f"agent-check: an agent may move the running weight or state of {', '.join(agents)} by itself")
    conditional = [clean(server.name) for server in backend.servers if server.conditional]
    if conditional:
        notes.append(f"only under a condition of the file (.if): {', '.join(conditional)}")
    return notes + drift(backend, running)


def drift(backend: Backend, running: Running) -> list[str]:
    """Where the running values differ from the file's: what a reload would lose."""
    found = []
    for server in backend.servers:
        now = running.servers.get((backend.name, server.name))
        name = f"{clean(backend.name)}/{clean(server.name)}"
        if now is None:
            if running.known:
                found.append(f"{name} is in the file and does not run")
            continue
        if now.weight is not None and now.weight != file_weight(server):
            found.append(f"{name} runs with weight {now.weight}, the file says {file_weight(server)}")
        in_file = TargetState.MAINTENANCE if server.disabled else TargetState.ACTIVE
        if now.state is not None and now.state is not in_file:
            found.append(f"{name} is {now.state.value} at runtime, {in_file.value} in the file")
    return found
