"""Kind NginxUpstream: the servers of an `upstream` block, their weights, `down` and `backup`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from adapters.ssh.codecs.file_owners import owners
from adapters.ssh.codecs.nginx_places import matches_of
from adapters.ssh.codecs.nginx_tree import Directive, NginxTree
from adapters.ssh.codecs.spans import FileEdit, TokenEdit
from adapters.ssh.seam import ConfigTree, HostFacts, base_of, object_name
from control.edit import Change, split_field
from control.errors import InvalidValue, NotFound
from control.model import (
    Editable,
    Grid,
    Platform,
    Route,
    Semantics,
    Status,
    StatusState,
    Target,
    TargetState,
)
from control.ref import Ref
from control.text import clean

KIND = "NginxUpstream"
GRID = Grid(minimum=1, zero=False)
_STATES = frozenset({TargetState.ACTIVE, TargetState.MAINTENANCE})
_POLICIES = ("ip_hash", "hash", "least_conn", "least_time", "random", "sticky")


@dataclass(frozen=True, slots=True)
class Server:
    """One `server` line of an upstream. `weight` is None where the text is no whole number above 0."""

    name: str
    directive: Directive
    weight: int | None
    weight_text: str
    down: bool
    backup: bool

    @property
    def address(self) -> str:
        return self.directive.arguments[0]


@dataclass(frozen=True, slots=True)
class Upstream:
    """One `upstream` block; `name` is its own among all upstreams of the host."""

    name: str
    native_name: str
    directive: Directive
    servers: tuple[Server, ...]
    policy: str
    zone: bool
    duplicate: bool

    @property
    def path(self) -> str:
        """The file that holds the server lines: the block's own, or one that it includes."""
        return self.servers[0].directive.path if self.servers else self.directive.path


@lru_cache(maxsize=64)
def upstreams(tree: NginxTree) -> tuple[Upstream, ...]:
    """All upstreams of the http block. Those that share a name are told apart by their file."""
    found: list[Upstream] = []
    taken: set[str] = set()
    for block in tree.http():
        if block.name != "upstream" or block.children is None or len(block.words) != 2:
            continue
        native = block.arguments[0]
        name = native
        if native in taken:
            name = f"{native}@{block.path}:{block.line}"
        taken.add(native)
        inside = list(tree.children(block))
        policy = " ".join(next(([d.name, *d.arguments] for d in inside if d.name in _POLICIES), []))
        zone = any(d.name == "zone" for d in inside)
        found.append(Upstream(name, native, block, _servers(inside), policy, zone, name != native))
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
        weight = int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None
        found.append(Server(name, directive, weight, text, "down" in parameters, "backup" in parameters))
    return tuple(found)


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
def _contents(tree: NginxTree, workers: int | None) -> tuple[_Content, ...]:
    matches = matches_of(tree)
    twice = Status(StatusState.ERROR, "another upstream has the same name")
    return tuple(
        _Content(
            upstream,
            _targets(upstream),
            matches.get(upstream.native_name, ()),
            twice if upstream.duplicate else Status(),
            _editable(upstream),
            tuple(_notes(upstream, workers)),
        )
        for upstream in upstreams(tree)
    )


def read(
    tree: NginxTree, config: ConfigTree, facts: HostFacts, workers: int | None, notes: tuple[str, ...]
) -> list[Route]:
    """The routes. `workers` says how many workers run, `notes` what is to be known of each of them."""
    return [_route(content, config, facts, notes) for content in _contents(tree, workers)]


def _route(content: _Content, config: ConfigTree, facts: HostFacts, notes: tuple[str, ...]) -> Route:
    upstream = content.upstream
    path = upstream.path
    return Route(
        ref=ref_of(facts, upstream.name),
        platform=Platform.SSH,
        name=clean(upstream.name),
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
        location=clean(upstream.directive.location),
    )


def ref_of(facts: HostFacts, name: str) -> Ref:
    """The ref of an upstream on a host."""
    return Ref(facts.environment, KIND, facts.host, name)


def _targets(upstream: Upstream) -> tuple[Target, ...]:
    live = [s for s in upstream.servers if not s.down]
    serving = [s for s in live if not s.backup] or live
    total = sum(s.weight or 0 for s in serving)
    known = all(s.weight is not None for s in serving)
    targets = []
    for server in upstream.servers:
        share: Fraction | None = Fraction(0)
        if server in serving:
            share = Fraction(server.weight, total) if known and total and server.weight is not None else None
        targets.append(
            Target(
                name=server.name,
                weight=server.weight,
                share=share,
                state=TargetState.MAINTENANCE if server.down else TargetState.ACTIVE,
                priority=1 if server.backup else 0,
                endpoints=(clean(server.address),),
            )
        )
    return tuple(targets)


def _editable(upstream: Upstream) -> Editable:
    if upstream.duplicate:
        return Editable(False, "another upstream has the same name: nginx refuses the configuration")
    if len({server.directive.path for server in upstream.servers}) > 1:
        return Editable(False, "its server lines stand in several files: edit them there")
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


def _notes(upstream: Upstream, workers: int | None) -> list[str]:
    notes = []
    policy = upstream.policy.split(" ")[0]
    if not upstream.zone and (workers is None or workers > 1):
        many = f"{workers} workers" if workers else "several workers"
        notes.append(f"no zone: each worker counts its own turns, so small weights are unreliable with {many}")
    if policy in ("hash", "ip_hash", "sticky"):
        notes.append(f"{policy}: weights are statistical and clients stick to a server")
    elif policy in ("least_conn", "least_time", "random"):
        notes.append(f"{policy}: shares follow the weights only roughly, depending on load")
    if any(s.backup for s in upstream.servers):
        notes.append("backup servers (priority 1) are used only when every other server fails")
    return notes


# --- edits ------------------------------------------------------------------------------------------------------------


def edits(tree: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits, each with its file, for the changes of upstreams. Raises `InvalidValue`, `NotFound`."""
    by_name = {upstream.name: upstream for upstream in upstreams(tree)}
    wanted: dict[tuple[str, str], dict[str, Change]] = {}
    for change in changes:
        target, what = split_field(change.field)
        if target is None or what not in ("weight", "state"):
            raise InvalidValue(f"an nginx upstream has no field '{change.field}'", ref=str(change.ref))
        wanted.setdefault((change.ref.name, target), {})[what] = change
    found: list[FileEdit] = []
    for (name, target), fields in wanted.items():
        ref = str(next(iter(fields.values())).ref)
        upstream = by_name.get(name)
        if upstream is None:
            raise NotFound(f"there is no upstream '{clean(name)}' here", ref=ref)
        editable = _editable(upstream)
        if not editable.yes:
            raise InvalidValue(editable.reason, ref=ref)
        server = next((s for s in upstream.servers if s.name == target), None)
        if server is None:
            raise NotFound(f"upstream '{clean(name)}' has no server '{clean(target)}'", ref=ref)
        done = tuple(fields.values())
        found.extend(FileEdit(server.directive.path, edit, done) for edit in _server_edits(server, fields))
    return found


def _server_edits(server: Server, fields: dict[str, Change]) -> list[TokenEdit]:
    words = list(server.directive.words)
    edited: dict[int, TokenEdit] = {}
    behind: list[bytes] = []
    weight, state = fields.get("weight"), fields.get("state")
    if weight is not None:
        value = weight_value(weight)
        position = _last_weight(server)
        if position is None:
            behind.append(b"weight=%d" % value)
        else:
            edited[position] = TokenEdit(0, _with_weight(words[position].raw, value))
    if state is not None and _is_down(state) != server.down:
        if server.down:
            edited.update({i: TokenEdit(0, None) for i, word in enumerate(words) if i > 1 and word.value == "down"})
        else:
            behind.append(b"down")
    if behind:
        edited[1] = TokenEdit(0, words[1].raw, tuple(behind))
    positions = server.directive.positions
    return [TokenEdit(positions[i], edit.raw, edit.after) for i, edit in sorted(edited.items())]


def _last_weight(server: Server) -> int | None:
    words = server.directive.words
    return next((i for i in range(len(words) - 1, 1, -1) if words[i].value.startswith("weight=")), None)


def _with_weight(raw: bytes, value: int) -> bytes:
    """`weight=N` with another number, quotes kept. The value was read as digits, so nothing else can stand there."""
    quote = raw[:1] if raw[:1] in (b'"', b"'") else b""
    return quote + b"weight=%d" % value + quote


def weight_value(change: Change) -> int:
    """The new weight, checked: nginx takes whole numbers above 0 (`weight=0` is refused)."""
    value = change.after
    if not isinstance(value, int | Fraction) or Fraction(value).denominator != 1:
        raise InvalidValue(f"'{value}' is no weight that nginx can hold", ref=str(change.ref), hint="a whole number")
    number = int(value)
    if number < 1:
        raise InvalidValue(
            f"nginx has no weight {number}",
            ref=str(change.ref),
            hint="1 is the smallest; set the state to maintenance to take the server out",
        )
    if number > GRID.maximum:
        raise InvalidValue(f"weight {number} is too large", ref=str(change.ref), hint=f"at most {GRID.maximum}")
    return number


def _is_down(change: Change) -> bool:
    if change.after is TargetState.MAINTENANCE:
        return True
    if change.after is TargetState.ACTIVE:
        return False
    raise InvalidValue(
        "nginx cannot drain a server: it is in or out", ref=str(change.ref), hint="maintenance is the nearest"
    )
