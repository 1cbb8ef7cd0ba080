"""Does the data plane use what was written? Traefik's own running values where the deck file names its API.

Without it only an HTTPRoute's conditions can be asked, and Traefik sets those before it loads the configuration (up to
`providersThrottleDuration`, two seconds): the detail says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from adapters.common.http import Pages
from adapters.engine.numbers import weights, whole
from adapters.engine.operations import Op
from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.objects import decode
from adapters.kubernetes.kinds import period
from adapters.kubernetes.kinds.common import Codec, rule_index
from adapters.kubernetes.planes.traefik import api as traefik
from adapters.kubernetes.planes.traefik.api import TraefikApi
from adapters.kubernetes.planes.traefik.names import (
    CONTROLLER,
    crd_names,
    gateway_prefix,
    gateway_rule,
    ingress_service,
)
from adapters.kubernetes.route_status import current, status_of
from adapters.kubernetes.wire.gateway_api import HTTPRoute
from adapters.kubernetes.wire.traefik import IngressRoute, Middleware, TraefikService
from control.deck.config import EnvironmentConfig
from control.errors import ControlError
from control.model import StatusState
from control.model.ref import Ref
from control.ports import Prepared, ProofPart, ProofState
from control.text import clean

_WORST_FIRST = (ProofState.NO, ProofState.PENDING, ProofState.UNKNOWN, ProofState.YES)


@dataclass(frozen=True, slots=True)
class Payload:
    """What `prepare` hands to `write` and `loaded`: whom the patch is for, and the object as it will be."""

    codec: Codec
    ref: Ref
    guards: tuple[Op, ...]
    """The tests that every patch begins with."""
    after: Any


Say = tuple[ProofState, str]


async def loaded(
    step: Prepared, api: Api, pages: Pages, config: EnvironmentConfig, fault: Callable[[Any], list[str]]
) -> ProofPart:
    """One look at every replica that the deck file names; they must all agree. What Traefik will not load by what the
    object says (`fault`: why, for each of its rows) is a no without asking."""
    payload = step.payload
    if not isinstance(payload, Payload):
        return ProofPart(ProofState.UNKNOWN, "nothing is known of this step")
    replicas = [TraefikApi(pages, proxy.api) for proxy in config.proxies if proxy.kind == "traefik" and proxy.api]
    refused = _refused(payload, step, fault(payload.after))
    if refused:
        return ProofPart(ProofState.NO, f"Traefik does not load it: {refused}")
    if isinstance(payload.after, HTTPRoute) and (not replicas or not _is_traefiks(payload.after)):
        return _by_conditions(await _current(payload, api), bool(replicas))
    if not replicas:
        hint = "name Traefik's API under proxies in the deck file"
        return ProofPart(ProofState.UNKNOWN, f"Traefik writes no status for a {payload.codec.kind}: {hint}")
    says = await asyncio.gather(*(_ask(replica, payload, step) for replica in replicas))
    state, detail = min(says, key=lambda say: _WORST_FIRST.index(say[0]))
    if state is ProofState.YES and len(replicas) > 1:
        detail = f"all {len(replicas)} replicas: {detail}"
    return ProofPart(state, detail)


async def _current(payload: Payload, api: Api) -> HTTPRoute:
    """The HTTPRoute as it stands now, for its conditions."""
    ref = payload.ref
    body = await api.get(payload.codec.resource.path(ref.scope, ref.name), what="read the conditions")
    route: HTTPRoute = decode(body, HTTPRoute)
    return route


def _refused(payload: Payload, step: Prepared, faults: list[str]) -> str:
    """The first fault of the rows that are changed."""
    rules = getattr(payload.after.spec, "rules", None) or getattr(payload.after.spec, "routes", None)
    if rules is None:
        return next((fault for fault in faults if fault), "")
    names = [getattr(rule, "name", "") for rule in rules]
    changed = {rule_index(change.ref, names) for change in step.changes}
    return next((fault for index, fault in enumerate(faults) if fault and index in changed), "")


def _is_traefiks(route: HTTPRoute) -> bool:
    parents = current(route)
    return not parents or any(parent.controller_name == CONTROLLER for parent in parents)


def _by_conditions(route: HTTPRoute, has_replicas: bool) -> ProofPart:
    status = status_of(route)
    early = "accepted by its controller; the data plane may follow up to two seconds later"
    if status.state is StatusState.OK:
        return ProofPart(ProofState.YES, early, by_condition=True)
    if status.state is StatusState.PENDING:
        return ProofPart(ProofState.PENDING, status.detail)
    if status.state in (StatusState.ERROR, StatusState.WARNING):
        return ProofPart(ProofState.NO, status.detail)
    why = "another controller serves it, and it says nothing" if has_replicas else status.detail
    return ProofPart(ProofState.UNKNOWN, why)


async def _ask(replica: TraefikApi, payload: Payload, step: Prepared) -> Say:
    after = payload.after
    try:
        if isinstance(after, Middleware):
            return await _middleware(replica, payload.ref, after)
        if isinstance(after, HTTPRoute):
            return await _httproute(replica, payload.ref, after, step)
        if isinstance(after, TraefikService):
            members = (after.spec.weighted.services if after.spec.weighted else None) or []
            return await _weighted(replica, crd_names(payload.ref.scope, payload.ref.name), _weights(members))
        assert isinstance(after, IngressRoute)
        return await _ingress(replica, payload.ref, after, step)
    except ControlError as error:
        return ProofState.UNKNOWN, error.message


def _weights(members: Sequence[Any]) -> list[int | None]:
    return weights(member.weight for member in members)


async def _httproute(replica: TraefikApi, ref: Ref, after: HTTPRoute, step: Prepared) -> Say:
    """Every router of a changed rule has a weighted service of its own; all of them must have the new weights."""
    rules = after.spec.rules or []
    names = [rule.name for rule in rules]
    prefixes = {gateway_prefix(ref.scope, ref.name, parent) for parent in after.spec.parent_refs or []}
    services = [service for prefix in sorted(prefixes) for service in await replica.services(prefix)]
    says = []
    for index in sorted({rule_index(change.ref, names) for change in step.changes}):
        wanted = _weights(rules[index].backend_refs or [])
        of_rule = [one for one in services if gateway_rule(one.name) == (index, "-wrr")]
        says.append(_agree(replica, of_rule, wanted))
    return min(says, key=lambda say: _WORST_FIRST.index(say[0]))


async def _ingress(replica: TraefikApi, ref: Ref, after: IngressRoute, step: Prepared) -> Say:
    rules = after.spec.routes or []
    says = []
    for index in sorted({rule_index(change.ref, [""] * len(rules)) for change in step.changes}):
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
