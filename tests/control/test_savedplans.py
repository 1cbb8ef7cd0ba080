"""A saved plan is believed in nothing but its wishes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from worlds import RATE, A, B, World, amount, shares, world

from control.contract.plans import plan_from_json, plan_to_json, seal
from control.model import Effective, Interval, Owner, OwnerRole
from control.model.ref import Ref
from control.planning.edit import Change
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import EffectiveChange, GuardResult, OnFailure, Plan, ResultOutcome, Step, Verdict
from control.planning.saved_plans import StalePlan
from control.ports import Fetched
from control.structs import replace

C = Ref.parse("k8s/HTTPRoute/inference/gone")


def step_with(plan: Plan, **what: object) -> Plan:
    """The plan with its first step forged, under a seal that fits."""
    return seal(replace(plan, steps=(replace(plan.steps[0], **what), *plan.steps[1:])))  # type: ignore[arg-type]


def changed(step: Step, **what: object) -> tuple[Change, ...]:
    return (replace(step.changes[0], **what), *step.changes[1:])  # type: ignore[arg-type]


FORGED: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "another ref": (lambda p: step_with(p, changes=changed(p.steps[0], ref=B)), "is in k8s/HTTPRoute"),
    "a ref that is gone": (lambda p: step_with(p, changes=changed(p.steps[0], ref=C)), "there is no k8s"),
    "another environment": (lambda p: step_with(p, environment="vm"), "is not of vm"),
    "another object": (lambda p: step_with(p, object="k8s/HTTPRoute/inference/mistral"), "the file says"),
    "another from": (lambda p: step_with(p, changes=changed(p.steps[0], before=89)), "starts from 89"),
    "another diff": (lambda p: step_with(p, diff="- nothing\n+ nothing"), "the file's diff is not"),
    "another base": (lambda p: step_with(p, base="77"), "was changed since"),
    "a wish twice": (lambda p: step_with(p, changes=p.steps[0].changes + p.steps[0].changes[:1]), "twice"),
    "an undo of nothing": (lambda p: seal(replace(p, undo_of="260101-000000-0000")), "no change 260101"),
    "one step less in the file": (lambda p: seal(replace(p, steps=())), ""),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_file_is_stale_and_writes_nothing(tmp_path: Path, what: str) -> None:
    w = world(tmp_path)
    forge, why = FORGED[what]
    saved = plan_from_json(plan_to_json(forge(await w.plane.plan([shares(A, a=80, b=20)]))))
    if what == "one step less in the file":
        assert not (await w.plane.replan(saved)).steps
        return
    error = StalePlan if "undo" not in what else Exception
    with pytest.raises(error, match=why):
        await w.plane.replan(saved)
    assert w.weights() == {"a": 90, "b": 10} and w.plane.history() == []


async def test_an_owner_that_came_meanwhile_is_stale_and_one_that_left_is_not(tmp_path: Path) -> None:
    w = world(tmp_path)
    argo = Owner("Application", "inference", OwnerRole.DECLARED, "annotation", True, 60.0, "the repository")
    plan = await w.plane.plan([shares(A, a=80, b=20)])
    assert (await w.plane.replan(step_with(plan, owners=(argo,)))).steps[0].owners == ()
    own(w, argo)
    with pytest.raises(StalePlan, match="owner that the file does not name: Application inference"):
        await w.plane.replan(plan)


def own(w: World, owner: Owner) -> None:
    """From now on every route of the fake platform has this owner."""
    reader = w.readers["k8s"]
    fetch = reader.fetch

    async def owned(objects: Sequence[str]) -> list[Fetched]:
        read = await fetch(objects)
        return [replace(one, routes=tuple(replace(route, owners=(owner,)) for route in one.routes)) for one in read]

    reader.fetch = owned  # type: ignore[method-assign]


async def test_an_undo_that_sets_something_else_is_none(tmp_path: Path) -> None:
    """Undo is exempt from maximum_move and cool_down: a file must not claim it for another change."""
    w = world(tmp_path)
    first = await w.plane.apply(await w.plane.plan([shares(A, a=80, b=20)]), ApplyOptions())
    undo = await w.plane.undo_plan(first.change)
    assert (await w.plane.replan(undo)).undo_of == first.change
    forged = await w.plane.plan([shares(A, a=1, b=99)])
    with pytest.raises(StalePlan, match="no undo of it"):
        await w.plane.replan(seal(replace(forged, undo_of=first.change)))
    other = await w.plane.plan([shares(B, x=1, y=99)])
    with pytest.raises(StalePlan, match="did not set"):
        await w.plane.replan(seal(replace(other, undo_of=first.change)))
    done = await w.plane.apply(await w.plane.replan(undo))
    assert done.outcome is ResultOutcome.APPLIED and w.weights() == {"a": 90, "b": 10}


async def test_guards_and_effective_limits_are_computed_anew(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=0, b=0)])
    assert plan.verdict is Verdict.REFUSE
    told = (GuardResult("zero_sum", Verdict.OK, "all is well"),)
    forged = seal(replace(step_with(plan, guards=told), verdict=Verdict.OK))
    fresh = await w.plane.replan(forged)
    assert fresh.verdict is Verdict.REFUSE and fresh.steps[0].guards != told
    result = await w.plane.apply(fresh, ApplyOptions(reason="no"))
    assert result.outcome is ResultOutcome.REFUSED and w.weights() == {"a": 90, "b": 10}


def effective(low: int) -> Effective:
    return Effective(Fraction(low), Fraction(1000), Interval(None, None), "requests", Fraction(1), "", "")


async def test_an_effective_limit_refuses_only_where_it_lets_less_through(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([amount(RATE, 200)])
    (now,) = plan.steps[0].effective
    assert now.after is not None and now.after.low == 200

    def said(low: int) -> Plan:
        return step_with(plan, effective=(EffectiveChange(now.on, now.before, replace(now.after, low=Fraction(low))),))

    assert (await w.plane.replan(said(150))).steps[0].effective == (now,)
    with pytest.raises(StalePlan, match=r"at least 400 .* now it is 200"):
        await w.plane.replan(said(400))


async def test_a_plan_names_its_overrides_and_they_are_not_believed(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=0, b=0)], PlanOptions(overrides=("zero_sum",), reason="end of life"))
    saved = plan_from_json(plan_to_json(plan))
    assert saved.overrides == ("zero_sum",) and saved.verdict is Verdict.WARN
    assert (await w.plane.replan(saved)).verdict is Verdict.REFUSE
    again = await w.plane.replan(saved, ("zero_sum",))
    assert again.verdict is Verdict.WARN and again.plan == saved.plan and again.reason == "end of life"


async def test_an_older_file_without_overrides_is_read(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=80, b=20)], PlanOptions(on_failure=OnFailure.STOP))
    assert (await w.plane.replan(plan)).on_failure is OnFailure.STOP
    import hashlib

    from control.serialiser import canonical

    old = {key: value for key, value in plan_to_json(plan).items() if key not in ("overrides", "sha256")}
    read = plan_from_json(old | {"sha256": hashlib.sha256(canonical(old)).hexdigest()})
    assert read.overrides == () and (await w.plane.replan(read)).steps == plan.steps


# --- objects that were made again -------------------------------------------------------------------------------------


def made_again(w: World, uid: str) -> None:
    """The object of route A is another one, with the same content."""
    w.store("k8s").change("k8s/HTTPRoute/inference/llama", lambda native: native.update(uid=uid))


async def test_an_undo_does_not_write_to_an_object_that_was_made_again(tmp_path: Path) -> None:
    w = world(tmp_path)
    made_again(w, "u-1")
    first = await w.plane.apply(await w.plane.plan([shares(A, a=80, b=20)]))
    same = await w.plane.undo_plan(first.change)
    assert same.verdict is not Verdict.REFUSE
    made_again(w, "u-2")
    plan = await w.plane.undo_plan(first.change)
    (guard,) = [one for one in plan.steps[0].guards if one.name == "recreated"]
    assert guard.verdict is Verdict.REFUSE and "uid u-1, now u-2" in guard.message
    refused = await w.plane.apply(plan)
    assert refused.outcome is ResultOutcome.REFUSED and w.weights() == {"a": 80, "b": 20}
    with pytest.raises(StalePlan, match="was changed since"):
        await w.plane.replan(same)
    over = await w.plane.undo_plan(first.change, overrides=("recreated",))
    assert over.verdict is Verdict.WARN and over.overrides == ("recreated",)
    assert (await w.plane.apply(over)).outcome is ResultOutcome.REFUSED
    done = await w.plane.apply(over, ApplyOptions(overrides=("recreated",)))
    assert done.outcome is ResultOutcome.APPLIED and w.weights() == {"a": 90, "b": 10}
