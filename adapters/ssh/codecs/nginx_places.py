"""Where requests end up in an nginx configuration: each location with the upstreams and limits that hold there.

nginx inherits `limit_req` and `limit_conn` as whole lists: one of them inside a block discards all inherited ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from adapters.ssh.codecs.nginx_tree import Directive, NginxTree
from control.text import clean

_PASSES = frozenset({"proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass"})
_HOST = re.compile(r"\A(?:[a-z]+://)?([^/:?]+)")
_VARIABLE = re.compile(r"\A\$(?:\{(\w+)\}|(\w+))\Z")
LISTS = ("limit_req", "limit_conn")
SIMPLE = ("limit_req_status", "limit_req_dry_run", "limit_conn_status", "limit_conn_dry_run")


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One location (or a server without any), with what holds there."""

    name: str
    """In words: `server llama.test location /v1/`."""
    match: str
    """As a route's match: `llama.test /v1/`."""
    upstreams: tuple[str, ...] = ()
    limits: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    """`limit_req` and `limit_conn` -> the directives that hold here, inherited ones included."""
    discarded: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    """Outer directives that the ones here replace."""
    declared: dict[int, str] = field(default_factory=dict)
    """`id` of a limiting directive -> the block that it stands in, in words."""
    settings: dict[str, str] = field(default_factory=dict)
    """The values of `SIMPLE` directives that hold here."""
    returns: bool = False
    """Answers with `return`, which runs before any limiter."""
    named_server: bool = True
    """The server has a `server_name` that is not empty."""


@lru_cache(maxsize=64)
def places(tree: NginxTree) -> tuple[Place, ...]:
    """All places of all servers, in the order of the files."""
    http = list(tree.http())
    variables = _variables(tree, http)
    outer = _inherit(Place("http", ""), http, "http")
    found: list[Place] = []
    for server in http:
        if server.name != "server" or server.children is None:
            continue
        inside = list(tree.children(server))
        names = [name for d in inside if d.name == "server_name" for name in d.arguments if name]
        shown = names[0] if names else _listen(inside)
        here = _inherit(outer, inside, f"server {clean(shown)}")
        here = replace(here, match=clean(names[0]) if names else "")
        here = replace(here, named_server=bool(names), returns=_returns(inside))
        known = variables | _set(inside)
        inner = list(_locations(tree, inside, here, known))
        found.extend(inner or [here])
    return tuple(found)


def _listen(inside: Sequence[Directive]) -> str:
    return next((d.arguments[0] for d in inside if d.name == "listen" and d.arguments), "without a name")


def _locations(
    tree: NginxTree, inside: Sequence[Directive], outer: Place, variables: dict[str, tuple[str, ...]]
) -> Iterator[Place]:
    for directive in inside:
        if directive.name != "location" or directive.children is None:
            continue
        children = list(tree.children(directive))
        path = clean(" ".join(directive.arguments))
        server = outer.name.partition(" location ")[0]
        host = outer.match.partition(" ")[0]
        known = variables | _set(children)
        here = replace(
            _inherit(outer, children, f"{server} location {path}"),
            match=f"{host} {path}".strip(),
            upstreams=tuple(_reached(tree, children, known)),
            returns=_returns(children),
        )
        yield here
        yield from _locations(tree, children, here, known)


def _inherit(outer: Place, inside: Sequence[Directive], block: str) -> Place:
    declared = dict(outer.declared)
    limits, discarded = dict(outer.limits), dict[str, tuple[Directive, ...]]()
    for name in LISTS:
        own = tuple(d for d in inside if d.name == name and d.arguments)
        if own:
            discarded[name] = limits.get(name, ())
            limits[name] = own
            declared.update({id(directive): block for directive in own})
    settings = dict(outer.settings)
    settings.update({d.name: d.arguments[0] for d in inside if d.name in SIMPLE and d.arguments})
    return replace(outer, name=block, limits=limits, discarded=discarded, declared=declared, settings=settings)


def _returns(inside: Iterable[Directive]) -> bool:
    return any(d.name == "return" for d in inside)


def _reached(tree: NginxTree, inside: Sequence[Directive], variables: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Names that a location passes requests to; they are upstreams where an upstream has that name."""
    for directive in inside:
        if directive.name in ("if", "limit_except") and directive.children is not None:
            yield from _reached(tree, list(tree.children(directive)), variables)
        if directive.name not in _PASSES or not directive.arguments:
            continue
        host = _HOST.match(directive.arguments[0])
        name = host[1] if host else ""
        variable = _VARIABLE.match(name)
        if variable:
            yield from variables.get(variable[1] or variable[2], ())
        elif name:
            yield name


def _variables(tree: NginxTree, http: Sequence[Directive]) -> dict[str, tuple[str, ...]]:
    """The values that a variable can have by `map` or `split_clients`."""
    found: dict[str, tuple[str, ...]] = {}
    for block in http:
        if block.name in ("map", "split_clients") and block.children is not None and len(block.words) == 3:
            values = [d.arguments[-1] for d in tree.children(block) if d.arguments]
            found[block.arguments[1].lstrip("$")] = tuple(dict.fromkeys(values))
    return found


def _set(inside: Sequence[Directive]) -> dict[str, tuple[str, ...]]:
    return {d.arguments[0].lstrip("$"): (d.arguments[1],) for d in inside if d.name == "set" and len(d.words) == 3}


def matches_of(tree: NginxTree) -> dict[str, tuple[str, ...]]:
    """Upstream name -> what leads to it."""
    result: dict[str, list[str]] = {}
    for place in places(tree):
        for name in place.upstreams:
            result.setdefault(name, []).append(place.match or place.name)
    return {name: tuple(dict.fromkeys(texts)) for name, texts in result.items()}
