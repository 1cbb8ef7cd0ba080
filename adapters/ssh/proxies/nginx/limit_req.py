"""Kind NginxLimitReq: a `limit_req_zone` is the definition, every `limit_req` that names it a binding with its burst.

A rate is a whole number per second or per minute; nginx keeps it in thousandths of a request per second, truncated.
`burst` counts beyond the first request, so burst + 1 are admitted at once.
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
from adapters.ssh.proxies.nginx.contexts import Context
from adapters.ssh.proxies.nginx.lexer import span_of, tokenize
from adapters.ssh.proxies.nginx.limits import Bound, LimitUse, Zone, whole
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.protocol import HostFacts, base_of, object_name
from adapters.ssh.proxies.spans import FileEdit, TokenEdit, text
from adapters.ssh.section import PLATFORM
from control import typed
from control.errors import InvalidValue, NotFound
from control.model import (
    Action,
    Burst,
    Editable,
    Grid,
    Interval,
    Limit,
    Measure,
    Mode,
    OverLimit,
    Window,
    WindowKind,
)
from control.model.ref import Ref
from control.planning.edit import Change
from control.structs import replace
from control.text import clean

KIND = "NginxLimitReq"
GRID = Grid(minimum=1, maximum=1_000_000, zero=False)
WINDOWS = (Fraction(1), Fraction(60))
_MAXIMUM_BURST = 1_000_000
_RATE = re.compile(r"\Arate=(\d+)(r/s|r/m)?\Z", re.ASCII)
_BURST = re.compile(r"burst=(\d+)", re.ASCII)
_PER_MILLE = 1000


@dataclass(frozen=True, slots=True)
class Rate:
    """A zone's rate: `amount` per `seconds` (1 or 60), and which word of the directive holds it."""

    amount: int
    seconds: int
    suffix: str
    word: int

    @property
    def enforced(self) -> Fraction:
        """What nginx really counts with, per `seconds`: truncated to thousandths of a request per second."""
        return Fraction(self.amount * _PER_MILLE // self.seconds, _PER_MILLE) * self.seconds


def rate_of(zone: Zone) -> Rate | None:
    """The zone's rate; None where it is not a plain number. Of several the last holds."""
    for index, word in reversed(list(enumerate(zone.directive.words))):
        if zone.known and word.value.startswith("rate="):
            match = _RATE.match(word.value)
            if match is None or int(match[1]) == 0:
                return None
            return Rate(int(match[1]), 60 if match[2] == "r/m" else 1, match[2] or "", index)
    return None


def _number(directive: Directive, name: str) -> int:
    text = next((a.removeprefix(name) for a in reversed(directive.arguments) if a.startswith(name)), "")
    return typed.whole(text) or 0


def burst_of(directive: Directive) -> Burst:
    """The burst of a `limit_req`: 0 where it names none."""
    native = _number(directive, "burst=")
    return Burst(native, Fraction(native + 1))


@dataclass(frozen=True, slots=True)
class _Content:
    """What a limit is made of and every host with the same files has in common."""

    zone: Zone
    amount: Fraction | None
    window: Window | None
    burst: Burst | None
    key: tuple[str, ...]
    over: OverLimit
    mode: Mode
    bound: tuple[Bound, ...]
    enforced: Interval | None
    fields: frozenset[str]
    editable: Editable
    notes: tuple[str, ...]
    remainder: tuple[tuple[str, str], ...]


@lru_cache(maxsize=64)
def _contents(tree: NginxTree) -> tuple[_Content, ...]:
    return tuple(_content(tree, zone) for zone in nginx_limits.zones(tree, "limit_req_zone"))


def _content(tree: NginxTree, zone: Zone) -> _Content:
    rate = rate_of(zone)
    uses = nginx_limits.uses_of(tree, "limit_req").get(zone.name, ())
    alone = len(uses) == 1
    return _Content(
        zone=zone,
        amount=Fraction(rate.amount) if rate else None,
        window=Window(WindowKind.BUCKET, Fraction(rate.seconds)) if rate else None,
        burst=burst_of(uses[0].directive) if alone else None,
        key=nginx_limits.key_words(zone.key),
        over=nginx_limits.first_over(uses, lambda use, context: _over(use, context, rate)),
        mode=nginx_limits.modes(uses, "limit_req_dry_run") if rate else Mode.NOT_UNDERSTOOD,
        bound=tuple(one for use in uses for one in _bound(tree, use, rate)),
        enforced=_enforced(rate) if rate else None,
        fields=frozenset({"amount", "window", "burst"} if alone else {"amount", "window"}),
        editable=_editable(zone, rate),
        notes=tuple(_notes(tree, zone, uses, rate)),
        remainder=_remainder(zone, rate),
    )


def read(tree: NginxTree, config: ConfigTree, facts: HostFacts) -> list[Limit]:
    """All request limits: one for each zone."""
    return [_limit(content, config, facts) for content in _contents(tree)]


def _limit(content: _Content, config: ConfigTree, facts: HostFacts) -> Limit:
    directive = content.zone.directive
    return Limit(
        ref=Ref(facts.environment, KIND, facts.host, content.zone.name),
        platform=PLATFORM,
        name=clean(content.zone.name),
        measure=Measure.REQUESTS,
        amount=content.amount,
        object=object_name(facts, directive.path),
        base=base_of(config.files[directive.path]),
        read_at=facts.read_at,
        window=content.window,
        burst=content.burst,
        key=content.key,
        over=content.over,
        mode=content.mode,
        bindings=nginx_limits.bindings(content.bound, facts),
        enforced=content.enforced,
        fields=content.fields,
        windows=WINDOWS,
        amounts=GRID,
        owners=owners(config.files[directive.path]),
        editable=content.editable,
        notes=content.notes,
        location=clean(directive.location),
        remainder=content.remainder,
        native=nginx_limits.native_text(directive) if content.amount is None else "",
    )


def _enforced(rate: Rate) -> Interval | None:
    return Interval.exactly(rate.enforced) if rate.enforced != rate.amount else None


def _bound(tree: NginxTree, use: LimitUse, rate: Rate | None) -> list[Bound]:
    return nginx_limits.bound(tree, use, burst_of(use.directive), lambda context: _over(use, context, rate))


def _over(use: LimitUse, context: Context, rate: Rate | None) -> OverLimit:
    """`nodelay` rejects at once; else requests wait, up to what `burst` beyond `delay` takes at this rate."""
    status = nginx_limits.status_of(context, "limit_req_status")
    burst = _number(use.directive, "burst=")
    last = next((a for a in reversed(use.directive.arguments) if a == "nodelay" or a.startswith("delay=")), "")
    undelayed = burst if last == "nodelay" else _number(use.directive, "delay=") if last else 0
    waiting = burst - min(undelayed, burst)
    if waiting == 0 or rate is None:
        return OverLimit(Action.REJECT, status)
    return OverLimit(Action.DELAY, status, Fraction(waiting * rate.seconds, rate.amount))


def _editable(zone: Zone, rate: Rate | None) -> Editable:
    if rate is not None:
        return Editable()
    if not zone.known:
        return Editable(False, f"no file that was read defines the zone {clean(zone.name)}")
    text = next((a for a in reversed(zone.directive.arguments) if a.startswith("rate=")), "the zone without a rate")
    return Editable(False, f"{clean(text)} is no whole number of r/s or r/m: edit {clean(zone.directive.location)}")


def _notes(tree: NginxTree, zone: Zone, uses: Sequence[LimitUse], rate: Rate | None) -> list[str]:
    notes = nginx_limits.notes(tree, zone, uses, "limit_req")
    notes += nginx_limits.rehearsals(uses, "limit_req_dry_run")
    if len(uses) > 1:
        lines = ", ".join(clean(use.directive.location) for use in uses)
        notes.append(
            f"{len(uses)} limit_req lines use this zone ({lines}): the rate is theirs together, and each has "
            "its own burst, which is edited in the file"
        )
    if any(_number(use.directive, "burst=") == 0 for use in uses):
        notes.append("no burst: even an evenly paced caller near the rate is rejected now and then")
    if rate and rate.enforced != rate.amount:
        notes.append(f"nginx truncates this rate to {rate.enforced / rate.seconds * _PER_MILLE}/1000 requests a second")
    return notes


def _remainder(zone: Zone, rate: Rate | None) -> tuple[tuple[str, str], ...]:
    if not zone.known:
        return ()
    known = {1, rate.word if rate else 0}
    return tuple(
        (word.value.partition("=")[0], clean(word.value.partition("=")[2] or word.value))
        for index, word in enumerate(zone.directive.words)
        if index > 0 and index not in known
    )


# --- edits ------------------------------------------------------------------------------------------------------------


def edits(tree: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits, each with its file. Raises `InvalidValue`, `NotFound`."""
    by_name = {zone.name: zone for zone in nginx_limits.zones(tree, "limit_req_zone")}
    found: list[FileEdit] = []
    for name in dict.fromkeys(change.ref.name for change in changes):
        fields = {change.field: change for change in changes if change.ref.name == name}
        ref = str(next(iter(fields.values())).ref)
        zone = by_name.get(name)
        if zone is None:
            raise NotFound(f"there is no limit_req_zone '{clean(name)}' here", ref=ref)
        unknown = sorted(set(fields) - {"amount", "window", "burst"})
        if unknown:
            raise InvalidValue(f"a limit_req has no field '{unknown[0]}'", ref=ref)
        if "amount" in fields or "window" in fields:
            found.append(_rate_edit(zone, {f: c for f, c in fields.items() if f != "burst"}, ref))
        if "burst" in fields:
            uses = nginx_limits.uses_of(tree, "limit_req").get(name, ())
            found.extend(_burst_edit(tree, uses, fields["burst"]))
    return found


def _rate_edit(zone: Zone, fields: dict[str, Change], ref: str) -> FileEdit:
    rate = rate_of(zone)
    if rate is None:
        raise InvalidValue(_editable(zone, rate).reason, ref=ref)
    amount = whole(fields["amount"], "rate", 1, GRID.maximum) if "amount" in fields else rate.amount
    seconds, suffix = rate.seconds, rate.suffix
    if "window" in fields:
        asked = fields["window"].after
        if asked not in WINDOWS:
            raise InvalidValue(f"nginx has no window of {asked} s", ref=ref, hint="1 (per second) or 60 (per minute)")
        seconds, suffix = (1, "r/s") if asked == 1 else (60, "r/m")
    word, position = zone.directive.words[rate.word], zone.directive.positions[rate.word]
    again = next((change.again for change in fields.values() if change.again), "")
    match = _RATE.match(again.strip("\"'"))
    raw = standing.restored(again, _RATE, amount)
    if raw is None or match is None or (60 if match[2] == "r/m" else 1) != seconds:
        raw = _quoted(word.raw, f"rate={amount}{suffix}")
    anew = _quoted(b"", f"rate={rate.amount}{'r/m' if rate.seconds == 60 else 'r/s'}")
    done = tuple(replace(change, was=standing.raw_form(word.raw, anew)) for change in fields.values())
    return FileEdit(zone.directive.path, TokenEdit(position, raw), done)


def _quoted(like: bytes, text: str) -> bytes:
    """A word in the quotes that another one has."""
    quote = like[:1] if like[:1] in (b'"', b"'") else b""
    return quote + text.encode() + quote


def _burst_edit(tree: NginxTree, uses: Sequence[LimitUse], change: Change) -> list[FileEdit]:
    if len(uses) != 1:
        raise InvalidValue(
            f"{len(uses)} limit_req lines use this zone, each with its own burst",
            ref=str(change.ref),
            hint="edit the lines in the file: " + ", ".join(clean(use.directive.location) for use in uses),
        )
    burst = 0 if change.after is None else whole(change, "burst", 0, _MAXIMUM_BURST)
    directive = uses[0].directive
    words, positions, path = directive.words, directive.positions, directive.path
    data = tree.tree.files[path]
    tokens = tokenize(data, path)
    there = [i for i, word in enumerate(words) if word.value.startswith("burst=")]
    if there and (burst == 0 or change.again == standing.ABSENT):
        alone = len(there) == 1
        was = standing.taken_out(data, tokens, positions[0], positions[there[0]]) if alone else ""
        done = (replace(change, was=was),)
        return [FileEdit(path, TokenEdit(positions[i], None), done) for i in there]
    if burst == 0:
        return []
    if not there:
        done = (replace(change, was=standing.ABSENT),)
        back = standing.put_back(data, tokens, span_of(tokens, positions), change.again, _BURST)
        if back is not None and standing.restored(text(back.after[0].strip()), _BURST, burst) is not None:
            return [FileEdit(path, back, done)]
        zone = next(i for i, word in enumerate(words) if word.value.startswith("zone="))
        return [FileEdit(path, TokenEdit(positions[zone], words[zone].raw, (b"burst=%d" % burst,)), done)]
    word = words[there[-1]]
    raw = standing.restored(change.again, _BURST, burst) or _quoted(word.raw, f"burst={burst}")
    was = standing.raw_form(word.raw, b"burst=%d" % _number(directive, "burst="))
    return [FileEdit(path, TokenEdit(positions[there[-1]], raw), (replace(change, was=was),))]
