"""A weight set on the command line is what callers get, and undo brings back what was."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.bed.aws import ALIAS, FUNCTION, REGION
from tests.bed.figures import signed_for
from tests.e2e.asking import agrees, split
from tests.e2e.cli import Deck, environment_of

pytestmark = [pytest.mark.bed, pytest.mark.timeout(240)]

ROUTES = [
    "eu/HTTPRoute/inference/llama#rule=chat",
    "eu/HTTPRoute/inference/embed#rule=1",
    "eu/TraefikService/inference/mixtral",
    "eu/IngressRoute/inference/qwen#rule=0",
    "us/HTTPRoute/inference/llama#rule=chat",
    "web/NginxUpstream/*/llama",
    "lb/HAProxyBackend/*/llama",
]
ALIAS_REF = f"fn/LambdaAlias/{REGION}/{FUNCTION}:{ALIAS}"


def shares_of(deck: Deck, ref: str) -> dict[str, float]:
    """What the deck says is set."""
    found = {}
    for target in deck.ask("get", "route", ref)["targets"]:
        top, _, bottom = (target["share"] or "0").partition("/")
        found[target["name"]] = int(top) / int(bottom or 1)
    return found


def test_the_list_names_routes_of_all_three_platforms(deck: Deck) -> None:
    listed = deck.ask("get", "routes")
    assert listed["unreachable"] == []
    assert {item["platform"] for item in listed["items"]} == {"kubernetes", "ssh", "serverless"}
    assert {entry.ref for entry in deck.bed.routes} <= {item["ref"] for item in listed["items"]}


@pytest.mark.parametrize("ref", ROUTES)
def test_shares_are_what_callers_get_and_undo_brings_them_back(deck: Deck, ref: str) -> None:
    route = deck.bed.route(ref)
    first, second = route.targets
    before = shares_of(deck, ref)
    assert agrees(split(route), before)
    environments = [environment_of(ref)]
    result = deck.apply("set", "shares", ref, f"{first}=70%", f"{second}=30%", environments=environments)
    assert all(step["proof"]["accepted"]["state"] == "yes" for step in result["steps"])
    assert all(step["proof"]["loaded"]["state"] in ("yes", "unknown") for step in result["steps"])
    assert agrees(split(route), {first: 0.7, second: 0.3})
    deck.apply("undo", environments=environments)
    assert shares_of(deck, ref) == before
    assert agrees(split(route), before)


def test_the_front_moves_traffic_between_platforms(deck: Deck) -> None:
    ref = "edge/HAProxyBackend/edge-1/edge-llama"
    route = deck.bed.route(ref)
    before = shares_of(deck, ref)
    deck.apply("set", "shares", ref, "k8s=40%", "vm=40%", "fn=20%", environments=["edge"])
    assert agrees(split(route), {"k8s": 0.4, "vm": 0.4, "fn": 0.2})
    deck.apply("undo", environments=["edge"])
    assert agrees(split(route), before)


def alias_at_the_emulator(deck: Deck) -> dict[str, object]:
    url = f"{deck.bed.aws[0].endpoint}/2015-03-31/functions/{FUNCTION}/aliases/{ALIAS}"
    with urllib.request.urlopen(urllib.request.Request(url, headers=signed_for("lambda")), timeout=5) as answer:
        found: dict[str, object] = json.loads(answer.read())
    return found


def test_the_alias_holds_what_was_set(deck: Deck) -> None:
    before = alias_at_the_emulator(deck)
    main = str(before["FunctionVersion"])
    deck.apply("set", "shares", ALIAS_REF, f"{main}=70%", "3=30%", environments=["fn"])
    after = alias_at_the_emulator(deck)
    assert after["RoutingConfig"] == {"AdditionalVersionWeights": {"3": 0.3}}
    assert after["RevisionId"] != before["RevisionId"]
    deck.apply("undo", environments=["fn"])
    assert alias_at_the_emulator(deck)["RoutingConfig"] == before["RoutingConfig"]


def test_an_alias_that_codedeploy_moves_is_refused(deck: Deck) -> None:
    ref = f"fn/LambdaAlias/{REGION}/chat-batch:{ALIAS}"
    done = deck.run("set", "shares", ref, "1=70%", "2=30%", "--apply", "--reason", "check", "-o", "json")
    assert done.code == 3, done
    assert "driven" in done.out + done.err
