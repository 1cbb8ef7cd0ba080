from __future__ import annotations

from fractions import Fraction

import pytest
from making import make_route

from control.errors import InvalidValue, NotFound
from control.model import Grid, Route, Semantics, TargetState, Weight
from control.planning.edits import resolve_states
from control.planning.expressions import parse_states
from control.structs import replace

ACTIVE, DRAINING, MAINTENANCE = TargetState.ACTIVE, TargetState.DRAINING, TargetState.MAINTENANCE


def changed(route: Route, *items: str, remembered: Weight | None = None) -> dict[str, tuple[object, object]]:
    edit = parse_states(route.ref, items)
    return {c.field: (c.before, c.after) for c in resolve_states(route, edit, lambda name: remembered)}


def refused(route: Route, *items: str, remembered: Weight | None = None) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        changed(route, *items, remembered=remembered)
    return caught.value


def haproxy(state: TargetState = ACTIVE) -> Route:
    route = make_route({"a": 100, "b": 100}, grid=Grid(maximum=256), states={"a": state}, kind="HAProxyBackend")
    return replace(route, states=frozenset(TargetState))


def nginx(state: TargetState = ACTIVE) -> Route:
    route = make_route({"a": 1, "b": 1}, grid=Grid(zero=False), states={"a": state}, kind="NginxUpstream")
    return replace(route, states=frozenset({ACTIVE, MAINTENANCE}))


def test_a_native_state_is_set() -> None:
    assert changed(haproxy(), "a=draining") == {"targets/a/state": (ACTIVE, DRAINING)}
    assert changed(haproxy(DRAINING), "a=active", "b=maintenance") == {
        "targets/a/state": (DRAINING, ACTIVE), "targets/b/state": (ACTIVE, MAINTENANCE)}  # fmt: skip


def test_no_change_is_none() -> None:
    assert changed(haproxy(DRAINING), "a=draining", "b=active") == {}
    assert changed(make_route({"a": 0, "b": 5}), "a=draining", "b=active") == {}


def test_persist_is_passed_on() -> None:
    changes = resolve_states(haproxy(), parse_states(haproxy().ref, ["a=draining"], persist=True), lambda name: None)
    assert [change.persist for change in changes] == [True]


def test_without_the_state_draining_is_weight_zero() -> None:
    assert changed(make_route({"a": 80, "b": 20}), "b=draining") == {"targets/b/weight": (20, 0)}


def test_active_restores_the_remembered_weight() -> None:
    assert changed(make_route({"a": 80, "b": 0}), "b=active", remembered=20) == {"targets/b/weight": (0, 20)}


@pytest.mark.parametrize("remembered", [None, 0])
def test_active_without_a_memory_asks_for_a_weight(remembered: int | None) -> None:
    error = refused(make_route({"a": 80, "b": 0}), "b=active", remembered=remembered)
    assert "set shares east/HTTPRoute/inference/llama b=WEIGHT" in (error.hint or "")


def test_maintenance_is_refused_with_draining_as_the_nearest() -> None:
    assert "b=draining" in (refused(make_route({"a": 80, "b": 20}), "b=maintenance").hint or "")


def test_nginx_cannot_drain_and_names_maintenance() -> None:
    error = refused(nginx(), "a=draining")
    assert "NginxUpstream has no state 'draining'" in error.message
    assert "a=maintenance" in (error.hint or "")
    assert changed(nginx(), "a=maintenance") == {"targets/a/state": (ACTIVE, MAINTENANCE)}


def test_an_unknown_target() -> None:
    with pytest.raises(NotFound, match="zzz"):
        changed(nginx(), "zzz=active")


def alias() -> Route:
    return make_route(
        {"12": None, "13": Fraction(3, 10)},
        grid=Grid(live_targets=2, only_percent=True, open_targets=True),
        semantics=Semantics.PRIMARY_ADDITIONAL,
        kind="LambdaAlias",
    )


def test_draining_a_version_gives_its_share_to_the_other() -> None:
    assert changed(alias(), "13=draining") == {
        "targets/13/share": (Fraction(3, 10), None), "targets/12/share": (Fraction(7, 10), Fraction(1))}  # fmt: skip


def test_the_only_version_cannot_drain() -> None:
    route = make_route(
        {"12": None}, grid=Grid(live_targets=2, open_targets=True), semantics=Semantics.PRIMARY_ADDITIONAL
    )
    assert "one must take its share" in refused(route, "12=draining").message


def test_a_priority_list_cannot_drain() -> None:
    assert "no state" in refused(make_route({"a": 1}, semantics=Semantics.PRIORITY), "a=draining").message
