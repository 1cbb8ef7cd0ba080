"""Which branches of `.if`, `.elif`, `.else` and `.endif` HAProxy reads: yes, no, or not known from the file alone.

A condition may ask what the file does not tell (the environment, the build, the version). Then nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.ssh.proxies.haproxy.words import UNKNOWN, expand

_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a `.if` block that may be read or not: `block` is the block's number in the configuration, `number`
    that of the branch in it, `told` what it is, for people."""

    block: int
    number: int
    told: str


@dataclass(slots=True)
class _Block:
    number: int
    branches: int = 0
    live: bool | None = True
    earlier: bool | None = False
    """Whether a former branch of this block was read."""
    told: str = ""


@dataclass(slots=True)
class Conditions:
    """Follows the conditional lines of the files in order. `version` is that of the running HAProxy, where known."""

    version: str = ""
    variables: dict[str, str | None] = field(default_factory=dict)
    """What the files set so far: a value, or None where a name was taken away. Others are not known."""
    decided: Mapping[tuple[int, int], bool] = field(default_factory=dict)
    """(block, branch) -> whether it is read, where that was found out in another way."""
    present: set[str] = field(default_factory=set)
    """Variables that are set for certain, to a value that is not known."""
    _open: list[_Block] = field(default_factory=list)
    _blocks: int = 0

    def see(self, values: Sequence[str], raw: Sequence[str], location: str) -> bool:
        """Follow a line, its words as read and as they stand; true where it was one of the conditional language."""
        word, told = values[0], f"{' '.join(values)} at {location}"
        if word == ".if":
            self._blocks += 1
            self._open.append(_Block(self._blocks))
        if word in (".if", ".elif") and self._open:
            self._enter(self._open[-1], self._holds(raw[1:]), told)
        elif word == ".else" and self._open:
            self._enter(self._open[-1], True, told)
        elif word == ".endif" and self._open:
            self._open.pop()
        return word.startswith(".")

    def _holds(self, raw: Sequence[str]) -> bool | None:
        return self.evaluate(" ".join(expand(word, self.variables) for word in raw))

    def _enter(self, block: _Block, holds: bool | None, told: str) -> None:
        block.branches += 1
        block.told = told
        block.live = _and(holds, _not(block.earlier))
        if block.live is None:
            block.live = holds = self.decided.get((block.number, block.branches))
        block.earlier = _or(block.earlier, holds)

    @property
    def dead(self) -> bool:
        """True where HAProxy certainly does not read the lines that follow."""
        return any(block.live is False for block in self._open)

    @property
    def unknown(self) -> tuple[Branch, ...]:
        """The branches that we are in, and of which nobody knows whether they are read; outermost first."""
        return tuple(Branch(b.number, b.branches, b.told) for b in self._open if b.live is None)

    def environment(self, values: Sequence[str], raw: Sequence[str]) -> None:
        """Follow `setenv`, `presetenv`, `unsetenv` and `resetenv` of a global section."""
        certain = not self.unknown
        if values[0] == "setenv" and len(values) > 2:
            value = expand(raw[2], self.variables)
            if certain and UNKNOWN not in value:
                self.variables[values[1]] = value
            else:
                self.variables.pop(values[1], None)
                self.present |= {values[1]} if certain else set()
        elif values[0] == "presetenv" and len(values) > 2 and certain and values[1] not in self.variables:
            self.present.add(values[1])
        elif values[0] == "unsetenv":
            self.present -= set(values[1:])
            for name in values[1:]:
                if certain:
                    self.variables[name] = None
                else:
                    self.variables.pop(name, None)
        elif values[0] == "resetenv":
            self.variables.clear()
            self.present.clear()

    def defined(self, name: str) -> bool | None:
        if name in self.variables:
            return self.variables[name] is not None
        return True if name in self.present else None

    def evaluate(self, text: str) -> bool | None:
        """What a condition says, its variables filled in; None where it is not known or not understood."""
        if not text.strip():
            return False
        return _Parser(self, text).whole()


class _Parser:
    """`a || b && !c`, with parentheses, numbers and predicates."""

    def __init__(self, state: Conditions, text: str) -> None:
        self.state = state
        self.text = text
        self.position = 0
        self.depth = 0

    def whole(self) -> bool | None:
        try:
            found = self._either()
        except ValueError:
            return None
        return found if not self._rest() else None

    def _rest(self) -> str:
        return self.text[self.position :].lstrip()

    def _skip(self, token: str) -> bool:
        rest = self._rest()
        if not rest.startswith(token):
            return False
        self.position = len(self.text) - len(rest) + len(token)
        return True

    def _either(self) -> bool | None:
        found = self._both()
        while self._skip("||"):
            found = _or(found, self._both())
        return found

    def _both(self) -> bool | None:
        found = self._term()
        while self._skip("&&"):
            found = _and(found, self._term())
        return found

    def _term(self) -> bool | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError
        try:
            if self._skip("!"):
                return _not(self._term())
            if self._skip("("):
                found = self._either()
                if not self._skip(")"):
                    raise ValueError
                return found
            return self._predicate()
        finally:
            self.depth -= 1

    def _predicate(self) -> bool | None:
        rest = self._rest()
        number = re.match(r"[+-]?\d+", rest)
        if number:
            self._skip(number[0])
            return int(number[0]) != 0
        call = re.match(r"([A-Za-z_]\w*)\(([^()]*)\)", rest)
        if call is None:
            raise ValueError
        self._skip(call[0])
        return self._call(call[1], call[2].split(","))

    def _call(self, name: str, arguments: Sequence[str]) -> bool | None:
        if name == "defined":
            return self.state.defined(arguments[0].strip())
        if name in ("version_atleast", "version_before"):
            order = _compare(self.state.version, arguments[0].strip())
            return None if order is None else (order >= 0) is (name == "version_atleast")
        if name in ("streq", "strneq", "strstr") and len(arguments) == 2:
            one, other = arguments
            if UNKNOWN in one or UNKNOWN in other:
                return None
            return {"streq": one == other, "strneq": one != other, "strstr": other in one}[name]
        return None


def _compare(running: str, asked: str) -> int | None:
    one, other = _numbers(running), _numbers(asked)
    if not one or not other:
        return None
    length = max(len(one), len(other))
    left, right = (numbers + (0,) * (length - len(numbers)) for numbers in (one, other))
    return (left > right) - (left < right)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    # A development version comes before the release: what it answers is not known here.
    return tuple(int(part) for part in match[0].split(".")) if match and "dev" not in version else ()


def _not(one: bool | None) -> bool | None:
    return None if one is None else not one


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: bool | None, other: bool | None) -> bool | None:
    return _not(_and(_not(one), _not(other)))
