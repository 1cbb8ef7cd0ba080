"""Does traffic show a limit at work? Counts of what passed and what was refused, against what callers should get.

A limit is visible only while somebody runs into it, or while more passes than it used to let through. So the answer is
`yes` only where the counts agree with the new limit *and* could not have come about under the old one, `no` where more
passed than the new one lets through, and otherwise what is missing, in words. Where every caller has a bucket of its
own, the number of callers is not known: then what passed bounds each caller from above and nothing bounds the sum.

A limit that lets r through does not let r through: callers come at random, and what comes too close together is
refused although less than r was asked for. The least that passes of a demand D is D (1 - B(c, c D / r)), where B is
Erlang's loss formula and c how many pass at once. It is exact for a sliding window of c requests (the formula does not
depend on how long each is held), and a token bucket of depth c, which refills for everybody at once, passes more. The
carried load is concave in D, so the bound holds for the sum over callers with buckets of their own as well.
"""

from __future__ import annotations

from fractions import Fraction

from control.capacity.effective import ALL_CALLERS
from control.fleet.measuring import Delta, countable
from control.model import Counted, Effective, Measure
from control.ports import ProofPart, ProofState
from control.typed import decimal

SIGMAS = 4
"""Counts are compared with a tolerance of so many standard deviations of a Poisson count."""
ENOUGH_REFUSED = 20
"""Under this many refusals nothing is said of a limit that should be biting."""
REFUSED_PART = Fraction(1, 50)
"""Refusals rarer than this part of the requests are bursts, not a limit that is full."""
MOST_AT_ONCE = 500
"""More that pass at once change the loss no longer."""


def visible(now: Effective) -> str:
    """Why counters of requests can never show this limit; "" where they can."""
    if now.high == 0 or now.unlimited:
        return ""
    if now.unit != Measure.REQUESTS.words or now.seconds is None:
        return f"{now.unit} are not counted, only requests are"
    if now.high is None:
        return f"how much it lets through at most is not known: {now.why}"
    if now.at_once.high is None:
        return f"how much it lets through at once is not known: {now.why}"
    return ""


def limit_seen(before: Counted, after: Counted, was: Effective | None, now: Effective, whole: bool = True) -> ProofPart:
    """What the counters of one route say of a limit on it that changed from `was` (None: not known) to `now`.

    Where not the `whole` route is behind the limit, requests that it does not hold back are among those that passed:
    then too many prove nothing.
    """
    hidden = visible(now)
    if hidden:
        return ProofPart(ProofState.UNKNOWN, hidden)
    counted = countable(before, after)
    if isinstance(counted, ProofPart):
        return counted
    if was is not None and (was.low, was.high, was.seconds, was.unlimited) == (
        now.low,
        now.high,
        now.seconds,
        now.unlimited,
    ):
        return ProofPart(ProofState.UNKNOWN, "a burst cannot be told from counters")
    return _judge(counted, was, now, whole)


def _judge(counted: Delta, was: Effective | None, now: Effective, whole: bool) -> ProofPart:
    passed, refused = counted.requests, counted.throttled
    told = _told(counted)
    shared = whole and now.per == ALL_CALLERS
    most, was_most = _most(now, counted.seconds), None if was is None else _most(was, counted.seconds)
    if (shared or (whole and now.high == 0)) and most is not None and _above(passed, most):
        return ProofPart(ProofState.NO, f"{told}; at most {_count(most)} should")
    if shared and was_most is not None and _above(passed, was_most):
        return ProofPart(ProofState.YES, f"{told}; before, at most {_count(was_most)} would have")
    if refused is None:
        return ProofPart(ProofState.UNKNOWN, f"{told}; what is refused is not counted here")
    full = refused >= ENOUGH_REFUSED and refused >= REFUSED_PART * (passed + refused)
    if full and now.high == 0 and not _above(passed, Fraction(0)):
        return ProofPart(ProofState.YES, told)
    if full and now.unlimited:
        return ProofPart(ProofState.UNKNOWN, f"{told}: something else still refuses")
    if full:
        return _full(told, counted, was, now)
    return ProofPart(ProofState.WAITING_FOR_TRAFFIC, f"{told}: too few refused to see the limit at work")


def _full(told: str, counted: Delta, was: Effective | None, now: Effective) -> ProofPart:
    """Callers run into the limit. Then at least `_least` of them pass, whichever limit is in force."""
    passed, asked = counted.requests, counted.requests + (counted.throttled or 0)
    least, most = _least(now, asked, counted.seconds), _most(now, counted.seconds)
    if _above(least, passed):
        why = f"{_count(least)} could: something else refuses, or it comes in bursts"
        return ProofPart(ProofState.UNKNOWN, f"{told}; {why}")
    if most is None or _above(passed, most):
        why = "more than one bucket lets through: how many there are, or who else comes past the limit, is not known"
        return ProofPart(ProofState.UNKNOWN, f"{told}; {why}")
    if was is None:
        return ProofPart(ProofState.UNKNOWN, f"{told}; what the limit was before is not known")
    before = _least(was, asked, counted.seconds)
    if _above(before, passed):
        return ProofPart(ProofState.YES, f"{told}; before, {_count(before)} would have")
    if now.per != ALL_CALLERS and now.low is not None and was.low is not None and now.low > was.low:
        return ProofPart(ProofState.UNKNOWN, f"{told}; each caller has its own, and how many there are is not known")
    return ProofPart(ProofState.WAITING_FOR_TRAFFIC, f"{told}: too few to tell the new limit from the old one")


def _most(one: Effective, seconds: float) -> Fraction | None:
    """The most that may pass in a time, burst included; None where it is not bounded or not known."""
    if one.high == 0:
        return Fraction(0)
    if one.high is None or one.seconds is None or one.at_once.high is None:
        return None
    return one.high * Fraction(seconds) / one.seconds + one.at_once.high


def _least(one: Effective, asked: Fraction, seconds: float) -> Fraction:
    """The least that passes of what is asked for in a time, where callers come at random."""
    if one.unlimited:
        return asked
    if not one.low or one.seconds is None or not asked:
        return Fraction(0)
    at_once = min(MOST_AT_ONCE, max(1, int(one.at_once.low or 1)))
    passes = one.low * Fraction(seconds) / one.seconds
    return asked * (1 - Fraction(_loss(at_once, float(at_once * asked / passes))))


def _loss(servers: int, offered: float) -> float:
    """Erlang's loss formula B(servers, offered), by its recursion."""
    lost = 1.0
    for busy in range(1, servers + 1):
        lost = offered * lost / (busy + offered * lost)
    return lost


def _above(count: Fraction, bound: Fraction) -> bool:
    """count > bound + SIGMAS * sqrt(max(bound, 1)), compared as squares so that it stays exact."""
    gap = count - bound
    return gap > 0 and gap * gap > SIGMAS * SIGMAS * max(bound, Fraction(1))


def _told(counted: Delta) -> str:
    refused = "" if counted.throttled is None else f", {_count(counted.throttled)} refused"
    return f"{_count(counted.requests)} passed{refused} in {counted.seconds:.1f} s"


def _count(value: Fraction) -> str:
    return decimal(Fraction(round(value)))
