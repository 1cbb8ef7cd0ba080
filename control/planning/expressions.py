"""What people type for amounts, weights and states, and how amounts are written back for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from control import typed
from control.errors import InvalidValue, UsageError
from control.model import Amount, Burst, Limit, Special, TargetState, Weight, Window
from control.model.ref import Ref
from control.planning.edit import LimitEdit, Share, SharesEdit, StateEdit
from control.text import clean
from control.typed import decimal

_RATE = re.compile(r"([^/]*)/\s*([0-9]{0,6})\s*([A-Za-z]+)")
_UNIT_NAMES = {Fraction(1): "s", Fraction(60): "min", Fraction(3600): "h", Fraction(86400): "d"}
_RATE_HINT = "write a rate like 50/s, 3000/min, 10/h or 100/10s"
_LIMIT_NAMES = ("rate", "inflight", "amount", "window", "burst")


# --- shares and states ------------------------------------------------------------------------------------------------


def parse_weight(text: str) -> Weight | Share:
    """`80` or `0.3` is a native weight, `70%` a share. Raises `InvalidValue` saying what may be written."""
    number = typed.number(text.removesuffix("%"))
    if number is None:
        raise InvalidValue(
            f"'{clean(text)}' is not a weight or a share", hint="write a weight from 0 (80) or a share (70%)"
        )
    if text.endswith("%"):
        if number > 100:
            raise InvalidValue(f"'{clean(text)}' is more than 100%", hint="a share is 0% to 100%")
        return Share(number / 100)
    return int(number) if number.denominator == 1 else number


def _pairs(items: Sequence[str], example: str) -> list[tuple[str, str]]:
    pairs = []
    for item in items:
        name, mark, value = item.rpartition("=")
        if not mark or not name or not value:
            raise UsageError(f"'{clean(item)}' is not NAME=VALUE", hint=f"write for example {example}")
        pairs.append((name, value))
    if not pairs:
        raise UsageError("nothing is asked for", hint=f"write for example {example}")
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"'{clean(twice)}' is given twice", hint="name each one once")
    return pairs


def parse_shares(ref: Ref, items: Sequence[str]) -> SharesEdit:
    """`NAME=VALUE` items of `set shares`. The last `=` divides, so names may hold one."""
    return SharesEdit(ref, tuple((name, parse_weight(value)) for name, value in _pairs(items, "v1=70% v2=30%")))


def parse_state(text: str) -> TargetState:
    """`active`, `draining` or `maintenance`. Raises `InvalidValue`."""
    try:
        return TargetState(text.strip().lower())
    except ValueError:
        raise InvalidValue(f"'{clean(text)}' is not a state", hint="write active, draining or maintenance") from None


def parse_states(ref: Ref, items: Sequence[str], persist: bool = False) -> StateEdit:
    """`TARGET=active|draining|maintenance` items of `set state`."""
    states = tuple((name, parse_state(value)) for name, value in _pairs(items, "b1=draining"))
    return StateEdit(ref, states, persist)


# --- limits -----------------------------------------------------------------------------------------------------------


def parse_seconds(text: str) -> Fraction:
    """A length of time: `10s`, `1m`, `2h`, or a bare number of seconds. Raises `InvalidValue`."""
    seconds = typed.seconds(text)
    if not seconds:
        raise InvalidValue(f"'{clean(text)}' is not a length of time", hint="write for example 10s, 1m or 1h")
    return seconds


def _positive(text: str, what: str, hint: str) -> Fraction:
    number = typed.number(text)
    if number is None:
        raise InvalidValue(f"'{clean(text)}' is not {what}", hint=hint)
    if number == 0:
        raise InvalidValue(
            f"{what} of 0 is not taken, because platforms disagree on what it means",
            hint="write blocked to let nothing through, or unlimited",
        )
    return number


def _special(text: str) -> Special | None:
    lowered = text.strip().lower()
    return next((special for special in Special if special.value == lowered), None)


def _factor(text: str) -> Fraction | None:
    """`/2`, `*1.5`, `+10%` and `-10%` as the number to multiply with; None where the text is none of these."""
    text = text.strip()
    number = typed.number(text[1:].removesuffix("%")) if text[:1] in ("/", "*", "+", "-") else None
    if number is None:
        return None
    if text.endswith("%"):
        sign = {"+": 1, "-": -1}.get(text[0])
        return None if sign is None else 1 + sign * number / 100
    if text[0] == "*":
        return number
    return 1 / number if text[0] == "/" and number else None


def _rate(ref: Ref, text: str) -> LimitEdit:
    special, factor = _special(text), _factor(text)
    if special is not None:
        return LimitEdit(ref, amount=special, written_as="rate")
    if factor is not None:
        return LimitEdit(ref, factor=_checked_factor(text, factor), written_as="rate")
    if "/" not in text:
        return LimitEdit(ref, amount=_positive(text, "a rate", _RATE_HINT), written_as="rate")
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise InvalidValue(f"'{clean(text)}' is not a rate", hint=_RATE_HINT)
    unit = typed.UNITS.get(match[3].lower())
    if unit is None:
        raise InvalidValue(f"'{clean(match[3])}' is not a unit of time", hint=_RATE_HINT)
    many = int(match[2] or 1)
    if many == 0:
        raise InvalidValue(f"'{clean(text)}' counts over no time", hint=_RATE_HINT)
    amount = _positive(match[1], "a rate", _RATE_HINT)
    return LimitEdit(ref, amount=amount, window_seconds=Fraction(many * unit), written_as="rate")


def _checked_factor(text: str, factor: Fraction) -> Fraction:
    if factor <= 0:
        raise InvalidValue(f"'{clean(text)}' leaves nothing", hint="write blocked to let nothing through")
    return factor


def _count(ref: Ref, text: str, written_as: str) -> LimitEdit:
    special, factor = _special(text), _factor(text)
    if special is not None:
        return LimitEdit(ref, amount=special, written_as=written_as)
    if factor is not None:
        return LimitEdit(ref, factor=_checked_factor(text, factor), written_as=written_as)
    hint = "write a number like 64, /2, *1.5, -10%, unlimited or blocked"
    return LimitEdit(ref, amount=_positive(text, "an amount", hint), written_as=written_as)


def _burst(text: str) -> int:
    number = typed.number(text)
    if number is None or number.denominator != 1:
        raise InvalidValue(f"'{clean(text)}' is not a burst", hint="write the native whole number, like burst=100")
    return int(number)


def parse_limit(ref: Ref, items: Sequence[str]) -> LimitEdit:
    """`rate=50/s`, `inflight=64`, `amount=`, `window=`, `burst=` items of `set limit`."""
    pairs = dict(_pairs(items, "rate=50/s burst=100"))
    unknown = next((name for name in pairs if name not in _LIMIT_NAMES), None)
    if unknown is not None:
        raise UsageError(f"a limit has no '{clean(unknown)}'", hint=f"it may have {', '.join(_LIMIT_NAMES)}")
    amounts = [name for name in ("rate", "inflight", "amount") if name in pairs]
    if len(amounts) > 1:
        raise UsageError(f"{' and '.join(amounts)} say the same thing", hint="give one of them")
    edit = LimitEdit(ref)
    if amounts:
        name = amounts[0]
        edit = _rate(ref, pairs[name]) if name == "rate" else _count(ref, pairs[name], name.replace("amount", ""))
    seconds = edit.window_seconds
    if "window" in pairs:
        if seconds is not None:
            raise UsageError("the rate says its window already", hint="leave window= out, or write amount= instead")
        seconds = parse_seconds(pairs["window"])
    burst = _burst(pairs["burst"]) if "burst" in pairs else None
    return LimitEdit(ref, edit.amount, seconds, burst, edit.factor, edit.written_as)


def limit_expression(limit: Limit, text: str) -> LimitEdit:
    """What is typed into one field on the screen: `50/s`, `50`, `/2`, `*1.5`, `+10`, `-10`, `-10%`, `unlimited`."""
    stripped = text.strip()
    delta = typed.number(stripped[1:]) if stripped[:1] in ("+", "-") else None
    if delta is not None:
        if isinstance(limit.amount, Special):
            raise InvalidValue(f"nothing can be added to '{limit.amount.value}'", hint="write an amount")
        if limit.amount is None:
            raise InvalidValue("nothing can be added to an amount that is not understood", hint="edit the native text")
        amount = limit.amount + (delta if stripped[0] == "+" else -delta)
        if amount <= 0:
            raise InvalidValue(f"'{clean(text)}' leaves nothing", hint="write blocked to let nothing through")
        return LimitEdit(limit.ref, amount=amount)
    if limit.measure.is_level:
        return _count(limit.ref, stripped, "inflight")
    return _rate(limit.ref, stripped)


# --- back to people ---------------------------------------------------------------------------------------------------


def format_window(window: Window | None) -> str:
    """What comes after the amount: `/s`, `/min`, `/10s`, `/month`; empty for concurrency."""
    if window is None:
        return ""
    if window.seconds is None:
        return f"/{window.calendar}" if window.calendar else ""
    return per(window.seconds)


def per(seconds: Fraction | None) -> str:
    """What comes after a number of so many seconds: `/s`, `/min`, `/10s`; nothing for concurrency."""
    return "" if seconds is None else "/" + (_UNIT_NAMES.get(seconds) or f"{decimal(seconds)}s")


NOT_UNDERSTOOD = "not understood"
"""What stands in place of a number that cannot be read off the native text."""


def format_amount(amount: Amount | None, window: Window | None) -> str:
    """An amount for people: `50/s`, `3000/min`, `10/h`, `64`, `unlimited`, `not understood`."""
    if amount is None:
        return NOT_UNDERSTOOD
    return amount.value if isinstance(amount, Special) else decimal(amount) + format_window(window)


def format_burst(burst: Burst | None) -> str:
    """A burst for people: the native number and what it lets through at once; `--` where there is none."""
    if burst is None or burst.native is None:
        return "--"
    if burst.at_once is None or burst.at_once == burst.native:
        return str(burst.native)
    return f"{burst.native} ({decimal(burst.at_once)} at once)"
