"""What a kube-apiserver refuses or mends in an object that is written, for the fields that are written here.

As the CRDs of Gateway API v1.6 and Traefik v3.7 have it; what their schemas say of other fields is not held here. Each
rule was compared with a real server (tests/adapters/kubernetes/test_memory_and_real.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

INT64 = 2**63 - 1
PERIOD = "integer,string"
_TRAEFIK_REF = frozenset(
    {"disableBodyForwarding", "healthCheck", "kind", "middlewares", "name", "namespace", "nativeLB", "nodePortLB"}
    | {"passHostHeader", "passiveHealthCheck", "percent", "port", "responseForwarding", "scheme", "serversTransport"}
    | {"sticky", "strategy", "weight"}
)
_BACKEND_REF = frozenset({"filters", "group", "kind", "name", "namespace", "port", "weight"})
_RATE = frozenset({"average", "burst", "period", "redis", "sourceCriterion"})
_IN_FLIGHT = frozenset({"amount", "sourceCriterion"})


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Where numbers stand in a kind: a path in which `[]` stands for every element, the members that are numbers with
    the least and the most that they may be, and the members that are known there."""

    path: tuple[str, ...]
    members: Mapping[str, tuple[int, int]]
    known: frozenset[str]
    default: Mapping[str, int]


_WEIGHT = {"weight": (0, INT64)}
_RULES: dict[str, tuple[_Numbers, ...]] = {
    "HTTPRoute": (
        _Numbers(("rules", "[]", "backendRefs", "[]"), {"weight": (0, 1_000_000)}, _BACKEND_REF, {"weight": 1}),
    ),
    "IngressRoute": (_Numbers(("routes", "[]", "services", "[]"), _WEIGHT, _TRAEFIK_REF, {}),),
    "TraefikService": (_Numbers(("weighted", "services", "[]"), _WEIGHT, _TRAEFIK_REF, {}),),
    "Middleware": (
        _Numbers(("rateLimit",), {"average": (0, INT64), "burst": (0, INT64)}, _RATE, {}),
        _Numbers(("inFlightReq",), {"amount": (0, INT64)}, _IN_FLIGHT, {}),
    ),
}
Cause = dict[str, str]


def mended(native: dict[str, Any]) -> dict[str, Any]:
    """The object as it is stored: nulls are dropped, whole floats are integers, absent defaults are filled in."""
    stored: dict[str, Any] = {**native, "spec": _without_nulls(native.get("spec", {}))}
    for rule in _RULES.get(native.get("kind", ""), ()):
        for _, place in _places(stored["spec"], rule.path, "spec"):
            for member in rule.members:
                value = place.get(member)
                if isinstance(value, float) and value.is_integer():
                    place[member] = int(value)
            for member, value in rule.default.items():
                place.setdefault(member, value)
    return stored


def unknown_fields(native: Mapping[str, Any]) -> list[str]:
    """What `fieldValidation=Strict` refuses: the paths of members that nobody knows."""
    return [
        f"{at}.{member}"
        for rule in _RULES.get(native.get("kind", ""), ())
        for at, place in _places(native.get("spec", {}), rule.path, "spec")
        for member in place
        if member not in rule.known
    ]


def causes(native: Mapping[str, Any]) -> list[Cause]:
    """Every value that the schema refuses, as `details.causes` has them; empty for a valid object."""
    found: list[Cause] = []
    for rule in _RULES.get(native.get("kind", ""), ()):
        for at, place in _places(native.get("spec", {}), rule.path, "spec"):
            for member, (least, most) in rule.members.items():
                found += _number(f"{at}.{member}", place.get(member), least, most)
            if "period" in rule.known:
                found += _period(f"{at}.period", place.get("period"))
    return found


def _number(at: str, value: object, least: int, most: int) -> list[Cause]:
    if value is None:
        return []
    if isinstance(value, bool) or not isinstance(value, int):
        return [_cause("FieldValueTypeInvalid", at, f"{at} in body must be of type integer")]
    if value < least:
        return [_cause("FieldValueInvalid", at, f"{at} in body should be greater than or equal to {least}")]
    if value > most:
        return [_cause("FieldValueInvalid", at, f"{at} in body should be less than or equal to {most}")]
    return []


def _period(at: str, value: object) -> list[Cause]:
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return []
    return [_cause("FieldValueTypeInvalid", at, f"{at} in body must be of type {PERIOD}")]


def _cause(reason: str, field: str, told: str) -> Cause:
    return {"reason": reason, "message": f"Invalid value: {told}", "field": field}


def _without_nulls(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _without_nulls(value) for key, value in node.items() if value is not None}
    return [_without_nulls(one) for one in node] if isinstance(node, list) else node


def _places(node: Any, path: tuple[str, ...], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects at a path, each with its own path as a server writes it."""
    if not path:
        if isinstance(node, dict):
            yield at, node
    elif path[0] == "[]":
        for index, one in enumerate(node if isinstance(node, list) else []):
            yield from _places(one, path[1:], f"{at}[{index}]")
    elif isinstance(node, Mapping) and path[0] in node:
        yield from _places(node[path[0]], path[1:], f"{at}.{path[0]}")
