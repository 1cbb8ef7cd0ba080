"""Kind NginxLimitConn: each `limit_conn` line is a definition; its zone gives the key.

In `http` nginx counts a connection only while a request of it is served, so the number bounds requests in flight; in
`stream` it bounds connections, and its refs have the part `#stream`.
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
from adapters.ssh.proxies.nginx import limits as nginx_limits
from adapters.ssh.proxies.nginx.contexts import SECTIONS, Context
from adapters.ssh.proxies.nginx.limits import LimitUse, Zone, whole
from adapters.ssh.proxies.nginx.routes import part_of, section_of, shown
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.protocol import HostFacts, base_of, object_name
from adapters.ssh.proxies.spans import FileEdit, TokenEdit
from adapters.ssh.section import PLATFORM
from control import typed
from control.errors import InvalidValue, NotFound
from control.model import Action, Editable, Grid, Limit, Measure, Mode, OverLimit
from control.model.ref import Ref
from control.planning.edit import Change
from control.structs import replace
from control.text import clean

KIND = "NginxLimitConn"
GRID = Grid(minimum=1, maximum=65535, zero=False)
_NUMBER = re.compile(r"(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """One `limit_conn` line. Its name is that of the zone; lines of one zone are told apart by their context."""

    name: str
    section: str
    zone: Zone
    use: LimitUse

    @property
    def amount(self) -> int | None:
        """The number; None where it is not a plain one in range."""
        arguments = self.use.directive.arguments
        text = arguments[1] if len(arguments) > 1 else ""
        plain = GRID.minimum <= (typed.whole(text) or 0) <= GRID.maximum
        return int(text) if plain else None


@lru_cache(maxsize=64)
def lines(tree: NginxTree) -> tuple[Line, ...]:
    """All `limit_conn` lines that hold somewhere."""
    found: list[Line] = []
    for section in SECTIONS:
        taken: set[str] = set()
        for zone in nginx_limits.zones(tree, "limit_conn_zone", section):
            uses = nginx_limits.uses_of(tree, "limit_conn", section).get(zone.name, ())
            for use in uses:
                name = zone.name if len(uses) == 1 else f"{zone.name}@{_block(use)}"
                while name in taken:
                    name += "~"
                taken.add(name)
                found.append(Line(name, section, zone, use))
    return tuple(found)


def _block(use: LimitUse) -> str:
    """The block that the line stands in, in words."""
    return use.contexts[0].declared.get(id(use.directive), "http")


def read(tree: NginxTree, config: ConfigTree, facts: HostFacts) -> list[Limit]:
    """All connection limits."""
    return [_limit(tree, line, config, facts) for line in lines(tree)]


def _limit(tree: NginxTree, line: Line, config: ConfigTree, facts: HostFacts) -> Limit:
    directive, amount = line.use.directive, line.amount
    status_setting = "limit_conn_dry_run"
    return Limit(
        ref=Ref(facts.environment, KIND, facts.host, line.name, part_of(line.section)),
        platform=PLATFORM,
        name=shown(line.name, line.section),
        measure=Measure.INFLIGHT if line.section == "http" else Measure.CONNECTIONS,
        amount=Fraction(amount) if amount else None,
        object=object_name(facts, directive.path),
        base=base_of(config.files[directive.path]),
        read_at=facts.read_at,
        key=nginx_limits.key_words(line.zone.key),
        over=nginx_limits.first_over([line.use], lambda _hold, context: _over(context)),
        mode=nginx_limits.modes([line.use], status_setting) if amount else Mode.NOT_UNDERSTOOD,
        bindings=nginx_limits.bindings(nginx_limits.bound(tree, line.use, None, _over), facts),
        amounts=GRID,
        owners=owners(config.files[directive.path]),
        editable=Editable() if amount else Editable(False, f"{_text(directive)} is no whole number from 1 to 65535"),
        notes=(
            *nginx_limits.notes(tree, line.zone, [line.use], "limit_conn"),
            *nginx_limits.rehearsals([line.use], status_setting),
        ),
        location=clean(directive.location),
        native="" if amount else nginx_limits.native_text(directive),
    )


def _over(context: Context) -> OverLimit:
    """A refused connection of `stream` is closed without a word."""
    if context.section == "stream":
        return OverLimit(Action.REJECT)
    return OverLimit(Action.REJECT, nginx_limits.status_of(context, "limit_conn_status"))


def _text(directive: Directive) -> str:
    return clean(" ".join(directive.arguments[1:]) or "nothing")


def edits(tree: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits, each with its file. Raises `InvalidValue`, `NotFound`."""
    by_name = {(line.section, line.name): line for line in lines(tree)}
    found: list[FileEdit] = []
    for change in changes:
        ref = str(change.ref)
        line = by_name.get((section_of(change.ref), change.ref.name))
        if line is None:
            raise NotFound(f"there is no limit_conn '{clean(change.ref.name)}' here", ref=ref)
        if change.field != "amount":
            raise InvalidValue(f"a limit_conn has no field '{change.field}'", ref=ref)
        if line.amount is None:
            raise InvalidValue(f"{_text(line.use.directive)} is not a plain number here", ref=ref)
        directive = line.use.directive
        amount = whole(change, "limit of connections", GRID.minimum, GRID.maximum)
        raw = directive.words[2].raw
        quote = raw[:1] if raw[:1] in (b'"', b"'") else b""
        new = standing.restored(change.again, _NUMBER, amount) or quote + b"%d" % amount + quote
        done = replace(change, was=standing.raw_form(raw, b"%d" % line.amount))
        found.append(FileEdit(directive.path, TokenEdit(directive.positions[2], new), (done,)))
    return found
