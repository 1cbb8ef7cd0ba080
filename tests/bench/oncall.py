"""How soon `trafficdeck oncall` answers, the fleet there or not."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from typing import Any

from tests.bed.waiting import until_port
from tests.bench import cluster
from tests.bench.cluster import kube_servers
from tests.bench.context import PROGRAM, Context
from tests.bench.measure import Row, Section, milliseconds
from tests.bench.terminal import Terminal

ENVIRONMENTS, ROUTES, RUNS = 8, 250, 5
GOAL = 2.0
ANSWER = r"nothing broken"
"""Stands on the screen only once there are rows to say it of."""
METHOD = (
    f"`trafficdeck oncall` at 80x24 over {ENVIRONMENTS} clusters of {ROUTES} HTTPRoutes, from the start of the process "
    "to the first answer, the last session's rows in the cache. Every second cluster stands behind a relay; stopped, "
    "it takes connections and never answers."
)


def run(context: Context) -> Section:
    section = Section("On call: the first answer", METHOD)
    servers = context.stack.enter_context(cluster.started(context.folder / "oncall", ROUTES))
    relay, port = _relay(context, servers)
    deck = context.deck("oncall", *_environments(servers, port))
    command = [str(PROGRAM), "oncall", "--deck", str(deck)]
    kept = context.state("oncall")
    with Terminal(command, 80, 24, kept) as terminal:
        terminal.wait_for(ANSWER, 60)
        terminal.settle(2.0, 20)
    section.rows.append(_row("all clusters answer", [_start(command, kept) for _ in range(RUNS)]))
    os.kill(relay.pid, signal.SIGSTOP)
    section.rows.append(_row("every second one does not", [_start(command, kept) for _ in range(RUNS)]))
    servers.stop()
    section.rows.append(_row("none does", [_start(command, kept) for _ in range(RUNS)]))
    return section


def _relay(context: Context, servers: Any) -> tuple[subprocess.Popen[bytes], int]:
    port = kube_servers.free_port()
    target = servers.server.removeprefix("https://")
    relay = subprocess.Popen([sys.executable, "-m", "tests.bench.relay", str(port), target])
    context.stack.callback(relay.wait)
    context.stack.callback(relay.kill)
    until_port("127.0.0.1", port, seconds=10)
    return relay, port


def _environments(servers: Any, port: int) -> list[dict[str, Any]]:
    straight = servers.kubeconfig(kube_servers.DECK)
    relayed = servers.kubeconfig(kube_servers.VIEWER, server=f"https://127.0.0.1:{port}")
    paths = [straight, relayed] * (ENVIRONMENTS // 2)
    return [
        {"name": f"cluster-{number}", "kubernetes": {"kubeconfig": str(path), "context": "bed"}}
        for number, path in enumerate(paths, 1)
    ]


def _start(command: list[str], env: dict[str, str]) -> float:
    with Terminal(command, 80, 24, env) as terminal:
        return terminal.wait_for(ANSWER, 30)


def _row(what: str, times: list[float]) -> Row:
    worst = max(times)
    told = f"{milliseconds(statistics.median(times))} median, {milliseconds(worst)} at worst"
    return Row(what, told, "", "", f"under {GOAL:g} s", worst < GOAL)
