"""What is in force is never shown as off, absent, zero or unlimited; what could not be read is said in the list."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from making import bound, make_binding, make_limit, make_route

from control.capacity import effective as capacity
from control.capacity.effective import cap_of
from control.contract.rows import limit_document, list_document, route_document
from control.contract.schemas import schema
from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import ControlError, InvalidValue
from control.fleet.inventory import EnvironmentState, build_inventory
from control.fleet.views import Inventory, Unreached
from control.model import Editable, Environment, Limit, Missing, Mode, ReachState, Snapshot
from control.planning.edit import LimitEdit
from control.planning.expressions import format_amount, limit_expression
from control.planning.limit_edits import resolve_limit
from control.serialiser import to_json
from control.structs import replace


def not_understood() -> Limit:
    limit = replace(
        make_limit(1),
        amount=None,
        mode=Mode.NOT_UNDERSTOOD,
        native="average: 1e3x",
        editable=Editable(False, "average is no number"),
    )
    return capacity.with_effective(bound(limit, make_binding(1, 3)))


def inventory(snapshot: Snapshot, from_cache: bool = False) -> Inventory:
    deck = DeckConfig(Path("deck.yaml"), (EnvironmentConfig("east"), EnvironmentConfig("west")))
    state = EnvironmentState()
    state.take(snapshot, from_cache)
    return build_inventory(deck, {"east": state}, 1)


def read(missing: tuple[Missing, ...]) -> Snapshot:
    environment = Environment("east", "kubernetes")
    return Snapshot(environment, read_at=1000.0, missing=missing)


def test_an_amount_that_is_not_understood_is_null_with_its_native_text() -> None:
    document = to_json(limit_document(not_understood(), 1001.0))
    Draft202012Validator(schema("limit")).validate(document)
    assert document["amount"] is None and document["mode"] == "not_understood"
    assert document["native"] == "average: 1e3x" and document["editable"]["reason"] == "average is no number"
    assert format_amount(None, None) == "not understood"


def test_what_a_caller_gets_of_it_is_unknown_and_never_unlimited() -> None:
    one = not_understood().bindings[0].effective
    assert one is not None and not one.unlimited and (one.low, one.high) == (None, None)
    known = capacity.with_effective(bound(make_limit(60), make_binding())).bindings[0].effective
    assert known is not None
    cap = cap_of([known, one])
    assert cap is not None and cap.low is None and cap.high == 60
    assert cap_of([one]) is None


@pytest.mark.parametrize("text", ["+10", "-10"])
def test_nothing_is_counted_from_it_on_the_screen(text: str) -> None:
    with pytest.raises(InvalidValue, match="not understood"):
        limit_expression(not_understood(), text)


def test_nothing_is_multiplied_by_it() -> None:
    with pytest.raises(ControlError, match="not understood"):
        resolve_limit(not_understood(), LimitEdit(not_understood().ref, factor=Fraction(1, 2)))


def test_a_weight_that_is_not_understood_has_its_native_text() -> None:
    route = make_route({"a": 1, "b": 2})
    odd = replace(route.targets[1], weight=None, share=None, native="weight $W")
    route = replace(route, targets=(replace(route.targets[0], share=None), odd))
    document = to_json(route_document(route, inventory(read(())), 1001.0))
    Draft202012Validator(schema("route")).validate(document)
    assert document["targets"][1]["native"] == "weight $W" and document["targets"][1]["weight"] is None
    assert document["targets"][0]["native"] is None


def test_each_missing_thing_is_an_entry_of_the_list_and_lowers_the_reach() -> None:
    missing = (Missing("web-2", "connection refused"), Missing("3 HTTPRoutes of v1beta1", "this version is not read"))
    found = inventory(read(missing))
    assert found.unreached == ()
    assert to_json(list_document([], found.lacking, None))["unreachable"] == [
        {"environment": "east", "why": "web-2: connection refused"},
        {"environment": "east", "why": "3 HTTPRoutes of v1beta1: this version is not read"},
    ]
    reach = found.environments["east"].environment.reach
    assert reach.state is ReachState.DEGRADED and "web-2: connection refused" in reach.why


def test_a_reach_names_a_few_missing_things_and_how_many_more() -> None:
    found = inventory(read(tuple(Missing(f"h{n}", "gone") for n in range(9))))
    assert found.environments["east"].environment.reach.why == "h0: gone; h1: gone; h2: gone; and 6 more"
    assert len(found.missing) == 9


def test_rows_of_another_session_say_that_and_not_what_was_missing_then() -> None:
    assert inventory(read((Missing("web-2", "gone"),)), from_cache=True).missing == ()


def test_an_environment_that_fails_now_is_one_entry() -> None:
    state = EnvironmentState(unreached=Unreached("east", "timed out", "unreachable"))
    state.take(read((Missing("web-2", "gone"),)))
    deck = DeckConfig(Path("deck.yaml"), (EnvironmentConfig("east"),))
    found = build_inventory(deck, {"east": state}, 1)
    assert [one.why for one in found.lacking] == ["timed out"]
