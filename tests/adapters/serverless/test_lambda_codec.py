"""The codecs as pure functions: what is written reads back as intended, whatever the alias was; names are hostile."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.serverless.aws import alias as alias_codec
from adapters.serverless.aws import concurrency, edited_text, native
from adapters.serverless.aws.prepare import prepare
from adapters.serverless.aws.records import Account, Alias, Function, Place, Version, alias_from, exact
from control.errors import InvalidValue
from control.model import Special, Strength
from control.model.ref import Ref
from control.planning.edit import Change, Share
from control.ports import ApiCall

PLACE = Place("fn", "eu-central-1", Account(1000, 700))
REF = Ref("fn", "LambdaAlias", "eu-central-1", "chat:live")
VERSIONS = tuple(Version(str(number), "Active") for number in range(1, 7))

versions = st.sampled_from([version.number for version in VERSIONS])
shares = st.integers(1, alias_codec.DENOMINATOR - 1).map(lambda n: Fraction(n, alias_codec.DENOMINATOR))


@st.composite
def splits(draw: st.DrawFn) -> dict[str, Fraction]:
    """One version, or two with shares that make 1."""
    first = draw(versions)
    if draw(st.booleans()):
        return {first: Fraction(1)}
    second = draw(versions.filter(lambda version: version != first))
    share = draw(shares)
    return {first: 1 - share, second: share}


def held(split: dict[str, Fraction]) -> Alias:
    (main, _), *rest = split.items()
    return Alias("live", main, tuple(rest), "r1")


def function(alias: Alias, **changed: object) -> Function:
    return Function("chat", "arn:chat", (alias,), 50, 0.0, versions=VERSIONS)


def changes(alias: Alias, wanted: dict[str, Fraction]) -> list[Change]:
    names = {*alias.shares, *wanted}
    return [
        Change(REF, f"targets/{name}/share", alias.shares.get(name), wanted.get(name, Fraction(0))) for name in names
    ]


@given(splits(), splits())
def test_what_is_written_reads_back_exactly(before: dict[str, Fraction], wanted: dict[str, Fraction]) -> None:
    alias = held(before)
    write = alias_codec.edit(REF, function(alias), alias, changes(alias, wanted))
    sent = json.loads(json.dumps(write.arguments()))
    back = alias_from({"Name": "live", "FunctionVersion": sent["FunctionVersion"], **sent})
    assert {name: share for name, share in back.shares.items() if share} == wanted
    assert sent["RevisionId"] == "r1"
    assert len(sent["RoutingConfig"]["AdditionalVersionWeights"]) == len(wanted) - 1


@given(splits(), splits())
def test_an_edit_and_its_undo_give_the_shares_back(before: dict[str, Fraction], wanted: dict[str, Fraction]) -> None:
    alias = held(before)
    after = alias_codec.edit(REF, function(alias), alias, changes(alias, wanted)).after
    undone = alias_codec.edit(REF, function(after), after, changes(after, before)).after
    assert undone.shares == alias.shares
    if len(before) == 1 or int(alias.version) < int(alias.weights[0][0]):
        assert (undone.version, undone.weights) == (alias.version, alias.weights)


doubles = st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=False)


@given(doubles, versions, versions, splits())
@example(0.3333333333333333, "1", "2", {"2": Fraction(1)})
@example(0.30000000000000004, "2", "1", {"2": Fraction(1)})
@example(0.1 + 0.7, "3", "5", {"5": Fraction(1, 5), "3": Fraction(4, 5)})
@example(1e-300, "1", "2", {"4": Fraction(1)})
def test_a_weight_that_is_any_double_can_be_left_and_comes_back_exactly(
    weight: float, main: str, extra: str, wanted: dict[str, Fraction]
) -> None:
    if main == extra:
        return
    record = {"Name": "live", "FunctionVersion": main, "RoutingConfig": {"AdditionalVersionWeights": {extra: weight}}}
    alias = alias_from(record | {"RevisionId": "r1"})
    away = alias_codec.edit(REF, function(alias), alias, changes(alias, wanted)).after
    write = alias_codec.edit(REF, function(away), away, changes(away, alias.shares))
    back = alias_from(json.loads(json.dumps({"Name": "live", **write.arguments()})))
    assert {name: share for name, share in back.shares.items() if share} == alias.shares
    if back.version == main:
        assert write.arguments()["RoutingConfig"]["AdditionalVersionWeights"] == {extra: weight}


@given(doubles.filter(lambda weight: exact(weight) != Fraction(1, 5)))
def test_a_text_with_any_double_that_is_left_alone_asks_for_nothing(weight: float) -> None:
    alias = Alias("live", "1", (("2", exact(weight)),), "r1")
    text = native.alias_json(alias)
    assert edited_text.alias_edits(REF, text, text) == []
    [edit] = edited_text.alias_edits(REF, text, native.alias_json(Alias("live", "1", (("2", Fraction(1, 5)),), "r1")))
    assert dict(edit.shares) == {"1": Share(Fraction(4, 5)), "2": Share(Fraction(1, 5))}


@given(st.fractions(min_value=0, max_value=1))
def test_a_share_off_the_grid_is_refused_with_the_nearest_two(share: Fraction) -> None:
    alias = held({"1": Fraction(1)})
    wanted = changes(alias, {"1": 1 - share, "2": share})
    if (share * alias_codec.DENOMINATOR).denominator == 1 or exact(float(share)) == share:
        alias_codec.edit(REF, function(alias), alias, wanted)
        return
    with pytest.raises(InvalidValue) as caught:
        alias_codec.edit(REF, function(alias), alias, wanted)
    assert caught.value.hint
    assert " or " in caught.value.hint


def test_a_native_weight_is_refused() -> None:
    alias = held({"1": Fraction(1)})
    with pytest.raises(InvalidValue, match="no field") as caught:
        alias_codec.edit(REF, function(alias), alias, [Change(REF, "targets/1/weight", None, 70)])
    assert "%" in (caught.value.hint or "")


@pytest.mark.parametrize("what", ["role", "dead_letter", "package"])
def test_versions_that_cannot_share_an_alias_are_refused(what: str) -> None:
    alias = held({"1": Fraction(1)})
    others = (Version("1", **{what: "a"}), Version("2", **{what: "b"}))  # type: ignore[arg-type]
    both = Function("chat", "arn", (alias,), None, 0.0, versions=others)
    with pytest.raises(InvalidValue, match="different"):
        alias_codec.edit(REF, both, alias, changes(alias, {"1": Fraction(1, 2), "2": Fraction(1, 2)}))
    alias_codec.edit(REF, both, alias, changes(alias, {"2": Fraction(1)}))


def test_percentages_are_exact() -> None:
    assert alias_codec.percent(Fraction(333333, 1_000_000)) == "33.3333%"
    assert alias_codec.percent(Fraction(1, 2)) == "50%"
    assert alias_codec.percent(Fraction(1)) == "100%"
    assert alias_codec.percent(Fraction(1, 1_000_000)) == "0.0001%"


@given(st.integers(0, 1_000_000))
def test_a_weight_is_what_the_json_says(millionths: int) -> None:
    assert exact(json.loads(f"{millionths / 1_000_000!r}")) == Fraction(millionths, 1_000_000)


HOSTILE = "x\x1b[2J\u202e\r\nname"


def test_hostile_names_are_clean_wherever_they_are_shown() -> None:
    alias = alias_from({"Name": HOSTILE, "FunctionVersion": "1", "Description": HOSTILE, "RevisionId": HOSTILE})
    made = Function(HOSTILE, HOSTILE, (alias,), 5, 0.0, tags=(("aws:cloudformation:stack-name", HOSTILE),))
    route = alias_codec.to_route(PLACE, made, alias)
    limit = concurrency.to_limit(PLACE, made)
    owners = route.owners[0].name + route.owners[0].edit_instead
    shown = [route.name, route.base, *route.matches, *route.notes, limit.name, owners, native.alias_json(alias)]
    shown += [str(route.ref), str(limit.ref), limit.bindings[0].location]
    for text in shown:
        assert "\x1b" not in text, text
        assert "\u202e" not in text, text
        assert "\r" not in text, text


@given(
    st.one_of(st.none(), st.integers(0, 600)), st.one_of(st.integers(1, 650).map(Fraction), st.sampled_from(Special))
)
def test_a_reservation_reads_back_as_intended(before: int | None, wanted: Fraction | Special) -> None:
    ref = Ref("fn", "LambdaConcurrency", "eu-central-1", "chat")
    made = Function("chat", "arn", (), before, 0.0)
    change = Change(ref, "amount", concurrency.amount_of(before), wanted)
    most = concurrency.maximum(PLACE, made)
    assert most == 700 - 100 + (before or 0)
    if isinstance(wanted, Fraction) and wanted > most:
        with pytest.raises(InvalidValue, match="cannot be reserved"):
            prepare(PLACE, made, ref, [change])
        return
    step = prepare(PLACE, made, ref, [change])
    (limit,) = step.limits_after
    assert limit.amount == wanted
    assert limit.strength is Strength.HARD
    assert concurrency.amount_of(step.payload.after) == wanted
    (call,) = step.writes
    assert isinstance(call, ApiCall) and (call.object, call.service) == (str(ref), "lambda")
    assert call.operation == ("DeleteFunctionConcurrency" if wanted is Special.UNLIMITED else "PutFunctionConcurrency")
