"""Limits of whole proxies and of the process: `maxconn`, `fullconn`, `rate-limit sessions`, the rates of `global`.

They stand in the section, or in the defaults that it inherits from: then one line is the limit of several proxies. A
frontend's maxconn lives at runtime too (`set maxconn frontend`), the process's can be lowered there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from adapters.ssh.proxies.haproxy.backend import ref_of as backend_ref
from adapters.ssh.proxies.haproxy.lines import Line, Section
from adapters.ssh.proxies.haproxy.mask import shown
from adapters.ssh.proxies.haproxy.reach import led_to
from adapters.ssh.proxies.haproxy.runtime import Running, whole
from adapters.ssh.proxies.haproxy.servers import Setting, disabled, odd_number, templated_reason
from adapters.ssh.proxies.protocol import HostFacts, object_name
from adapters.ssh.section import PLATFORM
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

_GRID = Grid(minimum=1, maximum=10_000_000, zero=False)
LEVELS = ("maxconn", "maxsslconn", "fullconn")
"""Of these the kind is that of a server's maxconn; of the others that of the rates."""
GLOBAL = {
    "maxconn": "Maxconn",
    "maxsslconn": "MaxSslConns",
    "maxconnrate": "ConnRateLimit",
    "maxsessrate": "SessRateLimit",
    "maxsslrate": "SslRateLimit",
}
"""Words of the global section, and what `show info` calls them."""
COLUMNS = {"maxconn": "slim", "rate-limit sessions": "rate_lim"}
_TOLD = {
    "maxconn": "connections of this proxy at once; others wait to be accepted",
    "maxsslconn": "TLS connections of the process at once; others wait to be accepted",
    "rate-limit sessions": "new connections a second, not requests; others wait to be accepted",
    "maxconnrate": "new connections of the process a second; others wait to be accepted",
    "maxsessrate": "new sessions of the process a second; others wait to be accepted",
    "maxsslrate": "new TLS sessions of the process a second; others wait to be accepted",
    "fullconn": "limits nothing by itself: at so many connections of the backend its servers' minconn reaches maxconn",
}


@dataclass(frozen=True, slots=True)
class ProxyLimit:
    """One such number as it holds for one section."""

    section: Section
    what: str
    setting: Setting
    shared: bool = False
    """It stands in defaults from which other proxies inherit it too."""
    idle: str = ""
    """Why it has no effect, or nothing."""
    twin: bool = False
    """Another section of this name stands before it: the ref says where this one is."""

    @property
    def name(self) -> str:
        """The name of its ref: no server's is like it, for that holds a slash."""
        if self.section.keyword == "global":
            return f"global {self.what}"
        where = f"@{self.section.head.location}" if self.twin else ""
        return f"{self.section.keyword} {self.section.name}{where} {self.what}"

    @property
    def is_level(self) -> bool:
        return self.what in LEVELS

    @property
    def is_bandwidth(self) -> bool:
        return self.what.startswith("filter ")

    @property
    def number_at(self) -> tuple[str, int, int]:
        return self.setting.line.path, self.setting.line.number, self.setting.index

    def running(self, running: Running) -> int | None:
        """The number that runs; None where it is not known."""
        if self.section.keyword == "global":
            return whole(running.info.get(GLOBAL[self.what]))
        row = running.proxies.get((self.section.name, "FRONTEND"), {})
        return whole(row.get(COLUMNS[self.what])) if self.what in COLUMNS else None

    def command(self, number: int, running: Running) -> str | None:
        """The runtime command that sets it, where there is one that takes this number."""
        if self.what != "maxconn" or not running.known:
            return None
        if self.section.keyword != "global":
            return f"set maxconn frontend {self.section.name} {number}"
        # The process cannot be given more at runtime than it started with.
        most = whole(running.info.get("Hard_maxconn")) or self.setting.number
        return f"set maxconn global {number}" if number <= most else None


def find(found: Sequence[Section]) -> list[ProxyLimit]:
    """All numbers that limit proxies or the process, in the order of the sections."""
    limits: dict[str, ProxyLimit] = {}
    for section in found:
        for limit in _of(section):
            # Several global sections are one to HAProxy, and the last of a word holds.
            twin = limit.name in limits and section.keyword != "global"
            one = replace(limit, twin=twin)
            limits[one.name] = one
    numbers_at = Counter(limit.number_at for limit in limits.values())
    return [replace(one, shared=numbers_at[one.number_at] > 1) for one in limits.values()]


def _of(section: Section) -> list[ProxyLimit]:
    if section.keyword == "global":
        lines = {line.values[0]: line for line in section.lines if len(line.values) > 1}
        return [ProxyLimit(section, word, _setting(lines[word], 1)) for word in GLOBAL if word in lines]
    idle = "this proxy is disabled" if disabled(section) else ""
    limits = []
    if section.keyword in ("frontend", "listen"):
        for words in (("maxconn",), ("rate-limit", "sessions")):
            line = section.last(*words)
            if line is not None and len(line.values) > len(words):
                limits.append(ProxyLimit(section, " ".join(words), _setting(line, len(words)), idle=idle))
    limits += [
        ProxyLimit(section, f"filter {line.values[2]}", _setting(line, 1), idle=idle)
        for line in section.lines
        if line.values[0] == "filter" and len(line.values) > 2 and line.values[1].startswith("bwlim-")
    ]
    if section.keyword in ("backend", "listen"):
        line = section.last("fullconn")
        used = any("minconn" in one.values for owner in section.chain() for one in owner.lines)
        if line is not None and len(line.values) > 1 and (used or line in section.lines):
            why = idle or ("" if used else "no server has a minconn")
            limits.append(ProxyLimit(section, "fullconn", _setting(line, 1), idle=why))
    return limits


def _setting(line: Line, index: int) -> Setting:
    return Setting(line.values[index], line, index)


def read(
    found: Sequence[Section],
    running: Running,
    facts: HostFacts,
    bases: Mapping[str, str],
    map_data: Callable[[str], bytes | None],
    kinds: tuple[str, str],
) -> list[Limit]:
    """One limit for each number. `kinds` are the kinds of levels and of rates."""
    return [_limit(one, running, facts, bases, map_data, kinds) for one in find(found)]


def why_not(limit: ProxyLimit) -> str:
    """Why it cannot be edited, or nothing."""
    setting = limit.setting
    if limit.section.head.branches:
        return clean(limit.section.head.unknown)
    if limit.is_bandwidth:
        return "how much bandwidth it leaves to whom is not understood"
    return clean(setting.line.unknown) or templated_reason(setting)


def _limit(
    one: ProxyLimit,
    running: Running,
    facts: HostFacts,
    bases: Mapping[str, str],
    map_data: Callable[[str], bytes | None],
    kinds: tuple[str, str],
) -> Limit:
    setting, now = one.setting, one.running(running)
    amount = _amount(one, now)
    level = one.is_level
    mode = Mode.OFF if one.idle else Mode.ENFORCED
    if amount is None or (one.what == "fullconn" and not one.idle):
        # A fullconn is no limit of its own: what it lets through is what its servers' maxconn let through.
        amount, mode = None, Mode.NOT_UNDERSTOOD
    over = OverLimit(Action.QUEUE if level else Action.DELAY)
    reason = why_not(one)
    return Limit(
        ref=Ref(facts.environment, kinds[0] if level else kinds[1], facts.host, one.name),
        platform=PLATFORM,
        name=clean(one.name),
        measure=Measure.BYTES if one.is_bandwidth else Measure.CONNECTIONS if level else Measure.REQUESTS,
        amount=amount,
        object=object_name(facts, setting.line.path),
        base=bases[setting.line.path],
        read_at=facts.read_at,
        window=None if level else Window(WindowKind.SLIDING, Fraction(1)),
        burst=Burst(None, amount) if not level and isinstance(amount, Fraction) else None,
        match=clean(_TOLD.get(one.what, "bytes of requests or answers that pass this filter")),
        over=over,
        mode=mode,
        native=shown(setting.line) if mode is Mode.NOT_UNDERSTOOD else "",
        bindings=tuple(_bindings(one, over, facts, map_data)),
        windows=None if level else (Fraction(1),),
        amounts=_GRID,
        editable=Editable(False, reason) if reason else _editable(one, amount),
        notes=tuple(clean(note) for note in _notes(one, now, running)),
        location=clean(setting.line.location),
        use=_use(one, running, facts),
    )


def _editable(one: ProxyLimit, amount: Amount | None) -> Editable:
    if one.what == "fullconn":
        return Editable(False, "it limits nothing by itself: edit the servers' maxconn")
    if amount is None:
        return Editable(False, f"what {one.setting.native} comes to is decided when HAProxy starts")
    return Editable()


def _amount(one: ProxyLimit, now: int | None) -> Amount | None:
    """The running number, else the file's; None where neither tells it."""
    if one.is_bandwidth:
        return None
    if now:
        return Fraction(now)
    if not one.setting.known:
        return None
    if one.setting.number > 0:
        return Fraction(one.setting.number)
    # 0: no limit of this rate; a maxconn of 0 is calculated at start, or that of the process.
    return None if one.is_level else Special.UNLIMITED


def _bindings(
    one: ProxyLimit, over: OverLimit, facts: HostFacts, map_data: Callable[[str], bytes | None]
) -> list[Binding]:
    section = one.section
    domain = Domain("process", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))
    names: list[str] = []
    if section.keyword == "frontend":
        names = list(dict.fromkeys(name for name, _ in led_to(section, map_data)))
    elif section.keyword != "global":
        names = [section.name]
    native = clean(f"{section.keyword} {section.name}".strip())
    on = [str(backend_ref(facts, name)) for name in names] or [native]
    return [Binding(name, over, domain, location=clean(one.setting.line.location)) for name in on]


def _notes(one: ProxyLimit, now: int | None, running: Running) -> list[str]:
    setting, notes = one.setting, list[str]()
    if one.is_bandwidth:
        return []
    odd = odd_number(one.what, setting)
    if odd:
        notes.append(odd)
    if one.idle:
        notes.append(f"without effect: {one.idle}")
    if setting.line not in one.section.lines:
        many = ", which other proxies inherit too: an edit changes all of them" if one.shared else ""
        notes.append(f"it stands in defaults at {setting.line.location}{many}")
    if setting.known and setting.number > 0 and now is not None and now != setting.number:
        notes.append(f"{one.name} runs with {now}, the file says {setting.number}")
    if not setting.known and now is None:
        notes.append(setting.why_unknown)
    if one.command(setting.number, running) is None and one.what != "fullconn":
        notes.append("a change needs a reload")
    return notes


def _use(one: ProxyLimit, running: Running, facts: HostFacts) -> Use:
    if not one.is_level or one.what == "fullconn":
        return Use()
    if one.section.keyword == "global":
        names = {"maxconn": "CurrConns", "maxsslconn": "CurrSslConns"}
        current = whole(running.info.get(names[one.what]))
    else:
        current = whole(running.proxies.get((one.section.name, "FRONTEND"), {}).get("scur"))
    return Use() if current is None else Use(current=Fraction(current), read_at=facts.read_at)


def drift(found: Sequence[Section], running: Running) -> list[str]:
    """Where the running numbers differ from the file's: what a reload would lose."""
    return [
        clean(f"{one.name} runs with {now}, the file says {one.setting.number}")
        for one in find(found)
        if (now := one.running(running)) is not None
        and one.setting.known
        and one.setting.number > 0
        and now != one.setting.number
    ]
