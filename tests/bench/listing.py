"""2,000 HTTPRoutes listed, against kubectl."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.bed import build
from tests.bench.cluster import ROUTES
from tests.bench.context import PROGRAM, Context, profile_of_module
from tests.bench.measure import Row, Section, compared, cost_of, in_turn, milliseconds, seconds_of

GOAL = 2.0
RUNS = 5
METHOD = (
    f"One API server with {ROUTES} HTTPRoutes on loopback; whole processes, from start to end, in turn with "
    "`kubectl get httproutes -A -o json`. Ours also reads Gateways, endpoints, owners, three more kinds and our rights."
)
REASON = (
    "Starting Python and importing the HTTP client, the model and the command line take a part of every run that does "
    "not shrink with the number of routes; the read itself is the row of the open deck."
)


def environment(servers: Any) -> dict[str, Any]:
    """The cluster as an environment of a deck file, with a role that may read and patch."""
    return {"name": "bed", "kubernetes": {"kubeconfig": str(servers.kubeconfig()), "context": "bed"}}


def run(context: Context) -> Section:
    servers = context.cluster()
    given = environment(servers)
    kubectl = [str(build.build()), "kubectl", "--kubeconfig", str(servers.kubeconfig()), "get", "httproutes", "-A"]
    section = Section(f"{ROUTES} HTTPRoutes listed", METHOD)
    reading = ["tests.bench.reading", json.dumps(given)]
    cli = [str(PROGRAM), "--deck", str(context.deck("listing", given)), "get", "routes", "-o", "json"]
    theirs = [*kubectl, "-o", "json"]
    _row(section, "our reader as a process of its own", [sys.executable, "-m", *reading], theirs, {})
    _row(section, "`trafficdeck get routes -o json`", cli, theirs, context.state("listing"))
    _again(section, reading, theirs)
    _table(section, cli[:-2], kubectl, context.state("listing"))
    if not all(row.met for row in section.rows if row.goal):
        section.notes += [REASON, "Profile of the reader's process, most expensive functions first:"]
        section.notes += [f"    {line}" for line in profile_of_module(reading, context.folder)]
    return section


def _row(section: Section, what: str, ours: list[str], theirs: list[str], env: dict[str, str]) -> None:
    section.rows += compared(what, lambda: cost_of(ours, env), lambda: cost_of(theirs), RUNS, GOAL)


def _again(section: Section, reading: list[str], theirs: list[str]) -> None:
    """The second read of one process: what a refresh of an open deck costs without its watches."""
    ours, other, ratio = in_turn(lambda: again(reading), lambda: seconds_of(theirs), 3)
    what = "a full read by a deck that is open already"
    section.rows.append(Row(what, milliseconds(ours), milliseconds(other), f"{ratio:.1f}x", "", None))


def again(reading: list[str]) -> float:
    """Seconds of the second read of one process."""
    command = [sys.executable, "-m", *reading, "2"]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return float(json.loads(told)[1]["seconds"])


def _table(section: Section, ours: list[str], kubectl: list[str], env: dict[str, str]) -> None:
    what = "as a table (kubectl's is made by the server: names and ages, no weights)"
    section.rows += compared(what, lambda: cost_of(ours, env), lambda: cost_of(kubectl), 3, None)
