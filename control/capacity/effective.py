"""What callers really get from configured limits, as honest intervals.

The cases are those of the effective-limit arithmetic: N places of counting give [r, N·r], limits in series their
minimum, concurrency C and time in the system W give X <= C / W, and a split in front of capacities admits
D* = min(cap / share). Unknown stays None, and `why` says what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from control.fleet.views import Headroom
from control.model import (
    Binding,
    Charge,
    Effective,
    Interval,
    Life,
    Limit,
    Measure,
    Mode,
    Special,
    StatusState,
    StoreFail,
    Strength,
    WindowKind,
)
from control.model.shares import percent
from control.planning.expressions import format_window
from control.structs import replace
from control.typed import decimal

ALL_CALLERS = "all callers"
UNKNOWN = Interval(None, None)
_CALENDAR_SECONDS = {"day": Fraction(86_400), "week": Fraction(604_800)}
_STORE_FAILS = {
    StoreFail.OPEN: "let everything through",
    StoreFail.CLOSED: "reject everything",
    StoreFail.LOCAL: "count in each instance alone",
    StoreFail.UNKNOWN: "do what is not known",
}


def effective(limit: Limit, binding: Binding) -> Effective:
    """What one key value gets at one binding: [r, N·r] where it is counted in N places, with its reasons."""
    if limit.status.state is StatusState.ERROR:
        return Effective(None, None, UNKNOWN, limit.measure.words, _seconds(limit), _per(limit), limit.status.detail)
    if limit.mode is Mode.NOT_UNDERSTOOD or limit.amount is None:
        told = "it is in force, and how much it lets through is not understood"
        return Effective(None, None, UNKNOWN, limit.measure.words, _seconds(limit), _per(limit), told)
    if limit.mode is not Mode.ENFORCED:
        told = "only counted, not enforced (shadow)" if limit.mode is Mode.SHADOW else "switched off"
        return _unlimited(limit, told)
    if limit.amount is Special.UNLIMITED:
        return _unlimited(limit, "unlimited")
    if limit.amount is Special.BLOCKED:
        zero = Interval.exactly(0)
        return Effective(
            zero.low, zero.high, zero, limit.measure.words, _seconds(limit), _per(limit), "blocked: nothing passes"
        )
    one = limit.enforced or Interval(limit.amount, limit.amount)
    count = binding.domain.count
    whole = Interval(one.low, _times(one.high, count.high))
    at_once = _at_once(limit, binding, one)
    why = [_counted(limit, binding, one), *_enforced(limit, one), *_caveats(limit)]
    if limit.charge is Charge.AFTER_RESPONSE or limit.strength is not Strength.HARD:
        whole, at_once = Interval(whole.low, None), Interval(at_once.low, None)
    return Effective(whole.low, whole.high, at_once, limit.measure.words, _seconds(limit), _per(limit), "; ".join(why))


def _unlimited(limit: Limit, why: str) -> Effective:
    return Effective(None, None, UNKNOWN, limit.measure.words, _seconds(limit), _per(limit), why, unlimited=True)


def _per(limit: Limit) -> str:
    return " and ".join(limit.key) or ALL_CALLERS


def _seconds(limit: Limit) -> Fraction | None:
    if limit.window is None:
        return None
    return limit.window.seconds or _CALENDAR_SECONDS.get(limit.window.calendar or "")


def _times(value: Fraction | None, count: Fraction | None) -> Fraction | None:
    return None if value is None or count is None else value * count


def _at_once(limit: Limit, binding: Binding, one: Interval) -> Interval:
    """[B, N·B]: a bucket's burst, the amount of a window, the level of a concurrency."""
    count = binding.domain.count
    burst = (limit.burst or binding.burst) if limit.window else None
    if burst is not None:
        return Interval(burst.at_once, _times(burst.at_once, count.high))
    if limit.window is not None and limit.window.kind is WindowKind.BUCKET:
        return UNKNOWN
    return Interval(one.high, _times(one.high, count.high))


def _counted(limit: Limit, binding: Binding, one: Interval) -> str:
    """How often it is counted, and what that makes of the number."""
    domain, rate = binding.domain, _rate(one.high, limit)
    source = f" ({domain.source})" if domain.source else ""
    if domain.count.high is None:
        at_least = f"at least {_plain(domain.count.low)}" if domain.count.low is not None else "unknown"
        return f"{rate} in each {domain.kind}, whose number is {at_least}{source}: the upper end is not known"
    if domain.count.high == 1:
        return f"{rate} in one {domain.kind}{source}"
    many = _plain(domain.count.high)
    moves = ""
    if domain.count.low != domain.count.high:
        many = f"{_plain(domain.count.low)} to {many}"
        moves = "; it moves with scaling"
    total = _rate(_times(one.high, domain.count.high), limit)
    return (
        f"{rate} in each {domain.kind} × {many}{source}: {rate} where a caller sticks to one, "
        f"{total} where it is spread evenly{moves}"
    )


def _plain(value: Fraction | None) -> str:
    return "?" if value is None else decimal(value)


def _rate(value: Fraction | None, limit: Limit) -> str:
    return f"{_plain(value)}{format_window(limit.window)}"


def _enforced(limit: Limit, one: Interval) -> Iterable[str]:
    if limit.enforced is None or limit.amount is None or isinstance(limit.amount, Special):
        return
    if one.low == one.high:
        if one.low != limit.amount:
            yield f"{_rate(limit.amount, limit)} is configured, {_rate(one.low, limit)} is what the platform keeps"
    else:
        yield f"of the configured {_rate(limit.amount, limit)} it keeps {_plain(one.low)} to {_plain(one.high)}"


def _caveats(limit: Limit) -> Iterable[str]:
    if limit.window is not None and _seconds(limit) is None:
        yield f"counted over a calendar {limit.window.calendar or 'window'}"
    if limit.strength is not Strength.HARD:
        yield "a target, not a maximum: the platform may let more through"
    if limit.charge is Charge.AFTER_RESPONSE:
        yield "charged after the response: what is in flight when it is reached still passes, so more is possible"
    if limit.store_fail is not StoreFail.NONE:
        yield f"holds while its store answers; without it the proxies {_STORE_FAILS[limit.store_fail]}"
    if limit.life is Life.RUNTIME_ONLY:
        yield "runtime only: lost at the next reload"
    if limit.life is Life.EXPIRES:
        yield "expires by itself"


def with_effective(limit: Limit) -> Limit:
    """The same limit with `effective` filled in every binding, and in those of its members."""
    bindings = tuple(replace(binding, effective=effective(limit, binding)) for binding in limit.bindings)
    return replace(limit, bindings=bindings, members=tuple(with_effective(member) for member in limit.members))


# --- several limits ---------------------------------------------------------------------------------------------------


def _per_second(value: Fraction | None, one: Effective) -> Fraction | None:
    return None if value is None or one.seconds is None else value / one.seconds


def _least(values: Iterable[Fraction | None]) -> Fraction | None:
    return min((value for value in values if value is not None), default=None)


def little(concurrency: Interval, seconds_in_system: Interval, at_most_per_unit: Fraction | None = None) -> Interval:
    """Requests per second that a concurrency admits, X <= C / W.

    `at_most_per_unit` is a platform's own cap on requests per second per unit of concurrency.
    """
    low = _quotient(concurrency.low, seconds_in_system.high)
    high = _quotient(concurrency.high, seconds_in_system.low)
    if at_most_per_unit is None:
        return Interval(low, high)
    cap = Interval(_times(concurrency.low, at_most_per_unit), _times(concurrency.high, at_most_per_unit))
    return Interval(None if low is None else _least((low, cap.low)), _least((high, cap.high)))


def _quotient(value: Fraction | None, divisor: Fraction | None) -> Fraction | None:
    return None if value is None or not divisor else value / divisor


def requests_of_tokens(tokens: Interval, tokens_per_request: Interval) -> Interval:
    """Requests that a token limit is good for (display only, never for writing)."""
    return Interval(_quotient(tokens.low, tokens_per_request.high), _quotient(tokens.high, tokens_per_request.low))


def cap_of(
    effectives: Iterable[Effective],
    seconds_in_system: Interval | None = None,
    tokens_per_request: Interval | None = None,
) -> Interval | None:
    """The requests per second that an environment admits under these limits in series; None where none is known.

    Limits per key do not bound what all callers together send, so they are left out.
    """
    ends = [
        _requests_per_second(one, seconds_in_system, tokens_per_request)
        for one in effectives
        if not one.unlimited and one.per == ALL_CALLERS
    ]
    lows, highs = [end.low for end in ends], [end.high for end in ends]
    low, high = None if None in lows else _least(lows), _least(highs)
    return None if low is None and high is None else Interval(low, high)


def _requests_per_second(
    one: Effective, seconds_in_system: Interval | None, tokens_per_request: Interval | None
) -> Interval:
    if one.unit == Measure.INFLIGHT.words:
        return little(Interval(one.low, one.high), seconds_in_system) if seconds_in_system else UNKNOWN
    rate = Interval(_per_second(one.low, one), _per_second(one.high, one))
    if one.unit == Measure.REQUESTS.words:
        return rate
    if one.unit.endswith("tokens") and tokens_per_request:
        return requests_of_tokens(rate, tokens_per_request)
    return UNKNOWN


# --- a service over all platforms -------------------------------------------------------------------------------------


def headroom(
    caps: Mapping[str, Interval | None], shares: Mapping[str, Fraction | None], demand: Fraction | None = None
) -> Headroom:
    """D* = min(cap / share) over the environments with a share; caps in requests per second, None for unknown.

    While a cap is unknown, the known ones still bound D* from above; while a share is unknown, D* is unknown.
    """
    rows = tuple((name, caps.get(name), share) for name, share in shares.items())
    unshared = [name for name, _, share in rows if share is None]
    if unshared or not any(share for _, _, share in rows):
        told = f"the share of {', '.join(unshared)} is not known" if unshared else "no environment has a share"
        return Headroom(None, None, rows, told)
    limits = {name: _over(cap, share) for name, cap, share in rows if share}
    highs = {name: end.high for name, end in limits.items() if end.high is not None}
    lows = [end.low for end in limits.values()]
    unknown = [name for name, end in limits.items() if end.high is None]
    demand_max = Interval(None if None in lows else _least(lows), _least(highs.values()))
    first = min(highs, key=lambda name: highs[name]) if highs and not unknown else None
    why = [_saturation(name, cap, share) for name, cap, share in rows if share and name in highs]
    if unknown:
        why.append(f"the capacity of {', '.join(unknown)} is not known")
    if demand and demand_max.high is not None:
        room = (demand_max.high - demand) / demand
        why.append(f"now {_rounded(demand)}/s, so {'at most ' if unknown else ''}{float(room) * 100:.0f}% headroom")
    known = demand_max.low is not None or demand_max.high is not None
    return Headroom(demand_max if known else None, first, rows, "; ".join(why))


def _over(cap: Interval | None, share: Fraction) -> Interval:
    return UNKNOWN if cap is None else Interval(_quotient(cap.low, share), _quotient(cap.high, share))


def _rounded(value: Fraction) -> str:
    return f"{float(value):.3g}" if value < 100 else f"{float(value):.0f}"


def _saturation(name: str, cap: Interval | None, share: Fraction | None) -> str:
    if cap is None or cap.high is None or not share:
        return f"{name}: not known"
    return f"{name}: configured {_rounded(cap.high)}/s at {percent(share)} saturates at {_rounded(cap.high / share)}/s"
