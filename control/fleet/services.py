"""Services over all platforms: the share of each environment, what it admits, and the demand that it can carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from control.capacity import effective as capacity
from control.deck.config import ServiceConfig
from control.fleet.structure import ServiceRows, Structure
from control.fleet.views import EnvironmentView, Headroom, Seen, ServiceView
from control.model import Interval, Route
from control.model.ref import Ref


@dataclass(frozen=True, slots=True)
class Known:
    """The values, beside the structure, that a service's view is computed from."""

    routes: Mapping[Ref, Route]
    seen: Mapping[Ref, Seen]
    environments: Mapping[str, EnvironmentView]


def service_view(service: ServiceConfig, structure: Structure, known: Known) -> ServiceView:
    """One service over all platforms: the share of each environment and the demand it can carry."""
    rows = structure.services[service.name]
    shares = _front_shares(service, known.routes.get(rows.front)) if rows.front is not None else {}
    source = "front"
    if not shares or None in shares.values():
        measured = _measured_shares(rows, known)
        shares, source = (measured, "measured") if measured else (shares, "front")
    told = tuple(
        (name, shares.get(name), source if shares.get(name) is not None else "unknown") for name in rows.entrances
    )
    tokens = Interval.exactly(service.tokens_per_request) if service.tokens_per_request else None
    caps = {name: _cap(refs, tokens, structure, known) for name, refs in rows.entrances.items()}
    # What the front does not lead to has no part in the demand that comes through the front.
    led_to = set(service.front.targets.values()) if source == "front" and service.front else set(rows.entrances)
    of_demand = {name: share for name, share, _ in told if name in led_to}
    headroom = capacity.headroom(caps, of_demand, _demand(rows, known))
    read = [view.read_at for name in rows.entrances if (view := known.environments.get(name)) and view.read_at]
    return ServiceView(service.name, rows.refs, rows.front, told, headroom, min(read, default=0.0))


def _front_shares(service: ServiceConfig, front: Route | None) -> dict[str, Fraction | None]:
    """Environment -> its share as the front has it set. A target whose share is unknown makes its environment's so."""
    if service.front is None or front is None:
        return {}
    shares: dict[str, Fraction | None] = {}
    for target in front.targets:
        name = service.front.targets.get(target.name)
        if name is None:
            continue
        sofar = shares.get(name, Fraction(0))
        shares[name] = None if sofar is None or target.share is None else sofar + target.share
    return shares


def _rps(refs: Iterable[Ref], known: Known) -> Fraction | None:
    return _total([known.seen[ref].traffic.rps if ref in known.seen else None for ref in refs])


def _total(values: Sequence[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    return sum(known, Fraction(0)) if known and len(known) == len(values) else None


def _measured_shares(rows: ServiceRows, known: Known) -> dict[str, Fraction | None]:
    rates = {name: _rps(refs, known) for name, refs in rows.entrances.items()}
    total = _total(list(rates.values()))
    if not total:
        return {}
    return {name: rate / total for name, rate in rates.items() if rate is not None}


def _demand(rows: ServiceRows, known: Known) -> Fraction | None:
    if rows.front is not None and rows.front in known.seen:
        return known.seen[rows.front].traffic.rps
    return _total([_rps(refs, known) for refs in rows.entrances.values() if refs])


def _cap(refs: Iterable[Ref], tokens: Interval | None, structure: Structure, known: Known) -> Interval | None:
    """What one environment admits for a service: the sum over its entrances; unknown where one is unknown."""
    caps = [_route_cap(ref, tokens, structure, known) for ref in refs]
    whole = [cap for cap in caps if cap is not None]
    if not caps or len(whole) < len(caps):
        return None
    return Interval(_total([cap.low for cap in whole]), _total([cap.high for cap in whole]))


def _route_cap(ref: Ref, tokens: Interval | None, structure: Structure, known: Known) -> Interval | None:
    effectives = structure.effectives.get(ref)
    if not effectives:
        return None
    seen = known.seen.get(ref)
    p95 = seen.traffic.p95_seconds if seen is not None else None
    # The mean time in the system is below its 95th percentile, so only the upper end is known.
    return capacity.cap_of(effectives, Interval(None, p95) if p95 else None, tokens)


def headroom_line(name: str, headroom: Headroom) -> str:
    """One line on a service's demand limit, for the plan."""
    if headroom.demand_max is None:
        return f"{name}: D* unknown ({headroom.why})" if headroom.why else f"{name}: D* unknown"
    low, high = (
        None if end is None else f"{float(end):.4g}" for end in (headroom.demand_max.low, headroom.demand_max.high)
    )
    if low is None or high is None:
        ends = f"at most {high}" if low is None else f"at least {low}"
    else:
        ends = low if low == high else f"{low} to {high}"
    first = f", {headroom.first_to_saturate} saturates first" if headroom.first_to_saturate else ""
    return f"{name}: D* {ends} rps{first}"
