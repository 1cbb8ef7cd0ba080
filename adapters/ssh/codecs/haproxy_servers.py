"""The `server` lines of HAProxy backends with what they inherit from `default-server` and `defaults`.

HAProxy reads numbers as C's `atol` does: `0.5` is 0, `1k` is 1, an unset variable is 0.
We read them so too, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.ssh.codecs.haproxy_lines import Line, Section, Token
from control.text import clean

_ONE_ARGUMENT = frozenset(
    {
        *("addr", "agent-addr", "agent-inter", "agent-port", "agent-send", "alpn", "ca-file", "check-alpn"),
        *("check-proto", "check-sni", "ciphers", "ciphersuites", "client-sigalgs", "cookie", "crl-file", "crt"),
        *("curves", "downinter", "error-limit", "fall", "fastinter", "guid", "hash-key", "id", "init-addr"),
        *("init-state", "inter", "interface", "log-bufsize", "log-proto", "max-reuse", "maxconn", "maxqueue"),
        *("minconn", "namespace", "npn", "observe", "on-error", "on-marked-down", "on-marked-up", "pool-conn-name"),
        *("pool-low-conn", "pool-max-conn", "pool-purge-delay", "port", "proto", "proxy-v2-options", "redir"),
        *("resolve-net", "resolve-opts", "resolve-prefer", "resolvers", "rise", "shard", "sigalgs", "slowstart"),
        *("sni", "socks4", "source", "ssl-max-ver", "ssl-min-ver", "tcp-ut", "track", "usesrc", "verify"),
        *("verifyhost", "weight", "ws"),
    }
)
_FLAGS = frozenset({"disabled", "enabled", "backup", "check", "agent-check"})
_NUMBER = re.compile(r"\A\s*([+-]?\d+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of a server: the word that holds it, and the line that word is on (its own, or an inherited one)."""

    text: str
    line: Line
    index: int
    """Of the word in its line."""

    @property
    def token(self) -> Token:
        return self.line.words[self.index]

    @property
    def number(self) -> int:
        """As HAProxy reads it."""
        match = _NUMBER.match(self.text)
        return int(match[1]) if match and not self.token.templated else 0

    @property
    def plain(self) -> bool:
        """True for digits only: what is written is what HAProxy reads."""
        return self.text.isascii() and self.text.isdigit() and not self.token.templated


Settings = dict[str, Setting]


@dataclass(frozen=True, slots=True)
class Server:
    """One `server` line. `own` are its settings, `all` with the inherited ones below."""

    name: str
    address: str
    line: Line
    own: Settings
    all: Settings
    conditional: bool = False
    inherited_disabled: bool = False

    def flag(self, name: str) -> bool:
        return name in self.all

    @property
    def disabled(self) -> bool:
        """As the file says."""
        return "disabled" in self.all


@dataclass(frozen=True, slots=True)
class Backend:
    """One `backend` or `listen` section that has servers."""

    section: Section
    servers: tuple[Server, ...]
    templates: tuple[Line, ...] = ()
    doubled: frozenset[str] = field(default_factory=frozenset)
    """Names of servers that stand more than once (in branches of `.if`)."""

    @property
    def name(self) -> str:
        return self.section.name

    @property
    def path(self) -> str:
        return self.section.head.path

    def server(self, name: str) -> Server | None:
        return next((server for server in self.servers if server.name == name), None)

    @property
    def balance(self) -> list[str]:
        """The algorithm with its arguments; HAProxy's own default is roundrobin."""
        line = self.section.last("balance")
        return line.values[1:] if line and len(line.words) > 1 else ["roundrobin"]

    @property
    def dynamic(self) -> bool:
        """False for algorithms that take only 0 % and 100 % of a weight at runtime."""
        algorithm = self.balance[0].partition("(")[0]
        if algorithm in ("roundrobin", "leastconn", "random", "first"):
            return True
        hash_type = self.section.last("hash-type")
        return algorithm != "static-rr" and hash_type is not None and hash_type.values[1:2] == ["consistent"]


def backends(found: Sequence[Section]) -> list[Backend]:
    """All sections with servers, in order."""
    result = []
    for section in found:
        if section.keyword not in ("backend", "listen"):
            continue
        servers = _servers(section)
        templates = tuple(line for line in section.lines if line.values[0] == "server-template")
        if servers or templates:
            names = [server.name for server in servers]
            doubled = frozenset(name for name in names if names.count(name) > 1)
            result.append(Backend(section, servers, templates, doubled))
    return result


def _servers(section: Section) -> tuple[Server, ...]:
    inherited = _inherited(section.parent)
    found = []
    for line in section.lines:
        values = line.values
        if values[0] == "default-server":
            inherited = merge(inherited, settings(line, 1))
        elif values[0] == "server" and len(values) > 2:
            own = settings(line, 3)
            found.append(_server(section, line, own, inherited))
    return tuple(found)


def _server(section: Section, line: Line, own: Settings, inherited: Settings) -> Server:
    return Server(
        name=line.values[1],
        address=line.values[2],
        line=line,
        own=own,
        all=merge(inherited, own),
        conditional=line.number in section.conditional,
        inherited_disabled="disabled" in inherited,
    )


def _inherited(parent: Section | None) -> Settings:
    if parent is None:
        return {}
    result: Settings = {}
    for section in reversed(parent.chain()):
        for line in section.lines:
            if line.values[0] == "default-server":
                result = merge(result, settings(line, 1))
    return result


def merge(outer: Settings, inner: Settings) -> Settings:
    """Inner settings win; `enabled` takes an inherited `disabled` away, and the other way round."""
    result = {**outer, **inner}
    if "enabled" in inner:
        result.pop("disabled", None)
    if "disabled" in inner:
        result.pop("enabled", None)
    return result


def settings(line: Line, first: int) -> Settings:
    """The settings of a `server` or `default-server` line from word `first` on. The last occurrence wins."""
    found: Settings = {}
    values, index = line.values, first
    while index < len(values):
        word = values[index]
        if word in _ONE_ARGUMENT and index + 1 < len(values):
            found[word] = Setting(values[index + 1], line, index + 1)
            index += 2
            continue
        if word in _FLAGS:
            found.pop("enabled" if word == "disabled" else "disabled" if word == "enabled" else "", None)
            found[word] = Setting(word, line, index)
        index += 1
    return found


def templated_reason(setting: Setting | None) -> str:
    """Why a value cannot be edited in place, or nothing."""
    if setting is None or not setting.token.templated:
        return ""
    return f"{clean(setting.text)} at {clean(setting.line.location)} comes from the environment: edit it there"


def odd_number(what: str, setting: Setting | None) -> str:
    """What HAProxy makes of a number that is none, or nothing."""
    if setting is None or setting.plain:
        return ""
    return f"{what} {clean(setting.text)} at {clean(setting.line.location)} is read as {setting.number} by HAProxy"
