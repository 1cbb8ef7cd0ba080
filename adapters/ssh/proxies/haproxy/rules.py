"""The rules of HAProxy sections that refuse requests over something counted, and the tables that count.

Only what is understood to the end becomes an editable threshold; for the rest `why_not` says what was not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from adapters.ssh.proxies.haproxy.acls import Acls, Alternative, Term, comparison, counts, variables
from adapters.ssh.proxies.haproxy.flow import ANSWER, ENDING, PASSING, REFUSING, Flows, Step
from adapters.ssh.proxies.haproxy.lines import Line, Section
from adapters.ssh.proxies.haproxy.samples import NotUnderstood, Number, Rate, Samples, Setter, setters
from control import typed

_TIME = re.compile(r"\A(\d+)(us|ms|s|m|h|d)?\Z", re.ASCII)
_PER_UNIT = {"us": 0, "ms": 1, "": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_STORED = re.compile(r"(\w+)(?:\(([^)]*)\))?")
_TRACK = re.compile(r"\Atrack-sc(\d+)\Z")
_TRUE = re.compile(r"\A(?:bool\((?:true|1)\)|int\([1-9]\d*\)|str\([^,()]+\))\Z")
_CHAINED = 4
"""How deep variables are followed that are set from variables."""


def milliseconds(text: str) -> int | None:
    """An HAProxy time (`10s`, `500ms`, `1000`) in whole milliseconds; None for anything else."""
    match = _TIME.match(text)
    if match is None:
        return None
    if match[2] == "us":
        return int(match[1]) // 1000
    return int(match[1]) * _PER_UNIT[match[2] or ""]


@dataclass(frozen=True, slots=True)
class Table:
    """A stick table. `stored` gives for each counter that it keeps its period in ms, None where it has none."""

    name: str
    kind: str
    stored: Mapping[str, int | None]
    line: Line
    peers: str = ""


def tables(found: Sequence[Section]) -> dict[str, Table]:
    """All stick tables by the name that rules use."""
    result: dict[str, Table] = {}
    for section in found:
        for line in section.lines:
            values = line.values
            if values[0] == "stick-table":
                result[section.name] = _table(section.name, line, values)
            elif section.keyword == "peers" and values[0] == "table" and len(values) > 1:
                name = f"{section.name}/{values[1]}"
                result[name] = _table(name, line, values, section.name)
    return result


def _table(name: str, line: Line, values: list[str], peers: str = "") -> Table:
    options = dict(pairwise(values))
    stored: dict[str, int | None] = {}
    for before, words in pairwise(values):
        for what, period in _STORED.findall(words) if before == "store" else ():
            stored[what] = milliseconds(period) if period else None
    return Table(name, options.get("type", ""), stored, line, options.get("peers", peers))


@dataclass(frozen=True, slots=True)
class Track:
    """One `track-scN KEY [table T]` rule."""

    step: Step
    counter: int
    key: str
    table: str

    @property
    def section(self) -> Section:
        return self.step.section


def tracks(flows: Flows) -> list[Track]:
    """All tracking rules, as they run."""
    result = []
    for section in flows.proxies:
        for step in flows.steps(section):
            match, arguments = _TRACK.match(step.verb), step.arguments
            if match and arguments:
                table = arguments[arguments.index("table") + 1] if "table" in arguments[:-1] else section.name
                result.append(Track(step, int(match[1]), arguments[0], table))
    return result


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that refuses requests over something counted."""

    step: Step
    verb: str
    rate: Rate | None
    term: Term
    """The condition that counts."""
    at_least: bool = False
    """Refused at the threshold (`ge`); else above it."""
    threshold: Number | None = None
    others: str = ""
    """The other conditions, which say which requests it is for."""
    why_not: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def section(self) -> Section:
        return self.step.section

    @property
    def line(self) -> Line:
        return self.step.line


class Known:
    """What all rules of one proxy may refer to: variables, conditions, samples."""

    def __init__(self, flows: Flows, section: Section) -> None:
        before = [step for front in flows.before(section) for step in flows.steps(front)]
        steps = [*before, *flows.steps(section)]
        self.setters = setters(steps, flows.sections)
        self.samples = Samples(self.setters)
        self.acls = Acls(_counting(self.setters))

    def without_flags(self, alternative: Alternative) -> list[Alternative]:
        """The alternative with each variable that another rule sets as a mark replaced by that rule's condition."""
        for term in alternative:
            setter = self._flag(term)
            if setter is not None and setter.step is not None:
                rest = tuple(one for one in alternative if one is not term)
                return [(*rest, *one) for one in self.acls.alternatives(setter.step)]
        return [alternative]

    def _flag(self, term: Term) -> Setter | None:
        match = re.match(r"\Avar\(([\w.]+)\)\Z", term.sample)
        if match is None or term.negated or term.words not in ((), ("-m", "bool"), ("-m", "found")):
            return None
        found = [setter for setter in self.setters if setter.name == match[1]]
        if len(found) != 1 or found[0].certain or not _TRUE.match(found[0].line.values[found[0].index]):
            return None
        return found[0]


class Readings:
    """What is read of each proxy, when somebody asks: most proxies of a large file hold no rule that counts."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._read: dict[int, Known] = {}

    def of(self, section: Section) -> Known:
        """What was read of one proxy."""
        if id(section) not in self._read:
            self._read[id(section)] = Known(self._flows, section)
        return self._read[id(section)]


def _may_count(section: Section) -> bool:
    """Whether a rule of this section could look at something counted, itself or through a variable."""
    return any(
        "var(" in word or counts(word) for owner in section.chain() for line in owner.lines for word in line.values
    )


def _counting(known: Sequence[Setter]) -> set[str]:
    """The variables that hold something counted, or a mark that something counted is too much."""
    names: set[str] = set()
    for _ in range(_CHAINED):
        acls = Acls(names)
        for setter in known:
            text = setter.line.values[setter.index]
            if (
                counts(text)
                or not names.isdisjoint(variables(text))
                or (
                    setter.step is not None
                    and any(acls.matters(term.sample) for one in acls.alternatives(setter.step) for term in one)
                )
            ):
                names.add(setter.name)
    return names


def rules(flows: Flows, read: Readings) -> list[Rule]:
    """All rules that refuse requests by a counter, understood or not, each for the proxy that runs it."""
    wanted = [section for section in flows.proxies if _may_count(section)]
    return [rule for section in wanted for rule in _rules(flows, section, read.of(section))]


def _rules(flows: Flows, section: Section, known: Known) -> Iterator[Rule]:
    steps = flows.steps(section)
    for step in steps:
        if step.verb not in ENDING and step.verb not in (*PASSING, "use_backend"):
            continue
        if step.verb in PASSING and not any(
            later.verb in ENDING and later.at > step.at and later.at[0] == step.at[0] for later in steps
        ):
            continue
        for alternative in known.acls.alternatives(step):
            for terms in known.without_flags(alternative):
                limiting = [term for term in terms if known.acls.matters(term.sample) and not term.touches]
                limiting = limiting or [term for term in terms if term.touches][:1]
                if limiting:
                    yield _rule(flows, known, step, terms, limiting)


def _rule(flows: Flows, known: Known, step: Step, terms: Alternative, limiting: Sequence[Term]) -> Rule:
    others = " ".join(dict.fromkeys(term.text for term in terms if term not in limiting))
    term, why_not = limiting[0], ""
    rate, number, at_least = None, None, False
    verb, options, diverted = _refusal(flows, step)
    try:
        if len(limiting) > 1:
            raise NotUnderstood("the rule compares more than one rate")
        rate, number, at_least = _compared(known, term)
    except NotUnderstood as error:
        why_not = str(error)
    if verb not in REFUSING:
        why_not = diverted
    elif step.at[0] == ANSWER:
        why_not = "it refuses answers, when the requests are done"
    elif step.line.branches:
        why_not = step.line.unknown
    elif number is not None and number.line.branches:
        why_not = number.line.unknown
    return Rule(step, verb, rate, term, at_least, number, others, why_not, options)


def _compared(known: Known, term: Term) -> tuple[Rate, Number, bool]:
    """The rate, the number above which it is too much, and whether the number itself is. Raises `NotUnderstood`."""
    found = comparison(term)
    if found is None or (found.operator in ("lt", "le") and counts(term.sample)):
        text = " ".join(term.words)
        raise NotUnderstood(f"the comparison '{'!' if term.negated else ''}{text}' is not one of gt N, ge N")
    token = term.line.words[found.index]
    if token.templated or typed.whole(found.text) is None:
        why = "comes from the environment" if token.expanded else "is not a plain number"
        raise NotUnderstood(f"the threshold {found.text} {why}")
    if term.line.words[term.first - 1].expanded:
        raise NotUnderstood(f"the sample {term.sample} comes from the environment")
    value = known.samples.linear(term.sample, term.line, term.first - 1, term.at)
    if value.rate is None:
        raise NotUnderstood(f"the sample {term.sample} is not understood")
    above = found.operator in ("gt", "ge")
    if value.number is None:
        if value.rate_sign < 0 or not above:
            raise NotUnderstood(f"the expression {term.sample} is not understood")
        return value.rate, Number(int(found.text), term.line, found.index), found.operator == "ge"
    if found.text != "0" or value.rate_sign == value.number_sign or (value.rate_sign > 0) is not above:
        raise NotUnderstood(f"the expression {term.sample} is not understood")
    return value.rate, value.number, found.operator in ("ge", "le")


def _refusal(flows: Flows, step: Step) -> tuple[str, dict[str, str], str]:
    """(verb, its options, what it does where it refuses nothing) of a rule, or of the backend that it picks."""
    values = step.line.values
    if step.verb in PASSING:
        return step.verb, {}, "the rule lets requests pass that later rules would refuse"
    if step.verb != "use_backend":
        options = dict(zip(values[step.start :], values[step.start + 1 :], strict=False))
        return step.verb, options, f"over it, the rule answers with {step.verb}"
    name = values[1] if len(values) > 1 else ""
    for section in flows.sections:
        if section.keyword in ("backend", "listen") and section.name == name and not section.head.branches:
            for inner in flows.steps(section):
                if inner.condition is None and inner.verb in REFUSING and not inner.line.branches:
                    return _refusal(flows, inner)
            made = {line.values[0] for line in section.lines}
            if made.isdisjoint({"server", "server-template", "dispatch", "stats", "option", "http-request"}):
                return "return", {"status": "503"}, ""
    return step.verb, {}, f"over it, requests go to backend {name}: they are not refused"
