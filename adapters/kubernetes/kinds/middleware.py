"""Traefik Middleware with `rateLimit` or `inFlightReq`: each holds exactly one limit. A plugin that limits is listed as
its native text.

Source: traefik v3.7 pkg/middlewares/{ratelimiter,inflightreq}. `average` 0 means no limit; `inFlightReq.amount` 0 lets
nothing through; `burst` is 1 by default and 0 counts as 1. Without redis every router of every replica counts by
itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from adapters.engine.coded import CodedKind, CodedLimits, CodedPeriod, Reads
from adapters.engine.kind import Burst, Window
from adapters.kubernetes.kinds import period
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.kinds.traefik_members import api
from adapters.kubernetes.shown import masked
from adapters.kubernetes.wire.traefik import Middleware, MiddlewareSpec, SourceCriterion
from control.model import Action, OverLimit
from control.text import clean

HALF_SECOND = Fraction(1, 2)
_LARGEST = 2**63 - 1
_LIMITS = re.compile(r"rate|limit|quota|throttl|concurren", re.I)
"""Names of plugins that hold callers back."""
_MATCH = "every request of its routers"


def longest_wait(average: int, seconds: Fraction | None, spec: object) -> OverLimit:
    """Over the limit a request is first held for up to half a token's time, half a second at most, then refused."""
    if average <= 0 or seconds is None:
        return OverLimit(Action.REJECT, 429)
    rate = Fraction(average) / seconds
    return OverLimit(Action.REJECT, 429, HALF_SECOND if rate < 1 else Fraction(1, 2 * int(rate)))


def source_address(criterion: SourceCriterion | None) -> tuple[str, ...]:
    """What gets a bucket of its own, the source address by default."""
    return _key(criterion, "source address")


def request_host(criterion: SourceCriterion | None) -> tuple[str, ...]:
    """What gets a count of its own, the request's host by default."""
    return _key(criterion, "request host")


def _key(criterion: SourceCriterion | None, default: str) -> tuple[str, ...]:
    """Header before host, as Traefik's GetSourceExtractor looks."""
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


def redis_members(redis: Mapping[str, Any] | None) -> tuple[tuple[str, str], ...]:
    """How the shared store is reached, without its secrets."""
    found = masked(redis or {})
    return tuple((clean(f"spec.rateLimit.redis.{key}"), clean(str(value), 200)) for key, value in found.items())


def redis_note(redis: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Where it is counted, where that is a shared store."""
    return ("counted in redis, together for all replicas and routers",) if redis is not None else ()


def opaque_plugin(plugins: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """(measure, why) of plugins that limit; None where none does."""
    if not any(_LIMITS.search(name) for name in plugins or ()):
        return None
    measure = "tokens" if any("ai-" in name for name in plugins or ()) else "requests"
    return measure, f"what Traefik's plugin {', '.join(plugins or ())} lets through is not known here"


def _others(taken: str, spec: MiddlewareSpec) -> str:
    """Why a Middleware that holds several types is not edited."""
    others = [name for name in spec.types() if name != taken]
    return f"it holds {' and '.join(others)} too, and Traefik takes one type for each Middleware" if others else ""


CODEC = Codec(
    CodedKind(
        kind="Middleware",
        title="Traefik rateLimit or inFlightReq",
        api=api("middlewares"),
        wire=Middleware,
        sections="first",
        limits=(
            CodedLimits(
                when={"spec.rateLimit": "*"},
                measure="requests",
                amount="spec.rateLimit.average",
                absent=0,
                zero="unlimited",
                not_negative=False,
                maximum=_LARGEST // 10**9,  # Traefik multiplies by the nanoseconds of a second, in 64 bits
                window=Window(seconds=CodedPeriod(at="spec.rateLimit.period", parse=period.parse, write=period.write)),
                burst=Burst(at="spec.rateLimit.burst", absent=1, at_once="max(burst,1)", maximum=_LARGEST),
                match=_MATCH,
                store_fail="closed",
                shared_by=Reads(lambda redis: redis is not None, ("spec.rateLimit.redis",)),
                key_by=Reads(source_address, ("spec.rateLimit.sourceCriterion",)),
                over_by=Reads(longest_wait, ("spec.rateLimit",)),
                notes_by=Reads(redis_note, ("spec.rateLimit.redis",)),
                remainder_by=Reads(redis_members, ("spec.rateLimit.redis",)),
                why_not_by=Reads(lambda spec: _others("rateLimit", spec), ("spec",)),
            ),
            CodedLimits(
                when={"spec.inFlightReq": "*"},
                measure="inflight",
                amount="spec.inFlightReq.amount",
                absent=0,
                zero="blocked",
                not_negative=False,
                maximum=_LARGEST,
                match=_MATCH,
                key_by=Reads(request_host, ("spec.inFlightReq.sourceCriterion",)),
                why_not_by=Reads(lambda spec: _others("inFlightReq", spec), ("spec",)),
            ),
            CodedLimits(
                when={"spec.plugin": "*"},
                measure="requests",
                amount="spec.plugin",
                zero="blocked",
                match=_MATCH,
                opaque=Reads(opaque_plugin, ("spec.plugin",)),
                why_not_by=Reads(lambda spec: _others("plugin", spec), ("spec",)),
            ),
        ),
        loses=("Traefik rebuilds its limiters when it loads this: buckets and in-flight counts begin anew",),
    )
)
RESOURCE = CODEC.resource
