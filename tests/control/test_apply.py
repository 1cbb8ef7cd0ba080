"""A change from edit to undo, over a platform in memory."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import pytest
from fake_adapter import Native
from worlds import RATE, VM, A, native, shares, world

from control.model import Counted, TargetCount
from control.planning.edit import LimitEdit
from control.planning.options import ApplyOptions
from control.planning.plan import ResultOutcome, StepOutcome, Verdict
from control.ports import ProofState


def with_burst() -> dict[str, Native]:
    """The usual world, with a burst for its rate."""
    state = native()
    state["k8s"][str(RATE)]["limits"][str(RATE)]["burst"] = 5
    return state


async def test_plan_apply_history_undo(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=70, b=30)])
    assert plan.verdict is Verdict.OK
    assert [str(c.ref) + " " + c.field for c in plan.steps[0].changes] == [
        f"{A} targets/a/weight",
        f"{A} targets/b/weight",
    ]
    assert w.weights() == {"a": 90, "b": 10}

    stages: list[str] = []

    async def progress(p: object) -> None:
        stages.append(p.stage)  # type: ignore[attr-defined]

    result = await w.plane.apply(plan, progress=progress)
    assert result.outcome is ResultOutcome.APPLIED
    assert stages == ["journaled", "written", "read_back", "loaded", "observed"]
    assert w.weights() == {"a": 70, "b": 30}
    assert w.plane.journal.verify(result.head).ok

    undo = await w.plane.undo_plan()
    assert undo.undo_of == result.change
    undone = await w.plane.apply(undo)
    assert undone.outcome is ResultOutcome.APPLIED
    assert w.weights() == {"a": 90, "b": 10}
    history = w.plane.history()
    assert [item.change for item in history] == [undone.change, result.change]
    assert history[1].undone_by == undone.change

    again = await w.plane.apply(await w.plane.undo_plan(undone.change))
    assert again.outcome is ResultOutcome.APPLIED
    assert w.weights() == {"a": 70, "b": 30}


async def test_an_edit_that_changes_nothing_is_a_plan_without_steps(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=90)])
    assert plan.steps == () and plan.verdict is Verdict.OK
    assert (await w.plane.apply(plan)).outcome is ResultOutcome.NO_CHANGE
    assert w.plane.history() == []


async def test_a_group_is_one_plan_host_after_host(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(VM, u=3)])
    assert [step.object for step in plan.steps] == [f"vm/file/h{n}/llama.conf" for n in (1, 2, 3)]
    assert plan.on_failure.value == "stop"
    result = await w.plane.apply(plan)
    assert [step.outcome for step in result.steps] == [StepOutcome.APPLIED] * 3
    row = (await w.plane.refresh()).routes[VM]
    assert [m.target("u").weight for m in row.members] == [3, 3, 3]  # type: ignore[union-attr]


@pytest.mark.parametrize(("a", "b", "state"), [(70, 30, "yes"), (90, 10, "no")])
async def test_waiting_until_traffic_shows_it(tmp_path: Path, a: int, b: int, state: str) -> None:
    w = world(tmp_path)
    reader = w.readers["k8s"]
    reader.counters = {A: {"a": 9000, "b": 1000}}
    kept = reader.count

    async def traffic(refs: object = None) -> list[Counted]:
        counted = await kept(refs)  # type: ignore[arg-type]
        reader.counters[A] = {"a": reader.counters[A]["a"] + a * 10, "b": reader.counters[A]["b"] + b * 10}
        return counted

    reader.count = traffic  # type: ignore[method-assign, assignment]
    plan = await w.plane.plan([shares(A, a=70, b=30)])
    result = await w.plane.apply(plan, ApplyOptions(wait="observed", timeout_seconds=5))
    proof = result.steps[0].proof
    assert proof is not None and proof.observed.state.value == state
    assert result.outcome is ResultOutcome.APPLIED


@pytest.mark.parametrize(
    ("passed", "refused", "state"), [(25, 475, "yes"), (50, 450, "no"), (10, 0, "waiting_for_traffic")]
)
async def test_waiting_until_refusals_show_a_limit(tmp_path: Path, passed: int, refused: int, state: str) -> None:
    w = world(tmp_path, state=with_burst())
    reader = w.readers["k8s"]
    looks = 0

    async def traffic(refs: object = None) -> list[Counted]:
        nonlocal looks
        looks += 1
        count = TargetCount(Fraction(looks * passed))
        return [Counted(A, 1000 + looks / 2, (("a", count),), throttled=Fraction(looks * refused))]

    reader.count = traffic  # type: ignore[method-assign, assignment]
    result = await w.plane.apply(
        await w.plane.plan([LimitEdit(RATE, amount=Fraction(50))]), ApplyOptions(wait="observed", timeout_seconds=6)
    )
    proof = result.steps[0].proof
    assert proof is not None
    assert proof.observed.state.value == state, proof.observed.detail
    assert " passed" in proof.observed.detail


async def test_a_limit_whose_route_is_not_counted_is_unknown_at_once(tmp_path: Path) -> None:
    w = world(tmp_path, state=with_burst())
    started = time.monotonic()
    result = await w.plane.apply(
        await w.plane.plan([LimitEdit(RATE, amount=Fraction(50))]), ApplyOptions(wait="observed")
    )
    proof = result.steps[0].proof
    assert proof is not None
    assert (proof.observed.state, time.monotonic() - started < 10) == (ProofState.UNKNOWN, True)
    assert "cannot be counted" in proof.observed.detail


async def test_without_counters_observed_is_unknown(tmp_path: Path) -> None:
    w = world(tmp_path)
    result = await w.plane.apply(await w.plane.plan([shares(A, a=70, b=30)]))
    assert result.steps[0].proof is not None
    assert result.steps[0].proof.observed.state is ProofState.UNKNOWN
