"""The state of a change is read from its records alone: whoever has a part of them can go on from there."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import A, B, World, shares, world

from control.applying.acts import Aim, Close, Look, TakeBack, Write, next_act
from control.errors import Locked
from control.journal.records import Entry
from control.journal.state import ChangeState, Phase, reduce
from control.planning.options import PlanOptions
from control.planning.plan import OnFailure, Result, ResultOutcome, StepOutcome
from control.ports import Found, ProofState

OLD, NEW = ({"a": 90, "b": 10}, {"x": 50, "y": 50}), ({"a": 70, "b": 30}, {"x": 60, "y": 40})
IN_FORCE = {StepOutcome.APPLIED, StepOutcome.IN_PROGRESS}
NOT_IN_FORCE = {StepOutcome.NOT_STARTED, StepOutcome.REFUSED, StepOutcome.UNDONE}


@dataclass
class Witnessed:
    """The records of one change, and what the platform held right before and right after each was journaled."""

    records: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """Nobody waits for a platform that says nothing."""
    with contextlib.ExitStack() as stack:
        for name in ("READ_BACK_SECONDS", "SETTLE_SECONDS", "RUNNING_SECONDS"):
            stack.enter_context(mock.patch(f"control.applying.proving.{name}", 0.02))
        yield


async def witnessed(folder: Path, faults: dict[str, list[Any]], on_failure: OnFailure) -> Witnessed:
    w = world(folder)
    w.readers["k8s"].deadline_seconds = 0.05
    plan = await w.plane.plan([shares(A, a=70, b=30), shares(B, x=60, y=40)], PlanOptions(on_failure=on_failure))
    w.faults().write, w.faults().loaded = list(faults["write"]), list(faults["loaded"])
    seen, append = Witnessed(), w.plane.journal.append

    def watched(kind: str, change: str, data: dict[str, Any], wait: float | None = None) -> str:
        seen.before.append(w.store().get())
        head = append(kind, change, data, wait)
        seen.records.append((kind, change, json.loads(json.dumps(data))))
        seen.after.append(w.store().get())
        return head

    with mock.patch.object(w.plane.journal, "append", watched):
        await w.plane.apply(plan)
    seen.entries = w.plane.journal.entries()
    return seen


def cut(folder: Path, seen: Witnessed, count: int, written: bool) -> World:
    """A later start that has the first `count` records: of what came between two records nothing happened, or all."""
    folder.mkdir()
    last = count == len(seen.records)
    state = seen.before[count] if written and not last else seen.after[count - 1]
    w = world(folder, state={"k8s": copy.deepcopy(state), "vm": {}})
    for record in seen.records[:count]:
        w.plane.journal.append(*record)
    return w


def now(w: World) -> tuple[dict[str, Any], dict[str, Any]]:
    return w.weights(A), w.weights(B)


def check(w: World, result: Result) -> None:
    """What a result says of each step is what its platform has."""
    for step, is_now, old, new in zip(result.steps, now(w), OLD, NEW, strict=True):
        if step.outcome in IN_FORCE:
            assert is_now == new, step
        if step.outcome in NOT_IN_FORCE or step.found is Found.BEFORE:
            assert is_now == old, step
    if result.outcome in (ResultOutcome.REFUSED, ResultOutcome.NO_CHANGE, ResultOutcome.ROLLED_BACK):
        assert now(w) == OLD, result
    if result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN):
        assert now(w) == NEW, result


WRITES = ["ok", "refuse", "stale", "error_after", "silent_after", "silent_before", "lose"]
faults = st.fixed_dictionaries(
    {
        "write": st.lists(st.sampled_from(WRITES), max_size=3),
        "loaded": st.lists(st.sampled_from([ProofState.YES, ProofState.NO, ProofState.UNKNOWN]), max_size=3),
    }
)


@settings(max_examples=40, deadline=None)
@given(faults, st.sampled_from(OnFailure), st.data())
def test_a_change_cut_anywhere_is_taken_up(
    wrong: dict[str, list[Any]], on_failure: OnFailure, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, impatient():
        seen = asyncio.run(witnessed(Path(folder), wrong, on_failure))
        if not seen.records:
            return
        count = data.draw(st.integers(1, len(seen.records)), label="records")
        written = data.draw(st.booleans(), label="the next act was done")
        change = seen.records[0][1]
        whole, part = reduce(change, seen.entries), reduce(change, seen.entries[:count])
        assert reduce(change, seen.entries[count:], part) == whole
        for what in (resolved, gone_on, gone_back):
            asyncio.run(what(cut(Path(folder) / what.__name__, seen, count, written), change))


def state_of(w: World, change: str) -> ChangeState:
    state = reduce(change, w.plane.journal.entries(change))
    assert state is not None
    return state


async def resolved(w: World, change: str) -> None:
    was_open = state_of(w, change).result is None
    results = await w.plane.resolve()
    assert bool(results) == was_open or state_of(w, change).unfinished
    for result in results:
        check(w, result)
        assert result.outcome is not ResultOutcome.INTERRUPTED
    assert w.plane.interrupted() == [] and w.plane.journal.verify().ok


async def gone_on(w: World, change: str) -> None:
    state = state_of(w, change)
    result = await w.plane.take_up(change)
    check(w, result)
    if state.result is None and state.failed is None and not state.going_back:
        assert result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN) and now(w) == NEW, result
    assert w.plane.interrupted() == [] and w.plane.journal.verify().ok
    assert (await w.plane.take_up(change)).outcome is result.outcome


async def gone_back(w: World, change: str) -> None:
    state = state_of(w, change)
    result = await w.plane.take_up(change, Aim.GO_BACK)
    check(w, result)
    if state.result is None:
        named = {StepOutcome.UNDO_FAILED, StepOutcome.UNKNOWN}
        stays = [is_now != old for is_now, old in zip(now(w), OLD, strict=True)]
        assert all(step.outcome in named for step, there in zip(result.steps, stays, strict=True) if there), result
        if not any(one.tried_back for one in state.steps):
            assert not any(stays)
    assert w.plane.interrupted() == [] and w.plane.journal.verify().ok


async def test_what_is_done_next(tmp_path: Path) -> None:
    seen = await witnessed(tmp_path / "one", {"write": ["ok", "refuse"], "loaded": []}, OnFailure.UNDO)
    assert [kind for kind, *_ in seen.records] == [
        "open",
        "writing",
        "step",
        "writing",
        "step",
        "undoing",
        "step",
        "close",
    ]
    change = seen.records[0][1]
    acts, phases = [], []
    for count in range(1, 9):
        state = reduce(change, seen.entries[:count])
        assert state is not None
        acts.append(next_act(state, Aim.GO_ON))
        phases.append(tuple(one.phase for one in state.steps))
    waiting, writing, known, undoing = Phase.WAITING, Phase.WRITING, Phase.KNOWN, Phase.UNDOING
    assert phases[:4] == [(waiting, waiting), (writing, waiting), (known, waiting), (known, writing)]
    assert phases[4:] == [(known, known), (undoing, known), (known, known), (known, known)]
    because = f"taken back because {seen.entries[0].data['plan']['steps'][1]['object']} failed"
    assert acts[:6] == [Write(0), Look((0,)), Write(1), Look((1,)), TakeBack(0, because), Look((0,))]
    assert isinstance(acts[6], Close) and acts[6].outcome is ResultOutcome.ROLLED_BACK
    assert acts[7] == acts[6]


async def test_a_change_that_a_process_is_at_is_not_taken_up(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=70, b=30)])
    tried: list[Exception] = []

    async def listen(progress: Any) -> None:
        if progress.stage == "written":
            with contextlib.suppress(Locked):
                await w.plane.take_up(w.plane.history()[0].change)
                tried.append(AssertionError("taken up"))

    assert (await w.plane.apply(plan, progress=listen)).outcome is ResultOutcome.APPLIED
    assert tried == []


async def test_going_on_is_judged_like_beginning(tmp_path: Path) -> None:
    """What is left of a change is compared and judged before anything more of it is written."""
    seen = await witnessed(tmp_path / "one", {"write": [], "loaded": []}, OnFailure.UNDO)
    w = cut(tmp_path / "two", seen, 3, written=False)
    w.store().change("k8s/HTTPRoute/inference/mistral", lambda native: native["routes"][str(B)]["x"].update(weight=55))
    result = await w.plane.take_up(seen.records[0][1])
    assert [step.outcome for step in result.steps] == [StepOutcome.UNDONE, StepOutcome.REFUSED]
    assert result.outcome is ResultOutcome.ROLLED_BACK and now(w) == (OLD[0], {"x": 55, "y": 50})


async def test_what_cannot_be_asked_stays_open(tmp_path: Path) -> None:
    seen = await witnessed(tmp_path / "one", {"write": [], "loaded": []}, OnFailure.UNDO)
    w = cut(tmp_path / "two", seen, 2, written=True)
    await w.plane.refresh()
    w.faults().down = True
    result = await w.plane.take_up(seen.records[0][1])
    assert result.outcome is ResultOutcome.INTERRUPTED and result.steps[0].found is Found.UNREACHABLE
    w.faults().down = False
    assert (await w.plane.take_up(seen.records[0][1])).outcome is ResultOutcome.APPLIED and now(w) == NEW
