"""What a journal of 200,000 changes costs beside one of 200."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.context import PROGRAM, Context
from tests.bench.journals import fill
from tests.bench.measure import Row, Section, milliseconds
from tests.bench.terminal import Terminal

FEW, MANY, RUNS = 200, 200_000, 5
GOAL = 1.3
IDLE_SECONDS = 20.0
ROUTE, WISH = "fn-lab/LambdaAlias/eu-central-1/vision-caption:dev", ("5=40%", "6=60%")
PROGRAM_ON_DEMO = (str(PROGRAM), "--deck", "demo:")
METHOD = (
    f"The demo fleet with a journal of {FEW} changes (the left column) and of {MANY:,} (the right one), in turn in one "
    "run: whole commands, from the start of the process to its end. The ratio is the many to the few. The index beside "
    "the chain is made by the first command after an update of the program; that is timed apart."
)
COMMANDS: Sequence[tuple[str, Sequence[str]]] = (
    ("get environments", ("get", "environments")),
    ("history", ("history", "-o", "json")),
    ("oncall", ("oncall", "-o", "json")),
    ("a plan", ("set", "shares", ROUTE, *WISH)),
    ("the plan of an undo", ("undo",)),
    ("resolve", ("resolve",)),
    ("doctor", ("doctor", "-o", "json")),
    ("verify of the last 50 entries", ("journal", "verify", "--from", "{from}")),
)


def run(context: Context) -> Section:
    section = Section(f"A journal of {MANY:,} changes", METHOD)
    states = [_state(context, count) for count in (FEW, MANY)]
    first = [_run(("get", "environments"), env) for env in states]
    section.rows.append(Row("the first command, which makes the index", *map(milliseconds, first), "", "", None))
    for env in states:
        _run(("set", "shares", ROUTE, *WISH, "--apply", "--reason", "to have one to undo"), env)
    section.rows += [_compared(what, words, states) for what, words in COMMANDS]
    section.rows += _screen(states)
    whole = [_run(("journal", "verify"), env) for env in states]
    section.rows.append(Row("verify of the whole chain", *map(milliseconds, whole), "", "", None))
    return section


def _state(context: Context, count: int) -> dict[str, str]:
    env = context.state(f"journal-{count}")
    folder = Path(env["TRAFFICDECK_STATE_DIR"]) / "demo"
    folder.mkdir(parents=True)
    fill(folder / "journal.db", count)
    return env


def _run(words: Sequence[str], env: dict[str, str], timeout: float = 600.0) -> float:
    """Wall seconds of one command; 2 (a plan was shown) and 4 (a demo host that is away) are answers too, and so is
    what `doctor` says of that host."""
    begin = time.perf_counter()
    ended = subprocess.run([*PROGRAM_ON_DEMO, *words], env={**os.environ, **env}, capture_output=True, timeout=timeout)
    seconds = time.perf_counter() - begin
    if ended.returncode not in ((0, 1) if words[0] == "doctor" else (0, 2, 4)):
        raise RuntimeError(f"{' '.join(words)} ended with {ended.returncode}: {ended.stderr[-500:]!r}")
    return seconds


def _compared(what: str, words: Sequence[str], states: Sequence[dict[str, str]]) -> Row:
    """One command on both journals in turn, after a run of each that does not count."""
    few, many = (
        (tuple(word.replace("{from}", str(3 * count - 40)) for word in words), env)
        for count, env in zip((FEW, MANY), states, strict=True)
    )
    _run(*few), _run(*many)
    pairs = [(_run(*few), _run(*many)) for _ in range(RUNS)]
    ratio = statistics.median(b / a for a, b in pairs)
    ours, theirs = (statistics.median(one) for one in zip(*pairs, strict=True))
    return Row(what, milliseconds(ours), milliseconds(theirs), f"{ratio:.2f}x", f"under {GOAL:g}x", ratio < GOAL)


def _screen(states: Sequence[dict[str, str]]) -> list[Row]:
    """The deck on the demo fleet, idle."""
    found = []
    for env in states:
        with Terminal(PROGRAM_ON_DEMO, 120, 35, env) as terminal:
            first = terminal.wait_for("llama", 60)
            terminal.settle(2.0, 10)
            share = terminal.processor_share(IDLE_SECONDS)
            found.append((first, share, terminal.memory_bytes()))
    (first_few, idle_few, memory_few), (first, idle, memory) = found
    ratio = memory / memory_few
    megabytes = [f"{size / 1e6:.0f} MB" for size in (memory_few, memory)]
    return [
        Row(
            "the screen: first rows",
            milliseconds(first_few),
            milliseconds(first),
            f"{first / first_few:.2f}x",
            "",
            None,
        ),
        Row("the screen: idle processor", f"{idle_few:.1%}", f"{idle:.1%}", f"{idle / idle_few:.2f}x", "", None),
        Row("the screen: memory", *megabytes, f"{ratio:.2f}x", f"under {GOAL:g}x", ratio < GOAL),
    ]
