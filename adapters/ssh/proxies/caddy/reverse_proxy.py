"""Kind CaddyReverseProxy: the upstreams of a `reverse_proxy`, whose weights are a list beside them, by position."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from adapters.ssh.proxies import standing
from adapters.ssh.proxies.caddy import json_config
from adapters.ssh.proxies.caddy.lexer import Token, tokenize
from adapters.ssh.proxies.caddy.running import POLICY, Running
from adapters.ssh.proxies.caddy.tree import CaddyTree, Directive, Site
from adapters.ssh.proxies.file_owners import owners
from adapters.ssh.proxies.protocol import HostFacts, base_of, object_name
from adapters.ssh.proxies.spans import FileEdit, TokenEdit, line_of
from adapters.ssh.section import PLATFORM
from control.errors import InvalidValue, NotFound
from control.model import Editable, Grid, Health, Route, Semantics, Status, StatusState, Target, exact
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.structs import replace
from control.text import clean

KIND = "CaddyReverseProxy"
GRID = Grid(minimum=1, zero=True)
EVEN = ("random", "round_robin", "least_conn")
"""Policies by which all upstreams get the same in the long run; `random` is what holds without a policy."""
LIMITS = ("unhealthy_request_count", "max_conns_per_host")
_JSON_LIMITS = (("health_checks", "passive", LIMITS[0]), ("transport", LIMITS[1]))
_NUMBER = re.compile(r"(\d{1,9})", re.ASCII)
_PORTS = re.compile(r"(?P<host>.*):(?P<first>\d{1,5})-(?P<last>\d{1,5})\Z", re.ASCII)
_MOST = 1024


@dataclass(frozen=True, slots=True)
class Upstream:
    name: str
    """As it stands in the file; of several that are the same, with a number."""
    dial: str
    """Where the running process says that it leads; "" where only the process can tell."""


@dataclass(frozen=True, slots=True)
class ReverseProxy:
    """One `reverse_proxy` directive."""

    site: str
    part: str | None
    directive: Directive
    matches: tuple[str, ...]
    upstreams: tuple[Upstream, ...]
    policy: Directive | None
    """The row `lb_policy`."""
    dynamic: bool
    limits: tuple[str, ...] = ()
    """What stands here and limits requests, in its own words: it is told, and not read as a limit."""

    @property
    def policy_name(self) -> str:
        return self.policy.words[1] if self.policy and len(self.policy.words) > 1 else "random"

    @property
    def weights(self) -> tuple[int | None, ...]:
        """By position; all None where the policy has none, or where their number is not that of the upstreams."""
        words = self.policy.words[2:] if self.policy and self.policy_name == POLICY else ()
        if len(words) != len(self.upstreams):
            return (None,) * len(self.upstreams)
        return tuple(int(word) if _NUMBER.fullmatch(word) else None for word in words)

    @property
    def dials(self) -> tuple[str, ...]:
        return tuple(upstream.dial for upstream in self.upstreams)

    @property
    def path(self) -> str:
        """The file of the numbers."""
        return (self.policy or self.directive).path

    def ref(self, facts: HostFacts) -> Ref:
        return Ref(facts.environment, KIND, facts.host, self.site, self.part)

    def editable(self) -> Editable:
        if self.dynamic:
            return Editable(False, "its upstreams are looked up while it runs, so weights by position mean nothing")
        if self.policy_name != POLICY:
            why = f"its policy {clean(self.policy_name)} has no weights; lb_policy {POLICY} gives it some"
            return Editable(False, why)
        if None in self.weights:
            return Editable(False, "its weights are not one whole number for each upstream")
        return Editable()


@lru_cache(maxsize=64)
def reverse_proxies(tree: CaddyTree) -> tuple[ReverseProxy, ...]:
    """All of them, in the order of the files. A site with several has them by number."""
    if tree.json:
        return tuple(_of_json(tree.json, tree.config.files[tree.json]))
    found: list[ReverseProxy] = []
    names: dict[str, int] = {}
    for site in tree.sites:
        name = site.addresses[0]
        names[name] = names.get(name, 0) + 1
        name = name if names[name] == 1 else f"{name}~{names[name]}"
        places = list(_places(tree, site.directives, ()))
        for number, (directive, outer) in enumerate(places):
            part = f"rule={number}" if len(places) > 1 else None
            found.append(_reverse_proxy(tree, site, name, part, directive, outer))
    return tuple(found)


def _of_json(path: str, data: bytes) -> Iterator[ReverseProxy]:
    """The handlers of a JSON configuration. A server with several has them by number."""
    found = json_config.handlers(data)
    numbers: dict[str, int] = {}
    for one in found:
        numbers[one.server] = numbers.get(one.server, -1) + 1
        part = f"rule={numbers[one.server]}" if [h.server for h in found].count(one.server) > 1 else None
        dials = [str(u["dial"].value) for u in one.get("upstreams") or () if isinstance(u, dict) and "dial" in u]
        policy = one.get("load_balancing", "selection_policy", "policy")
        weights = one.get("load_balancing", "selection_policy", "weights") or []
        scalars = [w if isinstance(w, json_config.Scalar) else json_config.Scalar("?", 0) for w in weights]
        line = line_of(data, json_config.tokenize(data)[one.fields["handler"].position].start)
        words = ("lb_policy", str(policy), *(str(scalar.value) for scalar in scalars))
        positions = (0, 0, *(scalar.position for scalar in scalars))
        yield ReverseProxy(
            one.server,
            part,
            Directive(("reverse_proxy",), (0,), None, path, line),
            tuple(map(clean, one.matches)),
            _upstreams(dials),
            Directive(words, positions, None, path, line) if policy else None,
            one.get("dynamic_upstreams") is not None,
            tuple(clean(f"{at[-1]} {value}") for at in _JSON_LIMITS if (value := one.get(*at)) is not None),
        )


_Matchers = tuple[tuple[Directive, tuple[Directive, ...]], ...]


def _places(
    tree: CaddyTree, directives: Sequence[Directive], outer: _Matchers
) -> Iterator[tuple[Directive, _Matchers]]:
    """Each `reverse_proxy` with the directives that it stands in, each of these with what stands beside it."""
    beside = tuple(tree.inside(directives))
    for directive in beside:
        if directive.name == "reverse_proxy":
            yield directive, (*outer, (directive, beside))
        elif directive.children and not directive.name.startswith("@"):
            yield from _places(tree, directive.children, (*outer, (directive, beside)))


def _reverse_proxy(
    tree: CaddyTree, site: Site, name: str, part: str | None, directive: Directive, outer: _Matchers
) -> ReverseProxy:
    words = list(directive.words[1:])
    if words and (words[0].startswith(("@", "/")) or words[0] == "*"):
        words = words[1:]
    rows = tuple(tree.inside(directive.children or ()))
    for row in rows:
        words += row.words[1:] if row.name == "to" else ()
    policies = [row for row in rows if row.name == "lb_policy"]
    sites = (site,) if site.addresses[0] not in tree.snippets else tree.users(site.addresses[0])
    addresses = [address for one in sites for address in one.addresses]
    conditions = " ".join(filter(None, (_condition(one, beside) for one, beside in outer)))
    return ReverseProxy(
        name,
        part,
        directive,
        tuple(clean(f"{address} {conditions}".strip()) for address in addresses),
        _upstreams(words),
        policies[-1] if policies else None,
        any(row.name == "dynamic" for row in rows),
        _limits(tree, rows, outer),
    )


def _limits(tree: CaddyTree, rows: Sequence[Directive], outer: _Matchers) -> tuple[str, ...]:
    """Knobs of the proxy and its transport, and `rate_limit` (a module that is not Caddy's own) on the way to it."""
    inner = [one for row in rows if row.name == "transport" for one in tree.inside(row.children or ())]
    found = [row for row in (*rows, *inner) if row.name in LIMITS]
    found += [row for _, beside in outer for row in beside if row.name == "rate_limit"]
    return tuple(dict.fromkeys(clean(" ".join(row.words)) for row in found))


def _condition(directive: Directive, beside: Sequence[Directive]) -> str:
    """What a directive is for: its path, or what its named matcher says."""
    word = directive.words[1] if len(directive.words) > 1 else ""
    if word.startswith("/"):
        return word
    if not word.startswith("@"):
        return ""
    rows = [row for row in beside if row.name == word]
    says = [" ".join(row.words[1:]) or " ".join(" ".join(c.words) for c in row.children or ()) for row in rows]
    return " ".join(filter(None, says)) or word


def _upstreams(words: Sequence[str]) -> tuple[Upstream, ...]:
    found: list[Upstream] = []
    counts: dict[str, int] = {}
    for word in (one for each in words for one in _ports(each)):
        counts[word] = counts.get(word, 0) + 1
        found.append(Upstream(word if counts[word] == 1 else f"{word}~{counts[word]}", _dial(word)))
    return tuple(found)


def _ports(word: str) -> list[str]:
    """The upstreams that a range of ports stands for."""
    match = _PORTS.fullmatch(word)
    if match is None or not 0 <= int(match["last"]) - int(match["first"]) < _MOST:
        return [word]
    return [f"{match['host']}:{port}" for port in range(int(match["first"]), int(match["last"]) + 1)]


def _dial(word: str) -> str:
    if "{" in word:
        return ""
    if word.startswith("unix/"):
        return word
    scheme, mark, rest = word.partition("://")
    address = rest.partition("/")[0] if mark else word
    default = {"https": "443"}.get(scheme if mark else "", "80")
    has_port = address.rpartition(":")[2].isdigit() and not address.endswith("]")
    return address if has_port else f"{address}:{default}"


def read(tree: CaddyTree, running: Running, facts: HostFacts, notes: tuple[str, ...], closed: str) -> list[Route]:
    """The routes, as the file has them. `notes` is what is to be known of each, `closed` why none may be edited."""
    return [_route(tree, one, running, facts, notes, closed) for one in reverse_proxies(tree)]


def _route(
    tree: CaddyTree, proxy: ReverseProxy, running: Running, facts: HostFacts, notes: tuple[str, ...], closed: str
) -> Route:
    other = differs(tree, proxy, running)
    known = StatusState.OK if running.known else StatusState.UNKNOWN
    notes += tuple(f"limited here, and not listed as a limit: {words}" for words in proxy.limits)
    if proxy.site in tree.snippets:
        users = len(tree.users(proxy.site))
        notes = (*notes, f"it stands in a snippet: an edit changes it in all places that import it, in {users} sites")
    return Route(
        ref=proxy.ref(facts),
        platform=PLATFORM,
        name=clean(proxy.site if proxy.part is None else f"{proxy.site}#{proxy.part}"),
        semantics=Semantics.PROPORTIONAL,
        grid=GRID,
        targets=_targets(proxy, running),
        object=object_name(facts, proxy.path),
        base=base_of(tree.config.files[proxy.path]),
        read_at=facts.read_at,
        matches=proxy.matches,
        owners=owners(tree.config.files[proxy.path]),
        status=Status(StatusState.WARNING, other) if other else Status(known),
        editable=Editable(False, closed) if closed else proxy.editable(),
        notes=(*notes, *((other,) if other else ())),
        location=clean((proxy.policy or proxy.directive).location),
    )


def differs(tree: CaddyTree, proxy: ReverseProxy, running: Running) -> str:
    """Where the running process has other weights than the file, in words; "" where it has not, or cannot be told."""
    if not running.known or "" in proxy.dials or proxy.dynamic:
        return ""
    placed = list(_placed(tree))
    meant: Counter[tuple[int | None, ...] | None] = Counter(_weights(one) for one in placed if one.dials == proxy.dials)
    runs = running.weights_of(proxy.dials)
    run: Counter[tuple[int | None, ...] | None] = Counter(runs)
    beside = run - meant  # those of directives with placeholders, which may lead to the same upstreams
    if not meant - run and beside.total() <= sum("" in one.dials for one in placed):
        return ""
    if not runs:
        return "the running Caddy has no reverse_proxy with these upstreams: it was not loaded from this file"
    told = " or ".join(" ".join(map(str, weights)) if weights else "no weights" for weights in runs)
    return f"the running Caddy has {told} here: the file was not loaded, or its API was told something else"


def _placed(tree: CaddyTree) -> Iterator[ReverseProxy]:
    """Each as often as it runs: what stands in a snippet, once for each site that imports it."""
    for proxy in reverse_proxies(tree):
        yield from [proxy] * (len(tree.users(proxy.site)) if proxy.site in tree.snippets else 1)


def _weights(proxy: ReverseProxy) -> tuple[int | None, ...] | None:
    return proxy.weights if proxy.policy_name == POLICY else None


def _targets(proxy: ReverseProxy, running: Running) -> tuple[Target, ...]:
    weights = proxy.weights
    even = proxy.policy_name in EVEN and not proxy.dynamic
    total = sum(weight or 0 for weight in weights)
    known = None not in weights and total > 0
    each = Fraction(1, len(weights)) if even and weights else None
    native = " ".join(proxy.policy.words[1:]) if proxy.policy else ""
    return tuple(
        Target(
            name=clean(upstream.name),
            weight=weight,
            share=Fraction(weight or 0, total) if known else each,
            health=_health(running.healthy, upstream.dial),
            endpoints=(clean(upstream.dial),) if upstream.dial else (),
            native="" if weight is not None or even else clean(native),
        )
        for upstream, weight in zip(proxy.upstreams, weights, strict=True)
    )


def _health(healthy: Mapping[str, bool], dial: str) -> Health:
    return {True: Health.UP, False: Health.DOWN, None: Health.UNKNOWN}[healthy.get(dial)]


# --- edits ------------------------------------------------------------------------------------------------------------


def edits(tree: CaddyTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits, each with its file. Raises `InvalidValue`, `NotFound`."""
    found: list[FileEdit] = []
    for change in changes:
        ref = str(change.ref)
        target, what = split_field(change.field)
        if change.ref.kind != KIND or target is None or what != "weight":
            raise InvalidValue(f"a Caddy reverse_proxy has no field '{change.field}'", ref=ref)
        known = [p for p in reverse_proxies(tree) if (p.site, p.part) == (change.ref.name, change.ref.part)]
        if not known:
            raise NotFound(f"there is no reverse_proxy '{clean(change.ref.name)}' here", ref=ref)
        [proxy] = known
        editable = proxy.editable()
        if not editable.yes or proxy.policy is None:
            raise InvalidValue(editable.reason, ref=ref)
        numbers = [n for n, upstream in enumerate(proxy.upstreams) if clean(upstream.name) == target]
        if not numbers:
            raise NotFound(f"it has no upstream '{clean(target)}'", ref=ref)
        position = proxy.policy.positions[2 + numbers[0]]
        data = tree.config.files[proxy.path]
        raw = words_of(data, proxy.path)[position].raw
        number = weight_value(change)
        quote = raw[:1] if raw[:1] in (b'"', b"`") else b""
        new = standing.restored(change.again, _NUMBER, number) or quote + str(number).encode() + quote
        was = standing.raw_form(raw, str(proxy.weights[numbers[0]]).encode())
        found.append(FileEdit(proxy.path, TokenEdit(position, new), (replace(change, was=was),)))
    return found


def words_of(data: bytes, path: str = "") -> Sequence[Token]:
    """The words of a file, whichever of Caddy's two formats it is in."""
    return json_config.tokenize(data, path) if json_config.is_json(data) else tokenize(data, path)


def weight_value(change: Change) -> int:
    """The new weight, checked: a whole number from 0, which takes nothing."""
    value = exact.whole(change.after)
    if value is None or value < 0:
        raise InvalidValue(
            f"'{change.after}' is no weight that Caddy can hold", ref=str(change.ref), hint="a whole number"
        )
    if value > GRID.maximum:
        raise InvalidValue(f"weight {value} is too large", ref=str(change.ref), hint=f"at most {GRID.maximum}")
    return value
