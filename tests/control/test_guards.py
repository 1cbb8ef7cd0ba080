"""Each guard objects to what it is for, names it, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from worlds import RATE, A, World, amount, environments, native, shares, world

from control.deck.config import DeckConfig, FrontConfig, GuardConfig, ServiceConfig
from control.errors import ErrorKind, UsageError
from control.model import Owner, OwnerRole, Snapshot, Special, TargetState
from control.planning.edit import LimitEdit, StateEdit
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import Plan, ResultOutcome, Verdict
from control.structs import replace


def guarded(folder: Path, guards: GuardConfig, state: dict[str, Any] | None = None, **of: Any) -> World:
    deck = DeckConfig(folder / "deck.yaml", tuple(replace(e, guards=guards) for e in environments(**of)))
    return world(folder, deck, state)


def named(plan: Plan) -> dict[str, Verdict]:
    return {guard.name: guard.verdict for step in plan.steps for guard in step.guards}


def with_health(**health: str) -> dict[str, Any]:
    state = native()
    targets = state["k8s"]["k8s/HTTPRoute/inference/llama"]["routes"][str(A)]
    for name, value in health.items():
        targets[name]["health"] = value
    return state


async def test_zero_sum(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([StateEdit(A, (("a", TargetState.DRAINING), ("b", TargetState.MAINTENANCE)))])
    assert named(plan)["zero_sum"] is Verdict.REFUSE and plan.verdict is Verdict.REFUSE
    message = next(g.message for g in plan.steps[0].guards if g.name == "zero_sum")
    assert str(A) in message
    result = await w.plane.apply(plan)
    assert result.outcome is ResultOutcome.REFUSED and result.steps[0].reason is not None
    assert result.steps[0].reason.kind is ErrorKind.GUARD and "zero_sum" in result.steps[0].reason.message
    assert w.plane.history() == []


@pytest.mark.parametrize(
    ("health", "drained", "verdicts"),
    [
        ({"b": "down"}, "a", {"last_healthy": Verdict.REFUSE, "health_unknown": Verdict.WARN}),
        ({"b": "unknown"}, "a", {"health_unknown": Verdict.WARN}),
        ({"a": "down"}, "a", {}),
        ({"a": "down", "b": "down"}, "a", {"health_unknown": Verdict.WARN}),
    ],
)
async def test_health(tmp_path: Path, health: dict[str, str], drained: str, verdicts: dict[str, Verdict]) -> None:
    w = guarded(tmp_path, GuardConfig(maximum_move=100), with_health(**health))
    plan = await w.plane.plan([StateEdit(A, ((drained, TargetState.DRAINING),))])
    assert named(plan) == verdicts


async def test_more_traffic_to_a_target_that_is_down_is_warned_about(tmp_path: Path) -> None:
    w = guarded(tmp_path, GuardConfig(maximum_move=100), with_health(b="down"))
    plan = await w.plane.plan([shares(A, a=80, b=20)])
    assert named(plan) == {"health_unknown": Verdict.WARN}
    assert "b would get more traffic and is down" in plan.steps[0].guards[0].message
    assert named(await w.plane.plan([shares(A, a=95, b=5)])) == {}


@pytest.mark.parametrize(("production", "verdict"), [(True, Verdict.REFUSE), (False, Verdict.WARN)])
async def test_maximum_move(tmp_path: Path, production: bool, verdict: Verdict) -> None:
    w = guarded(tmp_path, GuardConfig(), production=production)
    assert named(await w.plane.plan([shares(A, a=65, b=35)])) == {}
    plan = await w.plane.plan([shares(A, a=64, b=36)])
    assert named(plan) == {"maximum_move": verdict}
    assert "26 points" in plan.steps[0].guards[0].message


async def test_overrides_need_a_reason_and_a_known_name(tmp_path: Path) -> None:
    w = guarded(tmp_path, GuardConfig(), production=True, code="eu")
    plan = await w.plane.plan([shares(A, a=10, b=90)], PlanOptions(overrides=("maximum_move",)))
    assert plan.verdict is Verdict.WARN and plan.steps[0].guards[0].message.startswith("overridden")
    eu = frozenset({"eu"})
    refused = await w.plane.apply(plan, ApplyOptions("ramp", eu))
    assert refused.outcome is ResultOutcome.REFUSED
    with pytest.raises(UsageError, match="no guard"):
        await w.plane.apply(plan, ApplyOptions("ramp", eu, ("maximum_mvoe",)))
    done = await w.plane.apply(plan, ApplyOptions("ramp", eu, ("maximum_move",)))
    assert done.outcome is ResultOutcome.APPLIED
    undo = await w.plane.undo_plan()
    assert named(undo) == {}


async def test_undo_is_never_exempt_from_zero_sum(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.store().change(
        "k8s/HTTPRoute/inference/llama",
        lambda new: [t.update(state="draining") for t in new["routes"][str(A)].values()],
    )
    done = await w.plane.apply(await w.plane.plan([StateEdit(A, (("b", TargetState.ACTIVE),))]))
    assert done.outcome is ResultOutcome.APPLIED
    undo = await w.plane.undo_plan()
    assert named(undo)["zero_sum"] is Verdict.REFUSE
    assert (await w.plane.apply(undo)).outcome is ResultOutcome.REFUSED


async def test_cool_down_and_freeze_and_configured_verdicts(tmp_path: Path) -> None:
    w = guarded(tmp_path, GuardConfig(verdicts={"cool_down": "refuse"}))
    assert (await w.plane.apply(await w.plane.plan([shares(A, a=80, b=20)]))).outcome is ResultOutcome.APPLIED
    assert named(await w.plane.plan([shares(A, a=70, b=30)])) == {"cool_down": Verdict.REFUSE}
    assert named(await w.plane.undo_plan()) == {}
    frozen = guarded(tmp_path / "f", GuardConfig(freeze="black friday", verdicts={"maximum_move": "off"}))
    plan = await frozen.plane.plan([shares(A, a=0, b=100)])
    assert named(plan) == {"freeze": Verdict.REFUSE} and "black friday" in plan.steps[0].guards[0].message


async def test_owners(tmp_path: Path) -> None:
    w = world(tmp_path)
    reader = w.readers["k8s"]
    kept = reader.snapshot

    def owned(state: dict[str, Any], only: str | None = None) -> Snapshot:
        snapshot = kept(state, only)
        owners = (
            Owner("argo-rollouts", "llama", OwnerRole.DRIVER, edit_instead="edit the Rollout"),
            Owner("argocd", "apps/llama", OwnerRole.DECLARED, reverts=True, within_seconds=180),
        )
        return replace(snapshot, routes=tuple(replace(r, owners=owners) for r in snapshot.routes))

    reader.snapshot = owned  # type: ignore[method-assign]
    plan = await w.plane.plan([shares(A, a=80, b=20)])
    assert named(plan) == {"driven": Verdict.REFUSE, "declared": Verdict.WARN}
    messages = " ".join(g.message for g in plan.steps[0].guards)
    assert "edit the Rollout" in messages and "within 180 s" in messages
    assert len(plan.steps[0].owners) == 2


async def test_zero_or_unlimited(tmp_path: Path) -> None:
    w = world(tmp_path)
    asked = await w.plane.plan([LimitEdit(RATE, amount=Special.UNLIMITED)])
    assert named(asked) == {"zero_or_unlimited": Verdict.WARN}
    kept = w.readers["k8s"]._edit

    def turns_into_unlimited(new: dict[str, Any], change: Any) -> None:
        kept(new, change)
        new["limits"][str(RATE)]["amount"] = "unlimited"

    w.readers["k8s"]._edit = turns_into_unlimited  # type: ignore[method-assign]
    silent = await w.plane.plan([amount(RATE, 50)])
    assert named(silent) == {"zero_or_unlimited": Verdict.REFUSE}


async def test_residency(tmp_path: Path) -> None:
    state = native()
    targets = state["k8s"]["k8s/HTTPRoute/inference/llama"]["routes"][str(A)]
    targets["a"]["region"], targets["b"]["region"], targets["b"]["weight"] = "eu", "us", 0
    w = guarded(tmp_path, GuardConfig(regions=("eu",), verdicts={"maximum_move": "off"}), state)
    plan = await w.plane.plan([shares(A, a=50, b=50)])
    assert named(plan) == {"residency": Verdict.REFUSE}
    assert "b would get traffic and stands in us" in plan.steps[0].guards[0].message
    assert named(await w.plane.plan([shares(A, a=50)])) == {}


async def test_residency_behind_a_front(tmp_path: Path) -> None:
    guards = GuardConfig(regions=("eu",), verdicts={"maximum_move": "off"}, cool_down_seconds=0)
    k8s, vm = (replace(e, guards=guards) for e in environments())
    vm = replace(vm, labels={"region": "us"})
    service = ServiceConfig("llama", ("vm/NginxUpstream/*/llama",), FrontConfig(str(A), {"a": "k8s", "b": "vm"}))
    deck = DeckConfig(tmp_path / "deck.yaml", (replace(k8s, labels={"region": "eu"}), vm), (service,))
    state = native()
    state["k8s"]["k8s/HTTPRoute/inference/llama"]["routes"][str(A)]["b"]["weight"] = 0
    w = world(tmp_path, deck, state)
    plan = await w.plane.plan([shares(A, b=10)])
    assert named(plan) == {"residency": Verdict.REFUSE}
    assert "us" in plan.steps[0].guards[0].message
