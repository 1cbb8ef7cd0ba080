"""The `server` lines of HAProxy backends with what they inherit from `default-server` and `defaults`.

HAProxy reads numbers as C's `atol` does: `0.5` is 0, `1k` is 1, an unset variable is 0.
We read them so too, and say so. What comes from the environment, or stands in a branch that may not be read, is not
known from the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.ssh.proxies.haproxy.lines import Line, Section, Token
from adapters.ssh.proxies.spans import text
from control import typed
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
_MOST_MADE = 4096
"""Servers of one template that are listed; HAProxy itself sets no bound."""


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
        """As HAProxy reads it; 0 where the file does not tell (see `known`)."""
        match = _NUMBER.match(self.text)
        return int(match[1]) if match and not self.token.expanded else 0

    @property
    def known(self) -> bool:
        """False where the file alone does not tell the number: it comes from the environment, or may not be read."""
        return not self.token.expanded and not self.line.branches

    @property
    def native(self) -> str:
        """As it stands in the file, quotes included."""
        return clean(text(self.token.raw))

    @property
    def why_unknown(self) -> str:
        """Why the file does not tell the number; empty where it does."""
        if self.token.expanded:
            return f"{self.native} at {clean(self.line.location)} comes from the environment"
        return clean(self.line.unknown)

    @property
    def plain(self) -> bool:
        """True for digits only: what is written is what HAProxy reads."""
        return typed.whole(self.text) is not None and not self.token.templated


Settings = dict[str, Setting]


@dataclass(frozen=True, slots=True)
class Server:
    """One `server` line. `own` are its settings, `all` with the inherited ones below."""

    name: str
    address: str
    line: Line
    own: Settings
    all: Settings
    inherited: Settings = field(default_factory=dict)
    """Those below its own."""
    runtime_only: str = ""
    """Why nothing of it can be written to the file (a template made it, somebody added it at runtime); else empty."""
    added: bool = False
    """True for one that was added at runtime: no line of the file makes it."""

    @property
    def unknown(self) -> str:
        """Why it is not known whether this server is there at all; empty where it is."""
        return "" if self.added else clean(self.line.unknown)

    def flag(self, name: str) -> bool:
        return name in self.all

    @property
    def disabled(self) -> bool:
        """As the file says."""
        return "disabled" in self.all

    @property
    def inherited_disabled(self) -> bool:
        """Is it disabled where its own line says nothing?"""
        return "disabled" in self.inherited


@dataclass(frozen=True, slots=True)
class Backend:
    """One `backend` or `listen` section that has servers."""

    section: Section
    servers: tuple[Server, ...]
    doubled: frozenset[str] = field(default_factory=frozenset)
    """Names of servers that stand more than once (in branches of `.if`)."""

    twin: str = ""
    """Where another section of this name stands before this one; then the ref of this one says where it stands."""

    @property
    def name(self) -> str:
        return self.section.name

    @property
    def ref_name(self) -> str:
        """The name that its refs have: two sections never share one."""
        return f"{self.name}@{self.section.head.location}" if self.twin else self.name

    @property
    def disabled(self) -> bool:
        """Does the file say that this proxy takes no requests?"""
        return disabled(self.section)

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


def disabled(section: Section) -> bool:
    """True for a proxy that takes no requests: the nearest of `disabled` and `enabled` says so."""
    for owner in section.chain():
        for line in reversed(owner.lines):
            if line.values[0] in ("disabled", "enabled") and not line.branches:
                return line.values[0] == "disabled"
    return False


def backends(found: Sequence[Section], running: Mapping[str, Sequence[str]] | None = None) -> list[Backend]:
    """All sections with servers, in order. `running` names the servers of each backend that runs: those that no line
    makes were added at runtime."""
    result: list[Backend] = []
    seen: dict[str, str] = {}
    for section in found:
        if section.keyword not in ("backend", "listen"):
            continue
        servers = _servers(section)
        names = [server.name for server in servers]
        if section.name not in seen and not any(server.line.words[1].expanded for server in servers):
            servers += tuple(_added(section, n) for n in (running or {}).get(section.name, ()) if n not in names)
        if servers:
            doubled = frozenset(name for name in names if names.count(name) > 1)
            result.append(Backend(section, servers, doubled, seen.get(section.name, "")))
        seen.setdefault(section.name, section.head.location)
    return result


def _servers(section: Section) -> tuple[Server, ...]:
    inherited = _inherited(section.parent)
    found: list[Server] = []
    for line in section.lines:
        values = line.values
        if values[0] == "default-server":
            inherited = merge(inherited, settings(line, 1))
        elif values[0] == "server" and len(values) > 2:
            named = line.words[1].expanded
            why = f"its name {clean(values[1])} comes from the environment" if named else ""
            found.append(_server(values[1], values[2], line, settings(line, 3), inherited, why))
        elif values[0] == "server-template" and len(values) > 3:
            why = f"server-template at {clean(line.location)} makes it: one line for several servers"
            own = settings(line, 4)
            found += [
                _server(name, values[3], line, {}, merge(inherited, own), why) for name in _made(values[1], values[2])
            ]
    return tuple(found)


def _server(name: str, address: str, line: Line, own: Settings, inherited: Settings, runtime_only: str) -> Server:
    return Server(
        name=name,
        address=address,
        line=line,
        own=own,
        all=merge(inherited, own),
        inherited=inherited,
        runtime_only=runtime_only,
    )


def _made(prefix: str, count: str) -> list[str]:
    """The names that `server-template PREFIX N` or `PREFIX LOW-HIGH` makes."""
    low, dash, high = count.partition("-")
    if not (low.isdigit() and (high.isdigit() or not dash)):
        return [prefix]
    first, last = (int(low), int(high)) if dash else (1, int(low))
    return [f"{prefix}{number}" for number in range(first, min(last, first + _MOST_MADE) + 1)]


def _added(section: Section, name: str) -> Server:
    return Server(name, "", section.head, {}, {}, runtime_only="it was added at runtime", added=True)


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
    for word in inner:
        if word.startswith("no-"):
            result.pop(word[3:], None)
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
        if word.startswith("no-") and word[3:] in _FLAGS:
            found.pop(word[3:], None)
            found[word] = Setting(word, line, index)
        if word in _FLAGS:
            found.pop(f"no-{word}", None)
            found.pop("enabled" if word == "disabled" else "disabled" if word == "enabled" else "", None)
            found[word] = Setting(word, line, index)
        index += 1
    return found


def templated_reason(setting: Setting | None) -> str:
    """Why a value cannot be edited in place, or nothing."""
    if setting is None or not setting.token.templated:
        return ""
    if not setting.token.expanded:
        where = f"{setting.native} at {clean(setting.line.location)}"
        return f"{where} looks like a variable, and HAProxy fills those in only inside double quotes: edit it there"
    return f"{setting.why_unknown}: edit it there"


def odd_number(what: str, setting: Setting | None) -> str:
    """What HAProxy makes of a number that is none, or nothing."""
    if setting is None or setting.plain or not setting.known:
        return ""
    return f"{what} {clean(setting.text)} at {clean(setting.line.location)} is read as {setting.number} by HAProxy"
