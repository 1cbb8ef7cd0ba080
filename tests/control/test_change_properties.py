"""Properties of changes: the order of steps, and that undo restores what was there."""

from __future__ import annotations

import asyncio
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from fake_adapter import limit, route
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import World, world

from control.model import Limit, Special, TargetState
from control.model.graph import Graph
from control.model.ref import Ref
from control.planning.edit import Edit, LimitEdit, SharesEdit, StateEdit
from control.planning.fields import flattened
from control.planning.options import ApplyOptions
from control.planning.ordering import Turn, ordered, rate, route_turn, turn_of
from control.planning.plan import ResultOutcome
from control.planning.planner import outlook, resolve, row_of

ROUTES = [Ref.parse(f"k8s/HTTPRoute/inference/r{n}") for n in range(4)]
LIMITS = [Ref.parse(f"k8s/Middleware/inference/l{n}") for n in range(3)]


def layered() -> dict[str, Any]:
    """r3 leads to r2 leads to r1 leads to r0."""
    objects: dict[str, Any] = {}
    for n, ref in enumerate(ROUTES):
        native = route(a=40, b=50, c=10)
        if n:
            native["a"]["to"] = str(ROUTES[n - 1])
        objects[str(ref)] = {"version": 1, "routes": {str(ref): native}}
    for ref in LIMITS:
        objects[str(ref)] = {"version": 1, "limits": {str(ref): limit("100", burst=20, on=str(ROUTES[0]))}}
    return objects


def fresh_world(folder: str) -> World:
    return world(Path(folder), state={"k8s": layered(), "vm": {}})


weights = st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100))
share_edits = st.builds(
    lambda ref, w: SharesEdit(ref, tuple(zip("abc", w, strict=True))), st.sampled_from(ROUTES), weights
)
state_edits = st.builds(
    lambda ref, name, state: StateEdit(ref, ((name, state),)),
    st.sampled_from(ROUTES),
    st.sampled_from("ab"),
    st.sampled_from(list(TargetState)),
)
limit_edits = st.builds(
    lambda ref, amount, burst: LimitEdit(ref, amount=amount, burst=burst),
    st.sampled_from(LIMITS),
    st.one_of(st.integers(1, 300).map(Fraction), st.sampled_from(Special), st.none()),
    st.one_of(st.none(), st.integers(1, 50)),
).filter(lambda edit: edit.amount is not None or edit.burst is not None)
edit_lists = st.lists(
    st.one_of(share_edits, state_edits, limit_edits), min_size=1, max_size=6, unique_by=lambda edit: edit.ref
)


@settings(max_examples=60, deadline=None)
@given(edit_lists)
def test_order(edits: list[Edit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_check_order(folder, edits))


async def _check_order(folder: str, edits: list[Edit]) -> None:
    w = fresh_world(folder)
    await w.plane.refresh()
    situation = await w.plane._changing._situation([])
    changes = resolve(edits, w.plane.inventory, lambda ref, target: 5)
    rows = [row_of(situation.inventory, change.ref) for change in changes]
    fetched = await w.plane._changing._fetch((row.environment, row.object) for row in rows)
    given_order = await w.plane._changing._prepare(fetched, changes)
    ahead = outlook(situation, given_order)
    graph = Graph(situation.inventory.routes, ())
    done = ordered(given_order, ahead.before, ahead.after, graph)
    assert sorted(s.object for s in done) == sorted(s.object for s in given_order)
    turns = [turn_of(step, ahead.before, ahead.after) for step in done]
    assert turns == sorted(turns)
    shifts = [graph.height(step.changes[0].ref) for step, t in zip(done, turns, strict=True) if t is Turn.SHIFT]
    assert shifts == sorted(shifts)
    for turn in (Turn.OPEN, Turn.CLOSE):
        same = [step.object for step, t in zip(done, turns, strict=True) if t is turn]
        assert same == [step.object for step in given_order if step.object in same]
    for step, turn in zip(done, turns, strict=True):
        before, after = ahead.before[step.changes[0].ref], ahead.after[step.changes[0].ref]
        if isinstance(before, Limit) and isinstance(after, Limit) and rate(after) != rate(before):
            assert turn is (Turn.OPEN if rate(after) > rate(before) else Turn.CLOSE)
        elif not isinstance(before, Limit):
            assert turn is route_turn(step.changes)


@settings(max_examples=60, deadline=None)
@given(edit_lists)
def test_undo_restores(edits: list[Edit]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_check_undo(folder, edits))


def _values(w: World) -> dict[str, Any]:
    return {name: {k: v for k, v in one.items() if k != "version"} for name, one in w.store().get().items()}


async def _check_undo(folder: str, edits: list[Edit]) -> None:
    w = fresh_world(folder)
    before = _values(w)
    plan = await w.plane.plan(edits)
    guards = ApplyOptions(reason="test", overrides=tuple({g.name for s in plan.steps for g in s.guards} - {"platform"}))
    result = await w.plane.apply(plan, guards)
    if not plan.steps:
        assert result.outcome is ResultOutcome.NO_CHANGE
        return
    assert result.outcome is ResultOutcome.APPLIED, result
    rows = flattened([*(i := await w.plane.refresh()).routes.values(), *i.limits.values()])
    assert rows and _values(w) != before
    undone = await w.plane.apply(await w.plane.undo_plan(), guards)
    assert undone.outcome is ResultOutcome.APPLIED
    assert _values(w) == before
    again = await w.plane.apply(await w.plane.undo_plan(), guards)
    assert again.outcome is ResultOutcome.APPLIED
    assert w.plane.journal.verify(again.head).ok
