"""What `limit_req` and `limit_conn` have in common: zones, their keys, and the places where they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.ssh.codecs.nginx_places import Place
from adapters.ssh.codecs.nginx_tree import Directive, NginxTree
from adapters.ssh.codecs.nginx_upstream import ref_of
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


def zones(tree: NginxTree, directive_name: str) -> list[Zone]:
    """The zones that the http block defines with `directive_name`, each once."""
    found: dict[str, Zone] = {}
    for directive in tree.http():
        if directive.name != directive_name or len(directive.words) < 3:
            continue
        named = next((a for a in directive.arguments if a.startswith("zone=")), "")
        name = named.removeprefix("zone=").partition(":")[0]
        if name:
            found.setdefault(name, Zone(name, directive.arguments[0], directive))
    return list(found.values())


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


def holds(found: Sequence[Place], name: str, zone_of: Callable[[Directive], str], zone: str) -> list[Hold]:
    """The lines called `name` that use `zone`, in order, each with all its places."""
    result: dict[int, tuple[Directive, list[Place]]] = {}
    for place in found:
        for directive in place.limits.get(name, ()):
            if zone_of(directive) == zone:
                result.setdefault(id(directive), (directive, []))[1].append(place)
    return [Hold(directive, tuple(inside)) for directive, inside in result.values()]


def bindings(
    names: Mapping[str, str],
    facts: HostFacts,
    hold: Hold,
    burst: Burst | None,
    over: Callable[[Place], OverLimit],
) -> list[Binding]:
    """One binding for each route that the line's places lead to, and for each place that leads to none.

    `names` gives the route's name of each upstream.
    """
    found: dict[str, Binding] = {}
    for place in hold.places:
        if place.returns:
            continue
        reached = [str(ref_of(facts, names[name])) for name in place.upstreams if name in names]
        for on in reached or [place.name]:
            found.setdefault(on, Binding(on, over(place), domain(facts), burst, clean(hold.directive.location)))
    return list(found.values())


def domain(facts: HostFacts) -> Domain:
    """nginx counts in shared memory: all workers of one host together, hosts apart."""
    return Domain("instance", Interval.exactly(facts.proxies_in_environment), clean(facts.proxies_source))


def notes(zone: Zone, held: Sequence[Hold], found: Sequence[Place], name: str) -> list[str]:
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
        for place in found
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
