"""What an open deck costs that nobody touches: memory and processor."""

from __future__ import annotations

import sys

from tests.bench.context import PROGRAM, Context
from tests.bench.listing import environment
from tests.bench.measure import Row, Section
from tests.bench.terminal import Terminal

SECONDS = 10.0
MEMORY = 150e6
CPU = 0.03
METHOD = (
    f"Resident memory once the rows are there and settled, and processor time over the {SECONDS:.0f} s after that, in "
    "percent of one core: the screen over 2,000 routes and 3,000 limits in memory; the whole program on the cluster of "
    "2,000 HTTPRoutes with its watches open. k9s on that cluster stands in the benchmark of rows."
)


def run(context: Context) -> Section:
    section = Section("Memory and idle processor", METHOD)
    deck = context.deck("idle", environment(context.cluster()))
    real = [str(PROGRAM), "--deck", str(deck)]
    _measure(section, "the screen, 2,000 routes and 3,000 limits", [sys.executable, "-m", "tests.bench.screen"], {})
    _measure(section, "the program, 2,000 HTTPRoutes watched", real, context.state("idle"))
    return section


def _measure(section: Section, what: str, command: list[str], env: dict[str, str]) -> None:
    with Terminal(command, 120, 35, env) as terminal:
        terminal.wait_for(r"model-\d", 30)
        terminal.settle(2.0, 6)
        used = terminal.processor_share(SECONDS)
        memory = terminal.memory_bytes()
    told = f"{memory / 1e6:.0f} MB"
    section.rows.append(Row(f"{what}: memory", told, "", "", f"under {MEMORY / 1e6:.0f} MB", memory < MEMORY))
    section.rows.append(Row(f"{what}: idle", f"{used:.1%}", "", "", f"under {CPU:.0%}", used < CPU))
