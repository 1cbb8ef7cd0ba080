"""Values of headers in native objects are masked unless the header is known to be harmless."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.kubernetes.shown import MASK, difference, masked, masked_rule

HIDDEN, KEPT = "word-of-a-gate", "shown"


@pytest.mark.parametrize(
    "spec",
    [
        {"headers": {"customRequestHeaders": {"X-Gate": HIDDEN, "Host": KEPT, "X-Gone": ""}}},
        {"headers": {"customResponseHeaders": {"X-Gate": HIDDEN, "Cache-Control": KEPT}}},
        {"headers": {"referrerPolicy": KEPT, "customFrameOptionsValue": KEPT}},
        {"plugin": {"gate": {"Headers": {"X-Gate": HIDDEN, "X-Forwarded-Host": KEPT}}}},
        {"filters": [{"requestHeaderModifier": {"set": [{"name": "X-Gate", "value": HIDDEN}]}}]},
        {"filters": [{"requestHeaderModifier": {"add": [{"name": "X-Request-Id", "value": KEPT}]}}]},
        {"filters": [{"responseHeaderModifier": {"set": [{"name": "X-Gate", "value": HIDDEN}], "remove": [KEPT]}}]},
        {"matches": [{"headers": [{"type": "Exact", "name": "X-Api-Key", "value": HIDDEN}]}]},
        {"matches": [{"queryParams": [{"name": "q", "value": "Zm9vYmFyYmF6cXV4cXV1eA0123"}]}]},
        {"forwardAuth": {"authResponseHeaders": [KEPT], "address": KEPT}},
        {"rateLimit": {"average": 5, "sourceCriterion": {"requestHeaderName": KEPT}}},
    ],
)
def test_headers(spec: dict[str, Any]) -> None:
    told = repr(masked({"spec": spec}))
    assert HIDDEN not in told and "Zm9vYmFy" not in told
    assert (KEPT in repr(spec)) == (KEPT in told) and (MASK in told) == (HIDDEN in repr(spec) or "Zm9v" in repr(spec))


def test_a_difference_masks_both_sides() -> None:
    before: dict[str, Any] = {"spec": {"headers": {"customRequestHeaders": {"X-Gate": HIDDEN}}, "weight": 1}}
    after: dict[str, Any] = {"spec": {"headers": {"customRequestHeaders": {"X-Gate": HIDDEN}}, "weight": 2}}
    told = difference("x", before, after)
    assert HIDDEN not in told and "+  weight: 2" in told


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("Header(`X-Api-Key`, `word`) && Path(`/v1`)", f"Header(`X-Api-Key`, `{MASK}`) && Path(`/v1`)"),
        ('HeaderRegexp("X-Gate", "k3yk3yk3yk3yk3yk3y")', f'HeaderRegexp("X-Gate", "{MASK}")'),
        (
            "Header(`X-Canary`, `always`) || Host(`Header.example`)",
            "Header(`X-Canary`, `always`) || Host(`Header.example`)",
        ),
    ],
)
def test_rules_of_traefik(rule: str, shown: str) -> None:
    assert masked_rule(rule) == shown and masked({"match": rule}) == {"match": shown}
