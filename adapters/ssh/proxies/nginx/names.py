"""What servers and locations are called, so that no two of them look alike.

A server goes by its first name; by name and port where another has the same name; by its whole listen address, and
then by a count, where even that is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.ssh.proxies.nginx.tree import Directive, NginxTree
from control.text import clean


@dataclass(frozen=True, slots=True)
class Names:
    """How one server and its locations are called."""

    name: str
    """In words: `server llama.test`."""
    match: str
    """As the first part of a route's match; "" for the one server that has no name."""
    named: bool
    locations: dict[int, str] = field(default_factory=dict)
    """`id` of a location -> its words, those of the locations around it before them where it looks like another."""

    def location(self, directive: Directive) -> str:
        return self.locations.get(id(directive)) or clean(" ".join(directive.arguments))


def server_names(tree: NginxTree, servers: Sequence[Directive], section: str) -> list[Names]:
    """The names of all servers of a section, each its own."""
    inside = [list(tree.children(server)) for server in servers]
    plain = [next((n for d in i if d.name == "server_name" for n in d.arguments if n), "") for i in inside]
    ports = [_port(_listen(i)) for i in inside]
    addresses = [_listen(i) for i in inside]
    shown = _apart(
        [
            [name or address or "without a name" for name, address in zip(plain, addresses, strict=True)],
            [
                f"{name}:{port}" if name else address
                for name, port, address in zip(plain, ports, addresses, strict=True)
            ],
            [f"{name} at {address}" if name else address for name, address in zip(plain, addresses, strict=True)],
        ]
    )
    alone = sum(not name for name in plain) == 1
    word = "server" if section == "http" else "stream server"
    found = []
    for name, label, directives in zip(plain, shown, inside, strict=True):
        match = "" if not name and alone and section == "http" else clean(label)
        found.append(Names(f"{word} {clean(label)}", match, bool(name), _locations(tree, directives)))
    return found


def _listen(inside: Sequence[Directive]) -> str:
    """The first listen address, with `udp` where it is one."""
    listen = next((d.arguments for d in inside if d.name == "listen" and d.arguments), ())
    return " ".join([*listen[:1], *(word for word in listen[1:] if word == "udp")])


def _port(address: str) -> str:
    """The port of a listen address; nginx's own default is 80."""
    plain = address.partition(" ")[0]
    if plain.startswith("unix:"):
        return plain
    last = plain.rpartition(":")[2] if ":" in plain and not plain.endswith("]") else plain
    return last if last.isdigit() else "80"


def _apart(ways: Sequence[Sequence[str]]) -> list[str]:
    """For each the first way of calling it that no other shares; by a count where there is none."""
    counts = [Counter(way) for way in ways]
    found: list[str] = []
    for number in range(len(ways[0])):
        own = next((way[number] for way, count in zip(ways, counts, strict=True) if count[way[number]] == 1), "")
        label = own or ways[-1][number]
        while label in found:
            label += "~"
        found.append(label)
    return found


def _locations(tree: NginxTree, inside: Sequence[Directive]) -> dict[int, str]:
    alone: list[str] = []
    nested: list[str] = []
    keys: list[int] = []

    def visit(directives: Sequence[Directive], around: str) -> None:
        for directive in directives:
            if directive.name == "location" and directive.children is not None:
                words = clean(" ".join(directive.arguments))
                keys.append(id(directive))
                alone.append(words)
                nested.append(f"{around}{words}")
                visit(list(tree.children(directive)), f"{around}{words} location ")

    visit(inside, "")
    return dict(zip(keys, _apart([alone, nested]), strict=True)) if keys else {}
