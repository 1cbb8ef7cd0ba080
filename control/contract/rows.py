"""Environments, services, routes, limits, lists, doctor and errors as documents.

In the row of a group, a field in which the members differ is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal, TypeVar, cast

from control.contract import documents
from control.contract.documents import Document
from control.errors import ControlError
from control.fleet.views import EnvironmentView, Inventory, Seen, ServiceView, Unreached
from control.journal.records import Verification
from control.model import Burst, Limit, Route, Target, Traffic
from control.ports import Check
from control.serialiser import alike
from control.structs import replace

Row = TypeVar("Row", documents.Route, documents.Limit)

_OWN = frozenset({"ref", "members", "traffic", "age_seconds", "owners", "use", "bindings", "limits", "service"})
"""Fields of a group's row that are its own: they are not compared between members."""
_OWN_OF_TARGET = frozenset({"name", "seen_share", "to"})
_UNKNOWN = documents.Interval(None, None)


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else round(max(0.0, now - at), 3)


def _figure(value: Fraction | None) -> float | int | None:
    """A measured number: whole where it is whole, else rounded to six digits."""
    if value is None:
        return None
    return value.numerator if value.denominator == 1 else round(float(value), 6)


def list_document(
    items: Sequence[documents.Item], lacking: Iterable[Unreached], age_seconds: float | None
) -> documents.List:
    """The age is that of the oldest read in it.

    `lacking` is `Inventory.lacking`: whole environments, and single things that are missing of others.
    """
    return documents.List(
        list(items), [documents.Unreachable(one.environment, one.why) for one in lacking], age_seconds
    )


def environment_document(view: EnvironmentView, now: float) -> documents.Environment:
    environment = view.environment
    return documents.Environment(
        name=environment.name,
        platform=environment.platform,
        labels=dict(environment.labels),
        production=environment.production,
        identity=environment.identity,
        reach=alike(environment.reach, documents.Reach),
        access=alike(environment.access, documents.Access),
        counts=documents.Counts(view.routes, view.limits),
        age_seconds=_age(view.read_at, now),
    )


def service_document(service: ServiceView, now: float) -> documents.Service:
    headroom = service.headroom
    return documents.Service(
        name=service.name,
        routes=[str(ref) for ref in service.routes],
        front=None if service.front is None else str(service.front),
        shares=[
            documents.EnvironmentShare(name, share, cast(Literal["front", "measured", "unknown"], source))
            for name, share, source in service.shares
        ],
        headroom=documents.Headroom(
            demand_max=None if headroom.demand_max is None else alike(headroom.demand_max, documents.Interval),
            first_to_saturate=headroom.first_to_saturate,
            per_environment=[
                documents.EnvironmentCap(name, _UNKNOWN if cap is None else alike(cap, documents.Interval), share)
                for name, cap, share in headroom.per_environment
            ],
            why=headroom.why,
        ),
        age_seconds=_age(service.read_at, now),
    )


def traffic_document(traffic: Traffic | None, now: float) -> documents.Traffic:
    traffic = traffic or Traffic()
    return documents.Traffic(
        rps=_figure(traffic.rps),
        error_ratio=_figure(traffic.error_ratio),
        throttled_ratio=_figure(traffic.throttled_ratio),
        p95_seconds=_figure(traffic.p95_seconds),
        window_seconds=traffic.window_seconds,
        age_seconds=_age(traffic.at, now),
        source=traffic.source or None,
    )


# --- groups -----------------------------------------------------------------------------------------------------------


def _common(row: Row, members: Sequence[Row]) -> Row:
    """The row of a group: null for each field in which its members differ."""
    if not members:
        return row
    names = [name for name in row.__struct_fields__ if name not in _OWN and name != "targets"]
    return replace(row, **{name: _agreed([getattr(member, name) for member in members]) for name in names})


def _agreed(values: Sequence[Any]) -> Any:
    """The value that all share; documents are compared field by field."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if isinstance(first, Document) and all(type(value) is type(first) for value in values):
        names = first.__struct_fields__
        return type(first)(**{name: _agreed([getattr(value, name) for value in values]) for name in names})
    return None


def _common_target(target: documents.Target, members: Sequence[documents.Route]) -> documents.Target:
    same = [next((t for t in member.targets if t.name == target.name), None) for member in members]
    names = [name for name in target.__struct_fields__ if name not in _OWN_OF_TARGET]
    agreed = {name: _agreed([None if t is None else getattr(t, name) for t in same]) for name in names}
    return replace(target, **agreed)


# --- routes -----------------------------------------------------------------------------------------------------------


def route_document(route: Route, inventory: Inventory, now: float) -> documents.Route:
    seen = inventory.seen.get(route.ref)
    document = documents.Route(
        ref=str(route.ref),
        environment=route.environment,
        platform=route.platform,
        kind=route.kind,
        name=route.name,
        service=inventory.service_of.get(route.ref),
        matches=list(route.matches),
        semantics=route.semantics,
        targets=[_target_document(target, seen) for target in route.targets],
        members=_route_members(route),
        limits=[str(ref) for ref in inventory.limits_of.get(route.ref, ())],
        sticky=route.sticky or None,
        mirrors=[documents.Mirror(mirror.name, mirror.share) for mirror in route.mirrors],
        owners=[alike(owner, documents.Owner) for owner in route.owners],
        status=documents.Status(route.status.state, route.status.detail),
        editable=documents.Editable(route.editable.yes, route.editable.reason),
        traffic=traffic_document(seen.traffic if seen else None, now),
        base=route.base,
        age_seconds=_age(route.read_at, now),
    )
    if not route.members:
        return document
    members = [route_document(member, inventory, now) for member in route.members]
    targets = [_common_target(target, members) for target in document.targets]
    return _common(replace(document, targets=targets), members)


def _target_document(target: Target, seen: Seen | None) -> documents.Target:
    return documents.Target(
        name=target.name,
        weight=target.weight,
        share=target.share,
        state=target.state,
        health=target.health,
        seen_share=_figure(seen.shares.get(target.name)) if seen else None,
        to=None if target.to is None else str(target.to),
        native=target.native or None,
    )


def _route_members(route: Route) -> list[documents.RouteMember]:
    """Each member with its native weights, and whether it agrees with what most of them hold."""
    values = [tuple((t.name, t.weight, t.share, t.state) for t in member.targets) for member in route.members]
    usual = max(values, key=values.count, default=())
    return [
        documents.RouteMember(
            ref=str(member.ref),
            agrees=own == usual,
            weights={target.name: target.weight for target in member.targets},
            base=member.base,
        )
        for member, own in zip(route.members, values, strict=True)
    ]


# --- limits -----------------------------------------------------------------------------------------------------------


def _own_burst(limit: Limit) -> Burst | None:
    """The burst of the definition, or the one that all its bindings share."""
    if limit.burst is not None:
        return limit.burst
    bursts = {binding.burst for binding in limit.bindings}
    return bursts.pop() if len(bursts) == 1 else None


def limit_document(limit: Limit, now: float) -> documents.Limit:
    burst = _own_burst(limit)
    document = documents.Limit(
        ref=str(limit.ref),
        environment=limit.environment,
        platform=limit.platform,
        kind=limit.kind,
        name=limit.name,
        measure=limit.measure,
        match=limit.match,
        strength=limit.strength,
        amount=limit.amount,
        window=None if limit.window is None else alike(limit.window, documents.Window),
        burst=documents.Burst(None, None) if burst is None else alike(burst, documents.Burst),
        key=list(limit.key),
        mode=limit.mode,
        native=limit.native or None,
        life=limit.life,
        bindings=[
            documents.Binding(
                on=binding.on,
                action=str(binding.over),
                domain=binding.domain.kind,
                effective=None if binding.effective is None else alike(binding.effective, documents.Effective),
            )
            for binding in limit.bindings
        ],
        members=_limit_members(limit),
        use=documents.Use(_figure(limit.use.current), _figure(limit.use.rejected_per_second)),
        owners=[alike(owner, documents.Owner) for owner in limit.owners],
        status=documents.Status(limit.status.state, limit.status.detail),
        editable=documents.Editable(limit.editable.yes, limit.editable.reason),
        base=limit.base,
        age_seconds=_age(limit.read_at, now),
    )
    return _common(document, [limit_document(member, now) for member in limit.members])


def _limit_members(limit: Limit) -> list[documents.LimitMember]:
    values = [(member.amount, member.window, _own_burst(member), member.mode) for member in limit.members]
    usual = max(values, key=values.count, default=None)
    return [
        documents.LimitMember(ref=str(member.ref), agrees=own == usual, amount=member.amount, base=member.base)
        for member, own in zip(limit.members, values, strict=True)
    ]


# --- the rest ---------------------------------------------------------------------------------------------------------


def verification_document(verification: Verification) -> documents.Verification:
    return alike(verification, documents.Verification)


def doctor_document(checks: Iterable[tuple[str, Check]]) -> documents.Doctor:
    return documents.Doctor(
        [
            documents.Check(name, one.check, cast(Literal["ok", "warn", "fail"], one.state), one.detail, one.hint)
            for name, one in checks
        ]
    )


def error_document(error: ControlError) -> documents.ErrorDocument:
    return documents.ErrorDocument(documents.Error(error.kind, error.message, error.ref, error.hint))
