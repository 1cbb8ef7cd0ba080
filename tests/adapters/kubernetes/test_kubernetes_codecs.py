"""Codecs are pure: what is edited reads back as intended, and every other field stays as it was."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from natives import httproute, service, traefik

from adapters.engine.frame import Read
from adapters.engine.naming import unique
from adapters.engine.operations import TestFailed as PatchRefused
from adapters.engine.operations import apply
from adapters.kubernetes.kinds import period
from adapters.kubernetes.kinds.common import Codec, rule_parts
from adapters.kubernetes.kinds.table import CODECS
from adapters.kubernetes.shown import difference
from control.errors import InvalidValue, NotFound
from control.model import Limit, Route, Semantics, Special, StatusState
from control.planning.edit import Change, target_field

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
WEIGHTS = st.integers(0, 1_000_000)
JUNK = st.dictionaries(st.sampled_from(["x-one", "x-two"]), st.integers() | st.text(max_size=5), max_size=2)


def stored(native: dict[str, Any], generation: int = 7) -> dict[str, Any]:
    """As an API server holds it."""
    made = copy.deepcopy(native)
    made["metadata"] |= {"uid": "6f0c52a4", "generation": generation, "resourceVersion": "12"}
    return made


def read(native: dict[str, Any]) -> Read:
    codec: Codec = CODECS[native["kind"]]
    return codec.read(msgspec.convert(native, codec.wire), "env", 1.0)


def edit(native: dict[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    return apply(native, CODECS[native["kind"]].edit(native, changes))


def differing(one: Any, other: Any, at: str = "") -> set[str]:
    """The paths at which two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return {p for k in keys for p in differing(one.get(k), other.get(k), f"{at}/{k}")}
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return {p for i, (a, b) in enumerate(zip(one, other, strict=True)) for p in differing(a, b, f"{at}/{i}")}
    return set() if one == other and type(one) is type(other) else {at}


@st.composite
def members(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(NAMES, min_size=2, max_size=6))
    made = []
    for name in names:
        member = {"name": name, "port": draw(st.sampled_from([80, 8080])), **draw(JUNK)}
        if draw(st.booleans()):
            member["weight"] = draw(WEIGHTS)
        made.append(member)
    return made


@st.composite
def natives(draw: st.DrawFn) -> dict[str, Any]:
    """HTTPRoutes, IngressRoutes and TraefikServices with fields that no codec knows."""
    kind = draw(st.sampled_from(["HTTPRoute", "TraefikService", "IngressRoute"]))
    if kind == "TraefikService":
        native = traefik(kind, draw(NAMES), {"weighted": {"services": draw(members()), **draw(JUNK)}})
    elif kind == "IngressRoute":
        rules = [
            {"match": f"Host(`{n}`)", "services": draw(members()), **draw(JUNK)}
            for n in draw(st.lists(NAMES, min_size=1, max_size=3))
        ]
        native = traefik(kind, draw(NAMES), {"routes": rules, **draw(JUNK)})
    else:
        native = httproute(draw(NAMES), "a.test", {})
        native["spec"]["rules"] = [
            {**({"name": n} if draw(st.booleans()) else {}), "backendRefs": draw(members()), **draw(JUNK)}
            for n in draw(st.lists(NAMES, min_size=1, max_size=3))
        ]
    return stored(native)


@given(natives(), st.data())
def test_edited_weights_read_back_and_nothing_else_moves(native: dict[str, Any], data: st.DataObject) -> None:
    routes = read(native).routes
    route = data.draw(st.sampled_from(routes))
    names = [target.name for target in route.targets]
    assert len(set(names)) == len(names)
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    wanted = {name: data.draw(WEIGHTS) for name in chosen}
    before = copy.deepcopy(native)
    changes = [Change(route.ref, target_field(name, "weight"), None, weight) for name, weight in wanted.items()]
    after = edit(native, changes)
    assert native == before
    for old, new in zip(routes, read(after).routes, strict=True):
        for a, b in zip(old.targets, new.targets, strict=True):
            assert b.weight == (wanted.get(a.name, a.weight) if old.ref == route.ref else a.weight)
    index = routes.index(route)
    root = {
        "HTTPRoute": f"/spec/rules/{index}/backendRefs",
        "IngressRoute": f"/spec/routes/{index}/services",
        "TraefikService": "/spec/weighted/services",
    }[native["kind"]]
    allowed = {f"{root}/{names.index(name)}/weight" for name in wanted}
    assert differing(before, after) <= allowed


@given(natives(), st.data())
def test_a_patch_refuses_any_object_but_its_own(native: dict[str, Any], data: st.DataObject) -> None:
    route = read(native).routes[0]
    ops = CODECS[native["kind"]].edit(
        native, [Change(route.ref, target_field(route.targets[0].name, "weight"), None, 3)]
    )
    other = copy.deepcopy(native)
    other["metadata"][data.draw(st.sampled_from(["uid", "generation"]))] = 99
    with pytest.raises(PatchRefused):
        apply(other, ops)


@given(natives())
def test_shares_are_exact_and_complete(native: dict[str, Any]) -> None:
    for route in read(native).routes:
        total = sum((target.share or Fraction(0) for target in route.targets), Fraction(0))
        assert total == (1 if any((target.weight or 0) > 0 for target in route.targets) else 0)


def one_limit(spec: dict[str, Any]) -> tuple[dict[str, Any], Limit]:
    native = stored(traefik("Middleware", "m", spec))
    (limit,) = read(native).limits
    return native, limit


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "average": st.integers(0, 10**9),
            "burst": st.integers(0, 10**9),
            "period": st.sampled_from([1, 60, "1s", "1m", "1m30s", "100ms", "10", 0]),
            "sourceCriterion": st.just({"requestHeaderName": "X-Client"}),
        },
    ),
    st.integers(1, 10**9),
    st.integers(0, 10**9),
    st.sampled_from([Fraction(1), Fraction(60), Fraction(3600), Fraction(1, 10)]),
)
def test_a_rate_limit_reads_back_as_edited(spec: dict[str, Any], amount: int, burst: int, seconds: Fraction) -> None:
    native, limit = one_limit({"rateLimit": spec})
    changes = [
        Change(limit.ref, "amount", limit.amount, Fraction(amount)),
        Change(limit.ref, "burst", None, burst),
        Change(limit.ref, "window", None, seconds),
    ]
    after = edit(native, changes)
    (new,) = read(after).limits
    assert new.amount == amount
    assert new.window is not None
    assert new.window.seconds == seconds
    assert new.burst is not None
    assert (new.burst.native, new.burst.at_once) == (burst, max(burst, 1))
    root = "/spec/rateLimit"
    assert differing(native, after) <= {f"{root}/average", f"{root}/burst", f"{root}/period"}


@pytest.mark.parametrize(
    ("spec", "amount"),
    [
        ({"rateLimit": {"average": 0}}, Special.UNLIMITED),
        ({"rateLimit": {}}, Special.UNLIMITED),
        ({"rateLimit": {"average": 7}}, Fraction(7)),
        ({"inFlightReq": {"amount": 0}}, Special.BLOCKED),
        ({"inFlightReq": {}}, Special.BLOCKED),
        ({"inFlightReq": {"amount": 7}}, Fraction(7)),
    ],
)
def test_a_native_zero_is_decoded(spec: dict[str, Any], amount: object) -> None:
    assert one_limit(spec)[1].amount == amount


def test_zero_is_written_only_by_its_meaning() -> None:
    native, limit = one_limit({"rateLimit": {"average": 7}})
    after = edit(native, [Change(limit.ref, "amount", limit.amount, Special.UNLIMITED)])
    assert after["spec"]["rateLimit"]["average"] == 0
    for refused in (Fraction(0), Fraction(-1), Fraction(5, 2), Special.BLOCKED):
        with pytest.raises(InvalidValue):
            edit(native, [Change(limit.ref, "amount", limit.amount, refused)])


def test_in_flight_has_no_burst_and_no_window() -> None:
    native, limit = one_limit({"inFlightReq": {"amount": 7}})
    assert limit.window is None
    for field in ("burst", "window"):
        with pytest.raises(InvalidValue, match="inFlightReq"):
            edit(native, [Change(limit.ref, field, None, 5)])


@pytest.mark.parametrize(
    ("criterion", "key"),
    [
        (None, "source address"),
        ({"ipStrategy": {}}, "source address"),
        ({"ipStrategy": {"depth": 2}}, "X-Forwarded-For address 2 from the right"),
        ({"requestHeaderName": "X-Client"}, "header X-Client"),
        ({"requestHost": True}, "request host"),
    ],
)
def test_keys(criterion: Any, key: str) -> None:
    spec = {"average": 5} | ({"sourceCriterion": criterion} if criterion else {})
    assert one_limit({"rateLimit": spec})[1].key == (key,)


def test_the_longest_wait_is_half_a_token() -> None:
    assert one_limit({"rateLimit": {"average": 10}})[1].over.max_wait_seconds == Fraction(1, 20)
    assert one_limit({"rateLimit": {"average": 1, "period": "1m"}})[1].over.max_wait_seconds == Fraction(1, 2)


@pytest.mark.parametrize(
    ("native", "seconds"),
    [
        (None, Fraction(1)), (0, Fraction(1)), (3, Fraction(3)), ("10", Fraction(10)), ("1m30s", Fraction(90)),
        ("100ms", Fraction(1, 10)), ("1.5h", Fraction(5400)), ("250us", Fraction(1, 4000)),
        ("-1s", None), ("ten", None), ("1 s", None), ("", None),
    ],
)  # fmt: skip
def test_periods(native: Any, seconds: Fraction | None) -> None:
    assert period.parse(native) == seconds


@given(
    st.fractions(min_value=Fraction(1, 10**9), max_value=10**6, max_denominator=10**9), st.sampled_from([None, 1, "1s"])
)
def test_a_written_period_reads_back_or_is_refused(seconds: Fraction, before: Any) -> None:
    try:
        written = period.write(seconds, before)
    except InvalidValue as error:
        assert (seconds * 10**9).denominator != 1
        assert "nearest" in (error.hint or "")
    else:
        assert period.parse(written) == seconds


def test_rules_are_named_or_numbered_and_ambiguous_names_are_numbered() -> None:
    assert rule_parts(["a", "", "b", "7"]) == ["rule=a", "rule=1", "rule=b", "rule=3"]
    assert rule_parts(["a", "a"]) == ["rule=0", "rule=1"]


def test_a_reordered_object_has_another_base() -> None:
    native = stored(httproute("a", "a.test", {"v1": 1, "v2": 1}, rule=""))
    rules = native["spec"]["rules"]
    rules[0]["matches"] = [{"path": {"value": "/a"}}]
    rules.append({"matches": [{"path": {"value": "/b"}}], "backendRefs": rules[0]["backendRefs"]})
    turned = copy.deepcopy(native)
    turned["spec"]["rules"].reverse()
    assert read(native).routes[0].base != read(turned).routes[0].base
    assert len({route.base for route in read(native).routes}) == 1


def test_a_status_write_leaves_the_base_and_says_the_state() -> None:
    native = stored(httproute("a", "a.test", {"v1": 1}))
    parent: dict[str, Any] = {"parentRef": {"name": "main"}, "controllerName": "traefik.io/gateway-controller"}

    def said(generation: int, status: str = "True") -> Route:
        conditions = [
            {"type": t, "status": status, "reason": "R", "message": "m", "observedGeneration": generation}
            for t in ("Accepted", "ResolvedRefs")
        ]
        changed = native | {"status": {"parents": [parent | {"conditions": conditions}]}}
        changed["metadata"] = native["metadata"] | {"resourceVersion": "99"}
        return read(changed).routes[0]

    assert said(7).base == read(native).routes[0].base
    assert said(7).status.state is StatusState.OK
    assert said(6).status.state is StatusState.PENDING
    assert said(7, "False").status.state is StatusState.ERROR
    assert read(native).routes[0].status.state is StatusState.UNKNOWN


@pytest.mark.parametrize(
    ("spec", "semantics"),
    [
        ({"mirroring": {"name": "a", "port": 80, "mirrors": [{"name": "b", "percent": 10}]}}, Semantics.PROPORTIONAL),
        ({"highestRandomWeight": {"services": [service("a", 2), service("b", 1)]}}, Semantics.PROPORTIONAL),
        ({"failover": {"service": service("a"), "fallback": service("b")}}, Semantics.PRIORITY),
        ({}, Semantics.PROPORTIONAL),
    ],
)
def test_other_shapes_of_a_traefikservice_are_shown_and_not_edited(spec: dict[str, Any], semantics: Semantics) -> None:
    native = stored(traefik("TraefikService", "t", spec))
    (route,) = read(native).routes
    assert not route.editable.yes
    assert route.semantics is semantics
    with pytest.raises(InvalidValue):
        edit(native, [Change(route.ref, target_field("a", "weight"), None, 1)])


@pytest.mark.parametrize("after", [-1, 1_000_001, Fraction(1, 2), "70", None, Special.BLOCKED, True])
def test_weights_that_cannot_be_held_are_refused(after: Any) -> None:
    native = stored(httproute("a", "a.test", {"v1": 1, "v2": 1}))
    ref = read(native).routes[0].ref
    with pytest.raises(InvalidValue):
        edit(native, [Change(ref, target_field("v1", "weight"), 1, after)])


def test_what_is_not_there_is_named() -> None:
    native = stored(httproute("a", "a.test", {"v1": 1, "v2": 1}))
    route = read(native).routes[0]
    with pytest.raises(NotFound, match="v9") as caught:
        edit(native, [Change(route.ref, target_field("v9", "weight"), 1, 1)])
    assert "v1, v2" in (caught.value.hint or "")
    gone = route.ref.__class__(route.ref.environment, route.ref.kind, route.ref.scope, route.ref.name, "rule=gone")
    with pytest.raises(NotFound, match="gone"):
        edit(native, [Change(gone, target_field("v1", "weight"), 1, 1)])


def test_hostile_strings_are_cleaned_and_the_difference_masks_secrets() -> None:
    native = stored(httproute("a", "\x1b[31mred\u202e.test", {"v1": 1}))
    modifier = {"set": [{"name": "Authorization", "value": "Bearer hunter2"}]}
    native["spec"]["rules"][0]["filters"] = [{"type": "RequestHeaderModifier", "requestHeaderModifier": modifier}]
    shown = " ".join(read(native).routes[0].matches)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    after = edit(native, [Change(read(native).routes[0].ref, target_field("v1", "weight"), 1, 2)])
    text = difference("a", native, after)
    assert "hunter2" not in text
    assert "weight: 2" in text
    assert "\x1b" not in text


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), max_size=8))
def test_unique_names_are_unique(candidates: list[tuple[str, str, str]]) -> None:
    found = unique([(a, f"{a}:{b}", f"{c}/{a}:{b}") for a, b, c in candidates])
    assert len(set(found)) == len(candidates)
