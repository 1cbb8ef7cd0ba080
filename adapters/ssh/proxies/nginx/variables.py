"""What the variables of an nginx configuration can hold, and which upstreams a `…_pass` can therefore reach.

`map`, `geo`, `split_clients` and `set` have their values in the files; what else a variable holds comes with the
request and is not known. Names of variables and of upstreams are the same in upper and lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapters.ssh.proxies.nginx.tree import Directive, NginxTree

PASSES = frozenset({"proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass"})
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_UNKNOWN = re.compile(r"\0(\w*)\0")
_SCHEME = re.compile(r"\A(?:[A-Za-z]+|\0scheme\0)://")
_ENDS_HOST = frozenset({"request_uri", "uri", "document_uri", "is_args", "args", "query_string"})
"""Variables that begin with `/` or `?`, or are empty: what stands before them is the whole name."""
_DEEPEST, _MOST = 8, 256
_ANYTHING = "\0\0"
_NO_ENTRY = frozenset({"default", "hostnames", "volatile", "include", "ranges", "proxy", "proxy_recursive", "delete"})


@dataclass(frozen=True, slots=True)
class Reading:
    """One value that a text can have: `\\0name\\0` stands for what a variable brings that the files do not tell."""

    value: str
    splits: frozenset[str] = frozenset()
    """The `split_clients` variables that chose it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A `map`, `geo` or `split_clients`: `source` is its text, entries are (pattern, value)."""

    kind: str
    source: str
    entries: tuple[tuple[str, str], ...]

    def chosen(self, value: str) -> list[str]:
        """The values that `value` leads to: one where the entry is certain, else all that it may be."""
        entries = [(pattern, text) for pattern, text in self.entries if pattern not in _NO_ENTRY]
        default = [text for pattern, text in self.entries if pattern == "default"] or [""]
        if self.kind != "map" or _UNKNOWN.search(value):
            return [text for _, text in entries] + default
        exact = [text for pattern, text in entries if pattern.removeprefix("\\").lower() == value.lower()]
        if exact:
            return exact[:1]
        return [text for pattern, text in entries if pattern.startswith(("~", "*", ".")) or "*" in pattern] + default


@dataclass(frozen=True, slots=True)
class Variables:
    """All variables that the files tell something of, at one place."""

    tables: Mapping[str, Table]
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`set` variable -> the texts that it can be set to."""

    def inside(self, tree: NginxTree, directives: Sequence[Directive]) -> Variables:
        """The same inside a block with these directives: its last `set` holds, one in an `if` may."""
        found = dict(self.settings)
        for directive, certain in _settings(tree, directives, True):
            name, text = directive.arguments[0].lstrip("$").lower(), directive.arguments[1]
            found[name] = (text,) if certain else tuple(dict.fromkeys((*found.get(name, ()), text)))
        return replace(self, settings=found) if found != self.settings else self

    def fixed(self, name: str, value: str) -> Variables:
        """The same for requests for which a split chose this value."""
        tables = {**self.tables, name: Table("split_clients", "", (("*", value),))}
        return Variables(tables, {key: texts for key, texts in self.settings.items() if key != name})

    def readings(self, text: str, depth: int = 0) -> list[Reading]:
        """Every value that a text with variables can have."""
        found = [Reading("")]
        position = 0
        for match in VARIABLE.finditer(text):
            before = text[position : match.start()]
            values = self._values((match[1] or match[2]).lower(), depth)
            found = [Reading(f.value + before + v.value, f.splits | v.splits) for f in found for v in values]
            if len(found) > _MOST:
                return [Reading(_ANYTHING)]
            position = match.end()
        return list(dict.fromkeys(replace(f, value=f.value + text[position:]) for f in found))

    def _values(self, name: str, depth: int) -> list[Reading]:
        texts, table = self.settings.get(name), self.tables.get(name)
        if depth >= _DEEPEST or (texts is None and table is None):
            return [Reading(f"\0{name}\0")]
        if texts is not None:
            return [reading for text in texts for reading in self.readings(text, depth + 1)]
        assert table is not None
        if table.kind == "split_clients":
            return [Reading(value, frozenset({name})) for _, value in table.entries]
        return [
            Reading(reading.value, source.splits | reading.splits)
            for source in self.readings(table.source, depth + 1)
            for text in table.chosen(source.value)
            for reading in self.readings(text, depth + 1)
        ]


def host_of(value: str) -> str | None:
    """The name that a read URL goes to, in lower case; "" where it has a port (then it is no upstream of a name), None
    where the request decides."""
    rest = value[m.end() :] if (m := _SCHEME.match(value)) else value
    match = re.search(r"[/?:\0]", rest)
    if match is None:
        return rest.lower()
    if match[0] == ":":
        return ""
    unknown = _UNKNOWN.match(rest, match.start())
    if unknown is not None and unknown[1] not in _ENDS_HOST:
        return None
    return rest[: match.start()].lower()


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the passes of one place lead."""

    names: tuple[str, ...] = ()
    """Hosts in lower case: upstreams where an upstream has that name."""
    splits: tuple[str, ...] = ()
    """The `split_clients` variables that decide which."""
    unknown: tuple[str, ...] = ()
    """Targets that only the request tells, as they are written."""


NOWHERE = Reached()
_CONDITION = re.compile(r"\A\(?\$\{?(\w+)\}?(?:(!?=)(.*?))?\)?\Z", re.ASCII)


def condition_of(arguments: Sequence[str]) -> tuple[str, bool, str | None] | None:
    """An `if` that asks for the value of one variable: its name, whether it must have the value, and which (None: any
    but `0` and nothing). None for other conditions."""
    text = "".join(arguments)
    match = _CONDITION.match(text)
    if match is None:
        return None
    value = None if match[2] is None else match[3].strip("\"'")
    return match[1].lower(), match[2] != "!=", value


def holds_for(condition: tuple[str, bool, str | None], variables: Variables) -> bool | None:
    """Whether it holds where the variables are so; None where the request decides."""
    name, wanted, value = condition
    found = {reading.value for reading in variables.readings(f"${{{name}}}")}
    if any(_UNKNOWN.search(one) for one in found):
        return None
    answers = {(one not in ("", "0") if value is None else one == value) is wanted for one in found}
    return answers.pop() if len(answers) == 1 else None


def reached(targets: Iterable[str], variables: Variables, deciding: Iterable[str] = ()) -> Reached:
    """Where these targets of `…_pass` directives lead. `deciding` are splits that decide whether they are taken."""
    names: dict[str, None] = {}
    splits: dict[str, None] = dict.fromkeys(deciding)
    unknown: dict[str, None] = {}
    for target in targets:
        for reading in variables.readings(target):
            host = host_of(reading.value)
            splits.update(dict.fromkeys(sorted(reading.splits)))
            if host is None:
                unknown[target] = None
            elif host:
                names[host] = None
    return Reached(tuple(names), tuple(splits), tuple(unknown))


def hosts_chosen(targets: Iterable[str], variables: Variables, split: str) -> tuple[str, ...]:
    """The hosts of these targets that a split chose; where it chose none, all of them."""
    readings = [reading for target in targets for reading in variables.readings(target)]
    chosen = [reading for reading in readings if split in reading.splits] or readings
    return tuple(dict.fromkeys(host for reading in chosen if (host := host_of(reading.value))))


def variables_of(tree: NginxTree, section: Sequence[Directive]) -> Variables:
    """The tables of an `http` or `stream` block, and what is set directly inside it."""
    tables: dict[str, Table] = {}
    for block in section:
        if block.name in ("map", "geo", "split_clients") and block.children is not None and len(block.words) >= 2:
            source = block.arguments[0] if len(block.words) > 2 else "$remote_addr"
            entries = tuple((d.name, d.arguments[-1]) for d in tree.children(block) if d.arguments)
            tables[block.arguments[-1].lstrip("$").lower()] = Table(block.name, source, entries)
    return Variables(tables)


def _settings(tree: NginxTree, inside: Iterable[Directive], certain: bool) -> Iterator[tuple[Directive, bool]]:
    for directive in inside:
        if directive.name == "set" and len(directive.words) == 3:
            yield directive, certain
        elif directive.name == "if" and directive.children is not None:
            yield from _settings(tree, tree.children(directive), False)
