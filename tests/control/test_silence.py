"""A plan that another environment's silence would block says which, and can be made without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from worlds import VM, A, B, shares, world

from control.errors import NotFound, Silent, Unreachable, UsageError
from control.planning.options import PlanOptions


async def test_the_silent_environment_is_named_with_the_way_round(tmp_path: Path) -> None:
    fleet = world(tmp_path)
    await fleet.plane.refresh()
    fleet.faults("vm").down = True
    edits = [shares(A, a=50, b=50), shares(B, x=10, y=90), shares(VM, u=3)]
    with pytest.raises(Silent) as caught:
        await fleet.plane.plan(edits)
    assert caught.value.environments == ("vm",)
    assert caught.value.message.startswith("vm does not answer, and its 1 edit would hold up 2 of other environments")
    assert caught.value.hint is not None and "--leave-out vm" in caught.value.hint
    plan = await fleet.plane.plan(edits, PlanOptions(leave_out=frozenset({"vm"})))
    assert {step.environment for step in plan.steps} == {"k8s"} and len(plan.steps) == 2


async def test_one_that_was_never_read_is_named_too(tmp_path: Path) -> None:
    fleet = world(tmp_path)
    fleet.faults("vm").down = True
    with pytest.raises(Silent, match="vm does not answer"):
        await fleet.plane.plan([shares(VM, u=3), shares(A, a=50)])


async def test_alone_or_wrong_it_is_the_plain_failure(tmp_path: Path) -> None:
    fleet = world(tmp_path)
    await fleet.plane.refresh()
    fleet.faults("vm").down = True
    with pytest.raises(Unreachable) as caught:
        await fleet.plane.plan([shares(VM, u=3)])
    assert not isinstance(caught.value, Silent)
    with pytest.raises(UsageError, match="nothing is left to plan without vm"):
        await fleet.plane.plan([shares(VM, u=3)], PlanOptions(leave_out=frozenset({"vm"})))
    fleet.faults("vm").down = False
    with pytest.raises(NotFound):
        await fleet.plane.plan([shares(A, nobody=3), shares(VM, u=3)])
