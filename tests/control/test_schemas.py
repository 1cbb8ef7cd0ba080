"""The published schemas take what is really printed of the demo fleet, and nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator, ValidationError

from adapters import registry
from adapters.registry import sections
from control.contract.plans import history_to_json, plan_to_json, progress_to_json, result_to_json
from control.contract.rows import (
    doctor_to_json,
    environment_to_json,
    error_to_json,
    limit_to_json,
    list_to_json,
    route_to_json,
    service_to_json,
    traffic_to_json,
    verify_to_json,
)
from control.contract.schemas import NAMES, schema
from control.errors import NotFound, UsageError
from control.fleet.views import Unreached
from control.model import TargetState
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import Share, SharesEdit, StateEdit
from control.planning.expressions import parse_limit
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import Progress, ResultOutcome


def check(name: str, document: Any) -> None:
    """`document`, through JSON and back, is of the shape called `name`."""
    Draft202012Validator(schema(name, sections())).validate(json.loads(json.dumps(document)))


@pytest_asyncio.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """The demo fleet, read and measured."""
    deck, readers, writers = registry.demo(tmp_path)
    plane = ControlPlane(deck, readers, writers, "tester@here")
    await plane.refresh()
    await plane.measure()
    await asyncio.sleep(1.1)
    await plane.measure()
    yield plane
    for reader in readers.values():
        await reader.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_is_one(name: str) -> None:
    document = schema(name, sections())
    Draft202012Validator.check_schema(document)
    assert document["$schema"].endswith("2020-12/schema")
    json.dumps(document)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        schema("rout")
    assert caught.value.hint is not None
    assert "route" in caught.value.hint


async def test_lists_of_the_demo_fleet(plane: ControlPlane) -> None:
    inventory, now = plane.inventory, time.time()
    lists = {
        "route": [route_to_json(route, inventory, now) for route in inventory.routes.values()],
        "limit": [limit_to_json(limit, now) for limit in inventory.limits.values()],
        "environment": [environment_to_json(view, now) for view in inventory.environments.values()],
        "service": [service_to_json(service, now) for service in inventory.services.values()],
    }
    for name, items in lists.items():
        assert items
        Draft202012Validator({"type": "array", "items": schema(name, sections())}).validate(items)
        check("list", list_to_json(items[:4], [Unreached("lab", "no answer", "unreachable")], 0.5))


async def test_members_traffic_and_effective_limits(plane: ControlPlane) -> None:
    inventory, now = plane.inventory, time.time()
    members = [member for route in inventory.routes.values() for member in route.members]
    assert members
    for member in members[:5]:
        check("route", route_to_json(member, inventory, now))
    measured = [traffic_to_json(seen.traffic, now) for seen in inventory.seen.values()]
    assert any(one["rps"] for one in measured)
    for document in (*measured, traffic_to_json(None, now)):
        check("traffic", document)
    shapes = [limit_to_json(limit, now) for limit in inventory.limits.values()]
    effectives = [binding["effective"] for one in shapes for binding in one["bindings"] if binding["effective"]]
    assert any(one["low"] for one in effectives)
    for document in effectives:
        check("effective", document)


async def test_plans_results_history_and_the_chain(plane: ControlPlane) -> None:
    route = plane.inventory.routes[Ref.parse("staging/HTTPRoute/inference/llama#rule=chat")]
    first, second = (target.name for target in route.targets)
    moved = SharesEdit(route.ref, ((first, Share(Fraction(60, 100))), (second, Share(Fraction(40, 100)))))
    limit = next(
        one for one in plane.inventory.limits.values() if one.environment == "staging" and "burst" in one.fields
    )
    plan = await plane.plan([moved, parse_limit(limit.ref, ["rate=33/s", "burst=7"])], PlanOptions(reason="check"))
    check("plan", plan_to_json(plan))
    stages: list[Progress] = []

    async def seen(progress: Progress) -> None:
        stages.append(progress)

    result = await plane.apply(plan, ApplyOptions(reason="check"), seen)
    assert result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN)
    check("result", result_to_json(result))
    assert stages
    for stage in stages:
        check("progress", progress_to_json(stage))
    check("plan", plan_to_json(await plane.undo_plan(result.change)))
    check("history", history_to_json(plane.changes()))
    check("verify", verify_to_json(plane.journal.verify()))


async def test_a_refused_plan_and_its_result(plane: ControlPlane) -> None:
    route = next(r for r in plane.inventory.routes.values() if r.kind == "HAProxyBackend" and r.members)
    states = tuple((target.name, TargetState.MAINTENANCE) for target in route.targets)
    plan = await plane.plan([StateEdit(route.ref, states)])
    document = plan_to_json(plan)
    assert document["verdict"] == "refuse"
    check("plan", document)
    check("result", result_to_json(await plane.apply(plan, ApplyOptions(reason="check"))))


async def test_doctor_and_errors(plane: ControlPlane) -> None:
    check("doctor", doctor_to_json(await plane.doctor()))
    check("error", error_to_json(NotFound("there is nothing", ref="a/B/c/d")))


async def test_what_is_wrong_is_not_taken(plane: ControlPlane) -> None:
    inventory, now = plane.inventory, time.time()
    good = route_to_json(next(iter(inventory.routes.values())), inventory, now)
    wrongs: list[dict[str, Any]] = [
        {key: value for key, value in good.items() if key != "targets"},
        good | {"colour": "red"},
        good | {"platform": "mainframe"},
        good | {"ref": "no-ref"},
        good | {"targets": [good["targets"][0] | {"share": 0.7}]},
        good | {"age_seconds": "7"},
    ]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            check("route", wrong)
        with pytest.raises(ValidationError):
            check("list", list_to_json([wrong], [], 1.0))
    with pytest.raises(ValidationError):
        check("error", {"error": {"kind": "strange", "message": "", "ref": None, "hint": None}})
