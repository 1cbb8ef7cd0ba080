"""Which rows there are: the names of upstreams and splits, of `http` and of `stream`, before it is known of which host.

What `stream` holds has the part `#stream`, so that an upstream there never shares a ref with one of `http`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.proxies.nginx.contexts import SECTIONS, Context
from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from adapters.ssh.proxies.protocol import HostFacts
from control.model.ref import Ref
from control.text import clean

UPSTREAM = "NginxUpstream"
SPLIT = "NginxSplitClients"
_STREAM = "stream"


@dataclass(frozen=True, slots=True)
class RouteName:
    """A route on whatever host."""

    kind: str
    name: str
    section: str = "http"

    def on(self, facts: HostFacts) -> Ref:
        """Its ref on one host."""
        return Ref(facts.environment, self.kind, facts.host, self.name, part_of(self.section))

    @property
    def shown(self) -> str:
        return shown(self.name, self.section)


def part_of(section: str) -> str | None:
    """The part of a ref to what a section holds."""
    return _STREAM if section == _STREAM else None


def section_of(ref: Ref) -> str:
    """The section that a ref speaks of."""
    return _STREAM if ref.part == _STREAM else "http"


def shown(name: str, section: str) -> str:
    """A row's name for people."""
    return f"{clean(name)} (stream)" if section == _STREAM else clean(name)


@dataclass(frozen=True, slots=True)
class Block:
    """An `upstream` or `split_clients` block with the name of its route."""

    route: RouteName
    native: str
    directive: Directive
    duplicate: bool
    """Another one has the same name and is the one that counts (a split), or neither is loaded (an upstream)."""


@lru_cache(maxsize=64)
def upstream_blocks(tree: NginxTree) -> tuple[Block, ...]:
    """All upstreams. Those of one section that share a name are told apart by their file: nginx refuses them."""
    found: list[Block] = []
    for section in SECTIONS:
        taken: set[str] = set()
        for block in tree.section(section):
            if block.name != "upstream" or block.children is None or len(block.words) != 2:
                continue
            native = block.arguments[0]
            twice = native.lower() in taken
            taken.add(native.lower())
            name = f"{native}@{block.path}:{block.line}" if twice else native
            found.append(Block(RouteName(UPSTREAM, name, section), native, block, twice))
    return tuple(found)


@lru_cache(maxsize=64)
def split_blocks(tree: NginxTree) -> tuple[Block, ...]:
    """All `split_clients`, by the variable that they set. Of two for one variable nginx takes the last."""
    found: list[Block] = []
    for section in SECTIONS:
        taken: dict[str, int] = {}
        for block in reversed(list(tree.section(section))):
            if block.name != "split_clients" or block.children is None or len(block.words) != 3:
                continue
            native = block.arguments[1].lstrip("$")
            before = taken.get(native.lower(), 0)
            taken[native.lower()] = before + 1
            name = f"{native}~{before + 1}" if before else native
            found.append(Block(RouteName(SPLIT, name, section), native, block, before > 0))
    return tuple(reversed(found))


@lru_cache(maxsize=64)
def _upstreams_by_host(tree: NginxTree) -> Mapping[tuple[str, str], RouteName]:
    found: dict[tuple[str, str], RouteName] = {}
    for block in upstream_blocks(tree):
        found.setdefault((block.route.section, block.native.lower()), block.route)
    return found


def upstream_of(tree: NginxTree, section: str, host: str) -> RouteName | None:
    """The upstream that a host name of a `…_pass` means, in upper or lower case."""
    return _upstreams_by_host(tree).get((section, host.lower()))


@lru_cache(maxsize=64)
def _splits_by_variable(tree: NginxTree) -> Mapping[tuple[str, str], RouteName]:
    return {(b.route.section, b.native.lower()): b.route for b in split_blocks(tree) if not b.duplicate}


def routes_of_context(tree: NginxTree, context: Context) -> list[RouteName]:
    """The routes that decide about requests of a context: its splits, then its upstreams."""
    splits = [_splits_by_variable(tree).get((context.section, name)) for name in context.splits]
    upstreams = [upstream_of(tree, context.section, name) for name in context.upstreams]
    return [route for route in (*splits, *upstreams) if route is not None]
