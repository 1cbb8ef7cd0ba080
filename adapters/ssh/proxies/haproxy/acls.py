"""The conditions of HAProxy rules as alternatives of terms, so that a rate among them can be looked at alone.

Only what holds a counter is taken apart (named conditions, `or`, `!`, `unless`); all other conditions stay as they are
written: they say which requests a rule is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from adapters.ssh.proxies.haproxy.flow import Position, Step
from adapters.ssh.proxies.haproxy.lines import Line, Section

_COUNTER = re.compile(
    r"(?:(?:\A|,)\s*(?:sc\d*_|src_|table_)"
    r"(?:http_(?:req|err|fail)_(?:rate|cnt)|conn_(?:cur|rate|cnt)|sess_(?:rate|cnt)|glitch_(?:rate|cnt)"
    r"|(?:get_|inc_|clr_)?gpc\w*|bytes_(?:in|out)_rate|kbytes_(?:in|out)|updt_conn_cnt)"
    r"|\A(?:(?:fe|be|srv)_(?:conn|conn_free|req_rate|sess_rate|queue)|(?:avg_)?queue|connslots|dst_conn))\b"
)
"""Samples that count: a rule over them is a limit, understood or not."""
_TOUCHES = re.compile(r"(?:\bsc\d*_|\bsrc_)(?:inc|clr)_gpc\w*")
"""Samples that change a counter."""
_VARIABLE = re.compile(r"\bvar\(([\w.]+)\)|(?:sub|add|mul|div|mod)\(([A-Za-z][\w.]*)\)")
_MOST = 16
"""Alternatives of one rule that are looked at."""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: a sample, its flags and patterns, with the line and word where the patterns start."""

    sample: str
    words: tuple[str, ...]
    line: Line
    first: int
    at: Position
    """When it is looked at."""
    negated: bool = False
    text: str = ""

    @property
    def touches(self) -> bool:
        """True for a sample that changes a counter and holds for every request: `src_inc_gpc0 ge 0`."""
        always = (("ge", "0"), ("ge", "1"), ("gt", "0")) if "inc_gpc" in self.sample else (("ge", "0"),)
        return _TOUCHES.search(self.sample) is not None and not self.negated and self.words in always


Alternative = tuple[Term, ...]


def counts(sample: str) -> bool:
    """True for a sample of a counter."""
    return _COUNTER.search(sample) is not None


def variables(expression: str) -> set[str]:
    """The names of the variables that an expression reads."""
    return {one or other for one, other in _VARIABLE.findall(expression)}


class Acls:
    """The conditions of one section's rules. `counting` names the variables that hold something counted."""

    def __init__(self, counting: Iterable[str]) -> None:
        self._counting = frozenset(counting)

    def matters(self, sample: str) -> bool:
        """True where a sample is, or reads, something counted."""
        return counts(sample) or not self._counting.isdisjoint(variables(sample))

    def alternatives(self, step: Step) -> list[Alternative]:
        """What a rule's condition holds for, any of them; an empty one for a rule without a condition."""
        at = step.condition
        if at is None:
            return [()]
        groups = self._groups(step, at + 1)
        if step.line.values[at] == "unless":
            # not (a and b, or c) is: (not a or not b) and not c.
            return _joined([[one for part in group for one in _not(part)] for group in groups])
        return [alternative for group in groups for alternative in _joined(group)][:_MOST]

    def _groups(self, step: Step, first: int) -> list[list[list[Alternative]]]:
        """The condition as `or` of `and` of terms, each a list of alternatives."""
        line, values = step.line, step.line.values
        named = _named(step.owner)
        groups: list[list[list[Alternative]]] = [[]]
        index = first
        while index < len(values):
            word = values[index]
            if word in ("or", "||"):
                groups.append([])
                index += 1
                continue
            negated = word.startswith("!")
            bare = word[1:] if negated else word
            if bare == "" and negated and index + 1 < len(values):
                index, bare = index + 1, values[index + 1]
            if bare == "{" and "}" in values[index:]:
                end = values.index("}", index)
                inside = values[index + 1 : end]
                shown = ("!" if negated else "") + "{ " + " ".join(inside) + " }"
                sample = inside[0] if inside else ""
                term = Term(sample, tuple(inside[1:]), line, index + 2, step.at, negated, shown)
                groups[-1].append([(term,)])
                index = end + 1
                continue
            groups[-1].append(self._word(step, named, bare, negated, index))
            index += 1
        return groups

    def _word(
        self, step: Step, named: dict[str, list[Line]], name: str, negated: bool, index: int
    ) -> list[Alternative]:
        """A named condition: its lines are alternatives, where one of them counts; else it stays a name."""
        lines = named.get(name, [])
        if not any(self.matters(line.values[2]) for line in lines):
            return [(Term("", (), step.line, index, step.at, negated, ("!" if negated else "") + name),)]
        terms = [
            Term(line.values[2], tuple(line.values[3:]), line, 3, step.at, negated, ("!" if negated else "") + name)
            for line in lines
        ]
        return [tuple(terms)] if negated else [(term,) for term in terms]


def _named(owner: Section) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in owner.lines:
        if line.values[0] == "acl" and len(line.values) > 2:
            found.setdefault(line.values[1], []).append(line)
    return found


def _joined(parts: Sequence[Sequence[Alternative]]) -> list[Alternative]:
    """All of the parts at once, as alternatives."""
    found: list[Alternative] = []
    for combination in product(*parts):
        found.append(tuple(term for alternative in combination for term in alternative))
        if len(found) == _MOST:
            break
    return found


def _not(part: Sequence[Alternative]) -> list[Alternative]:
    """None of the alternatives: of each of them, one term does not hold."""
    return _joined([[(_turned(term),) for term in alternative] for alternative in part])


def _turned(term: Term) -> Term:
    text = term.text[1:] if term.negated else f"!{term.text}"
    return replace(term, negated=not term.negated, text=text)


_OPPOSITE = {"ge": "lt", "gt": "le", "le": "gt", "lt": "ge"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ge 20` and the like, once `!` and `unless` are worked in."""

    operator: str
    text: str
    index: int
    """Of the number's word in the term's line."""


def comparison(term: Term) -> Comparison | None:
    """How a term compares its sample with one number; None where it does something else."""
    words, first = list(term.words), term.first
    while words and words[0] in ("-m", "--"):
        count = 1 if words[0] == "--" else 2
        if words[:2] != ["-m", "int"] and count == 2:
            return None
        words, first = words[count:], first + count
    if len(words) != 2 or words[0] not in _OPPOSITE:
        return None
    return Comparison(_OPPOSITE[words[0]] if term.negated else words[0], words[1], first + 1)
