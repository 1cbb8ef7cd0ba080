"""The published schemas take what is really printed of the demo fleet, and nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator, ValidationError

from adapters import registry
from adapters.registry import sections
from control.contract.documents import Broken, Gap, Happened, LimitUse, OffIntent, OnCall, Unreachable
from control.contract.plans import history_document, plan_document, progress_document, result_document
from control.contract.rows import (
    doctor_document,
    environment_document,
    error_document,
    limit_document,
    list_document,
    route_document,
    service_document,
    traffic_document,
    verification_document,
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
from control.planning.plan import Progress, ResultOutcome, Verdict
from control.serialiser import to_json, to_text
from control.structs import replace

EARLIER: dict[str, Any] = json.loads((Path(__file__).with_name("stored") / "schemas.json").read_text())
"""The schemas as they were written by hand. Those made from the documents take and refuse the same."""


def check(name: str, document: Any) -> None:
    """`document`, through JSON and back, is what the schema called `name` says, and what it said in an earlier version.
    Raises `ValidationError` where both refuse it."""
    printed = json.loads(to_text(document))
    schemas = [schema(name, sections()), EARLIER.get(name, True)]
    judged = [Draft202012Validator(one).is_valid(printed) for one in schemas]
    assert len(set(judged)) == 1 or name not in EARLIER, f"{name}: now and earlier are {judged} of {printed}"
    Draft202012Validator(schemas[0]).validate(printed)


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
        "route": [route_document(route, inventory, now) for route in inventory.routes.values()],
        "limit": [limit_document(limit, now) for limit in inventory.limits.values()],
        "environment": [environment_document(view, now) for view in inventory.environments.values()],
        "service": [service_document(service, now) for service in inventory.services.values()],
    }
    for name, items in lists.items():
        assert items
        Draft202012Validator({"type": "array", "items": schema(name, sections())}).validate(to_json(items))
        check("list", list_document(items[:4], [Unreached("lab", "no answer", "unreachable")], 0.5))


async def test_members_traffic_and_effective_limits(plane: ControlPlane) -> None:
    inventory, now = plane.inventory, time.time()
    members = [member for route in inventory.routes.values() for member in route.members]
    assert members
    for member in members[:5]:
        check("route", route_document(member, inventory, now))
    measured = [traffic_document(seen.traffic, now) for seen in inventory.seen.values()]
    assert any(one.rps for one in measured)
    for document in (*measured, traffic_document(None, now)):
        check("traffic", document)
    limits = [limit_document(limit, now) for limit in inventory.limits.values()]
    effectives = [binding.effective for one in limits for binding in one.bindings if binding.effective]
    assert any(one.low for one in effectives)
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
    check("plan", plan_document(plan))
    stages: list[Progress] = []

    async def seen(progress: Progress) -> None:
        stages.append(progress)

    result = await plane.apply(plan, ApplyOptions(reason="check"), seen)
    assert result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN)
    check("result", result_document(result))
    assert stages
    for stage in stages:
        check("progress", progress_document(stage))
    check("plan", plan_document(await plane.undo_plan(result.change)))
    check("history", history_document(plane.changes()))
    check("verify", verification_document(plane.journal.verify()))


async def test_a_refused_plan_and_its_result(plane: ControlPlane) -> None:
    route = next(r for r in plane.inventory.routes.values() if r.kind == "HAProxyBackend" and r.members)
    states = tuple((target.name, TargetState.MAINTENANCE) for target in route.targets)
    plan = await plane.plan([StateEdit(route.ref, states)])
    document = plan_document(plan)
    assert document.verdict is Verdict.REFUSE
    check("plan", document)
    check("result", result_document(await plane.apply(plan, ApplyOptions(reason="check"))))


async def test_doctor_and_errors(plane: ControlPlane) -> None:
    check("doctor", doctor_document(await plane.doctor()))
    check("error", error_document(NotFound("there is nothing", ref="a/B/c/d")))


def test_what_is_told_on_call() -> None:
    limit = LimitUse("a/B/c/d", None, ["header X-Client"], 0.25, 0.9)
    gaps = [Gap("v1", Fraction(9, 10), 0.5, True), Gap("v2", None, None, False)]
    told = OnCall(
        at=1000.5,
        broken=[Broken("a/B/c/d", "llama", ["v1 is down"])],
        off_intent=[OffIntent("a/B/c/d#rule=0", None, gaps)],
        throttled=[limit],
        saturated=[limit],
        changes=[Happened(1000, "me@here", "a shift", "applied")],
        changes_unknown=None,
        unreachable=[Unreachable("lab", "no answer")],
        age_seconds=None,
    )
    check("oncall", told)
    assert to_json(told)["off_intent"][0]["targets"][0] == {
        "name": "v1",
        "set": "9/10",
        "seen": 0.5,
        "significant": True,
    }
    with pytest.raises(ValidationError):
        check("oncall", replace(told, broken=[limit]))


async def test_what_is_wrong_is_not_taken(plane: ControlPlane) -> None:
    inventory, now = plane.inventory, time.time()
    good = to_json(route_document(next(iter(inventory.routes.values())), inventory, now))
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
            check("list", list_document([wrong], [], 1.0))
    with pytest.raises(ValidationError):
        check("error", {"error": {"kind": "strange", "message": "", "ref": None, "hint": None}})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, the first element of each list standing for all."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutants(document: Any) -> Iterator[tuple[tuple[Any, ...], str, Any]]:
    """(where, what, the document with one thing changed)."""
    for path in places(document):
        for what in ("gone", "more", None, "?", -1, 1.5, True, [], {}):
            copy = deepcopy(document)
            inner = copy
            for key in path[:-1]:
                inner = inner[key]
            if what == "gone" and isinstance(inner, dict):
                del inner[path[-1]]
            elif what == "more" and isinstance(inner[path[-1]], dict):
                inner[path[-1]]["more"] = 1
            elif what not in ("gone", "more"):
                inner[path[-1]] = what
            yield path, str(what), copy


async def test_what_is_refused_was_refused_before(plane: ControlPlane) -> None:
    """One thing changed anywhere: both versions of a schema say the same of it, but for what was too loose."""
    inventory, now = plane.inventory, time.time()
    routes = sorted(inventory.routes.values(), key=lambda route: (len(route.members) > 1, len(route.owners)))
    limit = max(inventory.limits.values(), key=lambda limit: len(limit.bindings))
    slower = parse_limit(Ref.parse("staging/Middleware/inference/llama-per-key"), ["rate=33/s"])
    plan = await plane.plan([slower])
    documents = {
        "route": route_document(routes[-1], inventory, now),
        "limit": limit_document(limit, now),
        "environment": environment_document(next(iter(inventory.environments.values())), now),
        "service": service_document(next(iter(inventory.services.values())), now),
        "plan": plan_document(plan),
    }
    for name, document in documents.items():
        made, earlier = (Draft202012Validator(one) for one in (schema(name, sections()), EARLIER[name]))
        refused = 0
        for path, what, mutant in mutants(to_json(document)):
            loose = path[-1] == "weight" or "weights" in path or ("mirrors" in path and what == "None")
            assert made.is_valid(mutant) == earlier.is_valid(mutant) or loose, (name, path, what)
            refused += not made.is_valid(mutant)
        assert refused > 50, name
