"""Samples of HAProxy that count, and the arithmetic over them: which rate is compared with which number, and where the
number stands.

`sc_http_req_rate(0)`, `src_http_req_rate(t)`, `KEY,table_http_req_rate(t)`, and differences of these with a number that
stands in the file or in a map, through variables too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.ssh.proxies.haproxy.flow import Position, Step
from adapters.ssh.proxies.haproxy.lines import Line, Section

UNDERSTOOD = ("http_req_rate", "conn_rate", "conn_cur")
_COUNTED = re.compile(rf"\Asc(?:(\d+)_({'|'.join(UNDERSTOOD)})|_({'|'.join(UNDERSTOOD)}))(?:\(([^)]*)\))?\Z")
_SOURCE = re.compile(rf"\Asrc_({'|'.join(UNDERSTOOD)})(?:\(([^)]*)\))?\Z")
_TABLE = re.compile(rf"\Atable_({'|'.join(UNDERSTOOD)})(?:\(([^)]*)\))?\Z")
_FRONTEND = re.compile(r"\Afe_req_rate(?:\(([^)]*)\))?\Z")
_INTEGER = re.compile(r"\Aint\(\s*(-?\d+)\s*\)\Z", re.ASCII)
_MAP = re.compile(r"\Amap(?:_(?!ip|reg|regm)\w+)?\(\s*([^,()]+?)\s*(?:,\s*(-?\d+)\s*)?\)\Z", re.ASCII)
_DIFFERENCE = re.compile(r"\A(sub|add)\(\s*([\w.-]+)\s*\)\Z", re.ASCII)
_HEADER = re.compile(r"\A(?:req\.)?(f?hdr)\(\s*([\w-]+)\s*\)")
_DEEPEST = 8
_OTHERS = (
    (re.compile(r"gpc"), "is a counter that rules change themselves"),
    (re.compile(r"_(?:err|fail)_"), "counts errors: what it lets through depends on the answers"),
    (re.compile(r"_cnt\b"), "counts from when a caller is first seen until its entry expires, not per time"),
    (re.compile(r"bytes"), "counts bytes, not requests"),
    (re.compile(r"\A(?:be|srv)_|queue|connslots|dst_conn"), "looks at the load of a proxy or of its servers"),
)
"""Counters that are listed with their text: what each of them is."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What is counted: `table` by name ("" is the section's own, None no table), by a counter or by a key."""

    what: str
    """`http_req_rate`, `conn_rate`, `conn_cur`, `fe_req_rate`."""
    counter: int | None
    table: str | None
    key: str
    at: Position
    """When it is looked at."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a rate is compared with: a word of the file, or entries of a map with a default in a word."""

    value: int
    line: Line
    index: int
    """Of the word that holds the number."""
    inside: bool = False
    """True where the word holds more than the number: `int(20)`."""
    map_file: str | None = None
    """As HAProxy knows it; then `value` is the default of the look-up."""
    map_key: str = ""
    """What is looked up: `var(txn.tenant)`."""


@dataclass(frozen=True, slots=True)
class Linear:
    """`rate * rate_sign + number * number_sign`."""

    rate: Rate | None = None
    rate_sign: int = 1
    number: Number | None = None
    number_sign: int = 1


class NotUnderstood(Exception):
    """Why an expression is not understood; never leaves this package."""


@dataclass(frozen=True, slots=True)
class Setter:
    """One line that sets a variable, in a section's rules or in the global section."""

    name: str
    line: Line
    index: int
    """Of the word that holds the expression."""
    at: Position
    step: Step | None = None

    @property
    def certain(self) -> bool:
        """True where it is run for every request."""
        return (self.step is None or self.step.condition is None) and not self.line.branches


def setters(steps: Sequence[Step], found: Sequence[Section]) -> list[Setter]:
    """All lines that set variables among these steps, and those of the global section."""
    result = []
    for step in steps:
        match = re.match(r"\Aset-var(-fmt)?\(([\w.]+)", step.verb)
        if match and step.start + 1 < len(step.line.values):
            result.append(Setter(match[2], step.line, step.start + 1, step.at, step))
    for section in found:
        lines = section.lines if section.keyword == "global" else []
        result += [
            Setter(line.values[1], line, 2, (-1, 0))
            for line in lines
            if line.values[0] in ("set-var", "set-var-fmt") and len(line.values) > 2
        ]
    return result


class Samples:
    """Reads expressions with the variables that `known` lines set."""

    def __init__(self, known: Sequence[Setter]) -> None:
        self._known = known

    def setter(self, name: str) -> Setter:
        """The one line that sets a variable. Raises `NotUnderstood`."""
        found = [setter for setter in self._known if setter.name == name]
        if len(found) != 1:
            raise NotUnderstood(f"the variable {name} is set in {len(found)} places")
        return found[0]

    def linear(self, text: str, line: Line, index: int, at: Position, depth: int = 0) -> Linear:
        """The arithmetic of an expression that stands in a word of a line. Raises `NotUnderstood`."""
        if depth > _DEEPEST:
            raise NotUnderstood(f"the expression {text} is too deep")
        parts = split(text)
        value = self._fetched(parts[0], line, index, at, depth)
        before = parts[0]
        for part in parts[1:]:
            value = self._converted(value, before, part, line, index, at, depth)
            before = f"{before},{part}"
        if value is None:
            raise NotUnderstood(_why(text))
        return value

    def _fetched(self, fetch: str, line: Line, index: int, at: Position, depth: int) -> Linear | None:
        rate = _rate(fetch, at)
        if rate is not None:
            return Linear(rate)
        integer = _INTEGER.match(fetch)
        if integer:
            return Linear(number=_number(int(integer[1]), line, index))
        variable = re.match(r"\Avar\(([\w.]+)\)\Z", fetch)
        if variable:
            try:
                return self._variable(variable[1], depth)
            except NotUnderstood:
                return None
        return None

    def _variable(self, name: str, depth: int) -> Linear:
        setter = self.setter(name)
        if not setter.certain or setter.line.values[setter.index - 1].startswith("set-var-fmt"):
            raise NotUnderstood(f"how {name} is set is not understood")
        if setter.line.words[setter.index].templated:
            raise NotUnderstood(f"what {name} is set to comes from the environment")
        text = setter.line.values[setter.index]
        return self.linear(text, setter.line, setter.index, setter.at, depth + 1)

    def _converted(
        self, value: Linear | None, before: str, part: str, line: Line, index: int, at: Position, depth: int
    ) -> Linear | None:
        table = _TABLE.match(part)
        if table:
            return Linear(Rate(table[1], None, (table[2] or "").strip(), before, at))
        looked_up = _MAP.match(part)
        if looked_up:
            number = Number(int(looked_up[2] or 0), line, index, True, looked_up[1].strip(), before)
            return Linear(number=number)
        if value is None:
            return None
        if part in ("neg", "neg()"):
            return replace(value, rate_sign=-value.rate_sign, number_sign=-value.number_sign)
        difference = _DIFFERENCE.match(part)
        if difference is None:
            raise NotUnderstood(f"the converter {part} is not understood")
        if re.fullmatch(r"-?\d+", difference[2]):
            raise NotUnderstood(f"{part} with a number of its own is not understood")
        return _together(value, self._variable(difference[2], depth), -1 if difference[1] == "sub" else 1)

    def key(self, text: str) -> str:
        """A key in a form that compares: variables that one line sets filled in, header samples under one name."""
        for _ in range(_DEEPEST):
            variable = re.match(r"\Avar\(([\w.]+)\)", text)
            if variable is None:
                break
            try:
                setter = self.setter(variable[1])
            except NotUnderstood:
                break
            if not setter.certain:
                break
            text = setter.line.values[setter.index] + text[variable.end() :]
        text = _HEADER.sub(lambda match: f"req.{match[1]}({match[2].lower()})", text.strip())
        return "".join(text.split())


def _why(expression: str) -> str:
    """What a counter counts that is no rate which could be told here."""
    for pattern, told in _OTHERS:
        if pattern.search(expression):
            return f"{expression} {told}"
    return f"the expression {expression} is not understood"


def split(expression: str) -> list[str]:
    """A sample and its converters, at the commas that stand outside parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _rate(fetch: str, at: Position) -> Rate | None:
    counted = _COUNTED.match(fetch)
    if counted:
        arguments = [word.strip() for word in (counted[4] or "").split(",")]
        number = counted[1] if counted[1] is not None else arguments.pop(0)
        if not number.isdigit():
            return None
        return Rate(counted[2] or counted[3], int(number), arguments[0] if arguments else "", "", at)
    source = _SOURCE.match(fetch)
    if source:
        return Rate(source[1], None, (source[2] or "").strip(), "src", at)
    frontend = _FRONTEND.match(fetch)
    if frontend:
        return Rate("fe_req_rate", None, None, (frontend[1] or "").strip(), at)
    return None


def _number(value: int, line: Line, index: int) -> Number:
    return Number(value, line, index, True)


def _together(one: Linear, other: Linear, sign: int) -> Linear:
    """The sum or difference of two. Raises `NotUnderstood` where that is not one rate and one number."""
    if (one.rate is not None and other.rate is not None) or (one.number is not None and other.number is not None):
        raise NotUnderstood("it calculates with more than one rate or number")
    return Linear(
        one.rate or other.rate,
        one.rate_sign if one.rate is not None else sign * other.rate_sign,
        one.number or other.number,
        one.number_sign if one.number is not None else sign * other.number_sign,
    )
