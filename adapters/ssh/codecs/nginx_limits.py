"""What `limit_req` and `limit_conn` have in common: zones, their keys, and the places where they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.codecs.nginx_places import Place, places
from adapters.ssh.codecs.nginx_tree import Directive, NginxTree
from adapters.ssh.codecs.nginx_upstream import ref_of, upstreams
from adapters.ssh.seam import HostFacts
from control.edit import Change
from control.errors import InvalidValue
from control.model import Action, Binding, Burst, Domain, Interval, Mode, OverLimit
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


@lru_cache(maxsize=128)
def zones(tree: NginxTree, directive_name: str) -> tuple[Zone, ...]:
    """The zones that the http block defines with `directive_name`, each once."""
    found: dict[str, Zone] = {}
    for directive in tree.http():
        if directive.name != directive_name or len(directive.words) < 3:
            continue
        named = next((a for a in directive.arguments if a.startswith("zone=")), "")
        name = named.removeprefix("zone=").partition(":")[0]
        if name:
            found.setdefault(name, Zone(name, directive.arguments[0], directive))
    return tuple(found.values())


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


@lru_cache(maxsize=128)
def holds(tree: NginxTree, name: str, zone_of: Callable[[Directive], str]) -> Mapping[str, tuple[Hold, ...]]:
    """Zone -> the lines called `name` that use it, in order, each with all its places."""
    result: dict[int, tuple[Directive, list[Place]]] = {}
    for place in places(tree):
        for directive in place.limits.get(name, ()):
            result.setdefault(id(directive), (directive, []))[1].append(place)
    by_zone: dict[str, list[Hold]] = {}
    for directive, inside in result.values():
        by_zone.setdefault(zone_of(directive), []).append(Hold(directive, tuple(inside)))
    return {zone: tuple(held) for zone, held in by_zone.items()}


@dataclass(frozen=True, slots=True)
class Bound:
    """One binding before it is known of which host: `upstream` is the route's name, "" where a place leads to none."""

    upstream: str
    place: str
    over: OverLimit
    burst: Burst | None
    location: str


@lru_cache(maxsize=64)
def _route_names(tree: NginxTree) -> Mapping[str, str]:
    """What an upstream is called in the configuration -> its route's name."""
    return {upstream.native_name: upstream.name for upstream in upstreams(tree)}


def bound(tree: NginxTree, hold: Hold, burst: Burst | None, over: Callable[[Place], OverLimit]) -> list[Bound]:
    """One for each route that the line's places lead to, and for each place that leads to none."""
    names = _route_names(tree)
    found: dict[tuple[str, str], Bound] = {}
    location = clean(hold.directive.location)
    for place in hold.places:
        if place.returns:
            continue
        reached = [(names[name], "") for name in place.upstreams if name in names]
        for upstream, name in reached or [("", place.name)]:
            found.setdefault((upstream, name), Bound(upstream, name, over(place), burst, location))
    return list(found.values())


def bindings(found: Sequence[Bound], facts: HostFacts) -> tuple[Binding, ...]:
    """The bindings on one host."""
    where = domain(facts)
    return tuple(
        Binding(
            str(ref_of(facts, one.upstream)) if one.upstream else one.place, one.over, where, one.burst, one.location
        )
        for one in found
    )


def domain(facts: HostFacts) -> Domain:
    """nginx counts in shared memory: all workers of one host together, hosts apart."""
    return Domain("instance", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))


def notes(tree: NginxTree, zone: Zone, held: Sequence[Hold], name: str) -> list[str]:
    """What a careful engineer should know of a zone's key, its places and its inheritance."""
    result = []
    if not held:
        result.append(f"no {name} uses this zone: it limits nothing")
    keys = _VARIABLE.findall(zone.key)
    if keys == ["server_name"] and any(not p.named_server for hold in held for p in hold.places):
        result.append("the key $server_name is empty where a server has no server_name: such requests are not limited")
    elif keys and not _always_set(keys):
        result.append(f"requests for which {clean(zone.key)} is empty are not limited")
    lines = {id(hold.directive) for hold in held}
    result.extend(
        f"not in {place.name}: its own {name} discards the inherited ones"
        for place in places(tree)
        if any(id(d) in lines for d in place.discarded.get(name, ()))
    )
    result.extend(
        f"not in {place.name}: it answers with return before the limiter runs"
        for hold in held
        for place in hold.places
        if place.returns
    )
    return result


def _always_set(names: Sequence[str]) -> bool:
    return any(
        name in ("binary_remote_addr", "remote_addr", "server_addr", "server_port", "request_method", "uri", "host")
        for name in names
    )


def modes(held: Sequence[Hold], setting: str) -> Mode:
    """Shadow where every place rehearses only (`…_dry_run on`), off where nothing uses the zone."""
    inside = [place for hold in held for place in hold.places]
    if not inside:
        return Mode.OFF
    return Mode.SHADOW if all(place.settings.get(setting) == "on" for place in inside) else Mode.ENFORCED


def status_of(place: Place, setting: str) -> int:
    """The status over the limit; nginx's own default is 503."""
    text = place.settings.get(setting, "")
    return int(text) if text.isascii() and text.isdigit() else DEFAULT_STATUS


def first_over(held: Sequence[Hold], over: Callable[[Hold, Place], OverLimit]) -> OverLimit:
    """What happens over the limit at its first place, or nginx's default where it holds nowhere."""
    for hold in held:
        for place in hold.places:
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
