"""What the controllers of an HTTPRoute say of it, and what that is worth."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from natives import httproute

from adapters.kubernetes.route_status import status_of
from adapters.kubernetes.wire.gateway_api import HTTPRoute
from control.model import Status, StatusState

WRITTEN = "2026-05-01T12:00:00Z"
EARLIER, LATER = "2026-05-01T11:59:59Z", "2026-05-01T12:00:01Z"
OK, PENDING, UNKNOWN, ERROR = StatusState.OK, StatusState.PENDING, StatusState.UNKNOWN, StatusState.ERROR


def condition(kind: str, status: str = "True", generation: int | None = 3, at: str = LATER) -> dict[str, Any]:
    observed = {} if generation is None else {"observedGeneration": generation}
    return {"type": kind, "status": status, "reason": "Why", "message": "so", "lastTransitionTime": at, **observed}


def both(**more: Any) -> list[dict[str, Any]]:
    return [condition(kind, **more) for kind in ("Accepted", "ResolvedRefs")]


def parent(conditions: Any, name: str = "main", **ref: Any) -> dict[str, Any]:
    return {"parentRef": {"name": name, **ref}, "controllerName": "example.org/controller", "conditions": conditions}


def status(parents: Any, refs: Any = None, generation: int = 3, writes: Any = None, **spec: Any) -> Status:
    native = copy.deepcopy(httproute("a", "a.test", {"v1": 1}))
    entries = [{"manager": "kubectl", "operation": "Update", "time": WRITTEN}] if writes is None else writes
    native["metadata"] |= {"uid": "u", "generation": generation, "managedFields": entries}
    native["status"] = {"parents": parents}
    native["spec"] |= spec
    if refs is not None:
        native["spec"]["parentRefs"] = refs
    return status_of(msgspec.convert(native, HTTPRoute))


def test_what_is_accepted() -> None:
    assert status([parent(both())]) == Status(OK, "accepted")
    assert status(None).state is UNKNOWN
    assert status([]).state is UNKNOWN
    assert status([parent(None)]).state is PENDING
    assert status([parent(both(generation=2))]).state is PENDING
    assert status([parent([condition("Accepted"), condition("ResolvedRefs", "False")])]).state is ERROR


@pytest.mark.parametrize("said", ["Unknown", "", "true"])
def test_what_is_not_true_is_not_accepted(said: str) -> None:
    for kind in ("Accepted", "ResolvedRefs"):
        other = "ResolvedRefs" if kind == "Accepted" else "Accepted"
        found = status([parent([condition(kind, said), condition(other)])])
        assert found.state is PENDING
        assert kind in found.detail


@pytest.mark.parametrize("generation", [None, 0])
def test_without_a_generation_the_time_of_the_condition_is_believed(generation: int | None) -> None:
    assert status([parent(both(generation=generation, at=LATER))]).state is OK
    assert status([parent(both(generation=generation, at=WRITTEN))]).state is OK, "times are told to the second"
    late = status([parent(both(generation=generation, at=EARLIER))])
    assert (late.state, "before the last write" in late.detail) == (UNKNOWN, True)
    assert status([parent(both(generation=generation, at=EARLIER))], generation=1).state is OK, "never written since"
    assert status([parent(both(generation=generation, at="yesterday"))]).state is UNKNOWN
    assert status([parent(both(generation=generation, at=LATER))], writes=[]).state is UNKNOWN
    status_write = {"manager": "c", "operation": "Update", "time": LATER, "subresource": "status"}
    own = {"manager": "kubectl", "operation": "Apply", "time": EARLIER}
    found = status([parent(both(generation=generation, at=WRITTEN))], writes=[own, status_write])
    assert found.state is OK, "a controller's own write is none of the spec"


def test_parents_that_the_spec_no_longer_names_do_not_count() -> None:
    refused = [condition("Accepted", "False")]
    assert status([parent(both()), parent(refused, "gone")]).state is OK
    assert status([parent(refused, "gone")]).state is UNKNOWN
    assert status([parent(both()), parent(refused, namespace="elsewhere")]).state is OK
    assert status([parent(both()), parent(refused, sectionName="old")]).state is OK
    assert status([parent(both()), parent(refused, port=81)]).state is OK
    assert status([parent(both()), parent(refused, kind="Service", group="")]).state is OK
    assert status([parent(both(), namespace="inference", kind="Gateway")]).state is OK, "defaults spelled out"
    assert status([parent(both(), "default")], refs=[]).state is UNKNOWN
    assert status([parent(both(), "default")], refs=[], useDefaultGateways="All").state is OK


def test_a_parent_of_which_nobody_speaks_is_named() -> None:
    refs = [{"name": "main"}, {"name": "other", "sectionName": "web"}]
    found = status([parent(both())], refs)
    assert (found.state, found.detail) == (UNKNOWN, "no controller has taken its parent Gateway inference/other web")
    assert status([parent(both()), parent(both(), "other", sectionName="web")], refs).state is OK
    assert status([parent([condition("Accepted", "False")]), parent(both(), "other")], refs).state is ERROR


def test_two_controllers_of_one_parent_must_both_accept() -> None:
    two = parent([condition("Accepted", "False")]) | {"controllerName": "example.org/other"}
    assert status([parent(both()), two]).state is ERROR
