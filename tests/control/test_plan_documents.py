"""Plans, changes and results as JSON and back: nothing is lost, and nothing edited by hand is believed."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.contract.plans import (
    change_from_json,
    change_to_json,
    history_document,
    plan_from_json,
    plan_to_json,
    progress_document,
    read_plan,
    result_from_json,
    result_to_json,
    seal,
)
from control.contract.schemas import schema
from control.errors import ErrorKind, UsageError
from control.model import Effective, Interval, Owner, OwnerRole, Special, TargetState
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.planning.plan import (
    EffectiveChange,
    GuardResult,
    HistoryItem,
    HistoryPage,
    HistoryStep,
    OnFailure,
    Plan,
    Progress,
    Proof,
    Reason,
    Result,
    ResultOutcome,
    Step,
    StepOutcome,
    StepResult,
    Verdict,
)
from control.ports import Found, ProofPart, ProofState
from control.serialiser import to_json
from control.structs import replace

REF = Ref("east", "HTTPRoute", "inference", "llama", "rule=0")
names = st.text(min_size=1, max_size=12)
shares = st.fractions(0, 1)
positive = st.fractions(min_value=Fraction(1, 1000), max_value=10**9)


def valued(field: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Change]:
    maybe = st.none() | values
    return st.builds(Change, st.just(REF), st.just(field), maybe, maybe, st.booleans())


changes = st.one_of(
    names.flatmap(lambda name: valued(target_field(name, "weight"), st.integers(0, 10**6))),
    names.flatmap(lambda name: valued(target_field(name, "share"), shares)),
    names.flatmap(lambda name: valued(target_field(name, "state"), st.sampled_from(TargetState))),
    valued("amount", positive | st.sampled_from(Special)),
    valued("window", positive),
    valued("burst", st.integers(0, 10**6)),
)
refs = st.builds(Ref, names, names, names, names, st.none() | names)
ends = st.none() | positive
effectives = st.builds(
    Effective, ends, ends, st.builds(Interval, ends, ends), names, ends, names, names, st.just(False)
)
owners = st.builds(
    Owner, names, names, st.sampled_from(OwnerRole), st.just(""), st.none() | st.booleans(),
    st.none() | st.floats(0, 1e6), names,
)  # fmt: skip
guards = st.builds(GuardResult, st.sampled_from(["zero_sum", "freeze"]), st.sampled_from(Verdict), names)
steps = st.builds(
    Step,
    object=names,
    environment=names,
    changes=st.lists(changes, max_size=3).map(tuple),
    diff=names,
    base=names,
    owners=st.lists(owners, max_size=2).map(tuple),
    effective=st.lists(st.builds(EffectiveChange, names, st.none() | effectives, effectives), max_size=2).map(tuple),
    guards=st.lists(guards, max_size=2).map(tuple),
    loses=st.lists(names, max_size=2).map(tuple),
)
plans = st.builds(
    Plan,
    plan=names,
    steps=st.lists(steps, max_size=3).map(tuple),
    on_failure=st.sampled_from(OnFailure),
    verdict=st.sampled_from(Verdict),
    undo_of=st.none() | names,
    headroom=st.lists(names, max_size=2).map(tuple),
    reason=names,
)


def check(document: object, name: str) -> None:
    jsonschema.validate(document, schema(name))


@given(changes, refs)
def test_a_change_comes_back_as_it_was(change: Change, ref: Ref) -> None:
    change = replace(change, ref=ref)
    back = change_from_json(json.loads(json.dumps(change_to_json(change))))
    assert back == change
    assert type(back.after) is type(change.after)


def test_the_types_of_a_change_in_json() -> None:
    def to(field: str, value: Any) -> Any:
        return change_to_json(Change(REF, field, None, value))["to"]

    assert to("targets/v1/weight", 70) == 70
    assert to("targets/v1/share", Fraction(3, 10)) == "3/10"
    assert to("targets/v1/share", Fraction(1)) == "1"
    assert to("targets/v1/state", TargetState.DRAINING) == "draining"
    assert to("amount", Fraction(50)) == "50"
    assert to("amount", Special.BLOCKED) == "blocked"
    assert to("window", Fraction(60)) == "60"
    assert to("burst", 100) == 100


@pytest.mark.parametrize("document", [
    {}, {"ref": str(REF), "field": "colour", "from": None, "to": 1},
    {"ref": "nowhere", "field": "amount", "from": None, "to": "5"},
    {"ref": str(REF), "field": "amount", "from": None, "to": 1.5},
    {"ref": str(REF), "field": "burst", "from": None, "to": True},
    {"ref": str(REF), "field": "targets/a/state", "from": None, "to": "asleep"},
    {"ref": str(REF), "field": 7, "from": None, "to": 1},
    {"ref": str(REF), "field": "targets/a/share", "from": None, "to": "1/0"},
])  # fmt: skip
def test_a_change_that_cannot_be_read(document: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        change_from_json(document)


@given(plans)
def test_a_plan_comes_back_as_it_was(plan: Plan) -> None:
    document = json.loads(json.dumps(plan_to_json(plan)))
    assert plan_from_json(document) == seal(plan)
    assert document["sha256"] == seal(plan).sha256


@given(plans, st.data())
def test_any_other_byte_breaks_the_seal(plan: Plan, data: st.DataObject) -> None:
    document = plan_to_json(plan)
    key = data.draw(st.sampled_from(["plan", "reason", "on_failure", "verdict", "headroom", "steps", "undo_of"]))
    document[key] = [*document[key], "more"] if isinstance(document[key], list) else f"{document[key]}x"
    with pytest.raises(UsageError, match="changed after it was saved"):
        plan_from_json(document)


def sealed() -> dict[str, Any]:
    change = Change(REF, "targets/v1/weight", 80, 70)
    step = Step("east/HTTPRoute/inference/llama", "east", (change,), "-80\n+70", "rv 7")
    return plan_to_json(Plan("7f3a", (step,), OnFailure.UNDO, Verdict.OK))


def test_a_plan_fits_its_schema() -> None:
    check(sealed(), "plan")


@pytest.mark.parametrize(("text", "said"), [
    ("", "no whole JSON"), (json.dumps(sealed())[:-40], "no whole JSON"), ("[]", "not a plan"), ("{}", "not a plan"),
    (json.dumps(sealed() | {"schema": 2}), "newer trafficdeck"), (json.dumps(sealed() | {"sha256": None}), "sha256"),
    (json.dumps(sealed() | {"reason": "mine"}), "changed after it was saved"),
    (json.dumps(sealed() | {"schema": True}), "changed after it was saved"), ("\x00", "no whole JSON"),
    ("[" * 100_000, "no whole JSON"),
])  # fmt: skip
def test_a_saved_plan_that_cannot_be_trusted(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_plan(text, "plan.json")
    assert said in caught.value.message
    assert "plan.json" in caught.value.message
    assert caught.value.hint


def test_a_saved_plan_is_read_whatever_the_order_of_its_keys() -> None:
    document = sealed()
    again = dict(reversed(document.items()))
    assert plan_from_json(json.loads(json.dumps(again, indent=3))).plan == "7f3a"


part = ProofPart(ProofState.WAITING_FOR_TRAFFIC, "not enough traffic yet", 1.5)
proof = Proof(ProofPart(ProofState.YES), ProofPart(ProofState.PENDING, "not yet"), part)


@pytest.mark.parametrize("outcome", list(StepOutcome))
@pytest.mark.parametrize("found", [None, *Found])
@pytest.mark.parametrize("told", [None, proof])
def test_a_result_comes_back_as_it_was(outcome: StepOutcome, found: Found | None, told: Proof | None) -> None:
    step = StepResult(
        "east/HTTPRoute/inference/llama", outcome, Reason(ErrorKind.STALE, "is not as it was"), found, told
    )
    result = Result("c1", ResultOutcome.PARTLY_APPLIED, "ab12", (step, replace(step, reason=None)))
    document = json.loads(json.dumps(result_to_json(result)))
    assert result_from_json(document) == result
    check(document, "result")


def test_history_and_progress_fit_their_schemas() -> None:
    steps = (HistoryStep("o", (Change(REF, "amount", Fraction(1), Special.BLOCKED),)),)
    item = HistoryItem("c1", 12.5, "ada@desk", "because", ResultOutcome.APPLIED, None, steps)
    check(to_json(history_document(HistoryPage((item,), 0))), "history")
    check(to_json(history_document(HistoryPage((item,), 7, 1, "entry 3: of a later version"), 7)), "history")
    check(to_json(progress_document(Progress("written", 0, "o", 12.5))), "progress")
