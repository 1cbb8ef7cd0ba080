"""What `return` and `rewrite` do with a request: nginx's rewrite phase comes before every limiter.

A `rewrite` that goes on inside the server (`last`, or no flag) leads to the location of the new path, whose limits are
evaluated then; those of the location that it leaves are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from control import typed
from control.text import clean

_ALL = frozenset(
    ("^", "/", "^/", ".", ".*", "^.*", "^.*$", "(.*)", "^(.*)", "^(.*)$", "^/(.*)", "^/(.*)$", "^/.*", "^/.*$")
)
"""Expressions that every path matches."""
_EXTERNAL = ("http://", "https://", "$scheme")
_ARGUMENTS = ("$is_args", "$args", "$query_string", "${is_args}", "${args}")


@dataclass(frozen=True, slots=True)
class Away:
    """One `return` or `rewrite` that takes requests away before any limiter."""

    by: str
    """`return` or `rewrite`."""
    location: str
    """file:line."""
    status: int | None = None
    """Of a `return` without a text: an `error_page` may take it on."""
    inside: bool = False
    """The request goes on at another context of the same server."""
    uri: str | None = None
    """The path there, where the file tells it."""
    pattern: str | None = None
    """Of a `rewrite`: the expression that the path must match."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What leads away from one place before the limiters: `always` every request, `sometimes` some."""

    always: Away | None = None
    sometimes: tuple[Away, ...] = ()


NO_REWRITING = Rewriting()


def rewriting(tree: NginxTree, inside: Iterable[Directive], server: bool = False) -> Rewriting:
    """What the directives directly inside a location do, in their order; of a server (which rewrites before it looks
    for a location) only what answers."""
    sometimes: list[Away] = []
    for directive in inside:
        if directive.name == "if" and directive.children is not None:
            nested = rewriting(tree, tree.children(directive), server)
            sometimes += [*nested.sometimes, *((nested.always,) if nested.always else ())]
        elif directive.name == "break":
            break
        elif directive.name == "return":
            return Rewriting(_returned(directive), tuple(sometimes))
        elif directive.name == "rewrite" and len(directive.arguments) > 1:
            away, every = _rewritten(directive), directive.arguments[0] in _ALL
            if directive.arguments[2:3] == ("break",):
                if every:
                    break
            elif server and away.inside:
                continue
            elif every:
                return Rewriting(away, tuple(sometimes))
            else:
                sometimes.append(away)
    return Rewriting(None, tuple(sometimes))


def _returned(directive: Directive) -> Away:
    arguments = directive.arguments
    code = arguments[0] if arguments else ""
    status = typed.whole(code) if len(arguments) == 1 else None
    return Away("return", clean(directive.location), status)


def _rewritten(directive: Directive) -> Away:
    to, flag = directive.arguments[1], directive.arguments[2:3]
    inside = flag not in (("redirect",), ("permanent",)) and not to.startswith(_EXTERNAL)
    uri = literal_path(to) if inside else None
    return Away("rewrite", clean(directive.location), None, inside, uri, directive.arguments[0])


def literal_path(uri: str) -> str | None:
    """The path of a URI of the configuration, without its arguments; None where a variable is part of it."""
    path = uri.partition("?")[0]
    for name in _ARGUMENTS:
        path = path.removesuffix(name)
    return path if path.startswith("/") and "$" not in path else None
