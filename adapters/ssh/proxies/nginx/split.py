"""Kind NginxSplitClients: a `split_clients` block, whose percentages decide what a variable holds for each request.

A percentage has at most two decimals and is above 0; `*` takes the rest. The choice is a hash of the block's text, so
shares are statistical and the same text always gets the same value. A target that an upstream has the name of, as the
places use the variable, leads to it.
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
from adapters.ssh.proxies.nginx.contexts import Context, contexts
from adapters.ssh.proxies.nginx.routes import SPLIT, Block, RouteName, section_of, split_blocks, upstream_of
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.nginx.variables import holds_for, hosts_chosen
from adapters.ssh.proxies.protocol import HostFacts, base_of, object_name
from adapters.ssh.proxies.spans import FileEdit, TokenEdit
from adapters.ssh.section import PLATFORM
from control.errors import InvalidValue, NotFound
from control.model import Editable, Grid, Route, Semantics, Status, StatusState, Target
from control.planning.edit import Change, split_field
from control.structs import replace
from control.text import clean

KIND = SPLIT
DENOMINATOR = 10_000
GRID = Grid(denominator=DENOMINATOR, only_percent=True, zero=False)
_PERCENT = re.compile(r"(\d*)(?:\.(\d{0,2}))?%", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """One line: `hundredths` of a percent that it takes, None where that is not understood; `rest` for `*`."""

    name: str
    value: str
    directive: Directive
    hundredths: int | None
    rest: bool

    @property
    def native(self) -> str:
        return self.directive.name


@dataclass(frozen=True, slots=True)
class Split:
    """One `split_clients` block."""

    block: Block
    parts: tuple[Part, ...]

    @property
    def path(self) -> str:
        return self.parts[0].directive.path if self.parts else self.block.directive.path

    @property
    def shares(self) -> tuple[Fraction | None, ...]:
        """What each part takes: the first `*` what the percentages leave, a later one nothing."""
        if any(part.hundredths is None and not part.rest for part in self.parts):
            return (None,) * len(self.parts)
        left = DENOMINATOR - sum(part.hundredths or 0 for part in self.parts)
        found: list[Fraction | None] = []
        for part in self.parts:
            found.append(Fraction(left if part.rest else part.hundredths or 0, DENOMINATOR))
            left = 0 if part.rest else left
        return tuple(found)


@lru_cache(maxsize=64)
def splits(tree: NginxTree) -> tuple[Split, ...]:
    """All of `http` and of `stream`, in the order of the files."""
    return tuple(Split(block, _parts(list(tree.children(block.directive)))) for block in split_blocks(tree))


def _parts(inside: Sequence[Directive]) -> tuple[Part, ...]:
    found: list[Part] = []
    counts: dict[str, int] = {}
    for directive in inside:
        if len(directive.words) != 2:
            continue
        value = directive.arguments[0]
        name = value or "empty"
        counts[name] = counts.get(name, 0) + 1
        name = name if counts[name] == 1 else f"{name}~{counts[name]}"
        rest = directive.name == "*"
        found.append(Part(name, value, directive, None if rest else hundredths(directive.name), rest))
    return tuple(found)


def hundredths(text: str) -> int | None:
    """`10.5%` in hundredths of a percent; None for what nginx refuses (0%, a third decimal)."""
    match = _PERCENT.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return None
    number = int(match[1] or "0") * 100 + int((match[2] or "").ljust(2, "0"))
    return number if 0 < number <= DENOMINATOR else None


def percent_text(number: int) -> str:
    """Hundredths of a percent as nginx takes them: `10%`, `10.5%`."""
    whole, rest = divmod(number, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + "%"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a route is made of and every host with the same files has in common."""

    split: Split
    targets: tuple[Target, ...]
    leads: tuple[RouteName | None, ...]
    matches: tuple[str, ...]
    status: Status
    editable: Editable
    notes: tuple[str, ...]


@lru_cache(maxsize=64)
def _contents(tree: NginxTree) -> tuple[_Content, ...]:
    return tuple(_content(tree, split) for split in splits(tree))


def _content(tree: NginxTree, split: Split) -> _Content:
    matches = _matches(tree, split)
    dead = Status(StatusState.ERROR, "a later split_clients sets the same variable: this one has no effect")
    targets = tuple(
        Target(
            name=part.name,
            weight=None,
            share=share,
            endpoints=(clean(part.value),) if part.value else (),
            native="" if part.rest or part.hundredths is not None else clean(part.native),
        )
        for part, share in zip(split.parts, split.shares, strict=True)
    )
    return _Content(
        split,
        targets,
        tuple(_lead(tree, split, part) for part in split.parts),
        matches,
        dead if split.block.duplicate else Status(),
        _editable(split),
        tuple(_notes(split, matches)),
    )


def read(tree: NginxTree, config: ConfigTree, facts: HostFacts, notes: tuple[str, ...]) -> list[Route]:
    """All splits as routes."""
    return [_route(content, config, facts, notes) for content in _contents(tree)]


def _route(content: _Content, config: ConfigTree, facts: HostFacts, notes: tuple[str, ...]) -> Route:
    split, path = content.split, content.split.path
    return Route(
        ref=split.block.route.on(facts),
        platform=PLATFORM,
        name=split.block.route.shown,
        semantics=Semantics.PERCENT,
        grid=GRID,
        targets=tuple(
            replace(target, to=lead.on(facts) if lead else None)
            for target, lead in zip(content.targets, content.leads, strict=True)
        ),
        object=object_name(facts, path),
        base=base_of(config.files[path]),
        read_at=facts.read_at,
        matches=content.matches,
        sticky=clean(split.block.directive.arguments[0]),
        owners=owners(config.files[path]),
        status=content.status,
        editable=content.editable,
        notes=content.notes + notes,
        location=clean(split.block.directive.location),
    )


def _matches(tree: NginxTree, split: Split) -> tuple[str, ...]:
    if split.block.duplicate:
        return ()
    name = split.block.native.lower()
    section = split.block.route.section
    found = [context.match or context.name for context in contexts(tree, section) if name in context.splits]
    return tuple(dict.fromkeys(found))


def _lead(tree: NginxTree, split: Split, part: Part) -> RouteName | None:
    """The one upstream that requests with this value reach, through whatever the passes make of it."""
    section, name = split.block.route.section, split.block.native.lower()
    found: dict[RouteName, None] = {}
    for context in contexts(tree, section):
        if name in context.splits:
            found |= dict.fromkeys(
                route
                for host in _hosts(context, name, part.value)
                if (route := upstream_of(tree, section, host)) is not None
            )
    return next(iter(found)) if len(found) == 1 else None


def _hosts(context: Context, name: str, value: str) -> tuple[str, ...]:
    """Where a place passes requests for which a variable has this value. Of several `if` that hold the last counts."""
    found: tuple[str, ...] = ()
    for one in context.written:
        fixed = one.variables.fixed(name, value)
        uses_of = holds_for(one.condition, fixed) if one.condition else None if one.words else True
        if uses_of is False:
            continue
        names = hosts_chosen(one.targets, fixed, name)
        found = names if uses_of else (*found, *names)
    return found


def _editable(split: Split) -> Editable:
    if split.block.duplicate:
        return Editable(False, "a later split_clients sets the same variable: this one has no effect")
    if len({part.directive.path for part in split.parts}) > 1:
        return Editable(False, "its lines stand in several files: edit them there")
    for part in split.parts:
        if part.hundredths is None and not part.rest:
            return Editable(False, f"{clean(part.native)} is no percentage with at most two decimals above 0")
    if sum(part.rest for part in split.parts) > 1:
        return Editable(False, "it has several * lines, of which the first takes all that is left")
    return Editable() if split.parts else Editable(False, "it has no lines")


def _notes(split: Split, matches: Sequence[str]) -> list[str]:
    notes = ["shares are statistical: a hash decides, the same for the same text"]
    if not matches and not split.block.duplicate:
        notes.append("no pass uses its variable: it decides about something else than where requests go")
    shares = [share for share in split.shares if share is not None]
    if len(shares) == len(split.parts) and sum(shares) < 1:
        rest = percent_text(DENOMINATOR - int(sum(shares) * DENOMINATOR))
        notes.append(f"{rest} of the requests get an empty value: there is no * line")
    return notes


# --- edits ------------------------------------------------------------------------------------------------------------


def edits(tree: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits of one split. Raises `InvalidValue`, `NotFound`."""
    ref = changes[0].ref
    split = next(
        (s for s in splits(tree) if (s.block.route.section, s.block.route.name) == (section_of(ref), ref.name)), None
    )
    if split is None:
        raise NotFound(f"there is no split_clients '{clean(ref.name)}' here", ref=str(ref))
    editable = _editable(split)
    if not editable.yes:
        raise InvalidValue(editable.reason, ref=str(ref))
    wanted = {_target(split, change).name: change for change in changes}
    after = dict(zip((part.name for part in split.parts), split.shares, strict=True))
    after |= {name: _share(split, change) for name, change in wanted.items()}
    if sum(share or 0 for share in after.values()) != 1:
        raise InvalidValue("the shares do not make 100%", ref=str(ref), hint="give the other targets a share too")
    found: list[FileEdit] = []
    rest: list[Change] = []
    for part in split.parts:
        change = wanted.get(part.name)
        if change is None:
            continue
        if part.rest:
            rest.append(change)
            continue
        word, number = part.directive.words[0], int(_share(split, change) * DENOMINATOR)
        quote = word.raw[:1] if word.quote else b""
        same_form = hundredths(change.again.strip("\"'")) == number
        raw = change.again.encode() if same_form else quote + percent_text(number).encode() + quote
        was = standing.raw_form(word.raw, percent_text(part.hundredths or 0).encode())
        found.append(FileEdit(split.path, TokenEdit(part.directive.positions[0], raw), (replace(change, was=was),)))
    if not found:
        raise InvalidValue("* takes what the others leave: set the others", ref=str(ref))
    # The rest has no number of its own: it changes with those that have one.
    return [replace(found[0], changes=(*found[0].changes, *rest)), *found[1:]]


def _target(split: Split, change: Change) -> Part:
    name, what = split_field(change.field)
    if name is None or what != "share":
        raise InvalidValue(f"a split_clients has no field '{change.field}'", ref=str(change.ref))
    part = next((part for part in split.parts if part.name == name), None)
    if part is None:
        raise NotFound(f"split_clients '{clean(change.ref.name)}' has no value '{clean(name)}'", ref=str(change.ref))
    return part


def _share(split: Split, change: Change) -> Fraction:
    value = change.after
    part = _target(split, change)
    number = Fraction(value) if isinstance(value, int | Fraction) else None
    if number is None or (number * DENOMINATOR).denominator != 1 or not 0 <= number <= 1:
        raise InvalidValue(f"'{value}' is no share that nginx can hold", ref=str(change.ref), hint="steps of 0.01%")
    if number == 0 and not part.rest:
        raise InvalidValue(
            f"nginx refuses 0% for {clean(part.name)}",
            ref=str(change.ref),
            hint="0.01% is the smallest; take the line out of the file for none",
        )
    return number
