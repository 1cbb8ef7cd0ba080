"""Where requests end up in an nginx configuration: each location with the upstreams and limits that hold there.

What a server does with a request that no location takes is a context too, and so is a server of `stream`. nginx
inherits `limit_req` and `limit_conn` as whole lists: one of them inside a block discards all inherited ones.
`error_page` is inherited the same way; `try_files` is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from adapters.ssh.proxies.nginx.names import Names, server_names
from adapters.ssh.proxies.nginx.rewrites import NO_REWRITING, Rewriting, rewriting
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.nginx.variables import (
    NOWHERE,
    PASSES,
    Reached,
    Variables,
    condition_of,
    reached,
    variables_of,
)
from control.text import clean

LISTS = ("limit_req", "limit_conn")
SIMPLE = ("limit_req_status", "limit_req_dry_run", "limit_conn_status", "limit_conn_dry_run")
SECTIONS = ("http", "stream")
_ENDS = frozenset({"return", "rewrite"})
"""What an `if` may do instead of a pass: then its condition decides too."""


@dataclass(frozen=True, slots=True)
class Written:
    """The targets of passes of one block as they are written, with the variables as they are there."""

    words: str
    """Of an `if` or `limit_except`; "" for the location itself."""
    targets: tuple[str, ...]
    variables: Variables
    condition: tuple[str, bool, str | None] | None = None
    """Where it is an `if` that asks for the value of one variable (`condition_of`)."""
    reached: Reached = NOWHERE
    """Where they lead; a split that the condition asks for decides too."""


@dataclass(frozen=True, slots=True, eq=False)
class Context:
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
    outer: Context | None = None
    """The context that it stands in."""
    internal: bool = False
    """No request comes here but by a redirect inside nginx."""
    written: tuple[Written, ...] = ()
    """Its passes as they are written: those of the location first, then those of its `if` blocks."""
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
    index: Directive | None = None
    """What is asked for where a path ends in a slash; None where no `index` is written."""
    error_pages: tuple[Directive, ...] = ()
    recursive: bool = False
    """`recursive_error_pages`: an error page leads on from an error page."""
    intercepts: bool = False
    """`…_intercept_errors`: the error pages take the upstream's answers too."""
    subrequests: tuple[Directive, ...] = ()
    """`mirror` and `auth_request`: they ask other contexts of the same server."""
    named_server: bool = True
    """The server has a `server_name` that is not empty."""

    @property
    def upstreams(self) -> tuple[str, ...]:
        """All hosts that requests are passed to here, in lower case."""
        return tuple(dict.fromkeys(name for one in self.written for name in one.reached.names))

    @property
    def splits(self) -> tuple[str, ...]:
        """The `split_clients` variables that decide where to."""
        return tuple(dict.fromkeys(name for one in self.written for name in one.reached.splits))

    @property
    def unknown(self) -> bool:
        """Some requests are passed to what only they tell."""
        return any(one.reached.unknown for one in self.written)

    @property
    def returns(self) -> bool:
        """Answers, or sends on, before any limiter."""
        return self.rewrites.always is not None

    @property
    def is_named(self) -> bool:
        """A location `@name`, which only redirects lead to."""
        return self.path is not None and self.path[0] == "@"


@lru_cache(maxsize=64)
def contexts(tree: NginxTree, section: str = "http") -> tuple[Context, ...]:
    """All contexts of all servers of a section, in the order of the files."""
    inside = list(tree.section(section))
    variables = variables_of(tree, inside).inside(tree, inside)
    outer = _inherit(Context(section, "", section), inside, section)
    servers = [d for d in inside if d.name == "server" and d.children is not None]
    names = server_names(tree, servers, section)
    found: list[Context] = []
    for number, (server, name) in enumerate(zip(servers, names, strict=True)):
        found += _of_server(tree, server, replace(outer, server=number), name, variables)
    return tuple(found)


def _of_server(
    tree: NginxTree, server: Directive, outer: Context, names: Names, variables: Variables
) -> Iterator[Context]:
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
        yield replace(here, written=_written(tree, inside, known), rewrites=NO_REWRITING)
        return
    inner = list(_locations(tree, inside, here, known, names))
    if not any(context.path in (("", "/"), ("^~", "/")) and context.outer is here for context in inner):
        yield here
    yield from inner


def _locations(
    tree: NginxTree, inside: Sequence[Directive], outer: Context, variables: Variables, names: Names
) -> Iterator[Context]:
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
        inherited = _inherit(outer, children, f"{names.name} location {words}")
        here = replace(
            inherited,
            # What memcached does not have is nginx's own 404.
            intercepts=inherited.intercepts or any(d.name == "memcached_pass" for d in children),
            match=f"{names.match} {words}".strip(),
            path=path,
            outer=outer,
            internal=path[0] == "@" or any(d.name == "internal" for d in children),
            written=_written(tree, children, known),
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


def _inherit(outer: Context, inside: Sequence[Directive], block: str) -> Context:
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
    asked = {d.name: [x for x in outer.subrequests if x.name == d.name] for d in outer.subrequests}
    for name in ("mirror", "auth_request"):
        if own_asked := [d for d in inside if d.name == name and d.arguments]:
            asked[name] = own_asked
    switches = {d.name: d.arguments[:1] == ("on",) for d in inside}
    intercepting = [on for name, on in switches.items() if name.endswith("_intercept_errors")]
    return replace(
        outer,
        name=block,
        limits=limits,
        discarded=discarded,
        declared=declared,
        settings=settings,
        index=next((d for d in reversed(list(inside)) if d.name == "index" and d.arguments), outer.index),
        error_pages=pages or outer.error_pages,
        recursive=switches.get("recursive_error_pages", outer.recursive),
        intercepts=any(intercepting) if intercepting else outer.intercepts,
        subrequests=tuple(d for found in asked.values() for d in found),
        written=(),
        internal=False,
    )


def _last(inside: Iterable[Directive], name: str) -> Directive | None:
    return next((d for d in reversed(list(inside)) if d.name == name and len(d.arguments) > 1), None)


def _written(tree: NginxTree, inside: Sequence[Directive], variables: Variables) -> tuple[Written, ...]:
    """The passes directly inside a block, and what the blocks do that some of its requests go into."""
    found, ends = [Written("", _targets(inside), variables)], False
    for directive in inside:
        if directive.name in ("if", "limit_except") and directive.children is not None:
            children = list(tree.children(directive))
            words = clean(" ".join(directive.values))
            condition = condition_of(directive.arguments) if directive.name == "if" else None
            found.append(Written(words, _targets(children), variables.inside(tree, children), condition))
            ends = ends or (condition is not None and any(d.name in _ENDS for d in children))
    kept = found if ends else [one for one in found if one.targets]
    return tuple(replace(one, reached=_reached(one)) for one in kept)


def _reached(one: Written) -> Reached:
    asked = one.variables.readings(f"${{{one.condition[0]}}}") if one.condition else ()
    return reached(one.targets, one.variables, sorted({name for reading in asked for name in reading.splits}))


def _targets(inside: Sequence[Directive]) -> tuple[str, ...]:
    return tuple(d.arguments[0] for d in inside if d.name in PASSES and d.arguments)


def matches_of(tree: NginxTree, section: str) -> dict[str, tuple[str, ...]]:
    """Upstream name, in lower case, -> what leads to it directly."""
    result: dict[str, list[str]] = {}
    for context in contexts(tree, section):
        shown = context.match or context.name
        for one in context.written:
            for name in one.reached.names:
                result.setdefault(name, []).append(f"{shown} {one.words}".strip())
    return {name: tuple(dict.fromkeys(texts)) for name, texts in result.items()}
