"""The deck's rows of 2,000 routes, against k9s's."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench import rivals
from tests.bench.cluster import ROUTES, kube_servers
from tests.bench.context import PROGRAM, Context
from tests.bench.listing import environment
from tests.bench.measure import Row, Section, milliseconds, percentile
from tests.bench.terminal import Terminal

COLUMNS, LINES = 120, 35
RUNS = 3
METHOD = (
    f"Both in a pseudo-terminal of {COLUMNS}x{LINES} on the cluster of {ROUTES} HTTPRoutes, in turn: from the start of "
    "the process to the first row of a route, read live (a state folder that is empty at each start), then `j` and `k`."
)
REASON = "Most of the way to the rows is importing Textual and the HTTP client, beside which the cluster is read."


@dataclass(slots=True)
class Shown:
    """One start: seconds to the rows, seconds of each key, bytes of memory."""

    rows: float
    keys: list[float]
    memory: int


def run(context: Context) -> Section:
    servers = context.cluster()
    section = Section("Rows in the deck", METHOD)
    deck = context.deck("rows", environment(servers))
    binary = rivals.k9s()
    if binary is None:
        section.notes.append("k9s is not built (`make bench-rivals` builds it), so it stands in no column.")
    ours, theirs = [], []
    for number in range(RUNS):
        ours.append(_ours(context, deck, number))
        if binary is not None:
            theirs.append(_theirs(context, str(binary), servers, number))
    section.rows.append(_compared("first live rows", ours, theirs, lambda one: one.rows, "sooner"))
    section.rows.append(_keys(ours, theirs))
    section.rows.append(_memory(ours, theirs))
    if section.rows[0].met is False:
        section.notes.append(REASON)
    return section


def _ours(context: Context, deck: Any, number: int) -> Shown:
    command = [str(PROGRAM), "--deck", str(deck), "--read-only"]
    return _shown(command, context.state(f"rows-{number}"))


def k9s_start(context: Context, binary: str, servers: Any, name: str) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of k9s on all HTTPRoutes of a cluster, with a home of its own."""
    home = context.folder / f"k9s-{name}"
    names = ("K9S_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
    kubeconfig = servers.kubeconfig(kube_servers.ADMIN)
    command = [binary, "--kubeconfig", str(kubeconfig), "-A", "-c", "httproutes", "--readonly", "--splashless"]
    return command, dict.fromkeys(names, str(home))


def _theirs(context: Context, binary: str, servers: Any, number: int) -> Shown:
    return _shown(*k9s_start(context, binary, servers, str(number)))


def _shown(command: list[str], env: dict[str, str]) -> Shown:
    with Terminal(command, COLUMNS, LINES, env) as terminal:
        rows = terminal.wait_for(r"model-\d{4}", 30)
        terminal.settle(1.0, 8)
        keys = [terminal.key(key).first_seconds for key in itertools.islice(itertools.cycle((b"j", b"k")), 20)]
        return Shown(rows, keys, terminal.memory_bytes())


def _compared(what: str, ours: list[Shown], theirs: list[Shown], of: Callable[[Shown], float], goal: str) -> Row:
    mine = statistics.median(map(of, ours))
    if not theirs:
        return Row(what, milliseconds(mine), "", "", goal, None)
    ratio = statistics.median(of(b) / of(a) for a, b in zip(ours, theirs, strict=True))
    return Row(
        what, milliseconds(mine), milliseconds(statistics.median(map(of, theirs))), f"{ratio:.1f}x", goal, ratio > 1
    )


def _keys(ours: list[Shown], theirs: list[Shown]) -> Row:
    mine = percentile([key for one in ours for key in one.keys], 95)
    other = percentile([key for one in theirs for key in one.keys], 95) if theirs else 0.0
    ratio = f"{other / mine:.1f}x" if theirs else ""
    what = "key to the first byte of the answer, p95"
    return Row(what, milliseconds(mine), milliseconds(other) if theirs else "", ratio, "under 20 ms", mine < 0.02)


def _memory(ours: list[Shown], theirs: list[Shown]) -> Row:
    mine = statistics.median(one.memory for one in ours)
    other = statistics.median(one.memory for one in theirs) if theirs else 0
    ratio = f"{other / mine:.1f}x" if theirs else ""
    return Row("resident memory", f"{mine / 1e6:.0f} MB", f"{other / 1e6:.0f} MB" if theirs else "", ratio,
               "under 300 MB", mine < 300e6)  # fmt: skip
