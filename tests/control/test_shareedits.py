from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_route

from control.errors import InvalidValue, NotFound
from control.model import Grid, Route, Semantics, TargetState
from control.model.shares import shares_of
from control.planning.edit import Share, SharesEdit
from control.planning.edits import resolve_shares
from control.planning.expressions import parse_shares
from control.structs import replace

PERCENT = Grid(minimum=1, maximum=100, only_percent=True)
ALIAS = Grid(live_targets=2, only_percent=True, open_targets=True)
NGINX = Grid(minimum=1, zero=False)


def changed(route: Route, *items: str) -> dict[str, tuple[object, object]]:
    return {c.field: (c.before, c.after) for c in resolve_shares(route, parse_shares(route.ref, items))}


def alias(**shares: str) -> Route:
    values = {name: Fraction(text) for name, text in shares.items()}
    first, *others = values
    return make_route(
        {first: None} | {name: values[name] for name in others},
        grid=ALIAS,
        semantics=Semantics.PRIMARY_ADDITIONAL,
        kind="LambdaAlias",
    )


def refused(route: Route, *items: str) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        changed(route, *items)
    return caught.value


def test_a_native_weight_is_written_as_it_is() -> None:
    assert changed(make_route({"a": 80, "b": 20}), "a=70") == {"targets/a/weight": (80, 70)}


def test_shares_keep_the_total() -> None:
    route = make_route({"a": 80, "b": 20})
    assert changed(route, "a=70%", "b=30%") == {"targets/a/weight": (80, 70), "targets/b/weight": (20, 30)}


def test_shares_of_a_total_that_cannot_hold_them_take_small_integers() -> None:
    route = make_route({"a": 1, "b": 1})
    assert changed(route, "a=70%", "b=30%") == {"targets/a/weight": (1, 7), "targets/b/weight": (1, 3)}


def test_a_share_is_no_weight_where_shares_do_not_follow_from_weights() -> None:
    route = make_route({"named": 2, "plain": 4})
    shares = {"named": Fraction(6, 10), "plain": Fraction(4, 10)}
    targets = tuple(replace(target, share=shares[target.name]) for target in route.targets)
    route = replace(route, targets=targets, notes=("named has 3 addresses, each of which takes the weight",))
    error = refused(route, "named=70%", "plain=30%")
    assert "named has 3 addresses" in error.message and error.hint == "give native weights"
    assert changed(route, "named=5") == {"targets/named/weight": (2, 5)}


def test_targets_not_named_keep_their_weight() -> None:
    route = make_route({"a": 50, "b": 30, "c": 20})
    assert changed(route, "a=40%", "b=40%") == {"targets/a/weight": (50, 40), "targets/b/weight": (30, 40)}


def test_percentages_that_do_not_make_100_say_what_they_make() -> None:
    error = refused(make_route({"a": 80, "b": 20}), "a=70%")
    assert "a 70% with the unchanged b 20% make 90%, not 100%" in error.message


def test_all_named_percentages_must_make_100() -> None:
    assert "make 101%" in refused(make_route({"a": 80, "b": 20}), "a=70%", "b=31%").message


def test_a_weight_and_a_share_together_are_exact_or_refused() -> None:
    assert changed(make_route({"a": 1, "b": 1}), "a=70", "b=30%") == {
        "targets/a/weight": (1, 70), "targets/b/weight": (1, 30)}  # fmt: skip
    assert "keep their weights" in refused(make_route({"a": 1, "b": 1}), "a=7", "b=40%").message


def test_shares_not_on_the_total_of_the_kept_are_refused() -> None:
    error = refused(make_route({"a": 1, "b": 1, "c": 2}), "a=20%", "b=30%")
    assert "'a' cannot hold exactly 20%" in error.message
    assert "0% and 25%" in (error.hint or "")


def test_no_change_is_none() -> None:
    route = make_route({"a": 80, "b": 20})
    assert changed(route, "a=80%", "b=20%") == {}
    assert changed(route, "a=80") == {}


def test_an_unknown_target_is_named_with_the_known_ones() -> None:
    with pytest.raises(NotFound) as caught:
        changed(make_route({"a": 80, "b": 20}), "zzz=1")
    assert "zzz" in caught.value.message
    assert "a, b" in (caught.value.hint or "")


@pytest.mark.parametrize(("grid", "item", "said"), [
    (Grid(maximum=256), "a=257", "nearest is 256"),
    (Grid(), "a=2.5", "nearest are 2 and 3"),
    (NGINX, "a=0", "maintenance"),
    (PERCENT, "a=70", "write a=70%"),
])  # fmt: skip
def test_weights_that_the_kind_cannot_hold(grid: Grid, item: str, said: str) -> None:
    states = frozenset({TargetState.ACTIVE, TargetState.MAINTENANCE})
    route = replace(make_route({"a": 50, "b": 50}, grid=grid), states=states)
    assert said in (refused(route, item).hint or "")


@pytest.mark.parametrize("value", [True, -1])
def test_no_bool_and_no_negative_weight(value: int) -> None:
    route = make_route({"a": 1, "b": 1})
    with pytest.raises(InvalidValue):
        resolve_shares(route, SharesEdit(route.ref, (("a", value),)))


def test_percent_kinds_hold_whole_percents_that_make_100() -> None:
    route = make_route({"a": 90, "b": 10}, grid=PERCENT, semantics=Semantics.PERCENT)
    assert changed(route, "a=70%", "b=30%") == {"targets/a/weight": (90, 70), "targets/b/weight": (10, 30)}
    assert "33% and 34%" in (refused(route, "a=33.3%", "b=66.7%").hint or "")
    assert "make 80%" in refused(route, "a=70%").message


def test_static_balancing_takes_all_or_nothing() -> None:
    grid = Grid(maximum=256, all_or_nothing=True)
    assert changed(make_route({"a": 100, "b": 100}, grid=grid), "a=0") == {"targets/a/weight": (100, 0)}
    assert "0 and 100" in (refused(make_route({"a": 100, "b": 100}, grid=grid), "a=50").hint or "")


def test_nginx_refuses_a_share_of_zero() -> None:
    assert "0%" in refused(make_route({"a": 1, "b": 1}, grid=NGINX), "a=100%", "b=0%").message


def test_a_drained_target_takes_no_share() -> None:
    route = make_route({"a": 1, "b": 1}, states={"b": TargetState.DRAINING})
    error = refused(route, "a=50%", "b=50%")
    assert "draining" in error.message
    assert "b=active" in (error.hint or "")
    assert changed(route, "a=100%", "b=0%") == {}


# --- a Lambda alias ---------------------------------------------------------------------------------------------------


def test_a_new_version_joins_where_there_is_room() -> None:
    assert changed(alias(v12="1"), "v12=70%", "v13=30%") == {
        "targets/v12/share": (Fraction(1), Fraction(7, 10)), "targets/v13/share": (None, Fraction(3, 10))}  # fmt: skip


def test_there_is_no_room_for_a_third_version() -> None:
    error = refused(alias(v12="7/10", v13="3/10"), "v12=60%", "v13=30%", "v14=10%")
    assert "v12, v13, v14" in error.message
    assert "at most 2" in (error.hint or "")


def test_a_version_at_zero_leaves() -> None:
    assert changed(alias(v12="7/10", v13="3/10"), "v12=100%", "v13=0%") == {
        "targets/v12/share": (Fraction(7, 10), Fraction(1)), "targets/v13/share": (Fraction(3, 10), None)}  # fmt: skip


def test_a_version_may_take_the_place_of_another() -> None:
    assert changed(alias(v12="7/10", v13="3/10"), "v13=0%", "v14=30%") == {
        "targets/v13/share": (Fraction(3, 10), None), "targets/v14/share": (None, Fraction(3, 10))}  # fmt: skip


@pytest.mark.parametrize("items", [["v13=100%"], ["v13=100%", "v12=0%"]])
def test_a_hundred_percent_promotes(items: list[str]) -> None:
    assert changed(alias(v12="7/10", v13="3/10"), *items) == {
        "targets/v13/share": (Fraction(3, 10), Fraction(1)), "targets/v12/share": (Fraction(7, 10), None)}  # fmt: skip


def test_shares_of_an_alias_must_make_100() -> None:
    assert "make 90%" in refused(alias(v12="8/10", v13="2/10"), "v12=70%").message


def test_an_alias_takes_percent_only() -> None:
    assert "write v13=30%" in (refused(alias(v12="1"), "v13=30").hint or "")


# --- any proportional route -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 500), min_size=2, max_size=6).filter(any), st.data())
def test_shares_that_are_asked_for_are_what_comes_out(weights: list[int], data: st.DataObject) -> None:
    route = make_route({f"t{i}": w for i, w in enumerate(weights)})
    parts = data.draw(st.lists(st.integers(0, 100), min_size=len(weights), max_size=len(weights)).filter(any))
    wanted = {t.name: Fraction(p, sum(parts)) for t, p in zip(route.targets, parts, strict=True)}
    edit = SharesEdit(route.ref, tuple((name, Share(share)) for name, share in wanted.items()))
    after = {t.name: t.weight for t in route.targets}
    for change in resolve_shares(route, edit):
        name = change.field.split("/")[1]
        assert change.before == after[name]
        after[name] = change.after  # type: ignore[assignment]
    got = shares_of(list(after.values()), [TargetState.ACTIVE] * len(after), Semantics.PROPORTIONAL)
    assert dict(zip(after, got, strict=True)) == wanted
