"""A change by the command line on the demo fleet's three platforms, broken at its gates in every way that a process
can meet: stdout, stderr, the exit code, the history and a later start say what is in force."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import PROGRAM
from tests.e2e.gates import Gated

EDITS = """\
- ref: staging/HTTPRoute/inference/llama#rule=chat
  shares: {llama-v3: 60%, llama-v4: 40%}
- ref: lab/NginxUpstream/lab-1/llama-next
  shares: {"10.8.1.91:8000": 3}
- ref: lab/HAProxyBackend/lab-1/lab-whisper
  shares: {l4-1: 5}
- ref: fn-lab/LambdaAlias/eu-central-1/vision-caption:dev
  shares: {5: 60%, 6: 40%}
"""
REFS = [line.removeprefix("- ref: ") for line in EDITS.splitlines() if line.startswith("- ref: ")]
STEPS = len(REFS)
OLD = [["1/2", "1/2"]] * STEPS
NEW = [["3/5", "2/5"], ["3/4", "1/4"], ["5/6", "1/6"], ["3/5", "2/5"]]
FEW = [("journaled", 0), ("written", 0), ("journaled", 2), ("written", 3), ("observed", 3)]
IN_FORCE = ("applied", "in_progress")
NOT_IN_FORCE = ("not_started", "refused", "undone")
pytestmark = [pytest.mark.timeout(120)]


@dataclass
class Demo:
    """The command line on a demo fleet of its own."""

    state: Path

    @property
    def journal(self) -> Path:
        return next(self.state.rglob("journal.db"))

    def argv(self, *words: str) -> list[str]:
        return [str(PROGRAM), "--deck", "demo:", *words]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TRAFFICDECK_STATE_DIR": str(self.state), "NO_COLOR": "1"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )

    def ask(self, *words: str) -> Any:
        done = self.run(*words, "-o", "json")
        assert done.returncode == 0, (words, done)
        return json.loads(done.stdout)

    def start(self, *words: str, **streams: Any) -> Gated:
        process = subprocess.Popen(
            self.argv(*words),
            env=self.environment,
            text=True,
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )
        return Gated(process)

    def apply(self, **streams: Any) -> Gated:
        """The plan, waiting at every gate."""
        edits = self.state.parent / "edits.yaml"
        edits.write_text(EDITS)
        return self.start(
            "plan", str(edits), "--apply", "--reason", "x", "--on-failure", "undo", "--progress", "gate",
            "-o", "json", **streams,
        )  # fmt: skip

    def values(self) -> list[list[str]]:
        """The shares that the platforms hold of what the plan changes, in the order of the plan's edits."""
        return [[target["share"] for target in self.ask("get", "route", ref)["targets"]] for ref in REFS]

    def history(self) -> list[Any]:
        return list(self.ask("history")["items"])


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    if not PROGRAM.exists():
        pytest.skip("the program is not installed beside this Python")
    yield Demo(tmp_path / "state")


def to_gate(gated: Gated, gate: tuple[str, int]) -> dict[str, int]:
    """Go on to a gate and stand there; the numbers of the objects that were reached."""
    while (stage := gated.stage()) is not None:
        if (stage["stage"], stage["step"]) == gate:
            return {}
        gated.go()
    raise AssertionError(f"the gate {gate} was not reached: {gated.said}")


def of_steps(values: list[list[str]], steps: list[Any]) -> list[list[str]]:
    """The values in the order of a result's steps."""
    words = {"staging/": 0, "lab/NginxFile": 1, "lab/HAProxyFile": 2, "fn-lab/": 3}
    return [next(values[at] for word, at in words.items() if step["object"].startswith(word)) for step in steps]


def check_result(result: Any, values: list[list[str]]) -> None:
    """A result says of each step what its platform holds."""
    steps = result["steps"]
    for step, now, old, new in zip(
        steps, of_steps(values, steps), of_steps(OLD, steps), of_steps(NEW, steps), strict=True
    ):
        if step["outcome"] in IN_FORCE:
            assert now == new, step
        if step["outcome"] in NOT_IN_FORCE:
            assert now == old, step
    if result["outcome"] in ("refused", "rolled_back", "no_change"):
        assert values == OLD, result
    if result["outcome"] in ("applied", "applied_unproven"):
        assert values == NEW, result


def finish_and_undo(demo: Demo, change: str) -> None:
    """A later start: it tells, resolves, undoes; then all is as it was and nothing is left behind."""
    resolved = demo.run("resolve", change, "-o", "json")
    assert resolved.returncode == 0, resolved
    check_result(json.loads(resolved.stdout), demo.values())
    undone = demo.run("undo", change, "--apply", "--reason", "x", "-o", "json")
    assert undone.returncode == 0, undone
    assert demo.values() == OLD
    assert demo.ask("journal", "verify")["ok"] is True
    assert [path for path in demo.journal.parent.iterdir() if path.suffix in (".kept", ".open")] == []
    assert {item["outcome"] for item in demo.history()} & {"in_progress", "interrupted"} == set()


SIGNALLED = [*zip(FEW, ("SIGINT", "SIGTERM", "SIGHUP", "SIGINT", "SIGTERM"), strict=True)]


@pytest.mark.parametrize(("gate", "name"), SIGNALLED, ids=[f"{name}-{gate[0]}-{gate[1]}" for gate, name in SIGNALLED])
def test_a_signal_at_a_gate(demo: Demo, gate: tuple[str, int], name: str) -> None:
    gated = demo.apply()
    to_gate(gated, gate)
    gated.process.send_signal(getattr(signal, name))
    while gated.stage() is not None:
        pass
    out, _ = gated.process.stdout.read(), gated.process.wait(30)  # type: ignore[union-attr]
    result = json.loads(out)
    values = demo.values()
    check_result(result, values)
    begun = [step["outcome"] != "not_started" for step in result["steps"]]
    count = gate[1] + (gate[0] != "journaled")
    assert begun == [number < count for number in range(STEPS)]
    assert gated.process.returncode == (0 if count == STEPS else 130), gated.said
    said = "".join(gated.said)
    assert name in said
    if count < STEPS:
        assert "never begun: " + result["steps"][-1]["object"] in said.replace(
            ", ".join(step["object"] for step in result["steps"][count:]), result["steps"][-1]["object"]
        ), said
    outcome = "refused" if count == 0 else "partly_applied" if count < STEPS else "applied"
    assert result["outcome"] == outcome
    if result["change"] is None:
        return
    assert demo.history()[0]["outcome"] == outcome
    finish_and_undo(demo, result["change"])


Break = Callable[[Path, ExitStack], None]


def locked(journal: Path, repair: ExitStack) -> None:
    connection = sqlite3.connect(journal, isolation_level=None)
    repair.callback(connection.close)
    connection.execute("BEGIN EXCLUSIVE")


def removed(journal: Path, repair: ExitStack) -> None:
    journal.unlink()


def no_database(journal: Path, repair: ExitStack) -> None:
    repair.callback(journal.write_bytes, journal.read_bytes())
    journal.write_bytes(b"no database at all" * 100)


def folder_gone(journal: Path, repair: ExitStack) -> None:
    for path in journal.parent.glob("journal.db*"):
        path.unlink()


BROKEN: list[tuple[str, int, Break]] = [
    ("journaled", 0, no_database),
    ("written", 0, locked),
    ("journaled", 2, removed),
    ("written", 3, no_database),
    ("observed", 3, folder_gone),
]


@pytest.mark.parametrize(("stage", "step", "breaks"), BROKEN, ids=[f"{b.__name__}-{s}-{n}" for s, n, b in BROKEN])
def test_the_journal_breaks_at_a_gate(demo: Demo, stage: str, step: int, breaks: Break) -> None:
    gate = (stage, step)
    gated = demo.apply()
    to_gate(gated, gate)
    with ExitStack() as repair:
        breaks(demo.journal, repair)
        gated.go()
        code, out = gated.finish()
        result = json.loads(out)
        change = result["change"]
        told = demo.run("get", "route", REFS[0], "-o", "json")
        said = "".join(gated.said)
    check_result(result, demo.values())
    assert change is not None
    if gate == ("journaled", 0):
        assert result["outcome"] == "refused" and code in (1, 3), (code, result)
        return
    assert code == 1, (code, result)
    assert f"trafficdeck resolve {change}" in said and f"trafficdeck resolve {change}" in out
    assert change in told.stderr, told.stderr
    assert result["outcome"] == ("rolled_back" if gate[1] < STEPS - 1 else "applied"), result
    finish_and_undo(demo, change)


@pytest.mark.parametrize(
    ("stdout", "outcome", "output"),
    [
        ("closed pipe", "applied", "json"),
        ("closed pipe", "refused", "table"),
        ("full", "applied", "table"),
        ("full", "refused", "json"),
        ("closed", "applied", "json"),
    ],
)
def test_no_way_of_losing_stdout_hides_an_outcome(demo: Demo, stdout: str, outcome: str, output: str) -> None:
    edits = demo.state.parent / "edits.yaml"
    edits.write_text(EDITS)
    saved = demo.state.parent / "plan.json"
    assert demo.run("plan", str(edits), "--out", str(saved)).returncode == 2
    if outcome == "refused":
        other = ("set", "shares", REFS[0], "llama-v3=10%", "llama-v4=90%", "--apply", "--reason", "other")
        assert demo.run(*other).returncode == 0
    words = demo.argv("apply", str(saved), "--reason", "x", "-o", output)
    if stdout == "closed":
        words = ["sh", "-c", 'exec "$@" >&-', "sh", *words]
    with ExitStack() as stack:
        if stdout == "closed pipe":
            reading, writing = os.pipe()
            os.close(reading)
            stack.callback(os.close, writing)
            target: Any = writing
        else:
            target = stack.enter_context(open("/dev/full", "w")) if stdout == "full" else None
        done = subprocess.run(
            words, env=demo.environment, stdout=target, stderr=subprocess.PIPE, text=True, timeout=90, check=False
        )
    assert done.returncode == {"applied": 0, "refused": 3}[outcome], done
    assert outcome in done.stderr and "could not be printed" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    if outcome == "applied":
        assert demo.history()[0]["change"] in done.stderr
        assert demo.values() == NEW


def test_nobody_hears_anything_and_the_exit_code_tells(demo: Demo) -> None:
    gated = demo.apply(stdout=subprocess.DEVNULL)
    to_gate(gated, ("written", 0))
    assert gated.process.stdin is not None and gated.process.stderr is not None
    os.close(gated.process.stderr.fileno())
    gated.process.stdin.close()
    assert gated.process.wait(60) == 0
    assert demo.values() == NEW and demo.history()[0]["outcome"] == "applied"
