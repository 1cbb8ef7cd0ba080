"""Kind HAProxyMaxconn: a server's `maxconn`, which bounds its requests in flight; what is beyond waits in a queue.

Lives in the file and at runtime (`set maxconn server`), like a weight; 0 is unlimited. The running value is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from adapters.ssh.proxies.haproxy.backend import ref_of as backend_ref
from adapters.ssh.proxies.haproxy.backend import why_not_section
from adapters.ssh.proxies.haproxy.rules import milliseconds
from adapters.ssh.proxies.haproxy.runtime import Running, RunningServer, whole
from adapters.ssh.proxies.haproxy.servers import Backend, Server, odd_number, templated_reason
from adapters.ssh.proxies.protocol import HostFacts, object_name
from adapters.ssh.section import PLATFORM
from control.model import (
    Action,
    Amount,
    Binding,
    Domain,
    Editable,
    Grid,
    Interval,
    Limit,
    Measure,
    Mode,
    OverLimit,
    Special,
    Use,
)
from control.model.ref import Ref
from control.text import clean

KIND = "HAProxyMaxconn"
GRID = Grid(minimum=1, maximum=1_000_000, zero=False)
_QUEUE_STATUS = 503


def ref_name(backend: str, server: str) -> str:
    """The name of the limit of one server: `backend/server`."""
    return f"{backend}/{server}"


def file_maxconn(server: Server) -> int | None:
    """What the file gives; 0 is unlimited, None is no word of it, or one that the file alone does not tell."""
    setting = server.all.get("maxconn")
    return setting.number if setting and setting.known else None


def maxconn_of(server: Server, running: RunningServer | None) -> int | None:
    """The value that counts: the running one, else the file's. None where the server has no such limit."""
    if running is not None and running.maxconn is not None:
        return running.maxconn if running.maxconn or "maxconn" in server.all else None
    return file_maxconn(server)


def is_limited(server: Server, running: RunningServer | None) -> bool:
    """Has this server a maxconn, in the file or at runtime, known or not?"""
    return maxconn_of(server, running) is not None or (
        "maxconn" in server.all and (running is None or running.maxconn is None)
    )


def read(found: Sequence[Backend], running: Running, facts: HostFacts, bases: Mapping[str, str]) -> list[Limit]:
    """One limit for each server that has a maxconn, in the file or at runtime."""
    limits = []
    for backend in found:
        for server in backend.servers:
            now = running.servers.get((backend.name, server.name))
            number = maxconn_of(server, now)
            if is_limited(server, now) and server.name not in backend.doubled:
                waiting = whole(running.proxies.get((backend.name, "BACKEND"), {}).get("qcur")) or 0
                limits.append(_limit(backend, server, now, number, facts, bases, waiting))
    return limits


def amount_of(number: int) -> Amount:
    """HAProxy's 0 is unlimited."""
    return Fraction(number) if number > 0 else Special.UNLIMITED


def _limit(
    backend: Backend,
    server: Server,
    now: RunningServer | None,
    number: int | None,
    facts: HostFacts,
    bases: Mapping[str, str],
    waiting: int,
) -> Limit:
    over = _over(backend)
    setting = server.all.get("maxconn")
    reason = why_not_section(backend) or why_not(server, now)
    where = server.line
    domain = Domain("process", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))
    binding = Binding(str(backend_ref(facts, backend.ref_name)), over, domain, location=clean(where.location))
    return Limit(
        ref=Ref(facts.environment, KIND, facts.host, ref_name(backend.ref_name, server.name)),
        platform=PLATFORM,
        name=clean(ref_name(backend.ref_name, server.name)),
        measure=Measure.INFLIGHT,
        amount=None if number is None else amount_of(number),
        mode=Mode.NOT_UNDERSTOOD if number is None else Mode.ENFORCED,
        native=f"maxconn {setting.native}" if number is None and setting is not None else "",
        object=object_name(facts, where.path),
        base=bases[where.path],
        read_at=facts.read_at,
        match=f"requests that go to server {clean(server.name)}",
        over=over,
        bindings=(binding,),
        enforced=_lowest(server, number),
        amounts=GRID,
        specials=frozenset({Special.UNLIMITED}),
        editable=Editable(False, reason) if reason else Editable(),
        notes=tuple(_notes(backend, server, now, waiting)),
        location=clean(setting.line.location if setting else server.line.location),
        use=_use(now, facts),
    )


def why_not(server: Server, now: RunningServer | None) -> str:
    """Why this server's maxconn cannot be edited, or nothing."""
    if server.unknown:
        return server.unknown
    if server.runtime_only:
        return f"{server.runtime_only}, and the running HAProxy cannot be asked" if now is None else ""
    setting = server.all.get("maxconn")
    if now is None and setting is not None and not setting.known:
        return setting.why_unknown
    return templated_reason(server.own.get("maxconn"))


def _lowest(server: Server, number: int | None) -> Interval | None:
    """With a minconn the limit follows the load, from there up to maxconn."""
    minimum = server.all.get("minconn")
    if minimum is None or number is None or number <= 0:
        return None
    if not minimum.known:
        return Interval(None, Fraction(number))
    return Interval(Fraction(minimum.number), Fraction(number)) if 0 < minimum.number < number else None


def _over(backend: Backend) -> OverLimit:
    """Requests wait in the queue for `timeout queue`, else `timeout connect`; then they get 503."""
    line = backend.section.last("timeout", "queue") or backend.section.last("timeout", "connect")
    text = line.values[2] if line and len(line.words) > 2 else ""
    wait = milliseconds(text)
    return OverLimit(Action.QUEUE, _QUEUE_STATUS, Fraction(wait, 1000) if wait is not None else None)


def _use(now: RunningServer | None, facts: HostFacts) -> Use:
    if now is None or now.sessions is None:
        return Use()
    return Use(current=Fraction(now.sessions + (now.queued or 0)), read_at=facts.read_at)


def _notes(backend: Backend, server: Server, now: RunningServer | None, waiting: int) -> list[str]:
    notes = []
    odd = odd_number("maxconn", server.all.get("maxconn"))
    if odd:
        notes.append(odd)
    if server.runtime_only:
        notes.append(f"{server.runtime_only}: an edit is at runtime alone, and a reload takes it back")
    elif "maxconn" in server.all and "maxconn" not in server.own:
        line = clean(server.all["maxconn"].line.location)
        notes.append(f"inherited from default-server at {line}: an edit overrides it on this server")
    notes.extend(_drift(backend, server, now))
    if now is not None and (now.queued or waiting):
        notes.append(f"now waiting: {now.queued or 0} for this server, {waiting} for any server of the backend")
    if "maxqueue" in server.all:
        notes.append(f"maxqueue {server.all['maxqueue'].native}: so many wait for this server, others try another one")
    fullconn = backend.section.last("fullconn")
    if "minconn" in server.all:
        limit = clean(fullconn.values[1]) if fullconn and len(fullconn.words) > 1 else "HAProxy's own guess"
        notes.append(f"minconn: the limit follows the backend's load and reaches maxconn at fullconn ({limit})")
    notes.append("a reload doubles this limit while the old process drains")
    return notes


def drift(backend: Backend, running: Running) -> list[str]:
    """Servers whose running maxconn is not the file's: what a reload would lose."""
    return [
        note
        for server in backend.servers
        for note in _drift(backend, server, running.servers.get((backend.name, server.name)))
    ]


def _drift(backend: Backend, server: Server, now: RunningServer | None) -> list[str]:
    written, setting = file_maxconn(server), server.all.get("maxconn")
    unknown = server.added or (setting is not None and not setting.known)
    if now is None or now.maxconn is None or unknown or (written or 0) == now.maxconn:
        return []
    said = "nothing" if written is None else str(written)
    return [f"{clean(ref_name(backend.name, server.name))} runs with maxconn {now.maxconn}, the file says {said}"]
