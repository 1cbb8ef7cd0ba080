"""The words of kinds, each on a kind that needs it: what they read, what an edit writes, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from adapters.engine.editing import edit, recorded
from adapters.engine.frame import Read
from adapters.engine.kind import Api, Burst, Kind, LimitSection, Period, RouteSection, Targets, Window
from adapters.engine.locators import parse
from adapters.engine.machine import Machine, check
from adapters.engine.operations import apply
from adapters.kubernetes.kinds.common import FRAME
from control.errors import InvalidValue
from control.model import Limit, Mode, Route, Semantics, Special
from control.planning.edit import Change, target_field
from control.planning.fields import reverse

API = Api(group="example.org", versions=("v1",), plural="things")


def machine(**words: Any) -> Machine:
    return Machine(Kind(kind="Thing", api=API, **words), FRAME)


def thing(spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "t", "namespace": "n", "uid": "u", "generation": 3, **metadata}, "spec": spec}


def read(made: Machine, native: dict[str, Any]) -> Read:
    return made.read(msgspec.convert(native, made.wire), "env", 0.0)


def route(made: Machine, native: dict[str, Any]) -> Route:
    (found,) = read(made, native).routes
    return found


def weighed(made: Machine, native: dict[str, Any], **weights: int) -> dict[str, Any]:
    row = route(made, native)
    changes = [Change(row.ref, target_field(name, "weight"), None, weight) for name, weight in weights.items()]
    return apply(native, edit(made, native, changes))


def shares(row: Route) -> list[tuple[str, Any, Any]]:
    return [(target.name, target.weight, target.share) for target in row.targets]


KNATIVE = machine(
    routes=(
        RouteSection(
            targets=Targets(
                at="spec.traffic",
                identity=("{revisionName|@latest}", "{revisionName|@latest}#{tag}"),
                weight="percent",
                absent=0,
                semantics="percent",
                maximum=100,
                write="list",
            )
        ),
    )
)


def test_percents_are_written_as_one_list_that_makes_a_hundred() -> None:
    native = thing({"traffic": [{"revisionName": "a", "percent": 90}, {"latestRevision": True, "percent": 10}]})
    row = route(KNATIVE, native)
    assert (row.ref.part, row.semantics) == (None, Semantics.PERCENT)
    assert shares(row) == [("a", 90, Fraction(9, 10)), ("@latest", 10, Fraction(1, 10))]
    changes = [Change(row.ref, target_field(n, "weight"), None, w) for n, w in (("a", 70), ("@latest", 30))]
    ops = edit(KNATIVE, native, changes)
    assert [op["path"] for op in ops] == ["/metadata/uid", "/metadata/generation", "/spec/traffic"]
    after = apply(native, ops)
    assert after["spec"]["traffic"] == [{"revisionName": "a", "percent": 70}, {"latestRevision": True, "percent": 30}]
    with pytest.raises(InvalidValue, match="make 80, not 100"):
        edit(KNATIVE, native, changes[:1])


CANARY = machine(
    routes=(
        RouteSection(
            when={"spec.mode": "canary"},
            targets=Targets(
                identity=("spec.canary",),
                weight="spec.percent",
                semantics="canary",
                total=100,
                rest="main",
                maximum=100,
            ),
        ),
    )
)


def test_one_target_has_what_is_left() -> None:
    native = thing({"mode": "canary", "canary": "v2", "percent": 20})
    assert shares(route(CANARY, native)) == [("v2", 20, Fraction(1, 5)), ("main", None, Fraction(4, 5))]
    assert weighed(CANARY, native, v2=35)["spec"]["percent"] == 35
    with pytest.raises(InvalidValue):
        weighed(CANARY, native, v2=101)
    assert read(CANARY, thing({"mode": "none", "canary": "v2", "percent": 20})) == Read()


def test_a_missing_weight_is_refused_where_nothing_says_what_it_means() -> None:
    row = route(CANARY, thing({"mode": "canary", "canary": "v2"}))
    assert shares(row) == [("v2", None, None), ("main", None, None)]
    assert (row.editable.yes, row.editable.reason) == (False, "the weight of v2 is missing")


PRIORITIES = machine(
    routes=(
        RouteSection(
            at="spec.rules",
            targets=Targets(at="refs", identity=("name",), weight="weight", absent=1, priority="priority"),
        ),
    )
)


def test_shares_are_counted_inside_a_priority() -> None:
    refs = [{"name": "a", "weight": 3}, {"name": "b"}, {"name": "c", "priority": 1, "weight": 5}]
    row = route(PRIORITIES, thing({"rules": [{"refs": refs}]}))
    assert shares(row) == [("a", 3, Fraction(3, 4)), ("b", 1, Fraction(1, 4)), ("c", 5, Fraction(1))]
    assert [target.priority for target in row.targets] == [0, 0, 1]


ANNOTATED = machine(
    routes=(
        RouteSection(
            targets=Targets(
                identity=("metadata.name",),
                weight='metadata.annotations."x.io/weight"',
                text=True,
                total=50,
                rest="main",
            )
        ),
    ),
    guard="resource_version",
)


def test_a_number_may_be_a_string_under_another_guard() -> None:
    native = thing({}, annotations={"x.io/weight": "10", "kept": "yes"}, resourceVersion="12")
    assert shares(route(ANNOTATED, native)) == [("t", 10, Fraction(1, 5)), ("main", None, Fraction(4, 5))]
    row = route(ANNOTATED, native)
    ops = edit(ANNOTATED, native, [Change(row.ref, target_field("t", "weight"), 10, 25)])
    assert ops[1] == {"op": "test", "path": "/metadata/resourceVersion", "value": "12"}
    assert apply(native, ops)["metadata"]["annotations"] == {"x.io/weight": "25", "kept": "yes"}
    for odd in ("010", "ten", "1_0"):
        native["metadata"]["annotations"]["x.io/weight"] = odd
        assert not route(ANNOTATED, native).editable.yes


MAPPED = machine(
    routes=(
        RouteSection(
            at="spec.services{}",
            part="service",
            targets=Targets(at="weighted", identity=("name",), weight="weight", absent=1),
        ),
    )
)


def test_rules_may_be_the_values_of_a_map() -> None:
    native = thing({"services": {"a/b": {"weighted": [{"name": "x"}, {"name": "y", "weight": 3}]}, "7": {}}})
    found = read(MAPPED, native).routes
    assert [one.ref.part for one in found] == ["service=a/b", "service=1"]
    (ref, _) = (one.ref for one in found)
    after = apply(native, edit(MAPPED, native, [Change(ref, target_field("x", "weight"), 1, 5)]))
    assert after["spec"]["services"]["a/b"]["weighted"][0] == {"name": "x", "weight": 5}


def limits(**words: Any) -> LimitSection:
    made: dict[str, Any] = {"measure": "requests", "amount": "requests", "zero": "blocked", **words}
    return LimitSection(**made)


UNITS = {"Second": 1, "Minute": 60, "Hour": 3600}
POLICY = machine(
    limits=(
        limits(
            at="spec.local",
            part="local",
            distinct="clients",
            window=Window(kind="fixed", seconds=Period(at="unit", form="words", words=UNITS)),
        ),
        limits(
            at="spec.models[].buckets",
            part="global",
            name="^model",
            amount="limit",
            measure="tokens",
            charge="after_response",
            window=Window(seconds=Period(at="duration", form="gep2257", absent=60)),
            burst=Burst(at="burst", absent=0, at_once="burst+1"),
        ),
        limits(part="breaker", amount="spec.breaker.maxParallel", absent=1024, zero="zero", measure="inflight"),
    )
)
SPEC: dict[str, Any] = {
    "local": [{"requests": 5, "unit": "Minute"}, {"requests": 9, "unit": "Week"}],
    "models": [
        {"model": "m1", "buckets": [{"limit": 100}]},
        {"model": "m2", "buckets": [{"limit": 7, "duration": "1m30s"}]}],
}  # fmt: skip


def by_part(native: dict[str, Any]) -> dict[str | None, Limit]:
    return {limit.ref.part: limit for limit in read(POLICY, native).limits}


def test_limits_of_several_sections_never_share_a_ref() -> None:
    found = by_part(thing(SPEC))
    assert list(found) == ["limit=local.0", "limit=local.1", "limit=global.m1", "limit=global.m2", "limit=breaker"]
    minute, week, m1, m2, breaker = found.values()
    assert minute.window is not None and m2.window is not None and m2.burst is not None
    assert (minute.amount, minute.window.seconds, minute.windows) == (5, 60, (1, 60, 3600))
    assert (week.amount, week.mode, week.editable.reason) == (
        None, Mode.NOT_UNDERSTOOD, 'its unit "Week" is not understood',
    )  # fmt: skip
    assert (m1.amount, m2.window.seconds, m2.burst.at_once, breaker.amount) == (100, 90, 1, 1024)
    assert m2.location == "spec.models[1].buckets[0]"


def done(part: str, field: str, after: Any, before: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the object after a change, and after that was undone)."""
    native = thing(SPEC)
    change = Change(by_part(native)[part].ref, field, before, after)
    (kept,) = recorded(POLICY, native, [change])
    changed = apply(native, edit(POLICY, native, [kept]))
    back = apply(changed, edit(POLICY, changed, [reverse(kept, kept.after)]))
    assert back == native
    return changed["spec"], back["spec"]


def test_edits_are_written_in_the_form_that_stands_there_and_undone_to_the_byte() -> None:
    assert done("limit=local.0", "window", Fraction(3600), Fraction(60))[0]["local"][0]["unit"] == "Hour"
    assert (
        done("limit=global.m2", "window", Fraction(3), Fraction(90))[0]["models"][1]["buckets"][0]["duration"] == "3s"
    )
    assert done("limit=global.m1", "burst", 4)[0]["models"][0]["buckets"][0] == {"limit": 100, "burst": 4}
    assert done("limit=local.0", "amount", Special.BLOCKED, Fraction(5))[0]["local"][0]["requests"] == 0
    spec, _ = done("limit=breaker", "amount", Fraction(0), Fraction(1024))
    assert spec["breaker"] == {"maxParallel": 0}, "what is missing around it is added whole, and goes with it"


@pytest.mark.parametrize(
    ("part", "field", "after", "why"),
    [
        ("limit=local.0", "window", Fraction(7), "no period of 7 seconds"),
        ("limit=global.m1", "window", Fraction(1, 3), "whole milliseconds"),
        ("limit=local.0", "burst", 5, "has no 'burst'"),
        ("limit=local.0", "amount", Special.UNLIMITED, "cannot be written here"),
        ("limit=local.0", "amount", Fraction(0), "cannot be held here"),
        ("limit=local.1", "amount", Fraction(3), "is not understood"),
    ],
)
def test_what_a_limit_cannot_hold_is_refused(part: str, field: str, after: Any, why: str) -> None:
    native = thing(SPEC)
    with pytest.raises(InvalidValue, match=why):
        edit(POLICY, native, [Change(by_part(native)[part].ref, field, None, after)])


def test_unnamed_limits_are_told_apart_in_the_base() -> None:
    turned = {**SPEC, "local": [{"requests": 5, "unit": "Minute", "clients": ["x"]}, SPEC["local"][1]]}
    assert len({limit.base for limit in by_part(thing(SPEC)).values()}) == 1
    assert by_part(thing(SPEC))["limit=local.0"].base != by_part(thing(turned))["limit=local.0"].base


@pytest.mark.parametrize(
    ("at", "amount"),
    [("spec.limits", "/spec.limits.most"), ("spec.limits[]", "/spec.limits{}.most"), ("", "spec[].most")],
)
def test_one_place_is_not_two_things(at: str, amount: str) -> None:
    with pytest.raises(InvalidValue):
        check(Kind(kind="Thing", api=API, limits=(limits(at=at, name="name", amount=amount),)))


@pytest.mark.parametrize(
    ("locator", "steps"),
    [
        ("", ()),
        ("a.b", ("a", "b")),
        ('a."x.y/z"', ("a", "x.y/z")),
        ("a[].b", ("a", "[]", "b")),
        ("a{}", ("a", "{}")),
        ("/a", ("a",)),
        ("^a", ("a",)),
    ],
)
def test_locators(locator: str, steps: Sequence[str]) -> None:
    assert parse(locator).steps == steps


@pytest.mark.parametrize("locator", ["a..b", ".a", "a.", "a b", "a[0]", 'a."', "^/a"])
def test_what_is_no_locator_is_refused(locator: str) -> None:
    with pytest.raises(InvalidValue):
        parse(locator)
