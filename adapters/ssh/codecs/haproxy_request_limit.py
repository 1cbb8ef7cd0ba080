"""Kind HAProxyRequestLimit: rules that refuse requests over a stick table's `http_req_rate`.

The table counts over a sliding period; the threshold stands in the rule, or in a map file with one number for each
key. What passes depends on the order: a rule that runs before the counting sees only admitted requests; one that runs
after it counts refused requests too, so that a caller who keeps trying is kept out for as long as it tries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from adapters.ssh.codecs import haproxy_map
from adapters.ssh.codecs.haproxy_backend import ref_of as backend_ref
from adapters.ssh.codecs.haproxy_lines import Section
from adapters.ssh.codecs.haproxy_reach import led_to
from adapters.ssh.codecs.haproxy_rules import Rule, Table, Track, rules, tables, tracks
from adapters.ssh.codecs.spans import line_of
from adapters.ssh.seam import HostFacts, object_name
from control.model import (
    Action,
    Amount,
    Binding,
    Burst,
    Domain,
    Editable,
    Grid,
    Interval,
    Limit,
    Measure,
    Mode,
    OverLimit,
    Platform,
    Special,
    Use,
    Window,
    WindowKind,
)
from control.ref import Ref
from control.text import clean

KIND = "HAProxyRequestLimit"
GRID = Grid(minimum=1, maximum=1_000_000_000, zero=False)
_STATUS = {"deny": 403, "tarpit": 500, "return": 200}


@dataclass(frozen=True, slots=True)
class Definition:
    """One number that limits requests. `map_key` is its key in the map; None for a number in the configuration."""

    name: str
    rule: Rule
    table: Table | None
    tracked_first: bool
    tracked: bool
    key: str
    number: int | None
    path: str
    line: int
    map_key: str | None = None

    @property
    def admitted(self) -> int:
        """How many requests pass in one period from idle."""
        number = self.number or 0
        return max(number + (0 if self.rule.at_least else 1) - (1 if self.tracked_first else 0), 0)

    @property
    def why_not(self) -> str:
        if self.rule.why_not:
            return self.rule.why_not
        if self.table is None or self.table.period is None:
            return f"no stick table '{self.rule.table}' that stores http_req_rate"
        if self.number is None:
            return "its value is not a plain number"
        return ""


def definitions(
    found: Sequence[Section], map_path: Callable[[str], str], files: Mapping[str, bytes]
) -> list[Definition]:
    """All numbers that limit request rates, in the order of the file."""
    known, tracking = tables(found), tracks(found)
    result: list[Definition] = []
    taken: set[str] = set()
    for rule in rules(found):
        result.extend(_of_rule(rule, known, tracking, taken, map_path, files))
    return result


def _of_rule(
    rule: Rule,
    known: Mapping[str, Table],
    tracking: Sequence[Track],
    taken: set[str],
    map_path: Callable[[str], str],
    files: Mapping[str, bytes],
) -> list[Definition]:
    feeding = [track for track in tracking if _feeds(track, rule)]
    table_name = rule.table if rule.counter is None or not feeding else feeding[0].table
    before = any(track.section is not rule.section or track.order < rule.order for track in feeding)
    key = rule.key or (feeding[0].key if feeding else "")
    name = f"{rule.section.name}/{table_name}"
    while name in taken:
        name += "~"
    taken.add(name)
    threshold = rule.threshold
    number = threshold.number if threshold else None
    line = threshold.line if threshold else rule.line
    table = known.get(table_name)
    tracked = bool(feeding) and (before or rule.counter is None)
    base = Definition(name, rule, table, before, tracked, key, number, line.path, line.number)
    if threshold is None or threshold.map_file is None:
        return [base]
    path = map_path(threshold.map_file)
    data = files.get(path, b"")
    return [
        base,
        *(
            Definition(
                f"{name}/{entry.key}", rule, table, before, tracked, key, _plain(entry.value), path,
                line_of(data, entry.start), entry.key,
            )
            for entry in haproxy_map.entries(data)
        ),
    ]  # fmt: skip


def _plain(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _feeds(track: Track, rule: Rule) -> bool:
    """Whether a tracking rule counts what this rule looks at."""
    reaches = track.section is rule.section or (
        track.section.keyword in ("frontend", "listen") and rule.section.keyword == "backend"
    )
    if rule.counter is not None:
        return reaches and track.counter == rule.counter and rule.table in ("", rule.section.name, track.table)
    return track.table == rule.table


def read(
    facts: HostFacts,
    bases: Mapping[str, str],
    defined: Sequence[Definition],
    answers: Mapping[str, str],
    map_data: Callable[[str], bytes | None],
) -> list[Limit]:
    """One limit for each number; numbers of a map are what runs, where that is known."""
    return [_limit(definition, facts, bases, answers, map_data) for definition in defined]


def _limit(
    definition: Definition,
    facts: HostFacts,
    bases: Mapping[str, str],
    answers: Mapping[str, str],
    map_data: Callable[[str], bytes | None],
) -> Limit:
    rule, threshold = definition.rule, definition.rule.threshold
    notes = _notes(definition)
    if definition.map_key is not None and threshold and threshold.map_file:
        running = haproxy_map.running(answers.get(f"map {threshold.map_file}")) or {}
        now = _plain(running.get(definition.map_key, ""))
        if now is not None and now != definition.number:
            written, definition = definition.number, replace(definition, number=now)
            notes = [*_notes(definition), f"runs with {now}, the map file says {written}"]
    over = _over(rule)
    period = definition.table.period if definition.table else None
    seconds = Fraction(period, 1000) if period else None
    why_not = definition.why_not
    return Limit(
        ref=Ref(facts.environment, KIND, facts.host, definition.name),
        platform=Platform.SSH,
        name=clean(definition.name),
        measure=Measure.CONNECTIONS if "conn_" in rule.sample else Measure.REQUESTS,
        amount=_amount(definition),
        object=object_name(facts, definition.path),
        base=bases[definition.path],
        read_at=facts.read_at,
        window=Window(WindowKind.SLIDING, seconds),
        burst=None if why_not else Burst(None, Fraction(definition.admitted)),
        match=_match(definition),
        key=_key(definition.key),
        over=over,
        mode=Mode.ENFORCED if definition.tracked or why_not else Mode.OFF,
        bindings=tuple(_bindings(definition, facts, over, map_data)),
        enforced=_enforced(definition),
        fields=frozenset({"amount"}),
        windows=(seconds,) if seconds else (),
        amounts=GRID,
        editable=Editable(False, clean(why_not)) if why_not else Editable(),
        notes=tuple(notes),
        location=clean(f"{definition.path}:{definition.line}"),
        remainder=(("rule", clean(" ".join(rule.line.values))),),
        use=_use(rule.section, facts, answers),
    )


def _amount(definition: Definition) -> Amount:
    """The threshold; where nothing passes it is `blocked`."""
    if definition.why_not:
        return Fraction(definition.number or 0)
    if definition.admitted == 0:
        return Special.BLOCKED
    return Fraction(definition.number or definition.admitted)


def _enforced(definition: Definition) -> Interval | None:
    """What passes in one period. Tracked first: nothing at all, as long as a caller keeps trying too fast."""
    if definition.why_not:
        return Interval(None, None)
    admitted = Fraction(definition.admitted)
    return Interval(Fraction(0) if definition.tracked_first else admitted, admitted)


def _notes(definition: Definition) -> list[str]:
    rule, notes = definition.rule, list[str]()
    comparison = "ge" if rule.at_least else "gt"
    if definition.why_not:
        return [f"shown only: {clean(definition.why_not)}"]
    if not definition.tracked:
        notes.append("nothing is counted before this rule looks: it never refuses")
    elif definition.tracked_first:
        notes.append(
            "counts before it refuses: refused requests count too, so a caller that keeps trying gets nothing (low 0)"
        )
    else:
        notes.append("refuses before it counts: only admitted requests count")
    if definition.tracked and definition.admitted != definition.number:
        notes.append(f"'{comparison} {definition.number}' lets {definition.admitted} through in a period")
    threshold = rule.threshold
    if threshold and threshold.map_file is None:
        notes.append("the number stands in the configuration: a change needs a reload")
    elif threshold and definition.map_key is None:
        notes.append(f"for keys that {clean(threshold.map_file or '')} does not hold; a change needs a reload")
    if definition.table and definition.table.peers:
        notes.append("peers copy the counters to each other; they do not add them up")
    notes.append("requests without this key are not limited")
    return notes


def _match(definition: Definition) -> str:
    parts = [f"{definition.rule.section.keyword} {definition.rule.section.name}"]
    threshold = definition.rule.threshold
    if threshold and threshold.map_file:
        name = definition.map_key if definition.map_key is not None else "any other"
        parts.append(f"{threshold.map_key} is {name}")
    if definition.rule.others:
        parts.append(definition.rule.others)
    return clean("; ".join(parts))


def _key(sample: str) -> tuple[str, ...]:
    if not sample:
        return ()
    if sample == "src":
        return ("source address",)
    for prefix in ("req.hdr(", "req.fhdr(", "hdr(", "fhdr("):
        if sample.startswith(prefix):
            return (f"header {clean(sample.removeprefix(prefix).partition(')')[0])}",)
    return (clean(sample),)


def _over(rule: Rule) -> OverLimit:
    text = rule.options.get("deny_status") or rule.options.get("status") or ""
    status = int(text) if text.isascii() and text.isdigit() else _STATUS.get(rule.verb)
    return OverLimit(Action.REJECT, status)


def _bindings(
    definition: Definition, facts: HostFacts, over: OverLimit, map_data: Callable[[str], bytes | None]
) -> list[Binding]:
    section = definition.rule.section
    domain = Domain("process", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))
    location = clean(definition.rule.line.location)
    if section.keyword == "frontend":
        names = dict.fromkeys(name for name, _ in led_to(section, map_data))
    else:
        names = {section.name: None}
    on = [str(backend_ref(facts, name)) for name in names] or [f"{section.keyword} {clean(section.name)}"]
    return [Binding(name, over, domain, location=location) for name in on]


def _use(section: Section, facts: HostFacts, answers: Mapping[str, str]) -> Use:
    """Refusals a second of the frontend (all its rules together), as the driver measured them between two reads."""
    for line in answers.get("denied", "").splitlines():
        name, _, rate = line.rpartition(" ")
        if name == section.name:
            return Use(rejected_per_second=Fraction(rate), read_at=facts.read_at)
    return Use()
