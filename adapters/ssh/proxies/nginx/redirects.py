"""Which limits a request meets on its way through a server's places.

nginx evaluates `limit_req` and `limit_conn` once for each request, in the place where it is when the preaccess phase
comes. `try_files`, `index`, `error_page`, `mirror` and `auth_request` lead on after that: the limits of where they lead
are left out, unless the place before had none. `rewrite` and `return` act before: the limits of the place that they
leave are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from adapters.ssh.proxies.nginx.contexts import Context, contexts
from adapters.ssh.proxies.nginx.rewrites import literal_path
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from control import typed

_OWN_CODES = frozenset((400, 401, 403, 405, 408, 411, 413, 414, 416, 429, *range(494, 498), *range(500, 508)))


@dataclass(frozen=True, slots=True, eq=False)
class Leading:
    """One way from a context to another of the same server. `to` is None where the file does not tell which."""

    origin: Context
    to: Context | None
    by: str
    """`try_files`, `index`, `error_page`, `mirror`, `auth_request`, `rewrite`."""
    location: str
    early: bool = False
    """Before the limiters."""
    codes: frozenset[int] = frozenset()
    """Of an `error_page`. After one, nginx follows no other unless `recursive_error_pages` says so."""
    uri: str | None = None
    """The path that requests have there, where the file tells it; a named context leaves it as it was."""
    pattern: str | None = None
    """The expression that the path must match for this way."""

    def takes(self, path: str | None, errored: bool) -> bool:
        """May a request go this way that has this path (None: any) and has or has not met an error page?"""
        if self.to is None or (errored and self.codes):
            return False
        return path is None or self.pattern is None or _matches(self.pattern, path, False)

    def path_there(self, path: str | None) -> str | None:
        """The path with which it arrives."""
        return path if self.to is not None and self.to.is_named else self.uri

    def after_error(self, errored: bool) -> bool:
        """Whether it arrives as one that has met an error page."""
        return errored or (bool(self.codes) and not self.origin.recursive)


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """All ways inside one section, and what they mean for one sort of limit."""

    leading: dict[int, tuple[Leading, ...]]
    """`id` of a context -> the ways that lead out of it."""

    def out_of(self, context: Context) -> tuple[Leading, ...]:
        return self.leading.get(id(context), ())


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Where one sort of limit is evaluated."""

    evaluated: frozenset[int]
    """`id` of the contexts in which it is."""
    skipped: dict[int, tuple[Leading, ...]]
    """`id` of a context -> the ways by which requests come that have been through another context's limits already."""
    by_error: frozenset[int] = frozenset()
    """`id` of those of the contexts to which an `error_page` alone leads."""


@lru_cache(maxsize=64)
def ways(tree: NginxTree, section: str = "http") -> Ways:
    """The ways between the contexts of a section."""
    by_server: dict[int, list[Context]] = {}
    for context in contexts(tree, section):
        by_server.setdefault(context.server, []).append(context)
    return Ways(
        {
            id(context): tuple(_leading(context, own))
            for own in by_server.values()
            for context in own
            if section == "http"
        }
    )


def _leading(context: Context, own: Sequence[Context]) -> Iterator[Leading]:
    always = context.rewrites.always
    for away in (*context.rewrites.sometimes, *((always,) if always else ())):
        if away.inside:
            to = located(own, away.uri) if away.uri else None
            if to is not context:
                yield Leading(context, to, "rewrite", away.location, True, uri=away.uri, pattern=away.pattern)
        elif away.status is not None:
            for one in _pages(context, own):
                if away.status in one.codes and one.to is not context:
                    yield replace(one, by=f"return {away.status} and error_page", early=True)
    if always is not None:
        return
    if context.try_files is not None:
        last = context.try_files.arguments[-1]
        if not last.startswith("="):
            to = _target(own, last)
            if to is not context:
                yield Leading(context, to, "try_files", context.try_files.location, uri=literal_path(last))
    if context.index is not None and not context.written:
        yield from _indexed(context, context.index, own)
    for one in _pages(context, own):
        codes = one.codes if context.intercepts or not context.written else one.codes & _own_codes(context)
        if codes and one.to is not context:
            yield replace(one, codes=codes)
    for directive in context.subrequests:
        if directive.arguments[0].startswith("/"):
            to = _target(own, directive.arguments[0])
            if to is not context:
                yield Leading(context, to, directive.name, directive.location)


def _own_codes(context: Context) -> frozenset[int]:
    """What nginx itself may answer where it passes on: all other codes are the upstream's, and go out as they are."""
    limits = (context.settings.get(name, "") for name in ("limit_req_status", "limit_conn_status"))
    tried = context.try_files.arguments[-1].removeprefix("=") if context.try_files is not None else ""
    return _OWN_CODES | {code for text in (*limits, tried) if (code := typed.whole(text)) is not None}


def _indexed(context: Context, index: Directive, own: Sequence[Context]) -> Iterator[Leading]:
    """A path that ends in a slash goes on to the index file below it, where that is another context's."""
    modifier, pattern = context.path or ("", "/")
    if modifier not in ("", "^~", "=") or (modifier == "=" and not pattern.endswith("/")):
        return
    folder = pattern if pattern.endswith("/") else f"{pattern}/"
    found: dict[int, Context] = {}
    for file in index.arguments:
        to = located(own, file if file.startswith("/") else folder + file) if "$" not in file else None
        if to is not None and to is not context:
            found[id(to)] = to
    yield from (Leading(context, to, "index", index.location) for to in found.values())


def _pages(context: Context, own: Sequence[Context]) -> Iterator[Leading]:
    for page in context.error_pages:
        *words, uri = page.arguments
        if not uri.startswith(("/", "@")):
            continue
        codes = frozenset(code for word in words if (code := typed.whole(word)) is not None)
        yield Leading(context, _target(own, uri), "error_page", page.location, codes=codes, uri=literal_path(uri))


def _target(own: Sequence[Context], uri: str) -> Context | None:
    if uri.startswith("@"):
        return next((context for context in own if context.path == ("@", uri[1:])), None)
    path = literal_path(uri)
    return located(own, path) if path else None


def located(own: Sequence[Context], path: str) -> Context | None:
    """The context of a server that takes this path, as nginx looks for it."""
    server = next((context for context in own if context.path is None), None)
    top = next((context.outer for context in own if context.path is not None and _is_server(context.outer)), server)
    found, _ = _find(own, top, path)
    return found or server


def _is_server(context: Context | None) -> bool:
    return context is not None and context.path is None


def _find(own: Sequence[Context], outer: Context | None, path: str) -> tuple[Context | None, bool]:
    """(the context, whether the search ends there): exact, then the longest prefix with what is inside it, then the
    expressions in their order, unless the prefix says `^~`."""
    level = [(context, context.path) for context in own if context.path is not None and context.outer is outer]
    for context, (modifier, pattern) in level:
        if modifier == "=" and pattern == path:
            return context, True
    prefixes = [(len(p), context, m) for context, (m, p) in level if m in ("", "^~") and path.startswith(p)]
    found: Context | None = None
    ends = False
    if prefixes:
        _, found, modifier = max(prefixes, key=lambda one: one[0])
        ends = modifier == "^~"
        inner, done = _find(own, found, path)
        if inner is not None:
            found = inner
            if done:
                return found, True
    if not ends:
        for context, (modifier, pattern) in level:
            if modifier in ("~", "~*") and _matches(pattern, path, modifier == "~*"):
                inner, _ = _find(own, context, path)
                return inner or context, True
    return found, False


def _matches(pattern: str, path: str, any_case: bool) -> bool:
    """By PCRE nearly; an expression that Python does not have matches nothing."""
    try:
        return re.search(pattern.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"), path,
                         re.IGNORECASE if any_case else 0) is not None  # fmt: skip
    except re.error:
        return False


@lru_cache(maxsize=128)
def met(tree: NginxTree, name: str, section: str = "http") -> Met:
    """Where `limit_req` or `limit_conn` is evaluated, and for which requests it is not."""
    own, all_ways = contexts(tree, section), ways(tree, section)
    led = {id(one.to) for context in own for one in all_ways.out_of(context) if one.to is not None}
    waiting: list[tuple[Context, bool, bool, str | None]]
    waiting = [(context, False, False, None) for context in own if not context.internal or id(context) not in led]
    seen: set[tuple[int, bool, bool, str | None]] = {(id(context), False, False, None) for context, *_ in waiting}
    skipped: dict[int, list[Leading]] = {}
    while waiting:
        context, done, errored, path = waiting.pop()
        after = done or _evaluates(context, name)
        asked = any(one.by == "auth_request" and _evaluates(one.to, name) for one in all_ways.out_of(context))
        for one in all_ways.out_of(context):
            if one.to is None or not one.takes(path, errored):
                continue
            # A subrequest is evaluated as part of its main request: what it has met, that one has.
            state = done if one.early else after or (asked and one.by != "auth_request")
            if state and one.to.limits.get(name) and one.to.limits.get(name) != context.limits.get(name):
                skipped.setdefault(id(one.to), []).append(one)
            there = (id(one.to), state, one.after_error(errored), one.path_there(path))
            if there not in seen:
                seen.add(there)
                waiting.append((one.to, *there[1:]))
    ways_to = {error: {key for key, done, by, _ in seen if not done and by is error} for error in (False, True)}
    evaluated = {id(context) for context in own if _evaluates(context, name)} & (ways_to[False] | ways_to[True])
    told = {key: tuple(dict.fromkeys(found)) for key, found in skipped.items()}
    return Met(frozenset(evaluated), told, frozenset(evaluated - ways_to[False]))


def _evaluates(context: Context | None, name: str) -> bool:
    return context is not None and bool(context.limits.get(name)) and not context.returns


def goes_on_to(
    tree: NginxTree, context: Context, refused: int | None, by_error: bool = False
) -> list[tuple[Context, str]]:
    """The contexts in which a request may end that was let through here, this one first, each with what leads there.

    `refused` is the status of the limit: an `error_page` of that status alone takes what was not let through.
    `by_error` says that an `error_page` led here.
    """
    found: dict[int, tuple[Context, str]] = {id(context): (context, "")}
    waiting: list[tuple[Context, bool, str | None]] = [(context, by_error, None)]
    seen: set[tuple[int, bool, str | None]] = {(id(context), by_error, None)}
    while waiting:
        here, errored, path = waiting.pop()
        for one in ways(tree, context.section).out_of(here):
            if one.to is None or not one.takes(path, errored):
                continue
            if here is context and (one.early or one.codes == {refused}):
                continue
            found.setdefault(id(one.to), (one.to, one.by))
            there = (id(one.to), one.after_error(errored), one.path_there(path))
            if there not in seen:
                seen.add(there)
                waiting.append((one.to, *there[1:]))
    return list(found.values())


@lru_cache(maxsize=64)
def origins_of(tree: NginxTree, section: str) -> dict[str, tuple[str, ...]]:
    """Upstream name, in lower case, -> what leads to it through an internal context: a match, and by what."""
    result: dict[str, dict[str, None]] = {}
    for context in contexts(tree, section):
        if context.internal:
            continue
        for here, by in goes_on_to(tree, context, None):
            for name in here.upstreams if here.internal else ():
                result.setdefault(name, {})[f"{context.match or context.name} by {by}"] = None
    return {name: tuple(texts) for name, texts in result.items()}
