"""Does the data plane use what was written? Traefik's own running values where the deck file names its API.

Without it only the conditions of the Gateway API's routes can be asked, and Traefik sets those before it loads the
configuration (up to `providersThrottleDuration`, two seconds): the detail says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from adapters.engine.numbers import weights, whole
from adapters.engine.structs import member
from adapters.kubernetes.kinds import period
from adapters.kubernetes.kinds.common import rule_index
from adapters.kubernetes.planes.conditions.said import by_conditions
from adapters.kubernetes.planes.plane import Cluster, Payload
from adapters.kubernetes.planes.traefik import api as traefik
from adapters.kubernetes.planes.traefik.api import TraefikApi, proxies_of
from adapters.kubernetes.planes.traefik.names import (
    crd_names,
    gateway_prefix,
    gateway_rule,
    ingress_service,
)
from adapters.kubernetes.planes.traefik.surroundings import GRPC_ROUTES
from adapters.kubernetes.wire.gateway_api import GRPCRoute, HTTPRoute
from adapters.kubernetes.wire.traefik import IngressRoute, Middleware, TraefikService
from control.errors import ControlError
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofPart, ProofState
from control.text import clean

_WORST_FIRST = (ProofState.NO, ProofState.PENDING, ProofState.UNKNOWN, ProofState.YES)
Say = tuple[ProofState, str]
EARLY = "accepted by its controller; the data plane may follow up to two seconds later"


async def loaded(
    payload: Payload, changes: Sequence[Change], cluster: Cluster, faults: Callable[[Any], list[str]]
) -> ProofPart:
    """One look at every replica that the deck file names; they must all agree. What Traefik will not load by what the
    object says (`faults`: why, for each of its rows) is a no without asking."""
    replicas = [TraefikApi(cluster.pages, proxy.api) for proxy in proxies_of(cluster.config) if proxy.api]
    refused = _refused(payload, changes, faults(payload.after))
    if refused:
        return ProofPart(ProofState.NO, f"Traefik does not load it: {refused}")
    if not replicas and payload.codec.data.status.shape == "parents":
        return await by_conditions(payload, changes, cluster, lambda status, native: EARLY)
    if not replicas:
        hint = "name Traefik's API under proxies in the deck file"
        return ProofPart(ProofState.UNKNOWN, f"Traefik writes no status for a {payload.codec.kind}: {hint}")
    says = await asyncio.gather(*(_ask(replica, payload, changes) for replica in replicas))
    state, detail = min(says, key=lambda say: _WORST_FIRST.index(say[0]))
    if state is ProofState.YES and len(replicas) > 1:
        detail = f"all {len(replicas)} replicas: {detail}"
    return ProofPart(state, detail)


def _refused(payload: Payload, changes: Sequence[Change], faults: list[str]) -> str:
    """The first fault of the rows that are changed."""
    rules = member(payload.after, "spec", "rules") or member(payload.after, "spec", "routes")
    if rules is None:
        return next((fault for fault in faults if fault), "")
    names = [member(rule, "name") or "" for rule in rules]
    changed = {rule_index(change.ref, names) for change in changes} if any(faults) else set()
    return next((fault for index, fault in enumerate(faults) if fault and index in changed), "")


async def _ask(replica: TraefikApi, payload: Payload, changes: Sequence[Change]) -> Say:
    after = payload.after
    try:
        if isinstance(after, Middleware):
            return await _middleware(replica, payload.ref, after)
        if isinstance(after, HTTPRoute):
            return await _gateway_route(replica, payload.ref, after, changes)
        if isinstance(after, TraefikService):
            members = (after.spec.weighted.services if after.spec.weighted else None) or []
            return await _weighted(replica, crd_names(payload.ref.scope, payload.ref.name), _weights(members))
        if isinstance(after, IngressRoute):
            return await _ingress(replica, payload.ref, after, changes)
        if payload.codec.resource.group_kind == GRPC_ROUTES.group_kind:
            route = msgspec.convert(msgspec.to_builtins(after), GRPCRoute)
            return await _gateway_route(replica, payload.ref, route, changes)
        return ProofState.UNKNOWN, f"what Traefik runs of a {payload.codec.kind} is not known here"
    except ControlError as error:
        return ProofState.UNKNOWN, error.message


def _weights(members: Sequence[Any]) -> list[int | None]:
    return weights(member.weight for member in members)


async def _gateway_route(replica: TraefikApi, ref: Ref, after: HTTPRoute | GRPCRoute, changes: Sequence[Change]) -> Say:
    """Every router of a changed rule has a weighted service of its own; all of them must have the new weights."""
    rules = after.spec.rules or []
    names = [rule.name for rule in rules]
    prefixes = {gateway_prefix(ref.kind, ref.scope, ref.name, parent) for parent in after.spec.parent_refs or []}
    services = [service for prefix in sorted(prefixes) for service in await replica.services(prefix)]
    says = []
    for index in sorted({rule_index(change.ref, names) for change in changes}):
        wanted = _weights(rules[index].backend_refs or [])
        of_rule = [one for one in services if gateway_rule(one.name) == (index, "-wrr")]
        says.append(_agree(replica, of_rule, wanted))
    return min(says, key=lambda say: _WORST_FIRST.index(say[0]))


async def _ingress(replica: TraefikApi, ref: Ref, after: IngressRoute, changes: Sequence[Change]) -> Say:
    rules = after.spec.routes or []
    says = []
    for index in sorted({rule_index(change.ref, [""] * len(rules)) for change in changes}):
        rule = rules[index]
        wanted = _weights(rule.services or [])
        says.append(await _weighted(replica, ingress_service(ref.scope, ref.name, rule.match, index), wanted))
    return min(says, key=lambda say: _WORST_FIRST.index(say[0]))


async def _weighted(replica: TraefikApi, names: tuple[str, str], wanted: list[int | None]) -> Say:
    found: list[traefik.Service] = []
    for name in names:
        if not found:
            search = name.rpartition("@")[0]
            found = [service for service in await replica.services(search) if service.name == name]
    return _agree(replica, found, wanted)


def _agree(replica: TraefikApi, found: list[traefik.Service], wanted: list[int | None]) -> Say:
    shown = "/".join(map(str, wanted))
    if not found:
        return ProofState.PENDING, f"Traefik at {replica.place} has no such service yet"
    for service in found:
        running = _weights(service.weighted.services) if service.weighted else []
        if running != wanted:
            now = "/".join(map(str, running)) or "nothing"
            return ProofState.PENDING, f"Traefik at {replica.place} still runs {now}, not {shown}"
        if service.status == "disabled":
            told = clean("; ".join(service.error), 300) or "it says no more"
            return ProofState.NO, f"Traefik at {replica.place} has disabled the service: {told}"
    return ProofState.YES, f"Traefik at {replica.place} runs {shown}"


async def _middleware(replica: TraefikApi, ref: Ref, after: Middleware) -> Say:
    running = None
    for name in crd_names(ref.scope, ref.name):
        running = running or await replica.middleware(name)
    if running is None:
        return ProofState.PENDING, f"Traefik at {replica.place} has no such middleware yet"
    wanted, now = _planned_limit(after), _running_limit(running)
    if wanted != now:
        return ProofState.PENDING, f"Traefik at {replica.place} still runs {_told(now)}, not {_told(wanted)}"
    if running.status == "disabled":
        told = clean("; ".join(running.error), 300) or "it says no more"
        return ProofState.NO, f"Traefik at {replica.place} has disabled the middleware: {told}"
    return ProofState.YES, f"Traefik at {replica.place} runs {_told(now)}"


LimitValues = tuple[int | None, Fraction | None, int | None] | tuple[int | None] | None


def _planned_limit(after: Middleware) -> LimitValues:
    rate = after.spec.rate_limit
    if rate is not None:
        burst = 1 if rate.burst is None else whole(rate.burst)
        return whole(rate.average or 0), period.parse(rate.period), burst
    return (whole(after.spec.in_flight_req.amount or 0),) if after.spec.in_flight_req is not None else None


def _running_limit(running: traefik.Middleware) -> LimitValues:
    rate = running.rate_limit
    if rate is not None:
        return rate.average, period.parse(rate.period), rate.burst
    return (running.in_flight_req.amount,) if running.in_flight_req is not None else None


def _told(values: LimitValues) -> str:
    if values is None:
        return "no limit"
    if len(values) == 1:
        return f"{values[0]} in flight"
    return f"{values[0]} per {values[1]} s, burst {values[2]}"
