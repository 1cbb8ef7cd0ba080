"""Traefik Middleware with `rateLimit` or `inFlightReq`: each holds exactly one limit. A plugin that limits is listed as
its native text.

Source: traefik v3.7 pkg/middlewares/{ratelimiter,inflightreq}. `average` 0 means no limit; `inFlightReq.amount` 0 lets
nothing through; `burst` is 1 by default and 0 counts as 1. Without redis every router of every replica counts by
itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

import msgspec

from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.jsonpatch import Op, add
from adapters.kubernetes.kinds import period
from adapters.kubernetes.kinds.common import Codec, Native, Read, base, convert, guards, object_ref, test_number, whole
from adapters.kubernetes.kinds.numbers import text
from adapters.kubernetes.kinds.numbers import whole as whole_number
from adapters.kubernetes.kinds.traefik_members import FORMER_GROUPS, GROUP, VERSIONS
from adapters.kubernetes.section import PLATFORM
from adapters.kubernetes.shown import as_yaml, masked
from adapters.kubernetes.wire.traefik import InFlightReq, Middleware, RateLimit, SourceCriterion
from control.errors import InvalidValue
from control.model import (
    Action,
    Burst,
    Editable,
    Grid,
    Limit,
    Measure,
    Mode,
    OverLimit,
    Special,
    StoreFail,
    Window,
    WindowKind,
)
from control.planning.edit import Change, Value
from control.structs import replace
from control.text import clean

RESOURCE = Resource(GROUP, VERSIONS, "middlewares", "Middleware", former_groups=FORMER_GROUPS)
GRID = Grid(minimum=1, maximum=(2**63 - 1) // 10**9, zero=False)
"""Traefik multiplies an average by the nanoseconds of a second, in 64 bits: above this it gets another number."""
IN_FLIGHT = Grid(minimum=1, maximum=2**63 - 1, zero=False)
BURSTS = Grid(minimum=1, maximum=2**63 - 1, zero=True)
HALF_SECOND = Fraction(1, 2)
_LIMITS = re.compile(r"rate|limit|quota|throttl|concurren", re.I)
"""Names of plugins that hold callers back."""


def read(native: Middleware, environment: str, at: float) -> Read:
    """The limit of one Middleware, none where it is of another type."""
    spec = native.spec
    if spec.rate_limit is not None:
        limit = _rate(native, spec.rate_limit, environment, at)
    elif spec.in_flight_req is not None:
        limit = _in_flight(native, spec.in_flight_req, environment, at)
    elif any(_LIMITS.search(name) for name in spec.plugin or ()):
        limit = _plugin(native, spec.plugin or {}, environment, at)
    else:
        return Read()
    others = [name for name in spec.types() if name != limit.location.removeprefix("spec.")]
    if others:
        told = f"it holds {' and '.join(others)} too, and Traefik takes one type for each Middleware"
        limit = replace(limit, editable=Editable(False, told))
    return Read(limits=(limit,))


def _bare(native: Middleware, environment: str, at: float, section: str) -> Limit:
    """What is the same for limits of every type."""
    ref = object_ref(environment, RESOURCE.kind, native.metadata)
    return Limit(
        ref=ref,
        platform=PLATFORM,
        name=clean(native.metadata.name),
        measure=Measure.REQUESTS,
        amount=None,
        object=str(ref),
        base=base(native.metadata),
        read_at=at,
        match="every request of its routers",
        location=f"spec.{section}",
    )


def _not_understood(limit: Limit, native: object, why: str) -> Limit:
    """The limit as its native text: it is in force, and nobody here knows what it lets through."""
    return replace(
        limit,
        amount=None,
        mode=Mode.NOT_UNDERSTOOD,
        native=as_yaml(masked(msgspec.to_builtins(native))).rstrip(),
        fields=frozenset(),
        editable=Editable(False, clean(why)),
    )


def _plugin(native: Middleware, plugins: Mapping[str, object], environment: str, at: float) -> Limit:
    limit = _bare(native, environment, at, "plugin")
    limit = replace(limit, measure=Measure.TOKENS if any("ai-" in name for name in plugins) else Measure.REQUESTS)
    return _not_understood(limit, plugins, f"what Traefik's plugin {', '.join(plugins)} lets through is not known here")


def _rate(native: Middleware, spec: RateLimit, environment: str, at: float) -> Limit:
    average, burst = (0 if spec.average is None else whole_number(spec.average)), _burst(spec)
    seconds = period.parse(spec.period)
    shared = spec.redis is not None
    limit = replace(
        _bare(native, environment, at, "rateLimit"),
        store_fail=StoreFail.CLOSED if shared else StoreFail.NONE,
        key=_key(spec.source_criterion, "source address"),
        over=OverLimit(Action.REJECT, 429, _longest_wait(average or 0, seconds)),
        notes=("counted in redis, together for all replicas and routers",) if shared else (),
        remainder=_remainder(spec),
    )
    for member, value, understood in (
        ("average", spec.average, average is not None and average <= GRID.maximum),
        ("period", spec.period, seconds is not None),
        ("burst", spec.burst, burst is not None),
    ):
        if not understood:
            return _not_understood(limit, spec, f"its {member} {text(value)} is not understood")
    assert average is not None
    return replace(
        limit,
        amount=Fraction(average) if average > 0 else Special.UNLIMITED,
        window=Window(WindowKind.BUCKET, seconds),
        burst=burst,
        fields=frozenset({"amount", "window", "burst"}),
        amounts=GRID,
        specials=frozenset({Special.UNLIMITED}),
    )


def _burst(spec: RateLimit) -> Burst | None:
    if spec.burst is None:
        return Burst(None, Fraction(1))
    native = whole_number(spec.burst)
    return None if native is None else Burst(native, Fraction(max(native, 1)))


def _longest_wait(average: int, seconds: Fraction | None) -> Fraction | None:
    """Over the limit a request is first held for up to half a token's time, half a second at most, then refused."""
    if average <= 0 or seconds is None:
        return None
    rate = Fraction(average) / seconds
    return HALF_SECOND if rate < 1 else Fraction(1, 2 * int(rate))


def _in_flight(native: Middleware, spec: InFlightReq, environment: str, at: float) -> Limit:
    count = 0 if spec.amount is None else whole_number(spec.amount)
    limit = replace(
        _bare(native, environment, at, "inFlightReq"),
        measure=Measure.INFLIGHT,
        key=_key(spec.source_criterion, "request host"),
        over=OverLimit(Action.REJECT, 429),
    )
    if count is None:
        return _not_understood(limit, spec, f"its amount {text(spec.amount)} is not understood")
    return replace(
        limit,
        amount=Fraction(count) if count > 0 else Special.BLOCKED,
        amounts=IN_FLIGHT,
        specials=frozenset({Special.BLOCKED}),
    )


def _key(criterion: SourceCriterion | None, default: str) -> tuple[str, ...]:
    """What gets a bucket of its own. Header before host, as Traefik's GetSourceExtractor looks."""
    if criterion is None:
        return (default,)
    strategy = criterion.ip_strategy
    if strategy is not None:
        subnet = f", /{clean(str(strategy.ipv6_subnet))} of IPv6" if strategy.ipv6_subnet else ""
        if strategy.depth:
            return (f"X-Forwarded-For address {clean(str(strategy.depth))} from the right{subnet}",)
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
    if not changes:
        return guards(native)
    (limit,) = read(convert(native, Middleware), changes[0].ref.environment, 0.0).limits or (None,)
    if limit is None or not limit.editable.yes:
        why = limit.editable.reason if limit else "it holds no limit"
        raise InvalidValue(f"this Middleware cannot be edited here: {why}", ref=str(changes[0].ref))
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
        return member, _amount(change, special, GRID if section == "rateLimit" else IN_FLIGHT)
    if section == "rateLimit" and change.field == "burst":
        return "burst", 1 if change.after is None else whole(change, BURSTS, "burst")
    if section == "rateLimit" and change.field == "window":
        return "period", period.write(_seconds(change.after, change), held.get("period"))
    raise InvalidValue(
        f"a Middleware's {section} has no '{clean(change.field)}'",
        ref=str(change.ref),
        hint="it has amount, window and burst" if section == "rateLimit" else "it has amount",
    )


def _amount(change: Change, special: Special, grid: Grid) -> int:
    if isinstance(change.after, Special):
        if change.after is special:
            return 0
        raise InvalidValue(
            f"'{change.after.value}' cannot be written here", ref=str(change.ref), hint=f"0 means {special.value} here"
        )
    return whole(change, grid, "amount")


def _seconds(value: Value, change: Change) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise InvalidValue(f"'{value}' is no period", ref=str(change.ref), hint="write seconds, such as 1, 60 or 1/10")
    return Fraction(value)


CODEC = Codec(RESOURCE, Middleware, "Traefik rateLimit or inFlightReq", read, edit)
