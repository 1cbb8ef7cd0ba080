"""Kind NginxMaxConns: `max_conns` of an upstream's server, which bounds what nginx has open to it at once.

Without a `zone` each worker counts for itself. Over the limit the server is passed over; where no other one is left
nginx answers 502. A native 0 is no limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies import standing
from adapters.ssh.proxies.file_owners import owners
from adapters.ssh.proxies.nginx.limits import native_text, whole
from adapters.ssh.proxies.nginx.routes import part_of, section_of, shown
from adapters.ssh.proxies.nginx.tree import NginxTree
from adapters.ssh.proxies.nginx.upstream import Server, Upstream, host_name, upstreams
from adapters.ssh.proxies.protocol import HostFacts, base_of, object_name
from adapters.ssh.proxies.spans import FileEdit, TokenEdit
from adapters.ssh.section import PLATFORM
from control import typed
from control.errors import InvalidValue, NotFound
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
    TargetState,
)
from control.model.ref import Ref
from control.planning.edit import Change
from control.structs import replace
from control.text import clean

KIND = "NginxMaxConns"
GRID = Grid(minimum=1, maximum=1_000_000, zero=False)
_NUMBER = re.compile(r"max_conns=(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One server line with `max_conns`."""

    upstream: Upstream
    server: Server
    text: str

    @property
    def name(self) -> str:
        return f"{self.upstream.name}/{self.server.name}"

    @property
    def amount(self) -> Amount | None:
        if typed.whole(self.text) is None:
            return None
        return Fraction(int(self.text)) if int(self.text) else Special.UNLIMITED


@lru_cache(maxsize=64)
def lines(tree: NginxTree) -> tuple[Line, ...]:
    """All servers with `max_conns`, in the order of the files."""
    return tuple(
        Line(upstream, server, text)
        for upstream in upstreams(tree)
        for server in upstream.servers
        if (text := server.value_of("max_conns")) is not None
    )


def read(tree: NginxTree, config: ConfigTree, facts: HostFacts, workers: int | None) -> list[Limit]:
    """All of them as limits; `workers` is how many run, None where that is not known."""
    return [_limit(line, config, facts, workers) for line in lines(tree)]


def _limit(line: Line, config: ConfigTree, facts: HostFacts, workers: int | None) -> Limit:
    directive, section, amount = line.server.directive, line.upstream.section, line.amount
    over = OverLimit(Action.REJECT, 502 if section == "http" else None)
    off = line.server.state is TargetState.MAINTENANCE
    return Limit(
        ref=Ref(facts.environment, KIND, facts.host, line.name, part_of(section)),
        platform=PLATFORM,
        name=shown(line.name, section),
        measure=Measure.INFLIGHT if section == "http" else Measure.CONNECTIONS,
        amount=amount,
        object=object_name(facts, directive.path),
        base=base_of(config.files[directive.path]),
        read_at=facts.read_at,
        match=f"server {clean(line.server.name)} of upstream {line.upstream.block.route.shown}",
        over=over,
        mode=Mode.NOT_UNDERSTOOD if amount is None else Mode.OFF if off else Mode.ENFORCED,
        bindings=(
            Binding(
                str(line.upstream.block.route.on(facts)),
                over,
                _domain(line, facts, workers),
                location=clean(directive.location),
            ),
        ),
        amounts=GRID,
        specials=frozenset({Special.UNLIMITED}),
        owners=owners(config.files[directive.path]),
        editable=Editable() if amount is not None else Editable(False, f"max_conns={clean(line.text)} is no number"),
        notes=tuple(_notes(line)),
        location=clean(directive.location),
        native="" if amount is not None else native_text(directive),
    )


def _domain(line: Line, facts: HostFacts, workers: int | None) -> Domain:
    hosts = facts.proxies_in_environment
    if line.upstream.zone:
        return Domain("instance", Interval.exactly(hosts), clean(facts.proxies_source))
    if workers is None:
        return Domain("worker", Interval(Fraction(hosts), None), f"{clean(facts.proxies_source)}; no zone")
    source = f"{clean(facts.proxies_source)}, {workers} workers each; no zone"
    return Domain("worker", Interval.exactly(hosts * workers), source)


def _notes(line: Line) -> list[str]:
    notes = []
    if not line.upstream.zone:
        notes.append("no zone: each worker counts its own connections")
    if host_name(line.server.address):
        notes.append(f"each address of {clean(host_name(line.server.address))} may have so many")
    if line.server.state is TargetState.MAINTENANCE:
        notes.append("the server is down: it limits nothing")
    return notes


def edits(tree: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits, each with its file. Raises `InvalidValue`, `NotFound`."""
    by_name = {(line.upstream.section, line.name): line for line in lines(tree)}
    found: list[FileEdit] = []
    for change in changes:
        ref = str(change.ref)
        line = by_name.get((section_of(change.ref), change.ref.name))
        if line is None:
            raise NotFound(f"there is no max_conns of '{clean(change.ref.name)}' here", ref=ref)
        if change.field != "amount":
            raise InvalidValue(f"max_conns has no field '{change.field}'", ref=ref)
        if line.amount is None:
            raise InvalidValue(f"max_conns={clean(line.text)} is not a plain number", ref=ref)
        unlimited = change.after is Special.UNLIMITED
        value = 0 if unlimited else whole(change, "max_conns", GRID.minimum, GRID.maximum)
        directive = line.server.directive
        at = max(i for i, word in enumerate(directive.words) if i > 1 and word.value.startswith("max_conns="))
        raw = directive.words[at].raw
        quote = raw[:1] if raw[:1] in (b'"', b"'") else b""
        new = standing.restored(change.again, _NUMBER, value) or quote + b"max_conns=%d" % value + quote
        done = replace(change, was=standing.raw_form(raw, b"max_conns=%d" % int(line.text)))
        found.append(FileEdit(directive.path, TokenEdit(directive.positions[at], new), (done,)))
    return found
