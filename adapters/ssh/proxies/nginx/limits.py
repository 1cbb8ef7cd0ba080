"""What `limit_req` and `limit_conn` have in common: zones, their keys, and the places where they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.proxies.masking import mask_schemes
from adapters.ssh.proxies.nginx.places import Place, places
from adapters.ssh.proxies.nginx.redirects import Met, goes_on_to, met, ways
from adapters.ssh.proxies.nginx.routes import RouteName, routes_of_place
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.protocol import HostFacts
from control.errors import InvalidValue
from control.model import Action, Binding, Burst, Domain, Interval, Mode, OverLimit
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
    for name, held in holds(tree, used, section).items():
        found.setdefault(name, Zone(name, "", held[0].directive, known=False))
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
class Hold:
    """One `limit_req` or `limit_conn` line with the places where it holds."""

    directive: Directive
    places: tuple[Place, ...]
    met: Met

    @property
    def counted(self) -> tuple[Place, ...]:
        """Those of its places in which nginx comes to evaluate it."""
        return tuple(place for place in self.places if id(place) in self.met.evaluated)


@lru_cache(maxsize=128)
def holds(tree: NginxTree, name: str, section: str = "http") -> Mapping[str, tuple[Hold, ...]]:
    """Zone -> the lines called `name` that use it, in order, each with all its places."""
    result: dict[int, tuple[Directive, list[Place]]] = {}
    for place in places(tree, section):
        for directive in place.limits.get(name, ()):
            result.setdefault(id(directive), (directive, []))[1].append(place)
    by_zone: dict[str, list[Hold]] = {}
    evaluated = met(tree, name, section)
    for directive, inside in result.values():
        by_zone.setdefault(zone_named(directive), []).append(Hold(directive, tuple(inside), evaluated))
    return {zone: tuple(held) for zone, held in by_zone.items()}


@dataclass(frozen=True, slots=True)
class Bound:
    """One binding before it is known of which host: `route` is None where a place leads to no route."""

    route: RouteName | None
    place: str
    over: OverLimit
    burst: Burst | None
    location: str


def bound(tree: NginxTree, hold: Hold, burst: Burst | None, over: Callable[[Place], OverLimit]) -> list[Bound]:
    """One for each route that the line's places lead to, and for each place that leads to none."""
    found: dict[tuple[RouteName | None, str], Bound] = {}
    location = clean(hold.directive.location)
    for place in hold.counted:
        does = over(place)
        ends = [here for here, _ in goes_on_to(tree, place, does.status, id(place) in hold.met.by_error)]
        reached = [route for here in ends for route in routes_of_place(tree, here)]
        for route in dict.fromkeys(reached):
            found.setdefault((route, ""), Bound(route, "", does, burst, location))
        if not reached or any(here.unknown for here in ends):
            found.setdefault((None, place.name), Bound(None, place.name, does, burst, location))
    return list(found.values())


def bindings(found: Sequence[Bound], facts: HostFacts) -> tuple[Binding, ...]:
    """The bindings on one host."""
    where = domain(facts)
    return tuple(
        Binding(str(one.route.on(facts)) if one.route else one.place, one.over, where, one.burst, one.location)
        for one in found
    )


def domain(facts: HostFacts) -> Domain:
    """nginx counts in shared memory: all workers of one host together, hosts apart."""
    return Domain("instance", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))


def notes(tree: NginxTree, zone: Zone, held: Sequence[Hold], name: str) -> list[str]:
    """What a careful engineer should know of a zone's key, its places and its inheritance."""
    result = []
    if not zone.known:
        result.append(f"no file that was read defines the zone {clean(zone.name)}: its key is not known")
    if not held:
        result.append(f"no {name} uses this zone: it limits nothing")
    elif not any(hold.counted for hold in held):
        result.append("no request comes to where it is evaluated: it limits nothing")
    keys = _VARIABLE.findall(zone.key)
    if keys == ["server_name"] and any(not p.named_server for hold in held for p in hold.places):
        result.append("the key $server_name is empty where a server has no server_name: such requests are not limited")
    elif keys and not _always_set(keys):
        result.append(f"requests for which {clean(zone.key)} is empty are not limited")
    lines = {id(hold.directive) for hold in held}
    sections = dict.fromkeys(place.section for hold in held for place in hold.places)
    result.extend(
        f"not in {place.name}: its own {name} discards the inherited ones"
        for section in sections
        for place in places(tree, section)
        if any(id(d) in lines for d in place.discarded.get(name, ()))
    )
    for hold in held:
        for place in hold.places:
            result.extend(_left_out(tree, hold, place, name))
    return list(dict.fromkeys(result))


def _left_out(tree: NginxTree, hold: Hold, place: Place, name: str) -> Iterator[str]:
    """Which requests of a place its limits are not evaluated for, and what becomes of those that they refuse."""
    always = place.rewrites.always
    if always is not None:
        way = "answers with return" if always.by == "return" else "sends all requests on with rewrite"
        yield f"not in {place.name}: it {way} before the limiter runs"
        return
    others: dict[str, dict[str, None]] = {}
    for one in hold.met.skipped.get(id(place), ()):
        others.setdefault(one.by, {})[one.origin.name] = None
    for by, origins in others.items():
        only = "" if id(place) in hold.met.evaluated else "at all "
        yield (
            f"not {only}in {place.name} for requests that {by} of {', '.join(origins)} sends there: "
            f"nginx evaluates {name} once for each request, and did so before"
        )
    status = status_of(place, f"{name}_status")
    for one in ways(tree, place.section).out_of(place):
        if one.early and one.by == "rewrite":
            to = one.to.name if one.to is not None else "where it leads"
            yield f"not for what the rewrite of {one.location} sends on: the limits of {to} hold for that"
        elif one.by == "error_page" and status in one.codes and one.to and routes_of_place(tree, one.to):
            yield f"what it refuses with {status} in {place.name} goes on to {one.to.name} by error_page, unlimited"


def _always_set(names: Sequence[str]) -> bool:
    return any(
        name in ("binary_remote_addr", "remote_addr", "server_addr", "server_port", "request_method", "uri", "host")
        for name in names
    )


def modes(held: Sequence[Hold], setting: str) -> Mode:
    """Shadow where every place rehearses only (`…_dry_run on`), off where no request meets it."""
    inside = [place for hold in held for place in hold.counted]
    if not inside:
        return Mode.OFF
    return Mode.SHADOW if all(place.settings.get(setting) == "on" for place in inside) else Mode.ENFORCED


def rehearsals(held: Sequence[Hold], setting: str) -> list[str]:
    """A note for places that only rehearse, where others enforce."""
    inside = [place for hold in held for place in hold.counted]
    rehearsing = [place.name for place in inside if place.settings.get(setting) == "on"]
    if not rehearsing or len(rehearsing) == len(inside):
        return []
    return [f"only rehearsed ({setting}) in {', '.join(dict.fromkeys(rehearsing))}"]


def status_of(place: Place, setting: str) -> int:
    """The status over the limit; nginx's own default is 503."""
    text = place.settings.get(setting, "")
    return int(text) if text.isascii() and text.isdigit() else DEFAULT_STATUS


def first_over(held: Sequence[Hold], over: Callable[[Hold, Place], OverLimit]) -> OverLimit:
    """What happens over the limit at its first place, or nginx's default where it holds nowhere."""
    for hold in held:
        for place in hold.counted or hold.places:
            return over(hold, place)
    return OverLimit(Action.REJECT, DEFAULT_STATUS)


def whole(change: Change, what: str, minimum: int, maximum: int) -> int:
    """A whole number in a range. Raises `InvalidValue` that says which are held."""
    value = change.after
    hint = f"whole numbers from {minimum} to {maximum}"
    if isinstance(value, str) or value is None or not hasattr(value, "denominator"):
        raise InvalidValue(f"nginx has no {what} '{value}'", ref=str(change.ref), hint=hint)
    if value.denominator != 1 or not minimum <= value <= maximum:
        raise InvalidValue(f"nginx cannot hold {what} {value}", ref=str(change.ref), hint=hint)
    return int(value)
