"""The rules of HAProxy sections that count requests and refuse them: tables, tracking, conditions, thresholds.

Only what is understood to the end becomes an editable threshold; for the rest `why_not` says what was not understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from adapters.ssh.codecs.haproxy_lines import Line, Section

_TIME = re.compile(r"\A(\d+)(us|ms|s|m|h|d)?\Z", re.ASCII)
_PER_UNIT = {"us": 0, "ms": 1, "": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_COUNTED = re.compile(r"\Asc(?:(\d)_http_req_rate(?:\(([^)]*)\))?|_http_req_rate\(([^)]*)\))")
_SOURCE = re.compile(r"\Asrc_http_req_rate(?:\(([^)]*)\))?")
_LOOKED_UP = re.compile(r"\A(.+?),table_http_req_rate(?:\(([^)]*)\))?")
_SUBTRACTED = re.compile(r"\A,sub\(([\w.]+)\)\Z")
NUMBER_MAP = re.compile(r"map(?:_str)?_int\(\s*([^,()]+?)\s*(?:,\s*(-?\d+)\s*)?\)")
MAP_FILE = re.compile(r"map(?:_\w+)?\(\s*([^,()]+)\s*(?:,\s*([^()]*?)\s*)?\)")
_OTHER = re.compile(
    r"\A(?:sc\d?_|src_|.*,table_)"
    r"(?:conn_cur|conn_rate|sess_rate|http_err_rate|http_fail_rate|gpc\d*_rate|bytes_(?:in|out)_rate)"
)
"""Other counters: rules over them are shown, never edited."""
_TRACK = re.compile(r"\Atrack-sc(\d+)\Z")
_PHASES = ("connection", "session", "content")
REFUSING = frozenset({"deny", "tarpit", "reject", "silent-drop", "return"})


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
    """A stick table. `period` in milliseconds is that of its http_req_rate, None where it does not store one."""

    name: str
    kind: str
    period: int | None
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
                result[name] = _table(name, line, values)
    return result


def _table(name: str, line: Line, values: list[str]) -> Table:
    options = dict(pairwise(values))
    stored = " ".join(b for a, b in pairwise(values) if a == "store")
    rate = re.search(r"\bhttp_req_rate\(([^)]*)\)", stored)
    return Table(name, options.get("type", ""), milliseconds(rate[1]) if rate else None, line, options.get("peers", ""))


@dataclass(frozen=True, slots=True)
class Track:
    """One `track-scN KEY [table T]` rule. `order` grows in the order in which HAProxy runs the rules."""

    counter: int
    key: str
    table: str
    conditional: bool
    order: tuple[int, int]
    section: Section


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the number of a limit stands: in a word of the file, or as entries of a map with a default in a word."""

    number: int
    line: Line
    index: int
    """Of the word that holds the number."""
    map_file: str | None = None
    """As HAProxy knows it; then `number` is the default of the look-up."""
    map_key: str = ""
    """What is looked up: `var(txn.tenant)`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that refuses requests over a rate."""

    section: Section
    line: Line
    verb: str
    table: str
    counter: int | None
    """The sticky counter it looks at; None where it looks up the table by a key."""
    key: str
    at_least: bool
    """`ge`: refused at the threshold; else `gt`: above it."""
    threshold: Threshold | None
    order: tuple[int, int]
    others: str = ""
    """The other conditions, which say which requests it is for."""
    why_not: str = ""
    sample: str = ""
    """What is compared: `sc_http_req_rate(0)`."""
    options: dict[str, str] = field(default_factory=dict)


def tracks(found: Sequence[Section]) -> list[Track]:
    """All tracking rules."""
    result = []
    for section in found:
        for position, line in enumerate(section.lines):
            values = line.values
            phase, start = _phase(values)
            match = _TRACK.match(values[start]) if phase is not None and len(values) > start + 1 else None
            if match is None or phase is None:
                continue
            rest = values[start + 2 :]
            table = rest[rest.index("table") + 1] if "table" in rest[:-1] else section.name
            conditional = "if" in rest or "unless" in rest
            key = values[start + 1]
            result.append(Track(int(match[1]), key, table, conditional, (phase, position), section))
    return result


def _phase(values: list[str]) -> tuple[int | None, int]:
    """When a rule runs (0 connection … 3 http-request), and the word that holds its verb."""
    if values[0] == "http-request":
        return len(_PHASES), 1
    if values[0] == "tcp-request" and len(values) > 1 and values[1] in _PHASES:
        return _PHASES.index(values[1]), 2
    return None, 0


def rules(found: Sequence[Section]) -> list[Rule]:
    """All rules that refuse requests by a request rate, understood or not."""
    return [rule for section in found for rule in _rules(section)]


def _rules(section: Section) -> Iterator[Rule]:
    named = _acls(section)
    for position, line in enumerate(section.lines):
        values = line.values
        phase, start = _phase(values)
        if phase is None or len(values) <= start or values[start] not in REFUSING:
            continue
        keyword = next((word for word in ("if", "unless") if word in values[start:]), "")
        if not keyword:
            continue
        at = values.index(keyword, start)
        terms = list(_terms(line, at + 1, named))
        if not any(_rate_sample(term.sample) for term in terms):
            continue
        yield _rule(section, line, values, start, keyword, terms, (phase, position))


@dataclass(frozen=True, slots=True)
class _Term:
    """One condition: a sample, its flags and patterns, with the line and word where the patterns start."""

    sample: str
    words: tuple[str, ...]
    line: Line
    first: int
    negated: bool = False
    text: str = ""
    doubled: bool = False


def _acls(section: Section) -> dict[str, list[_Term]]:
    found: dict[str, list[_Term]] = {}
    for owner in reversed(section.chain()):
        for line in owner.lines:
            values = line.values
            if values[0] == "acl" and len(values) > 2:
                term = _Term(values[2], tuple(values[3:]), line, 3, text=" ".join(values[2:]))
                found.setdefault(values[1], []).append(term)
    return found


def _terms(line: Line, first: int, named: dict[str, list[_Term]]) -> Iterator[_Term]:
    values, index = line.values, first
    while index < len(values):
        word = values[index]
        negated = word.startswith("!")
        bare = word[1:] if negated else word
        if bare == "" and negated and index + 1 < len(values):
            index, bare = index + 1, values[index + 1]
        if bare == "{" and "}" in values[index:]:
            end = values.index("}", index)
            inside = values[index + 1 : end]
            shown = ("!" if negated else "") + "{ " + " ".join(inside) + " }"
            yield _Term(inside[0] if inside else "", tuple(inside[1:]), line, index + 2, negated, shown)
            index = end + 1
            continue
        known = named.get(bare, [])
        for term in known:
            yield _Term(term.sample, term.words, term.line, term.first, negated, word, len(known) > 1)
        if not known:
            yield _Term("", (), line, index, negated, word)
        index += 1


def _rate_sample(sample: str) -> bool:
    return "http_req_rate" in sample or _OTHER.match(sample) is not None


def _rule(
    section: Section,
    line: Line,
    values: list[str],
    start: int,
    keyword: str,
    terms: list[_Term],
    order: tuple[int, int],
) -> Rule:
    limiting = [term for term in terms if _rate_sample(term.sample)]
    others = " ".join(dict.fromkeys(term.text for term in terms if not _rate_sample(term.sample)))
    term = limiting[0]
    counter, key, table, tail = _sample(term.sample, section)
    threshold, at_least, why_not = _threshold(section, term, tail)
    if keyword == "unless" or term.negated:
        why_not = "the condition is turned round (unless, !)"
    elif any(t.text in ("||", "or") for t in terms):
        why_not = "the rule has alternatives (or)"
    elif len(limiting) > 1 or term.doubled:
        why_not = "the rule compares more than one rate"
    elif table is None:
        why_not = f"the sample {term.sample} is not understood"
    options = dict(zip(values[start:], values[start + 1 :], strict=False))
    return Rule(
        section=section,
        line=line,
        verb=values[start],
        table=table or section.name,
        counter=counter,
        key=key,
        at_least=at_least,
        threshold=None if why_not else threshold,
        order=order,
        others=others,
        why_not=why_not,
        sample=term.sample,
        options=options,
    )


def _sample(sample: str, section: Section) -> tuple[int | None, str, str | None, str]:
    """(counter, key, table, what follows) of a rate sample; the table is None where it is not understood."""
    match = _COUNTED.match(sample)
    if match:
        arguments = (match[3] if match[3] is not None else match[2] or "").split(",")
        number = match[1] if match[1] is not None else arguments.pop(0)
        table = arguments[0].strip() if arguments and arguments[0].strip() else ""
        plain = number.strip().isdigit()
        return (int(number) if plain else None, "", table if plain else None, sample[match.end() :])
    match = _SOURCE.match(sample)
    if match:
        return None, "src", (match[1] or section.name), sample[match.end() :]
    match = _LOOKED_UP.match(sample)
    if match:
        return None, match[1], (match[2] or section.name), sample[match.end() :]
    return None, "", None, ""


def _threshold(section: Section, term: _Term, tail: str) -> tuple[Threshold | None, bool, str]:
    words, first = list(term.words), term.first
    if words[:2] == ["-m", "int"]:
        words, first = words[2:], first + 2
    if len(words) != 2 or words[0] not in ("gt", "ge"):
        return None, False, f"the comparison '{' '.join(term.words)}' is not one of gt N, ge N"
    at_least, text = words[0] == "ge", words[1]
    token = term.line.words[first + 1]
    if token.templated or not (text.isascii() and text.isdigit()):
        return None, at_least, f"the threshold {text} is not a plain number"
    if not tail:
        return Threshold(int(text), term.line, first + 1), at_least, ""
    subtracted = _SUBTRACTED.match(tail)
    if subtracted is None or text != "0":
        return None, at_least, f"the expression {term.sample} is not understood"
    return (*_by_map(section, subtracted[1], at_least),)


def _by_map(section: Section, variable: str, at_least: bool) -> tuple[Threshold | None, bool, str]:
    """The map look-up that fills the variable which is subtracted from the rate."""
    wanted = f"set-var({variable})"
    lines = [line for line in section.lines if line.values[0] == "http-request" and wanted in line.values]
    if len(lines) != 1:
        return None, at_least, f"the variable {variable} is set in {len(lines)} places"
    line = lines[0]
    index = line.values.index(wanted) + 1
    if index >= len(line.words) or "if" in line.values or "unless" in line.values or line.words[index].templated:
        return None, at_least, f"how {variable} is set is not understood"
    expression = line.values[index]
    found = NUMBER_MAP.search(expression)
    if found is None or found.end() != len(expression):
        return None, at_least, f"{variable} does not come from a map of numbers"
    key = expression[: found.start()].rstrip(",")
    return Threshold(int(found[2] or 0), line, index, found[1].strip(), key), at_least, ""


def map_names(found: Sequence[Section]) -> list[str]:
    """The map files that the configuration names, as HAProxy knows them."""
    names: dict[str, None] = {}
    for section in found:
        for line in section.lines:
            for word in line.values:
                names.update(dict.fromkeys(match[1].strip() for match in MAP_FILE.finditer(word)))
    return [name for name in names if not name.startswith(("virt@", "opt@"))]
