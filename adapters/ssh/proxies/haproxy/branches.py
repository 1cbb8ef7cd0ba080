"""Which branches of `.if` run, by what runs: proxies, servers, their addresses and the weights they started with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from adapters.ssh.proxies.haproxy.conditions import Branch
from adapters.ssh.proxies.haproxy.lines import Line, Section
from adapters.ssh.proxies.haproxy.runtime import Running
from adapters.ssh.proxies.haproxy.servers import settings

_Sign = tuple[str, ...]
"""Something that a branch makes and that a running process shows."""
_ADDRESS = re.compile(r"\A(?:ipv4@)?(\d+\.\d+\.\d+\.\d+):(\d+)\Z", re.ASCII)
_PROXIES = {"frontend": ("FRONTEND",), "backend": ("BACKEND",), "listen": ("FRONTEND", "BACKEND")}
Decided = Mapping[tuple[int, int], bool]
"""(block, branch) -> whether HAProxy read it."""


def decide(found: Sequence[Section], running: Running) -> Decided:
    """The branches of which what runs leaves no doubt. One that shows nothing at runtime stays unknown."""
    if not running.known:
        return {}
    made = [(line, sign) for section in found for line, signs in _signs(section) for sign in signs]
    shown = _shown(running)
    decided: dict[tuple[int, int], bool] = {}
    blocks: dict[int, dict[int, Branch]] = {}
    for section in found:
        for line in (section.head, *section.lines):
            for branch in line.branches:
                blocks.setdefault(branch.block, {})[branch.number] = branch
    for block, branches in blocks.items():
        out, live = set[int](), set[int]()
        for number, branch in branches.items():
            own = {sign for line, sign in made if line.branches and line.branches[-1] == branch}
            others = {sign for line, sign in made if branch not in line.branches}
            # A weight may have been changed since, in the file or at runtime: that it differs rules nothing out.
            if {sign for sign in own if sign[0] != "weight"} - shown:
                out.add(number)
            elif (own - others) & shown:
                live.add(number)
        if len(live) == 1:
            out = set(branches) - live
        elif live:
            continue
        decided |= {(block, number): number in live for number in out | live}
    return decided


def _signs(section: Section) -> Iterator[tuple[Line, list[_Sign]]]:
    if section.keyword not in _PROXIES or section.last("disabled") is not None:
        return
    yield section.head, [(side, section.name) for side in _PROXIES[section.keyword]]
    for line in section.lines:
        values = line.values
        if values[0] != "server" or len(values) < 3 or line.words[1].expanded:
            continue
        signs: list[_Sign] = [("server", section.name, values[1])]
        address = _ADDRESS.match(values[2])
        if address and not line.words[2].expanded:
            signs.append(("server", section.name, values[1], address[1], address[2]))
        weight = settings(line, 3).get("weight")
        if weight is not None and weight.plain:
            signs.append(("weight", section.name, values[1], str(weight.number)))
        yield line, signs


def _shown(running: Running) -> set[_Sign]:
    shown: set[_Sign] = {(side, name) for name, side in running.proxies}
    for (backend, name), server in running.servers.items():
        shown.add(("server", backend, name))
        shown.add(("server", backend, name, *server.address))
        shown |= {("weight", backend, name, str(weight)) for weight in (server.initial_weight, server.weight)}
    return shown
