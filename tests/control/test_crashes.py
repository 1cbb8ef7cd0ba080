"""Killed at any stage, raced by twenty: what is true is found, stated and journaled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from worlds import VM, A, file_world, shares

from control.contract.plans import plan_to_json
from control.errors import GuardRefused
from control.model.ref import Ref
from control.planning.plan import Plan, ResultOutcome
from control.ports import Found

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("journaled", "written", "read_back", "loaded", "observed")
HOST_1 = Ref.parse("vm/NginxUpstream/h1/llama")


def save(plan: Plan, path: Path) -> Path:
    path.write_text(json.dumps(plan_to_json(plan)))
    return path


async def start(folder: Path, plan: Path, *more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("apply_process.py")),
        str(folder),
        str(plan),
        *more,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def killed_at(folder: Path, plan: Path, stage: str, step: int) -> None:
    """Run an apply up to one gate and kill it there, as kill -9 does."""
    process = await start(folder, plan, "gate")
    assert process.stdout is not None and process.stdin is not None
    while True:
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        if not line:
            assert process.stderr is not None
            raise AssertionError((await process.stderr.read()).decode())
        told = json.loads(line)
        if (told["stage"], told["step"]) == (stage, step):
            break
        process.stdin.write(b"\n")
        await process.stdin.drain()
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("stage", STAGES)
async def test_killed_at_a_gate(tmp_path: Path, stage: str, step: int) -> None:
    w = file_world(tmp_path, fill=True)
    plan = await w.plane.plan([shares(A, a=70, b=30), shares(HOST_1, u=3)])
    assert len(plan.steps) == 2
    await killed_at(tmp_path, save(plan, tmp_path / "plan.json"), stage, step)

    later = file_world(tmp_path, fill=False)
    (item,) = later.plane.history()
    assert item.outcome is ResultOutcome.INTERRUPTED
    with pytest.raises(GuardRefused, match="resolve"):
        await later.plane.undo_plan(item.change)
    (truth,) = await later.plane.resolve()
    written = [True, True] if step == 1 and stage != "journaled" else [step == 1 or stage != "journaled", False]
    assert [s.found for s in truth.steps] == [Found.AFTER if w else Found.BEFORE for w in written]
    expected = {2: ResultOutcome.APPLIED, 1: ResultOutcome.PARTLY_APPLIED, 0: ResultOutcome.ROLLED_BACK}
    assert truth.outcome is expected[sum(written)]
    assert later.plane.history()[0].outcome is truth.outcome
    assert await later.plane.resolve() == []
    undone = await later.plane.apply(await later.plane.undo_plan())
    assert undone.outcome is (ResultOutcome.APPLIED if any(written) else ResultOutcome.NO_CHANGE)
    assert later.weights(A) == {"a": 90, "b": 10} and later.weights(HOST_1) == {"u": 1, "v": 1}
    assert later.plane.journal.verify().ok
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".open")]


async def test_held_while_it_runs(tmp_path: Path) -> None:
    w = file_world(tmp_path, fill=True)
    plan = save(await w.plane.plan([shares(A, a=70, b=30)]), tmp_path / "plan.json")
    process = await start(tmp_path, plan, "gate")
    assert process.stdout is not None and process.stdin is not None
    await asyncio.wait_for(process.stdout.readline(), 20)
    assert w.plane.history()[0].outcome is ResultOutcome.IN_PROGRESS
    assert await w.plane.resolve() == []
    process.stdin.write(b"\n" * 10)
    await process.communicate()
    assert w.plane.history()[0].outcome is ResultOutcome.APPLIED


async def test_twenty_processes_from_one_base(tmp_path: Path) -> None:
    w = file_world(tmp_path, fill=True)
    plans = [await w.plane.plan([shares(A, a=60 + n, b=40 - n)]) for n in range(20)]
    files = [save(plan, tmp_path / f"plan{n}.json") for n, plan in enumerate(plans)]
    processes = [await start(tmp_path, file) for file in files]
    answers = await asyncio.gather(*(process.communicate() for process in processes))
    assert all(p.returncode == 0 for p in processes), [error.decode()[-500:] for _, error in answers if error]
    results: list[dict[str, Any]] = [json.loads(out) for out, _ in answers]
    winners = [n for n, result in enumerate(results) if result["outcome"] == "applied"]
    assert len(winners) == 1
    others = [r for n, r in enumerate(results) if n not in winners]
    assert {r["outcome"] for r in others} == {"refused"}
    assert {r["steps"][0]["reason"]["kind"] for r in others} <= {"stale", "locked"}
    assert w.weights(A) == {"a": 60 + winners[0], "b": 40 - winners[0]}
    assert w.plane.journal.verify(results[winners[0]]["head"]).ok
    assert [i.outcome for i in w.plane.history()].count(ResultOutcome.APPLIED) == 1
    assert VM.is_group
