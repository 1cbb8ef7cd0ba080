"""Traefik Middleware with `rateLimit` or `inFlightReq`: each holds exactly one limit.

Source: traefik v3.7 pkg/middlewares/{ratelimiter,inflightreq}. `average` 0 means no limit; `inFlightReq.amount` 0 lets
nothing through; `burst` is 1 by default and 0 counts as 1. Without redis every router of every replica counts by
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from adapters.kubernetes.codecs import period
from adapters.kubernetes.codecs.common import Codec, Native, Read, base, convert, guards, object_ref, test_number, whole
from adapters.kubernetes.codecs.traefik_members import GROUP, VERSION
from adapters.kubernetes.jsonpatch import Op, add
from adapters.kubernetes.resource import Resource
from adapters.kubernetes.shown import masked
from adapters.kubernetes.wire import InFlightReq, Middleware, RateLimit, SourceCriterion
from control.edit import Change, Value
from control.errors import InvalidValue
from control.model import (
    Action,
    Amount,
    Burst,
    Editable,
    Grid,
    Limit,
    Measure,
    OverLimit,
    Platform,
    Special,
    StoreFail,
    Window,
    WindowKind,
)
from control.text import clean

RESOURCE = Resource(GROUP, VERSION, "middlewares", "Middleware")
GRID = Grid(minimum=1, maximum=2**63 - 1, zero=False)
BURSTS = Grid(minimum=1, maximum=2**63 - 1, zero=True)
HALF_SECOND = Fraction(1, 2)


def read(native: Middleware, environment: str, at: float) -> Read:
    """The limit of one Middleware, none where it is of another type."""
    spec = native.spec
    both = spec.rate_limit is not None and spec.in_flight_req is not None
    if spec.rate_limit is not None:
        limit = _rate(native, spec.rate_limit, environment, at)
    elif spec.in_flight_req is not None:
        limit = _in_flight(native, spec.in_flight_req, environment, at)
    else:
        return Read()
    if both:
        limit = replace(limit, editable=Editable(False, "it holds two types, which Traefik refuses"))
    return Read(limits=(limit,))


def _rate(native: Middleware, spec: RateLimit, environment: str, at: float) -> Limit:
    average = spec.average or 0
    seconds = period.parse(spec.period)
    amount: Amount = Fraction(average) if average > 0 else Special.UNLIMITED
    ref = object_ref(environment, RESOURCE.kind, native.metadata)
    shared = spec.redis is not None
    notes = [] if seconds is not None else [clean(f"its period '{spec.period}' is no duration: Traefik refuses it")]
    if shared:
        notes.append("counted in redis, together for all replicas and routers")
    return Limit(
        ref=ref,
        platform=Platform.KUBERNETES,
        name=clean(native.metadata.name),
        measure=Measure.REQUESTS,
        amount=amount,
        object=str(ref),
        base=base(native.metadata),
        read_at=at,
        window=Window(WindowKind.BUCKET, seconds),
        burst=Burst(spec.burst, Fraction(max(1 if spec.burst is None else spec.burst, 1))),
        match="every request of its routers",
        store_fail=StoreFail.CLOSED if shared else StoreFail.NONE,
        key=_key(spec.source_criterion, "source address"),
        over=OverLimit(Action.REJECT, 429, _longest_wait(average, seconds)),
        fields=frozenset({"amount", "window", "burst"}),
        amounts=GRID,
        specials=frozenset({Special.UNLIMITED}),
        notes=tuple(notes),
        location="spec.rateLimit",
        remainder=_remainder(spec),
    )


def _longest_wait(average: int, seconds: Fraction | None) -> Fraction | None:
    """Over the limit a request is first held for up to half a token's time, half a second at most, then refused."""
    if average <= 0 or seconds is None:
        return None
    rate = Fraction(average) / seconds
    return HALF_SECOND if rate < 1 else Fraction(1, 2 * int(rate))


def _in_flight(native: Middleware, spec: InFlightReq, environment: str, at: float) -> Limit:
    count = spec.amount or 0
    ref = object_ref(environment, RESOURCE.kind, native.metadata)
    return Limit(
        ref=ref,
        platform=Platform.KUBERNETES,
        name=clean(native.metadata.name),
        measure=Measure.INFLIGHT,
        amount=Fraction(count) if count > 0 else Special.BLOCKED,
        object=str(ref),
        base=base(native.metadata),
        read_at=at,
        match="every request of its routers",
        key=_key(spec.source_criterion, "request host"),
        over=OverLimit(Action.REJECT, 429),
        fields=frozenset({"amount"}),
        amounts=GRID,
        specials=frozenset({Special.BLOCKED}),
        location="spec.inFlightReq",
    )


def _key(criterion: SourceCriterion | None, default: str) -> tuple[str, ...]:
    """What gets a bucket of its own. Header before host, as Traefik's GetSourceExtractor looks."""
    if criterion is None:
        return (default,)
    strategy = criterion.ip_strategy
    if strategy is not None:
        subnet = f", /{strategy.ipv6_subnet} of IPv6" if strategy.ipv6_subnet else ""
        if strategy.depth:
            return (f"X-Forwarded-For address {strategy.depth} from the right{subnet}",)
        if strategy.excluded_ips:
            return (clean(f"X-Forwarded-For address outside {', '.join(strategy.excluded_ips)}{subnet}"),)
        return (f"source address{subnet}",)
    if criterion.request_header_name:
        return (clean(f"header {criterion.request_header_name}"),)
    return ("request host",) if criterion.request_host else (default,)


def _remainder(spec: RateLimit) -> tuple[tuple[str, str], ...]:
    redis = masked(spec.redis or {})
    return tuple((clean(f"spec.rateLimit.redis.{key}"), clean(str(value), 200)) for key, value in redis.items())


def edit(native: Native, changes: Sequence[Change]) -> list[Op]:
    """A guarded patch that sets amount, window or burst."""
    spec = convert(native, Middleware).spec
    section = "rateLimit" if spec.rate_limit is not None else "inFlightReq"
    if (spec.rate_limit is None) == (spec.in_flight_req is None):
        raise InvalidValue("this Middleware holds no one limit", ref=str(changes[0].ref))
    held = native["spec"][section] or {}
    ops = guards(native)
    for change in changes:
        member, value = _member(change, section, held)
        at = f"/spec/{section}/{member}"
        ops += test_number(at, held.get(member))
        ops.append(add(at, value))
    return ops


def _member(change: Change, section: str, held: Native) -> tuple[str, int | str]:
    """Native member and value of one change."""
    if change.field == "amount":
        special = Special.UNLIMITED if section == "rateLimit" else Special.BLOCKED
        member = "average" if section == "rateLimit" else "amount"
        return member, _amount(change, special)
    if section == "rateLimit" and change.field == "burst":
        return "burst", 1 if change.after is None else whole(change, BURSTS, "burst")
    if section == "rateLimit" and change.field == "window":
        return "period", period.write(_seconds(change.after, change), held.get("period"))
    raise InvalidValue(
        f"a Middleware's {section} has no '{clean(change.field)}'",
        ref=str(change.ref),
        hint="it has amount, window and burst" if section == "rateLimit" else "it has amount",
    )


def _amount(change: Change, special: Special) -> int:
    if isinstance(change.after, Special):
        if change.after is special:
            return 0
        raise InvalidValue(
            f"'{change.after.value}' cannot be written here", ref=str(change.ref), hint=f"0 means {special.value} here"
        )
    return whole(change, GRID, "amount")


def _seconds(value: Value, change: Change) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise InvalidValue(f"'{value}' is no period", ref=str(change.ref), hint="write seconds, such as 1, 60 or 1/10")
    return Fraction(value)


CODEC = Codec(RESOURCE, Middleware, "Traefik rateLimit or inFlightReq", read, edit)
