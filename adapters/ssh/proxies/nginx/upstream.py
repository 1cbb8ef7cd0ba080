"""Kind NginxUpstream: the servers of an `upstream` block, their weights, `down` and `backup`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.file_owners import owners
from adapters.ssh.proxies.nginx.contexts import SECTIONS, matches_of
from adapters.ssh.proxies.nginx.redirects import origins_of
from adapters.ssh.proxies.nginx.routes import UPSTREAM, Block, upstream_blocks
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.protocol import HostFacts, base_of, object_name
from adapters.ssh.section import PLATFORM
from control import typed
from control.model import (
    Editable,
    Grid,
    Route,
    Semantics,
    Status,
    StatusState,
    Target,
    TargetState,
)
from control.text import clean

KIND = UPSTREAM
GRID = Grid(minimum=1, zero=False)
_STATES = frozenset({TargetState.ACTIVE, TargetState.MAINTENANCE})
_POLICIES = ("ip_hash", "hash", "least_conn", "least_time", "random", "sticky")
_PROGRAMS = ("balancer_by_", "js_", "perl")
Addresses = tuple[tuple[str, int], ...]
"""Host names -> how many addresses each has, as far as known."""


@dataclass(frozen=True, slots=True)
class Server:
    """One `server` line of an upstream. `weight` is None where the text is no whole number above 0."""

    name: str
    directive: Directive
    weight: int | None
    weight_text: str
    state: TargetState
    backup: bool

    @property
    def address(self) -> str:
        return self.directive.arguments[0]

    @property
    def down(self) -> bool:
        return self.state is TargetState.MAINTENANCE

    def value_of(self, name: str) -> str | None:
        """The text of a parameter `name=`; of several the last holds."""
        parameters = reversed(self.directive.arguments[1:])
        return next((p.removeprefix(f"{name}=") for p in parameters if p.startswith(f"{name}=")), None)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One `upstream` block; its route's name is its own among all upstreams of the host."""

    block: Block
    servers: tuple[Server, ...]
    policy: str
    zone: bool
    program: str = ""
    """The directive by which a program of its own chooses the server; weights say nothing then."""

    @property
    def name(self) -> str:
        return self.block.route.name

    @property
    def section(self) -> str:
        return self.block.route.section

    @property
    def path(self) -> str:
        """The file that holds the server lines: the block's own, or one that it includes."""
        return self.servers[0].directive.path if self.servers else self.block.directive.path


@lru_cache(maxsize=64)
def upstreams(tree: NginxTree) -> tuple[Upstream, ...]:
    """All upstreams of `http` and of `stream`."""
    found: list[Upstream] = []
    for block in upstream_blocks(tree):
        inside = list(tree.children(block.directive))
        policy = " ".join(next(([d.name, *d.arguments] for d in inside if d.name in _POLICIES), []))
        program = next((d.name for d in inside if d.name.startswith(_PROGRAMS)), "")
        found.append(Upstream(block, _servers(inside), policy, any(d.name == "zone" for d in inside), program))
    return tuple(found)


def _servers(inside: Sequence[Directive]) -> tuple[Server, ...]:
    found: list[Server] = []
    counts: dict[str, int] = {}
    for directive in inside:
        if directive.name != "server" or len(directive.words) < 2:
            continue
        address = directive.arguments[0]
        counts[address] = counts.get(address, 0) + 1
        name = address if counts[address] == 1 else f"{address}~{counts[address]}"
        parameters = directive.arguments[1:]
        text = next((p.removeprefix("weight=") for p in reversed(parameters) if p.startswith("weight=")), "1")
        weight = typed.whole(text) or None
        state = TargetState.DRAINING if "drain" in parameters else TargetState.ACTIVE
        state = TargetState.MAINTENANCE if "down" in parameters else state
        found.append(Server(name, directive, weight, text, state, "backup" in parameters))
    return tuple(found)


def host_name(address: str) -> str:
    """The host name of a server's address; "" for numbers and unix sockets."""
    if address.startswith(("unix:", "[")):
        return ""
    host = address.rpartition(":")[0] if ":" in address else address
    return "" if all(part.isdigit() for part in host.split(".")) else host.lower()


def host_names(tree: NginxTree) -> tuple[str, ...]:
    """All host names that server lines have, each once."""
    names = (host_name(server.address) for upstream in upstreams(tree) for server in upstream.servers)
    return tuple(dict.fromkeys(name for name in names if name))


ADDRESSES = "addresses "
"""Before a host name: the key of `Runtime.answers` that has its addresses, one a line."""


def addresses_of(answers: Mapping[str, str]) -> Addresses:
    """How many addresses the host names have, as the host itself resolves them."""
    found = ((key.removeprefix(ADDRESSES), text) for key, text in answers.items() if key.startswith(ADDRESSES))
    return tuple((name, len(text.split())) for name, text in found if text.split())


@dataclass(frozen=True, slots=True)
class _Content:
    """What a route is made of and every host with the same files has in common."""

    upstream: Upstream
    targets: tuple[Target, ...]
    matches: tuple[str, ...]
    status: Status
    editable: Editable
    notes: tuple[str, ...]


@lru_cache(maxsize=64)
def _contents(tree: NginxTree, workers: int | None, addresses: Addresses) -> tuple[_Content, ...]:
    direct = {section: matches_of(tree, section) for section in SECTIONS}
    led = {section: origins_of(tree, section) for section in SECTIONS}
    twice = Status(StatusState.ERROR, "another upstream has the same name")
    return tuple(
        _Content(
            upstream,
            _targets(upstream, dict(addresses)),
            tuple(
                match
                for found in (direct, led)
                for match in found[upstream.section].get(upstream.block.native.lower(), ())
            ),
            twice if upstream.block.duplicate else Status(),
            editable_of(upstream),
            tuple(_notes(upstream, workers, dict(addresses))),
        )
        for upstream in upstreams(tree)
    )


def read(
    tree: NginxTree,
    config: ConfigTree,
    facts: HostFacts,
    workers: int | None,
    notes: tuple[str, ...],
    addresses: Addresses = (),
) -> list[Route]:
    """The routes. `workers` says how many workers run, `notes` what is to be known of each of them."""
    return [_route(content, config, facts, notes) for content in _contents(tree, workers, addresses)]


def _route(content: _Content, config: ConfigTree, facts: HostFacts, notes: tuple[str, ...]) -> Route:
    upstream = content.upstream
    path = upstream.path
    return Route(
        ref=upstream.block.route.on(facts),
        platform=PLATFORM,
        name=upstream.block.route.shown,
        semantics=Semantics.PROPORTIONAL,
        grid=GRID,
        targets=content.targets,
        object=object_name(facts, path),
        base=base_of(config.files[path]),
        read_at=facts.read_at,
        matches=content.matches,
        states=_STATES,
        sticky=clean(upstream.policy) if upstream.policy.split(" ")[0] in ("ip_hash", "hash", "sticky") else "",
        owners=owners(config.files[path]),
        status=content.status,
        editable=content.editable,
        notes=content.notes + notes,
        location=clean(upstream.block.directive.location),
    )


def serving(upstream: Upstream) -> list[Server]:
    """The servers that take requests while none fails."""
    live = [s for s in upstream.servers if s.state is TargetState.ACTIVE]
    return [s for s in live if not s.backup] or live


def _targets(upstream: Upstream, addresses: Mapping[str, int]) -> tuple[Target, ...]:
    """nginx gives each address of a host name the weight of its line: a share counts it once for each address."""
    taking = serving(upstream)
    parts = [_part(server, addresses) for server in taking]
    if len(taking) == 1 and taking[0].weight is not None:
        parts = [1]
    known = {s.name: part for s, part in zip(taking, parts, strict=True) if part is not None}
    total = sum(known.values())
    understood = all(server.weight is not None for server in upstream.servers) and not upstream.program
    targets = []
    for server in upstream.servers:
        share: Fraction | None = Fraction(0)
        if server in taking:
            share = Fraction(known[server.name], total) if len(known) == len(taking) else None
        targets.append(
            Target(
                name=server.name,
                weight=server.weight,
                share=share if understood else None,
                state=server.state,
                priority=1 if server.backup else 0,
                endpoints=(clean(server.address),),
                native="" if server.weight is not None else clean(f"weight={server.weight_text}"),
            )
        )
    return tuple(targets)


def _part(server: Server, addresses: Mapping[str, int]) -> int | None:
    name = host_name(server.address)
    times = addresses.get(name) if name else 1
    return None if server.weight is None or not times else server.weight * times


def editable_of(upstream: Upstream) -> Editable:
    if upstream.block.duplicate:
        return Editable(False, "another upstream has the same name: nginx refuses the configuration")
    if len({server.directive.path for server in upstream.servers}) > 1:
        return Editable(False, "its server lines stand in several files: edit them there")
    if upstream.program:
        return Editable(False, f"{clean(upstream.program)} chooses the server: its weights say nothing")
    for server in upstream.servers:
        reason = _templated(server) or (
            f"weight={clean(server.weight_text)} of {clean(server.name)} is no whole number above 0"
            if server.weight is None
            else ""
        )
        if reason:
            return Editable(False, reason)
    return Editable() if upstream.servers else Editable(False, "the upstream has no server line")


def _templated(server: Server) -> str:
    if any("$" in argument or "{{" in argument for argument in server.directive.arguments):
        return f"{clean(server.directive.location)} holds a variable or a template: edit its source instead"
    return ""


def _notes(upstream: Upstream, workers: int | None, addresses: Mapping[str, int]) -> list[str]:
    notes = []
    policy = upstream.policy.split(" ")[0]
    if not upstream.zone and (workers is None or workers > 1):
        many = f"{workers} workers" if workers else "several workers"
        notes.append(f"no zone: each worker counts its own turns, so small weights are unreliable with {many}")
    if policy in ("hash", "ip_hash", "sticky"):
        notes.append(f"{policy}: weights are statistical and clients stick to a server")
    elif policy in ("least_conn", "least_time", "random"):
        notes.append(f"{policy}: shares follow the weights only roughly, depending on load")
    if upstream.program:
        notes.append(
            f"{clean(upstream.program)} chooses the server for each request: which shares that makes is not known"
        )
    if any(s.backup for s in upstream.servers):
        notes.append("backup servers (priority 1) are used only when every other server fails")
    for name in dict.fromkeys(host_name(server.address) for server in upstream.servers):
        count = addresses.get(name)
        if name and count is None:
            notes.append(
                f"{clean(name)} is a host name: each address that it has when nginx loads takes the weight, "
                "and how many it has is not known"
            )
        elif count is not None and count > 1:
            notes.append(
                f"{clean(name)} has {count} addresses, each of which takes the weight: "
                "as the host resolves it now, nginx as it did when it last loaded"
            )
    return notes
