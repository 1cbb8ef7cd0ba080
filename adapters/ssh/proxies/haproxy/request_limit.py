"""Kind HAProxyRequestLimit: rules that refuse requests over what a stick table counts.

The table counts over a sliding period; the threshold stands in the rule, or in a map file with one number for each
key. What passes depends on the order: a rule that looks before the request is counted sees only former ones; one that
counts refused requests too keeps a caller out for as long as it tries. A rule that is not understood is in force all
the same, and is listed with its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from adapters.ssh.proxies.haproxy import map as haproxy_map
from adapters.ssh.proxies.haproxy.backend import ref_of as backend_ref
from adapters.ssh.proxies.haproxy.counting import Counting, counting
from adapters.ssh.proxies.haproxy.flow import Flows
from adapters.ssh.proxies.haproxy.lines import Section
from adapters.ssh.proxies.haproxy.mask import mask_words, shown
from adapters.ssh.proxies.haproxy.reach import led_to
from adapters.ssh.proxies.haproxy.rules import Readings, Rule, Table, rules, tables, tracks
from adapters.ssh.proxies.protocol import HostFacts, object_name
from adapters.ssh.proxies.spans import line_of
from adapters.ssh.section import PLATFORM
from control import typed
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
    Special,
    Use,
    Window,
    WindowKind,
)
from control.model.ref import Ref
from control.text import clean

KIND = "HAProxyRequestLimit"
GRID = Grid(minimum=1, maximum=1_000_000_000, zero=False)
_UNKNOWN_KEY = "not understood"
_STATUS = {"deny": 403, "tarpit": 500, "return": 200}


@dataclass(frozen=True, slots=True)
class Definition:
    """One number that limits. `map_key` is its key in the map; None for a number in the configuration."""

    name: str
    rule: Rule
    table: Table | None
    counting: Counting
    number: int | None
    path: str
    line: int
    map_key: str | None = None
    entry: str = ""
    """The line of the map, where it is one of a map."""

    @property
    def admitted(self) -> int:
        """How many requests pass in one period from idle."""
        number = self.number or 0
        return max(number + (0 if self.rule.at_least else 1) - (1 if self.counting.itself else 0), 0)

    @property
    def what(self) -> str:
        """What is counted: `http_req_rate`, `conn_cur`, …"""
        return self.rule.rate.what if self.rule.rate else ""

    @property
    def period(self) -> int | None:
        """The period of the rate in milliseconds; None for a count of what is there now."""
        if self.what == "fe_req_rate":
            return 1000
        return self.table.stored.get(self.what) if self.table else None

    @property
    def why_not(self) -> str:
        """Why it is not understood, or nothing."""
        if self.rule.why_not:
            return self.rule.why_not
        if self.counting.why_not:
            return self.counting.why_not
        stored = self.table is not None and self.what in self.table.stored
        if self.what != "fe_req_rate" and not (stored and (self.period or self.what == "conn_cur")):
            return f"no stick table '{self.counting.table}' that stores {self.what}"
        if self.table is not None and self.table.line.branches:
            return self.table.line.unknown
        if self.number is None:
            return "its value is not a plain number"
        return ""

    @property
    def number_at(self) -> tuple[str, int, int, str | None]:
        """The word or the entry of a map where the number stands: two rules may share it."""
        threshold = self.rule.threshold
        if threshold is None or self.map_key is not None:
            return self.path, 0, 0, self.map_key
        return threshold.line.path, threshold.line.number, threshold.index, None


def definitions(
    found: Sequence[Section],
    map_path: Callable[[str], str],
    files: Mapping[str, bytes],
    map_data: Callable[[str], bytes | None],
) -> list[Definition]:
    """All numbers that limit, in the order of the file."""
    flows = Flows(found, map_data)
    known, tracking = tables(found), tracks(flows)
    read = Readings(flows)
    result: list[Definition] = []
    taken: set[str] = set()
    for rule in rules(flows, read):
        fed = counting(rule, flows, tracking, known, read)
        result.extend(_of_rule(rule, fed, known, taken, map_path, files))
    return result


def _of_rule(
    rule: Rule,
    fed: Counting,
    known: Mapping[str, Table],
    taken: set[str],
    map_path: Callable[[str], str],
    files: Mapping[str, bytes],
) -> list[Definition]:
    name = f"{rule.section.name}/{fed.table or 'requests'}"
    while name in taken:
        name += "~"
    taken.add(name)
    threshold = rule.threshold
    line = threshold.line if threshold else rule.line
    table = known.get(fed.table)
    base = Definition(name, rule, table, fed, threshold.value if threshold else None, line.path, line.number)
    if threshold is None or threshold.map_file is None:
        return [base]
    path = map_path(threshold.map_file)
    data, found = files.get(path, b""), [base]
    for entry in haproxy_map.entries(data):
        own = f"{name}/{entry.key}"
        if own not in taken:  # The first entry of a key is the one that counts.
            taken.add(own)
            number, at = _plain(entry.value), line_of(data, entry.start)
            found.append(Definition(own, rule, table, fed, number, path, at, entry.key, f"{entry.key} {entry.value}"))
    return found


def _plain(text: str) -> int | None:
    return typed.whole(text)


def read(
    facts: HostFacts,
    bases: Mapping[str, str],
    defined: Sequence[Definition],
    answers: Mapping[str, str],
    map_data: Callable[[str], bytes | None],
) -> list[Limit]:
    """One limit for each number; numbers of a map are what runs, where that is known."""
    shared = Counter(definition.number_at for definition in defined)
    return [_limit(one, facts, bases, answers, map_data, shared[one.number_at] > 1) for one in defined]


def _limit(
    definition: Definition,
    facts: HostFacts,
    bases: Mapping[str, str],
    answers: Mapping[str, str],
    map_data: Callable[[str], bytes | None],
    shared: bool,
) -> Limit:
    rule, threshold = definition.rule, definition.rule.threshold
    notes = _notes(definition)
    if definition.map_key is not None and threshold and threshold.map_file:
        running = haproxy_map.running(answers.get(f"map {threshold.map_file}")) or {}
        now = _plain(running.get(definition.map_key, ""))
        if now is not None and now != definition.number:
            written, definition = definition.number, replace(definition, number=now)
            notes = [*_notes(definition), f"runs with {now}, the map file says {written}"]
    if shared:
        notes.append("another limit has its number in the same place: an edit changes both")
    over = _over(rule)
    why_not = definition.why_not
    seconds = Fraction(definition.period, 1000) if definition.period else None
    level = definition.what == "conn_cur"
    mode = Mode.OFF if definition.counting.off else Mode.NOT_UNDERSTOOD if why_not else Mode.ENFORCED
    editable = Editable(False, clean(why_not)) if why_not else Editable()
    if mode is Mode.OFF and definition.number is None:
        mode = Mode.NOT_UNDERSTOOD
    return Limit(
        ref=Ref(facts.environment, KIND, facts.host, definition.name),
        platform=PLATFORM,
        name=clean(definition.name),
        measure=_measure(definition),
        amount=None if mode is Mode.NOT_UNDERSTOOD else _amount(definition),
        object=object_name(facts, definition.path),
        base=bases[definition.path],
        read_at=facts.read_at,
        window=None if level else Window(WindowKind.SLIDING, seconds),
        burst=None if level or mode is Mode.NOT_UNDERSTOOD else Burst(None, _at_once(definition)),
        match=_match(definition),
        key=_key(definition.counting.key) or ((_UNKNOWN_KEY,) if mode is Mode.NOT_UNDERSTOOD else ()),
        over=over,
        mode=mode,
        native=_native(definition) if mode is Mode.NOT_UNDERSTOOD else "",
        bindings=tuple(_bindings(definition, facts, over, map_data)),
        enforced=_enforced(definition),
        fields=frozenset({"amount"}),
        windows=(seconds,) if seconds else (),
        amounts=GRID,
        editable=editable,
        notes=tuple(clean(note) for note in notes),
        location=clean(f"{definition.path}:{definition.line}"),
        remainder=(("rule", shown(rule.line)),),
        use=_use(rule.section, facts, answers),
    )


def _native(definition: Definition) -> str:
    if definition.entry:
        return mask_words(definition.entry)
    rule = definition.rule
    own = shown(rule.line)
    return own if rule.term.line is rule.line else f"{own} ({shown(rule.term.line)})"


def _measure(definition: Definition) -> Measure:
    if definition.what != "conn_cur":
        return Measure.REQUESTS
    return Measure.CONNECTIONS if definition.counting.connections else Measure.INFLIGHT


def _at_once(definition: Definition) -> Fraction | None:
    return None if definition.counting.elsewhere else Fraction(definition.admitted)


def _amount(definition: Definition) -> Amount:
    """The threshold; where nothing passes it is `blocked`."""
    if definition.admitted == 0 and not definition.counting.off:
        return Special.BLOCKED
    return Fraction(definition.number or definition.admitted)


def _enforced(definition: Definition) -> Interval | None:
    """What passes in one period. Counted when refused: nothing at all, as long as a caller keeps trying too fast."""
    if definition.why_not or definition.counting.elsewhere:
        return Interval(None, None)
    admitted = Fraction(definition.admitted)
    return Interval(Fraction(0) if definition.counting.refused else admitted, admitted)


def _notes(definition: Definition) -> list[str]:
    rule, fed, notes = definition.rule, definition.counting, list[str]()
    comparison = "ge" if rule.at_least else "gt"
    if fed.off:
        notes.append(fed.off)
    if definition.why_not:
        return [*notes, f"not understood: {definition.why_not}"]
    if not fed.off:
        notes += _order(definition)
    if not fed.off and definition.admitted != definition.number:
        period = "at once" if definition.what == "conn_cur" else "in a period"
        notes.append(f"'{comparison} {definition.number}' lets {definition.admitted} through {period}")
    notes += fed.notes
    if definition.what == "conn_rate":
        notes.append(f"counts {'new connections' if fed.connections else 'requests'} (conn_rate)")
    threshold = rule.threshold
    if threshold and threshold.map_file is None:
        notes.append("the number stands in the configuration: a change needs a reload")
    elif threshold and definition.map_key is None:
        notes.append(f"for keys that {threshold.map_file or ''} does not hold; a change needs a reload")
    if definition.table and definition.table.peers:
        notes.append("peers copy the counters to each other; they do not add them up")
    if rule.verb == "tarpit":
        notes.append("over it, requests wait for timeout tarpit and are refused then")
    if rule.step.verb == "use_backend":
        notes.append("over it, requests go to a backend that refuses them")
    if fed.key:
        notes.append("requests without this key are not limited")
    return notes


def _order(definition: Definition) -> list[str]:
    fed = definition.counting
    if fed.elsewhere or definition.what == "conn_cur":
        return []
    if fed.refused:
        return [
            "counts before it refuses: refused requests count too, so a caller that keeps trying gets nothing (low 0)"
        ]
    return ["refuses before it counts: only admitted requests count"]


def _match(definition: Definition) -> str:
    section, threshold = definition.rule.section, definition.rule.threshold
    parts = [f"{section.keyword} {section.name}"]
    if threshold and threshold.map_file:
        name = definition.map_key if definition.map_key is not None else "any other"
        parts.append(f"{threshold.map_key} is {name}")
    if definition.rule.others:
        parts.append(mask_words(definition.rule.others))
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
    known = typed.whole(text)
    status = _STATUS.get(rule.verb) if known is None else known
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
