"""What an edit of a limit means, field by field, on what was just read. For a group, call it with each member."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from control.errors import InvalidValue
from control.model import Amount, Grid, Limit, Special, Window, WindowKind
from control.planning.edit import Change, LimitEdit
from control.planning.expressions import format_amount
from control.planning.fields import burst_of
from control.text import clean
from control.typed import decimal


def resolve_limit(limit: Limit, edit: LimitEdit) -> tuple[Change, ...]:
    """The changes of `amount`, `window` (seconds) and `burst`; none where nothing changes.

    A rate given in another window than the limit has is written in that window where the kind can hold it, else it is
    converted when that is exact. Raises `InvalidValue` for a field the limit does not have and for values it cannot
    hold, with the nearest ones that it can.
    """
    _check_form(limit, edit)
    before = limit.window.seconds if limit.window else None
    amount, seconds = _wanted(limit, edit)
    burst_before, burst = burst_of(limit), edit.burst
    changes = []
    if amount is not None and amount != limit.amount:
        _need(limit, "amount")
        changes.append(Change(limit.ref, "amount", limit.amount, amount))
    if seconds is not None and seconds != before:
        _need(limit, "window")
        changes.append(Change(limit.ref, "window", before, seconds))
    if burst is not None:
        _check_burst(limit, burst)
        if burst != burst_before:
            changes.append(Change(limit.ref, "burst", burst_before, burst))
    return tuple(changes)


def _invalid(limit: Limit, message: str, hint: str | None = None) -> InvalidValue:
    return InvalidValue(clean(message), ref=str(limit.ref), hint=clean(hint) if hint else None)


def _need(limit: Limit, field: str) -> None:
    if field not in limit.fields:
        can = ", ".join(sorted(limit.fields)) or "nothing"
        raise _invalid(limit, f"{limit.kind} '{limit.name}' has no {field} that can be set", f"it can set {can}")


def _check_form(limit: Limit, edit: LimitEdit) -> None:
    level = limit.measure.is_level
    if level and (edit.written_as == "rate" or edit.window_seconds is not None):
        raise _invalid(
            limit, f"{limit.kind} counts {limit.measure.value}, not a rate over time", "write inflight=NUMBER"
        )
    if not level and edit.written_as == "inflight":
        raise _invalid(limit, f"{limit.kind} is a rate, not a number in flight", "write rate=NUMBER/s")


def _check_burst(limit: Limit, burst: int) -> None:
    _need(limit, "burst")
    if isinstance(burst, bool) or burst < 0:
        raise _invalid(limit, f"'{burst}' is not a burst", "a burst is a whole number from 0")
    if limit.burst is None and len({b.burst for b in limit.bindings}) > 1:
        seen = ", ".join(sorted({str(b.burst.native if b.burst else None) for b in limit.bindings}))
        raise _invalid(limit, f"the places where it applies have different bursts ({seen})", "edit the native text")


def _wanted(limit: Limit, edit: LimitEdit) -> tuple[Amount | None, Fraction | None]:
    """The amount and the window's seconds that are asked for, as this limit can hold them; None for unchanged."""
    amount = edit.amount
    if edit.factor is not None:
        if isinstance(limit.amount, Special):
            raise _invalid(limit, f"'{limit.amount.value}' cannot be multiplied", "write an amount")
        if limit.amount is None:
            raise _invalid(limit, "an amount that is not understood cannot be multiplied", "edit the native text")
        amount = limit.amount * edit.factor
    if isinstance(amount, Special):
        return _special(limit, amount), None
    if amount is not None and amount <= 0:
        raise _invalid(limit, f"{decimal(amount)} is not an amount", _instead_of_zero(limit))
    if edit.window_seconds is None:
        own = limit.window.seconds if limit.window else None
        if amount is not None and edit.factor is not None and own is not None and _is_bucket(limit):
            # Half of 5/s is a rate, and 150/min holds it exactly.
            return _held_rate(limit, amount, own)
        return (None if amount is None else _held_amount(limit, amount)), None
    if amount is None:
        return None, _held_window(limit, edit.window_seconds)
    return _held_rate(limit, amount, edit.window_seconds)


def _is_bucket(limit: Limit) -> bool:
    """A bucket refills steadily, so that 150/min and 2.5/s are one rate; other windows are not alike."""
    return limit.window is not None and limit.window.kind is WindowKind.BUCKET


def _special(limit: Limit, special: Special) -> Special:
    if special is not limit.amount and special not in limit.specials:
        can = ", ".join(sorted(s.value for s in limit.specials))
        raise _invalid(
            limit, f"{limit.kind} cannot hold '{special.value}'", f"it can hold {can}" if can else "write an amount"
        )
    return special


def _instead_of_zero(limit: Limit) -> str:
    words = [s.value for s in (Special.BLOCKED, Special.UNLIMITED) if s in limit.specials]
    return f"write an amount above 0, or {' or '.join(words)}" if words else "write an amount above 0"


def _on_grid(amount: Fraction, grid: Grid | None) -> bool:
    if grid is None:
        return amount > 0
    return amount.denominator == 1 and grid.minimum <= amount <= grid.maximum


def _held_amount(limit: Limit, amount: Fraction) -> Fraction:
    if not _on_grid(amount, limit.amounts):
        seconds = limit.window.seconds if limit.window else None
        others = limit.windows if seconds is not None and "window" in limit.fields and limit.windows else ()
        raise _refused(limit, amount, seconds, dict.fromkeys([seconds, *sorted(others)]))
    return amount


def _held_window(limit: Limit, seconds: Fraction) -> Fraction:
    _need(limit, "window")
    if limit.windows is not None and seconds not in limit.windows:
        can = ", ".join(_seconds_text(s) for s in sorted(limit.windows))
        raise _invalid(limit, f"{limit.kind} cannot count over {_seconds_text(seconds)}", f"it can count over {can}")
    return seconds


def _held_rate(limit: Limit, amount: Fraction, seconds: Fraction) -> tuple[Fraction, Fraction]:
    """The first window that holds the rate exactly: the one asked for, the one it has, any other of the kind."""
    own = limit.window.seconds if limit.window else None
    editable = "window" in limit.fields
    candidates = [own]
    if editable:
        others = () if limit.windows is None else tuple(sorted(limit.windows))
        asked = (seconds,) if limit.windows is None or seconds in limit.windows else ()
        candidates = [*asked, own, *others]
    windows = [w for w in dict.fromkeys(candidates) if w is not None]
    if not windows:
        raise _invalid(limit, f"{limit.kind} counts over a calendar window", "write amount=NUMBER")
    for window in windows:
        if _on_grid(amount * window / seconds, limit.amounts):
            return amount * window / seconds, window
    raise _refused(limit, amount, seconds, windows)


@dataclass(frozen=True, slots=True)
class _Candidate:
    rate: Fraction
    amount: Fraction
    seconds: Fraction | None


def _refused(
    limit: Limit, amount: Fraction, seconds: Fraction | None, windows: Iterable[Fraction | None]
) -> InvalidValue:
    """A refusal that names the nearest rates below and above that the kind can hold."""
    grid = limit.amounts or Grid()
    rate = amount / (seconds or 1)
    near = [
        _Candidate(Fraction(whole) / (window or 1), Fraction(whole), window)
        for window in windows
        for whole in (floor(rate * (window or 1)), ceil(rate * (window or 1)), grid.minimum, grid.maximum)
        if grid.minimum <= whole <= grid.maximum
    ]
    below = max((c for c in near if c.rate <= rate), key=lambda c: c.rate, default=None)
    above = min((c for c in near if c.rate >= rate), key=lambda c: c.rate, default=None)
    nearest = " and ".join(dict.fromkeys(_text(c.amount, c.seconds) for c in (below, above) if c is not None))
    rounded = Fraction(round(amount * 100), 100)
    readable = not 10**6 % amount.denominator or not rounded
    asked = _text(amount, seconds) if readable else f"~{_text(rounded, seconds)}"
    return _invalid(limit, f"{limit.kind} cannot hold {asked}", f"the nearest it can hold: {nearest}")


def _text(amount: Fraction, seconds: Fraction | None) -> str:
    return format_amount(amount, Window(WindowKind.BUCKET, seconds) if seconds else None)


def _seconds_text(seconds: Fraction) -> str:
    return f"{decimal(seconds)} s"
