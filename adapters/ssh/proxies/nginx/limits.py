"""What `limit_req` and `limit_conn` have in common: zones, their keys, and the contexts where they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.proxies.masking import mask_schemes
from adapters.ssh.proxies.nginx.contexts import Context, contexts
from adapters.ssh.proxies.nginx.redirects import Met, goes_on_to, met, ways
from adapters.ssh.proxies.nginx.routes import RouteName, routes_of_context
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.protocol import HostFacts
from control import typed
from control.errors import InvalidValue
from control.model import Action, Binding, Burst, Domain, Interval, Mode, OverLimit, exact
from control.planning.edit import Change
from control.text import clean

DEFAULT_STATUS = 503
_KEYS = {
    "$binary_remote_addr": "source address",
    "$remote_addr": "source address",
    "$server_name": "server name",
    "$host": "host",
    "$http_host": "host",
    "$uri": "path",
    "$request_uri": "path and query",
    "$remote_user": "user",
}
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone: the definition of a limit. `name` is what `limit_req zone=` or `limit_conn` names."""

    name: str
    key: str
    directive: Directive
    known: bool = True
    """False where no file that was read defines it; then `directive` is the first line that uses it."""


@lru_cache(maxsize=128)
def zones(tree: NginxTree, directive_name: str, section: str = "http") -> tuple[Zone, ...]:
    """The zones that the block defines with `directive_name`, each once, and those that are only used."""
    found: dict[str, Zone] = {}
    for directive in tree.section(section):
        if directive.name != directive_name or len(directive.words) < 3:
            continue
        named = next((a for a in directive.arguments if a.startswith("zone=")), "")
        name = named.removeprefix("zone=").partition(":")[0]
        if name:
            found.setdefault(name, Zone(name, directive.arguments[0], directive))
    used = directive_name.removesuffix("_zone")
    for name, uses in uses_of(tree, used, section).items():
        found.setdefault(name, Zone(name, "", uses[0].directive, known=False))
    return tuple(found.values())


def zone_named(directive: Directive) -> str:
    """The zone that a `limit_req` or `limit_conn` uses; the last `zone=` holds."""
    if directive.name == "limit_conn":
        return directive.arguments[0]
    return next((a.removeprefix("zone=") for a in reversed(directive.arguments) if a.startswith("zone=")), "")


def native_text(directive: Directive) -> str:
    """A directive as it stands, for what is not understood."""
    return clean(mask_schemes(" ".join(directive.values)), 200)


def key_words(key: str) -> tuple[str, ...]:
    """A zone's key as people call it: `source address`, `header x-client`."""
    if key in _KEYS:
        return (_KEYS[key],)
    names = _VARIABLE.findall(key)
    if not names:
        return ()
    return tuple(_key_word(name) for name in names)


def _key_word(name: str) -> str:
    if f"${name}" in _KEYS:
        return _KEYS[f"${name}"]
    for prefix, word in (("http_", "header"), ("cookie_", "cookie"), ("arg_", "argument")):
        if name.startswith(prefix):
            return f"{word} {clean(name.removeprefix(prefix).replace('_', '-'))}"
    return f"${clean(name)}"


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One `limit_req` or `limit_conn` line with the contexts where it holds."""

    directive: Directive
    contexts: tuple[Context, ...]
    met: Met

    @property
    def counted(self) -> tuple[Context, ...]:
        """Those of its contexts in which nginx comes to evaluate it."""
        return tuple(context for context in self.contexts if id(context) in self.met.evaluated)


@lru_cache(maxsize=128)
def uses_of(tree: NginxTree, name: str, section: str = "http") -> Mapping[str, tuple[LimitUse, ...]]:
    """Zone -> the lines called `name` that use it, in order, each with all its contexts."""
    result: dict[int, tuple[Directive, list[Context]]] = {}
    for context in contexts(tree, section):
        for directive in context.limits.get(name, ()):
            result.setdefault(id(directive), (directive, []))[1].append(context)
    by_zone: dict[str, list[LimitUse]] = {}
    evaluated = met(tree, name, section)
    for directive, inside in result.values():
        by_zone.setdefault(zone_named(directive), []).append(LimitUse(directive, tuple(inside), evaluated))
    return {zone: tuple(uses) for zone, uses in by_zone.items()}


@dataclass(frozen=True, slots=True)
class Bound:
    """One binding before it is known of which host: `route` is None where a context leads to no route."""

    route: RouteName | None
    context: str
    over: OverLimit
    burst: Burst | None
    location: str


def bound(tree: NginxTree, use: LimitUse, burst: Burst | None, over: Callable[[Context], OverLimit]) -> list[Bound]:
    """One for each route that the line's contexts lead to, and for each context that leads to none."""
    found: dict[tuple[RouteName | None, str], Bound] = {}
    location = clean(use.directive.location)
    for context in use.counted:
        does = over(context)
        ends = [here for here, _ in goes_on_to(tree, context, does.status, id(context) in use.met.by_error)]
        reached = [route for here in ends for route in routes_of_context(tree, here)]
        for route in dict.fromkeys(reached):
            found.setdefault((route, ""), Bound(route, "", does, burst, location))
        if not reached or any(here.unknown for here in ends):
            found.setdefault((None, context.name), Bound(None, context.name, does, burst, location))
    return list(found.values())


def bindings(found: Sequence[Bound], facts: HostFacts) -> tuple[Binding, ...]:
    """The bindings on one host."""
    where = domain(facts)
    return tuple(
        Binding(str(one.route.on(facts)) if one.route else one.context, one.over, where, one.burst, one.location)
        for one in found
    )


def domain(facts: HostFacts) -> Domain:
    """nginx counts in shared memory: all workers of one host together, hosts apart."""
    return Domain("instance", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))


def notes(tree: NginxTree, zone: Zone, uses: Sequence[LimitUse], name: str) -> list[str]:
    """What a careful engineer should know of a zone's key, its contexts and its inheritance."""
    result = []
    if not zone.known:
        result.append(f"no file that was read defines the zone {clean(zone.name)}: its key is not known")
    if not uses:
        result.append(f"no {name} uses this zone: it limits nothing")
    elif not any(use.counted for use in uses):
        result.append("no request comes to where it is evaluated: it limits nothing")
    keys = _VARIABLE.findall(zone.key)
    if keys == ["server_name"] and any(not p.named_server for use in uses for p in use.contexts):
        result.append("the key $server_name is empty where a server has no server_name: such requests are not limited")
    elif keys and not _always_set(keys):
        result.append(f"requests for which {clean(zone.key)} is empty are not limited")
    lines = {id(use.directive) for use in uses}
    sections = dict.fromkeys(context.section for use in uses for context in use.contexts)
    result.extend(
        f"not in {context.name}: its own {name} discards the inherited ones"
        for section in sections
        for context in contexts(tree, section)
        if any(id(d) in lines for d in context.discarded.get(name, ()))
    )
    for use in uses:
        for context in use.contexts:
            result.extend(_left_out(tree, use, context, name))
    return list(dict.fromkeys(result))


def _left_out(tree: NginxTree, use: LimitUse, context: Context, name: str) -> Iterator[str]:
    """Which requests of a context its limits are not evaluated for, and what becomes of those that they refuse."""
    always = context.rewrites.always
    if always is not None:
        way = "answers with return" if always.by == "return" else "sends all requests on with rewrite"
        yield f"not in {context.name}: it {way} before the limiter runs"
        return
    others: dict[str, dict[str, None]] = {}
    for one in use.met.skipped.get(id(context), ()):
        others.setdefault(one.by, {})[one.origin.name] = None
    for by, origins in others.items():
        only = "" if id(context) in use.met.evaluated else "at all "
        yield (
            f"not {only}in {context.name} for requests that {by} of {', '.join(origins)} sends there: "
            f"nginx evaluates {name} once for each request, and did so before"
        )
    status = status_of(context, f"{name}_status")
    for one in ways(tree, context.section).out_of(context):
        if one.early and one.by == "rewrite":
            to = one.to.name if one.to is not None else "where it leads"
            yield f"not for what the rewrite of {one.location} sends on: the limits of {to} hold for that"
        elif one.by == "error_page" and status in one.codes and one.to and routes_of_context(tree, one.to):
            yield f"what it refuses with {status} in {context.name} goes on to {one.to.name} by error_page, unlimited"


def _always_set(names: Sequence[str]) -> bool:
    return any(
        name in ("binary_remote_addr", "remote_addr", "server_addr", "server_port", "request_method", "uri", "host")
        for name in names
    )


def modes(uses: Sequence[LimitUse], setting: str) -> Mode:
    """Shadow where every context rehearses only (`…_dry_run on`), off where no request meets it."""
    inside = [context for use in uses for context in use.counted]
    if not inside:
        return Mode.OFF
    return Mode.SHADOW if all(context.settings.get(setting) == "on" for context in inside) else Mode.ENFORCED


def rehearsals(uses: Sequence[LimitUse], setting: str) -> list[str]:
    """A note for contexts that only rehearse, where others enforce."""
    inside = [context for use in uses for context in use.counted]
    rehearsing = [context.name for context in inside if context.settings.get(setting) == "on"]
    if not rehearsing or len(rehearsing) == len(inside):
        return []
    return [f"only rehearsed ({setting}) in {', '.join(dict.fromkeys(rehearsing))}"]


def status_of(context: Context, setting: str) -> int:
    """The status over the limit; nginx's own default is 503."""
    status = typed.whole(context.settings.get(setting, ""))
    return DEFAULT_STATUS if status is None else status


def first_over(uses: Sequence[LimitUse], over: Callable[[LimitUse, Context], OverLimit]) -> OverLimit:
    """What happens over the limit at its first context, or nginx's default where it holds nowhere."""
    for use in uses:
        for context in use.counted or use.contexts:
            return over(use, context)
    return OverLimit(Action.REJECT, DEFAULT_STATUS)


def whole(change: Change, what: str, minimum: int, maximum: int) -> int:
    """A whole number in a range. Raises `InvalidValue` that says which are held."""
    value, number = change.after, exact.whole(change.after)
    hint = f"whole numbers from {minimum} to {maximum}"
    if isinstance(value, str) or value is None:
        raise InvalidValue(f"nginx has no {what} '{value}'", ref=str(change.ref), hint=hint)
    if number is None or not minimum <= number <= maximum:
        raise InvalidValue(f"nginx cannot hold {what} {value}", ref=str(change.ref), hint=hint)
    return number
