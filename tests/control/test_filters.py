from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_limit, make_route

from control.errors import UsageError
from control.fleet.filter_columns import NUMBERS, SearchMemory, columns_of
from control.fleet.filters import Row, parse_filter
from control.fleet.views import EnvironmentView, Headroom, Inventory, Seen, ServiceView
from control.model import (
    Environment,
    Health,
    Interval,
    Owner,
    OwnerRole,
    Reach,
    ReachState,
    TargetState,
    Traffic,
    Use,
)
from control.model.ref import Ref
from control.structs import replace
from control.text import clean

_PLAIN = make_route({"v1": 70, "v2-canary": 30}, states={"v2-canary": TargetState.DRAINING})
ROUTE = replace(
    _PLAIN,
    read_at=time.time() - 400,
    owners=(Owner("argocd", "inference-apps", OwnerRole.DECLARED),),
    targets=(replace(_PLAIN.targets[0], health=Health.UP), replace(_PLAIN.targets[1], health=Health.DOWN)),
)
ALIAS = make_route(
    {"1": None, "2": Fraction(3, 10)}, ref=Ref("fn", "LambdaAlias", "eu", "llama:live"), name="chat:live"
)
LIMIT = make_limit(50)
EAST = EnvironmentView(
    Environment(
        "east",
        "kubernetes",
        (("region", "eu-west-1"), ("tier", "production")),
        reach=Reach(ReachState.DEGRADED, "slow"),
    ),
    1,
    1,
    time.time() - 400,
)
FN = EnvironmentView(Environment("fn", "serverless"), 1, 0, None)
SERVICE = ServiceView(
    "chat", (ROUTE.ref, ALIAS.ref), None, (), Headroom(Interval.exactly(5), None, (), ""), time.time()
)
TRAFFIC = Traffic(
    rps=Fraction(42),
    error_ratio=Fraction(15, 1000),
    throttled_ratio=Fraction(3, 100),
    p95_seconds=Fraction(3, 2),
)
INVENTORY = Inventory(
    version=1,
    environments={"east": EAST, "fn": FN},
    routes={ROUTE.ref: ROUTE, ALIAS.ref: ALIAS},
    limits={LIMIT.ref: LIMIT},
    services={"chat": SERVICE},
    service_of={ROUTE.ref: "chat"},
    seen={ROUTE.ref: Seen(TRAFFIC, {"v1": Fraction(60, 100), "v2-canary": Fraction(40, 100)}, 1000)},
    limits_of={ROUTE.ref: (LIMIT.ref,)},
)


def holds(row: Row, *words: str) -> bool:
    return parse_filter(words)(row, INVENTORY)


@pytest.mark.parametrize(
    "words",
    [
        [],
        [""],
        ["llama"],
        ["LLAMA"],
        ["east/HTTPRoute/inference"],
        ["tier=prod"],
        ["canary"],
        ["/llam[ab]$"],
        ["/V2-.*y"],
        ["!gemma"],
        ["!/^fn"],
        ["-l", "tier=production"],
        ["llama", "east", "!south"],
        ["5xx:>1"],
        ["5xx:1.5"],
        ["5xx:=1.5%"],
        ["429:>=3"],
        ["429:<=3"],
        ["!429:>3"],
        ["rps:>41.5"],
        ["rps:<43"],
        ["p95:>1"],
        ["p95:<2s"],
        ["gap:=40"],
        ["gap:>5"],
        ["owner:argo"],
        ["owner:=argocd/inference-apps"],
        ["env:eas"],
        ["environment:=east"],
        ["kind:httproute"],
        ["service:chat"],
        ["platform:kube"],
        ["state:draining"],
        ["health:down"],
        ["name:=llama"],
        ["label:region=eu"],
        ["age:>5m"],
        ["age:<1h"],
    ],
)
def test_a_route_that_fits(words: list[str]) -> None:
    assert holds(ROUTE, *words)


@pytest.mark.parametrize(
    "words",
    [
        ["gemma"],
        ["llama", "gemma"],
        ["!llama"],
        ["!/llama"],
        ["-l", "tier=prod"],
        ["-l", "region=eu-west-2"],
        ["5xx:>1.5"],
        ["429:<3"],
        ["rps:42.1"],
        ["gap:>40"],
        ["owner:flux"],
        ["env:=eas"],
        ["kind:=HTTP"],
        ["platform:ssh"],
        ["state:maintenance"],
        ["age:>10h"],
    ],
)
def test_a_route_that_does_not(words: list[str]) -> None:
    assert not holds(ROUTE, *words)


def test_what_is_unknown_holds_for_no_comparison() -> None:
    for column in ("5xx", "429", "rps", "p95", "gap"):
        assert not holds(ALIAS, f"{column}:>=0")
        assert not holds(LIMIT, f"{column}:<100")


def test_a_colon_in_a_name_is_no_column() -> None:
    assert holds(ALIAS, "llama:live")
    assert holds(ALIAS, "chat:live")
    assert not holds(ROUTE, "llama:live")


def test_limits_environments_and_services_have_columns() -> None:
    assert holds(LIMIT, "slow", "state:enforced", "service:chat", "env:east", "kind:Middleware")
    assert holds(EAST, "health:degraded", "-l", "tier=production", "kind:environment", "service:chat", "state:unknown")
    assert holds(SERVICE, "llama:live", "service:chat", "platform:serverless", "env:east")
    assert not holds(FN, "age:>=0")


def test_a_group_is_found_by_its_members() -> None:
    ref = Ref("lb", "NginxUpstream", "*", "chat")
    group = replace(ROUTE, ref=ref, members=(replace(ROUTE, ref=ref.on("lb-7")),))
    assert holds(group, "lb-7")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["/["], "is not a regular expression"),
        (["/"], "needs a regular expression"),
        (["!"], "needs a word"),
        (["!/("], "is not a regular expression"),
        (["-l"], "needs a label"),
        (["-l", "tier"], "is not a label"),
        (["-l", "=x"], "is not a label"),
        (["rps:"], "needs a value"),
        (["rps:>"], "needs a value"),
        (["rps:>fast"], "is no number for 'rps'"),
        (["rps:>1e99999999"], "is no number"),
        (["rps:>5%"], "is no number"),
        (["5xx:>5s"], "is no number"),
        (["kind:>5"], "cannot be compared"),
        (["latency:>5"], "there is no column 'latency'"),
        (["servise:chat"], "there is no column 'servise'"),
    ],
)
def test_words_that_cannot_be_read(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_filter(words)


def test_a_mistyped_column_is_told_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse_filter(["platfrom:ssh"])
    assert caught.value.hint is not None
    assert "'platform'" in caught.value.hint


@pytest.mark.parametrize(
    ("word", "what"),
    [("team:ml", "routes"), ("!team:ml", "limits"), ("foo:", "environments"), ("llama:dead", "routes")],
)
def test_a_column_that_does_not_exist_and_no_name_holds_is_refused_with_those_that_do(word: str, what: str) -> None:
    with pytest.raises(UsageError, match="there is no column") as caught:
        parse_filter([word]).check(INVENTORY, what)
    assert caught.value.hint is not None and "kind" in caught.value.hint


def test_a_name_with_a_colon_is_no_column_where_some_row_has_it() -> None:
    parse_filter(["llama:live", "!chat:live", "live"]).check(INVENTORY, "routes")


@pytest.mark.parametrize(
    ("word", "what"),
    [("5xx:>1", "limits"), ("used:>50", "routes"), ("owner:x", "services"), ("rps:>1", "environments")],
)
def test_a_column_of_other_rows_is_refused_with_those_of_these(word: str, what: str) -> None:
    with pytest.raises(UsageError, match=f"{what} have no column") as caught:
        parse_filter([word]).check(INVENTORY, what)
    assert caught.value.hint is not None and word.partition(":")[0] not in caught.value.hint.split(": ")[0].split(", ")


@pytest.mark.parametrize("what", ["routes", "limits", "environments", "services"])
def test_every_column_that_is_listed_can_be_asked_for(what: str) -> None:
    for column in columns_of(what):
        word = f"{column}:>1" if column in NUMBERS else f"{column}:x"
        parse_filter([word]).check(INVENTORY, what)


def test_the_titles_of_the_lists_are_columns_too() -> None:
    assert holds(ROUTE, "at:east", "in:inference") and holds(LIMIT, "mode:enforced")
    full = replace(LIMIT, use=Use(current=Fraction(45), rejected_per_second=Fraction(3)))
    assert holds(full, "used:>=90", "rejected:>2") and not holds(full, "used:>90")
    assert not holds(LIMIT, "used:<100"), "unknown"


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_words_make_a_test_or_a_usage_error(words: list[str]) -> None:
    try:
        test = parse_filter(words)
    except UsageError as error:
        assert clean(error.message) == error.message
        return
    rows: tuple[Row, ...] = (ROUTE, ALIAS, LIMIT, EAST, SERVICE)
    for row in rows:
        assert test(row, INVENTORY) in (True, False)


@given(st.text(min_size=1, max_size=12).filter(lambda word: word[0] not in "!/-" and ":" not in word))
def test_a_word_and_its_inverse_never_agree(word: str) -> None:
    assert holds(ROUTE, word) is not holds(ROUTE, f"!{word}")


@given(st.integers(0, 100))
def test_comparisons_split_the_numbers(number: int) -> None:
    below, same, above = (holds(ROUTE, f"rps:{sign}{number}") for sign in ("<", "=", ">"))
    assert [below, same, above].count(True) == 1
    assert holds(ROUTE, f"rps:<={number}") is (below or same)
    assert holds(ROUTE, f"rps:>={number}") is (above or same)


@given(st.lists(st.sampled_from(["v2", "/V[12]", "!eu", "live", "region=eu", "chat:live", "-l", "tier=production"])))
def test_a_filter_that_remembers_texts_answers_as_one_that_does_not(words: list[str]) -> None:
    memory = SearchMemory()
    try:
        plain, remembering = parse_filter(words), parse_filter(words, memory)
    except UsageError:
        return
    for row in (ROUTE, ALIAS, LIMIT, EAST, SERVICE, ROUTE, LIMIT):
        assert plain(row, INVENTORY) is remembering(row, INVENTORY)


def test_remembered_texts_follow_a_row_that_changed() -> None:
    test = parse_filter(["v3"], SearchMemory())
    assert not test(ROUTE, INVENTORY)
    renamed = replace(ROUTE, targets=(ROUTE.targets[0], replace(ROUTE.targets[1], name="v3")))
    assert test(renamed, INVENTORY)
    assert not test(ROUTE, INVENTORY)
