"""Kinds of a user's own in the deck file: what is taken, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from adapters.engine.kind import Kind
from adapters.registry import sections
from control.contract.schemas import schema
from control.deck.reading import parse_deck
from control.errors import DeckError
from tests.own_kinds import DECLARED

ENVIRONMENTS = "environments:\n  - name: east\n    kubernetes: {}\n  - name: fn\n    aws: {region: r}\n"
KINDS = DECLARED
BEFORE = ENVIRONMENTS.count("\n")


def read(text: str) -> tuple[Kind, ...]:
    return parse_deck(text, Path("deck.yaml"), sections()).environments[0].kinds


def test_the_two_of_the_manual_are_read_for_clusters_alone() -> None:
    split, quota = read(ENVIRONMENTS + KINDS)
    assert (split.kind, split.api.plural, split.status.conditions) == ("SplitRoute", "splitroutes", ("Ready",))
    [section] = split.routes
    assert section.targets is not None
    assert (section.at, section.name, section.targets.weight, section.targets.absent) == (
        "spec.paths",
        "name",
        "share",
        0,
    )
    [limit] = quota.limits
    assert (limit.at, limit.amount, limit.zero, limit.measure) == ("spec.quotas", "count", "blocked", "requests")
    deck = parse_deck(ENVIRONMENTS + KINDS, Path("deck.yaml"), sections())
    assert [kind.kind for kind in deck.environments[0].kinds] == ["SplitRoute", "KeyQuota"]
    assert deck.environments[1].kinds == ()


def test_sections_may_be_written_out() -> None:
    text = """\
kinds:
  - kind: Both
    api: {group: edge.example.com, versions: [v2, v1], plural: boths, scope: cluster}
    routes:
      - {at: spec.http, targets: {at: to, identity: [name], weight: weight, absent: 1}}
      - {at: spec.tcp, part: tcp, name: port, targets: {at: to, identity: ["{name}:{port|-}"], weight: w, absent: 1}}
    limits:
      - {at: spec.global, amount: rate.count, zero: unlimited, measure: tokens, window: {seconds:
         {at: rate.unit, as: words, words: {minute: 60, hour: 3600}}}}
      - {part: flight, amount: spec.maxInFlight, zero: default, measure: inflight, key: "@spec.keyedBy"}
"""
    [both] = read(ENVIRONMENTS + text)
    assert [section.part for section in both.routes] == ["rule", "tcp"]
    assert [section.part for section in both.limits] == ["limit", "flight"]


@pytest.mark.parametrize(("old", "new", "line", "message", "hint"), [
    ("weight: share", "wieght: share", 5, "unknown key 'wieght' in targets", "did you mean 'weight'?"),
    ("rules: {at: spec.paths", "rules: {at: status.paths", 5, "it stands under 'status'", "edited under spec"),
    ("at: backends", "at: /metadata.backends", 5, "it stands under 'metadata'", "never written"),
    ("amount: count", "amount: /metadata.count", 9, "'metadata.count' cannot be a number that is edited", "under spec"),
    ("amount: count", 'amount: "counts[]"', 9, "names several places where one is needed", None),
    ("at: per}", "at: /status.per}", 9, "it stands under 'status'", "never written"),
    ("amount: count", "amount: ^^count", 9, "'^^count' leads out of the object", "one element around"),
    ("at: per}", "at: 'per['}", 9, "'per[' is no locator", "write members as a.b"),
    ("semantics: proportional", "semantics: fair", 5, "'semantics' cannot be 'fair'", "it may be canary"),
    ("absent: 0", "absent: few", 5, "'absent' must be a whole number or 'refuse'", None),
    ("maximum: 1000", "maximum: many", 5, "'maximum' must be a whole number, and is 'many'", None),
    ("maximum: 1000", "maximum: 0", 5, "the smallest weight 1 is more than 0", None),
    ("zero: blocked, ", "", 9, "limits needs 'zero'", None),
    ("[service, port]", "[]", 5, "'identity' must not be empty", "what tells targets apart"),
    ("plural: splitroutes", "plural: splitroutes/status", 3, "is no plural of a CRD", "subresources are not read"),
    ("plural: splitroutes", "plural: secrets", 3, "Secrets are never read", "shares or limits"),
    ("kind: SplitRoute", "kind: Secret", 2, "Secrets are never read", "shares or limits"),
    ("group: edge.example.com, ", "", 3, "needs the group of its CRD", "groups are DNS names"),
    ("group: edge.example.com", "group: '../api/v1'", 3, "is no group of a CRD", "groups are DNS names"),
    ("versions: [v1]", "versions: [v1, 'v1/x']", 3, "'v1/x' is no version of a CRD", "for example v1"),
    ("versions: [v1]", "versions: []", 3, "'versions' must not be empty", "for example [v1]"),
    ("kind: SplitRoute", "kind: split_route", 2, "'split_route' is no name of a kind", "as SplitRoute"),
    ("kind: KeyQuota", "kind: SplitRoute", 7, "the kind 'SplitRoute' is there twice", "first at line"),
    ("kind: SplitRoute", "kind: HTTPRoute", 2, "'HTTPRoute' is a kind that is read already", None),
])  # fmt: skip
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, message: str, hint: str | None) -> None:
    assert old in KINDS
    with pytest.raises(DeckError) as caught:
        read(ENVIRONMENTS + KINDS.replace(old, new, 1))
    assert caught.value.message.startswith(f"deck.yaml:{BEFORE + line}: "), caught.value.message
    assert message in caught.value.message
    assert (hint or "") in (caught.value.hint or "")


def test_its_schema_takes_what_is_read() -> None:
    published = schema("kinds", sections())
    Draft202012Validator.check_schema(published)
    for kind in yaml.safe_load(KINDS)["kinds"]:
        Draft202012Validator(published).validate(kind)
    assert published["title"] == "trafficdeck kinds" and published["additionalProperties"] is False
