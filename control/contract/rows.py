"""The JSON shapes of what is: environments, services, routes, limits, lists, doctor and errors.

Exact numbers are strings ("9/10", "50", "unlimited"), native weights and measured figures are numbers. In the row of a
group, a field in which the members differ is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from control.contract.plans import (
    amount_to_json,
    effective_to_json,
    interval_to_json,
    owner_to_json,
    value_to_json,
)
from control.errors import ControlError
from control.fleet.views import EnvironmentView, Inventory, Seen, ServiceView, Unreached
from control.journal.records import Verification
from control.model import Burst, Limit, Route, Target, Traffic, Window
from control.ports import Check

__all__ = [
    "Json",
    "doctor_to_json",
    "effective_to_json",
    "environment_to_json",
    "error_to_json",
    "limit_to_json",
    "list_to_json",
    "route_to_json",
    "service_to_json",
    "traffic_to_json",
    "verify_to_json",
]

Json = dict[str, Any]

_OWN = frozenset({"ref", "members", "traffic", "age_seconds", "owners", "use", "bindings", "limits", "service"})
"""Fields of a group's row that are its own: they are not compared between members."""


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else round(max(0.0, now - at), 3)


def _figure(value: Fraction | None) -> float | int | None:
    """A measured number: whole where it is whole, else rounded to six digits."""
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else round(float(value), 6)


def _exact(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def list_to_json(items: Sequence[Json], lacking: Iterable[Unreached], age_seconds: float | None) -> Json:
    """`{items, unreachable: [{environment, why}], age_seconds}`; the age is that of the oldest read in it.

    `lacking` is `Inventory.lacking`: whole environments, and single things that are missing of others.
    """
    return {
        "items": list(items),
        "unreachable": [{"environment": one.environment, "why": one.why} for one in lacking],
        "age_seconds": age_seconds,
    }


def environment_to_json(view: EnvironmentView, now: float) -> Json:
    environment = view.environment
    return {
        "name": environment.name,
        "platform": environment.platform,
        "labels": dict(environment.labels),
        "production": environment.production,
        "identity": environment.identity,
        "reach": {"state": environment.reach.state.value, "why": environment.reach.why},
        "access": {"state": environment.access.state.value, "why": environment.access.why},
        "counts": {"routes": view.routes, "limits": view.limits},
        "age_seconds": _age(view.read_at, now),
    }


def service_to_json(service: ServiceView, now: float) -> Json:
    headroom = service.headroom
    return {
        "name": service.name,
        "routes": [str(ref) for ref in service.routes],
        "front": None if service.front is None else str(service.front),
        "shares": [{"environment": e, "share": _exact(share), "source": source} for e, share, source in service.shares],
        "headroom": {
            "demand_max": None if headroom.demand_max is None else interval_to_json(headroom.demand_max),
            "first_to_saturate": headroom.first_to_saturate,
            "per_environment": [
                {
                    "environment": name,
                    "cap": {"low": None, "high": None} if cap is None else interval_to_json(cap),
                    "share": _exact(share),
                }
                for name, cap, share in headroom.per_environment
            ],
            "why": headroom.why,
        },
        "age_seconds": _age(service.read_at, now),
    }


def traffic_to_json(traffic: Traffic | None, now: float) -> Json:
    """`{rps, error_ratio, throttled_ratio, p95_seconds, window_seconds, age_seconds, source}`, null where unknown."""
    traffic = traffic or Traffic()
    return {
        "rps": _figure(traffic.rps),
        "error_ratio": _figure(traffic.error_ratio),
        "throttled_ratio": _figure(traffic.throttled_ratio),
        "p95_seconds": _figure(traffic.p95_seconds),
        "window_seconds": traffic.window_seconds,
        "age_seconds": _age(traffic.at, now),
        "source": traffic.source or None,
    }


# --- routes -----------------------------------------------------------------------------------------------------------


def route_to_json(route: Route, inventory: Inventory, now: float) -> Json:
    seen = inventory.seen.get(route.ref)
    document: Json = {
        "ref": str(route.ref),
        "environment": route.environment,
        "platform": route.platform,
        "kind": route.kind,
        "name": route.name,
        "service": inventory.service_of.get(route.ref),
        "matches": list(route.matches),
        "semantics": route.semantics.value,
        "targets": [_target_to_json(target, seen) for target in route.targets],
        "members": _route_members(route),
        "limits": [str(ref) for ref in inventory.limits_of.get(route.ref, ())],
        "sticky": route.sticky or None,
        "mirrors": [{"name": mirror.name, "share": str(mirror.share)} for mirror in route.mirrors],
        "owners": [owner_to_json(owner) for owner in route.owners],
        "status": {"state": route.status.state.value, "detail": route.status.detail},
        "editable": {"yes": route.editable.yes, "reason": route.editable.reason},
        "traffic": traffic_to_json(seen.traffic if seen else None, now),
        "base": route.base,
        "age_seconds": _age(route.read_at, now),
    }
    return _common(document, [route_to_json(member, inventory, now) for member in route.members])


def _target_to_json(target: Target, seen: Seen | None) -> Json:
    return {
        "name": target.name,
        "weight": value_to_json(target.weight),
        "share": _exact(target.share),
        "state": target.state.value,
        "health": target.health.value,
        "seen_share": _figure(seen.shares.get(target.name)) if seen else None,
        "to": None if target.to is None else str(target.to),
        "native": target.native or None,
    }


def _route_members(route: Route) -> list[Json]:
    """Each member with its native weights, and whether it agrees with what most of them hold."""
    held = [tuple((t.name, t.weight, t.share, t.state) for t in member.targets) for member in route.members]
    usual = max(held, key=held.count, default=())
    return [
        {
            "ref": str(member.ref),
            "agrees": own == usual,
            "weights": {target.name: value_to_json(target.weight) for target in member.targets},
            "base": member.base,
        }
        for member, own in zip(route.members, held, strict=True)
    ]


def _common(document: Json, members: Sequence[Json]) -> Json:
    """The row of a group: null for each field in which its members differ, target by target."""
    if not members:
        return document
    for key in document.keys() - _OWN - {"targets"}:
        document[key] = _agreed([member[key] for member in members])
    for target in document.get("targets", ()):
        same = [next((t for t in member["targets"] if t["name"] == target["name"]), None) for member in members]
        for key in target.keys() - {"name", "seen_share", "to"}:
            target[key] = _agreed([None if t is None else t[key] for t in same])
    return document


def _agreed(values: Sequence[Any]) -> Any:
    """The value that all share; objects are compared field by field."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if all(isinstance(value, dict) and value.keys() == first.keys() for value in values):
        return {key: _agreed([value[key] for value in values]) for key in first}
    return None


# --- limits -----------------------------------------------------------------------------------------------------------


def _window_to_json(window: Window | None) -> Json | None:
    if window is None:
        return None
    document = {"kind": window.kind.value, "seconds": _exact(window.seconds)}
    return document | ({"calendar": window.calendar} if window.calendar else {})


def _burst_to_json(burst: Burst | None) -> Json:
    return {"native": burst.native if burst else None, "at_once": _exact(burst.at_once) if burst else None}


def _own_burst(limit: Limit) -> Burst | None:
    """The burst of the definition, or the one that all its bindings share."""
    if limit.burst is not None:
        return limit.burst
    bursts = {binding.burst for binding in limit.bindings}
    return bursts.pop() if len(bursts) == 1 else None


def limit_to_json(limit: Limit, now: float) -> Json:
    document: Json = {
        "ref": str(limit.ref),
        "environment": limit.environment,
        "platform": limit.platform,
        "kind": limit.kind,
        "name": limit.name,
        "measure": limit.measure.value,
        "match": limit.match,
        "strength": limit.strength.value,
        "amount": amount_to_json(limit.amount),
        "window": _window_to_json(limit.window),
        "burst": _burst_to_json(_own_burst(limit)),
        "key": list(limit.key),
        "mode": limit.mode.value,
        "native": limit.native or None,
        "life": limit.life.value,
        "bindings": [
            {
                "on": binding.on,
                "action": str(binding.over),
                "domain": binding.domain.kind,
                "effective": effective_to_json(binding.effective),
            }
            for binding in limit.bindings
        ],
        "members": _limit_members(limit),
        "use": {
            "current": _figure(limit.use.current),
            "rejected_per_second": _figure(limit.use.rejected_per_second),
        },
        "owners": [owner_to_json(owner) for owner in limit.owners],
        "status": {"state": limit.status.state.value, "detail": limit.status.detail},
        "editable": {"yes": limit.editable.yes, "reason": limit.editable.reason},
        "base": limit.base,
        "age_seconds": _age(limit.read_at, now),
    }
    return _common(document, [limit_to_json(member, now) for member in limit.members])


def _limit_members(limit: Limit) -> list[Json]:
    held = [(member.amount, member.window, _own_burst(member), member.mode) for member in limit.members]
    usual = max(held, key=held.count, default=None)
    return [
        {
            "ref": str(member.ref),
            "agrees": own == usual,
            "amount": amount_to_json(member.amount),
            "base": member.base,
        }
        for member, own in zip(limit.members, held, strict=True)
    ]


# --- the rest ---------------------------------------------------------------------------------------------------------


def verify_to_json(verification: Verification) -> Json:
    """`{ok, entries, head, first_bad}`."""
    return {
        "ok": verification.ok,
        "entries": verification.entries,
        "head": verification.head,
        "first_bad": verification.first_bad,
    }


def doctor_to_json(checks: Iterable[tuple[str, Check]]) -> Json:
    """`{items: [{environment, check, state: ok|warn|fail, detail, hint}]}`."""
    return {
        "items": [
            {"environment": name, "check": one.check, "state": one.state, "detail": one.detail, "hint": one.hint}
            for name, one in checks
        ]
    }


def error_to_json(error: ControlError) -> Json:
    """`{"error": {"kind", "message", "ref", "hint"}}`."""
    return {
        "error": {"kind": error.kind.value, "message": error.message, "ref": error.ref, "hint": error.hint},
    }
