"""Where requests end up in an nginx configuration: each location with the upstreams and limits that hold there.

What a server does with a request that no location takes is a place too, and so is a server of `stream`. nginx inherits
`limit_req` and `limit_conn` as whole lists: one of them inside a block discards all inherited ones. `error_page` is
inherited the same way; `try_files` is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from adapters.ssh.codecs.nginx_names import Names, server_names
from adapters.ssh.codecs.nginx_rewrites import NO_REWRITING, Rewriting, rewriting
from adapters.ssh.codecs.nginx_tree import Directive, NginxTree
from adapters.ssh.codecs.nginx_variables import NOWHERE, PASSES, Reached, Variables, reached, variables_of
from control.text import clean

LISTS = ("limit_req", "limit_conn")
SIMPLE = ("limit_req_status", "limit_req_dry_run", "limit_conn_status", "limit_conn_dry_run")
SECTIONS = ("http", "stream")


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One location, what a server does where no location takes the request, or a server of `stream`."""

    name: str
    """In words: `server llama.test location /v1/`."""
    match: str
    """As a route's match: `llama.test /v1/`."""
    section: str = "http"
    server: int = 0
    """Which server it is of, counted through the section."""
    path: tuple[str, str] | None = None
    """The location's modifier (`=`, `^~`, `~`, `~*`, `@` or nothing) and pattern; None for a server."""
    outer: Place | None = None
    """The place that it stands in."""
    internal: bool = False
    """No request comes here but by a redirect inside nginx."""
    passes: Reached = NOWHERE
    written: tuple[tuple[tuple[str, ...], Variables], ...] = ()
    """The targets of its passes as they are written, with the variables as they are there."""
    conditional: tuple[tuple[str, Reached], ...] = ()
    """What `if` and `limit_except` blocks pass elsewhere: the block's words, and where to."""
    limits: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    """`limit_req` and `limit_conn` -> the directives that hold here, inherited ones included."""
    discarded: dict[str, tuple[Directive, ...]] = field(default_factory=dict)
    """Outer directives that the ones here replace."""
    declared: dict[int, str] = field(default_factory=dict)
    """`id` of a limiting directive -> the block that it stands in, in words."""
    settings: dict[str, str] = field(default_factory=dict)
    """The values of `SIMPLE` directives that hold here."""
    rewrites: Rewriting = NO_REWRITING
    """What leads away from here before any limiter."""
    try_files: Directive | None = None
    error_pages: tuple[Directive, ...] = ()
    named_server: bool = True
    """The server has a `server_name` that is not empty."""

    @property
    def upstreams(self) -> tuple[str, ...]:
        """All hosts that requests are passed to here, in lower case."""
        found = [*self.passes.names, *(name for _, to in self.conditional for name in to.names)]
        return tuple(dict.fromkeys(found))

    @property
    def splits(self) -> tuple[str, ...]:
        """The `split_clients` variables that decide where to."""
        found = [*self.passes.splits, *(name for _, to in self.conditional for name in to.splits)]
        return tuple(dict.fromkeys(found))

    @property
    def returns(self) -> bool:
        """Answers, or sends on, before any limiter."""
        return self.rewrites.always is not None

    @property
    def is_named(self) -> bool:
        """A location `@name`, which only redirects lead to."""
        return self.path is not None and self.path[0] == "@"


@lru_cache(maxsize=64)
def places(tree: NginxTree, section: str = "http") -> tuple[Place, ...]:
    """All places of all servers of a section, in the order of the files."""
    inside = list(tree.section(section))
    variables = variables_of(tree, inside).inside(tree, inside)
    outer = _inherit(Place(section, "", section), inside, section)
    servers = [d for d in inside if d.name == "server" and d.children is not None]
    names = server_names(tree, servers, section)
    found: list[Place] = []
    for number, (server, name) in enumerate(zip(servers, names, strict=True)):
        found += _of_server(tree, server, replace(outer, server=number), name, variables)
    return tuple(found)


def _of_server(tree: NginxTree, server: Directive, outer: Place, names: Names, variables: Variables) -> Iterator[Place]:
    inside = list(tree.children(server))
    known = variables.inside(tree, inside)
    here = replace(
        _inherit(outer, inside, names.name),
        match=names.match,
        named_server=names.named,
        rewrites=rewriting(tree, inside, server=True),
        try_files=_last(inside, "try_files"),
    )
    if outer.section == "stream":
        passes = reached(_targets(inside), known)
        yield replace(here, passes=passes, written=_written(tree, inside, known), rewrites=NO_REWRITING)
        return
    inner = list(_locations(tree, inside, here, known, names))
    if not any(place.path in (("", "/"), ("^~", "/")) and place.outer is here for place in inner):
        yield here
    yield from inner


def _locations(
    tree: NginxTree, inside: Sequence[Directive], outer: Place, variables: Variables, names: Names
) -> Iterator[Place]:
    for directive in inside:
        if directive.name != "location" or directive.children is None or not directive.arguments:
            continue
        children = list(tree.children(directive))
        words = names.location(directive)
        known = variables.inside(tree, children)
        path = _path(directive.arguments)
        server = outer
        while server.outer is not None and server.path is not None:
            server = server.outer
        rewrites = rewriting(tree, children)
        if server.rewrites.always is not None and path[0] != "@":
            rewrites = server.rewrites
        here = replace(
            _inherit(outer, children, f"{names.name} location {words}"),
            match=f"{names.match} {words}".strip(),
            path=path,
            outer=outer,
            internal=path[0] == "@" or any(d.name == "internal" for d in children),
            passes=reached(_targets(children), known),
            written=_written(tree, children, known),
            conditional=tuple(_conditional(tree, children, known)),
            rewrites=rewrites,
            try_files=_last(children, "try_files"),
        )
        yield here
        yield from _locations(tree, children, here, known, names)


def _path(arguments: Sequence[str]) -> tuple[str, str]:
    """nginx takes `= /x`, `=/x`, `~ x`, `@x` and `/x`."""
    if len(arguments) > 1:
        return arguments[0], arguments[1]
    for modifier in ("~*", "^~", "=", "~", "@"):
        if arguments[0].startswith(modifier):
            return modifier, arguments[0].removeprefix(modifier)
    return "", arguments[0]


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
    pages = tuple(d for d in inside if d.name == "error_page" and len(d.arguments) > 1)
    return replace(
        outer,
        name=block,
        limits=limits,
        discarded=discarded,
        declared=declared,
        settings=settings,
        error_pages=pages or outer.error_pages,
        passes=NOWHERE,
        conditional=(),
        written=(),
        internal=False,
    )


def _last(inside: Iterable[Directive], name: str) -> Directive | None:
    return next((d for d in reversed(list(inside)) if d.name == name and len(d.arguments) > 1), None)


def _targets(inside: Sequence[Directive]) -> tuple[str, ...]:
    return tuple(d.arguments[0] for d in inside if d.name in PASSES and d.arguments)


def _blocks(
    tree: NginxTree, inside: Sequence[Directive], variables: Variables
) -> Iterator[tuple[str, tuple[str, ...], Variables]]:
    """The blocks that some requests of a location go into: words, targets of passes, variables."""
    for directive in inside:
        if directive.name in ("if", "limit_except") and directive.children is not None:
            children = list(tree.children(directive))
            yield clean(" ".join(directive.values)), _targets(children), variables.inside(tree, children)


def _conditional(tree: NginxTree, inside: Sequence[Directive], variables: Variables) -> Iterator[tuple[str, Reached]]:
    for words, targets, known in _blocks(tree, inside, variables):
        if targets:
            yield words, reached(targets, known)


def _written(
    tree: NginxTree, inside: Sequence[Directive], variables: Variables
) -> tuple[tuple[tuple[str, ...], Variables], ...]:
    found = [(_targets(inside), variables)]
    found += [(targets, known) for _, targets, known in _blocks(tree, inside, variables)]
    return tuple((targets, known) for targets, known in found if targets)


def matches_of(tree: NginxTree, section: str) -> dict[str, tuple[str, ...]]:
    """Upstream name, in lower case, -> what leads to it directly."""
    result: dict[str, list[str]] = {}
    for place in places(tree, section):
        shown = place.match or place.name
        for name in place.passes.names:
            result.setdefault(name, []).append(shown)
        for words, to in place.conditional:
            for name in to.names:
                result.setdefault(name, []).append(f"{shown} {words}")
    return {name: tuple(dict.fromkeys(texts)) for name, texts in result.items()}
