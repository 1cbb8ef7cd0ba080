"""Limits: what bites first, then what is nearly full; the number as it is set, and what callers really get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from control.model import Effective, Interval, Limit, Measure, Special
from control.model.ref import Ref
from control.planning.edit import LimitEdit
from control.planning.expressions import NOT_UNDERSTOOD, format_amount, per
from control.planning.fields import burst_of
from control.typed import decimal
from tui import figures
from tui.cells import width as cells_of
from tui.look import Span
from tui.risk import used_ratio
from tui.store import LimitRow
from tui.views.base import owner_names
from tui.views.row_list import RowList
from tui.widgets.bars import limit_bar
from tui.widgets.line_table import Column


def amount_text(limit: Limit) -> str:
    """The amount as it is set, exact: `100/s`, `64 conc`, `unlimited`, `not understood`."""
    counted = level_word(limit) if isinstance(limit.amount, Fraction) else ""
    return format_amount(limit.amount, limit.window) + counted


def level_word(limit: Limit) -> str:
    """What a number without a window counts: ` conc`, ` conn`, ` queue`."""
    words = {Measure.INFLIGHT: " conc", Measure.CONNECTIONS: " conn", Measure.QUEUE: " queue"}
    return words.get(limit.measure, "")


def staged_text(limit: Limit, edit: LimitEdit) -> str:
    """What is staged: the new amount, and the burst where it changes."""
    amount = limit.amount if edit.amount is None else edit.amount
    if edit.factor is not None and isinstance(amount, Fraction):
        amount = amount * edit.factor
    if isinstance(amount, Special):
        return amount.value
    if amount is None:
        return NOT_UNDERSTOOD
    window = edit.window_seconds or (limit.window.seconds if limit.window else None)
    burst = f" burst {edit.burst}" if edit.burst is not None else ""
    return f"{decimal(amount)}{per(window)}{burst}{level_word(limit)}"


def interval_text(interval: Interval | Effective | None, seconds: Fraction | None = None) -> str:
    """`50/s`, `50-100/s`, `<=500`, `>=50`; `--` where nothing is known."""
    if interval is None or (interval.low is None and interval.high is None):
        return figures.UNKNOWN
    low = None if interval.low is None else figures.count(interval.low)
    high = None if interval.high is None else figures.count(interval.high)
    if low is None or high is None:
        text = f"<={high}" if low is None else f">={low}"
    else:
        text = low if low == high else f"{low}-{high}"
    return text + per(seconds)


class LimitsView(RowList[LimitRow]):
    name = "limits"
    title = "Limits"
    sorts = ("risk", "name", "at", "used", "rejected", "age")
    downward = frozenset({"used", "rejected", "age"})
    columns = (
        Column("name", "LIMIT", 15, keep=100, grow=3, most=60),
        Column("at", "AT", 8, keep=90, grow=1, most=16, about="environment"),
        Column("set", "SET", 13, right=True, keep=98, grow=1, most=24, about="the number as it is set"),
        Column("bar", "USED", 10, keep=70, grow=1, most=20, about="how full, as a bar"),
        Column("used", "NOW", 5, right=True, keep=80, about="how full"),
        Column("effective", "CALLER GETS", 11, right=True, keep=85, grow=1, most=16, about="what a caller gets"),
        Column("rejected", "REJ/s", 5, right=True, keep=88, about="rejected per second"),
        Column("age", "AGE", 4, right=True, keep=50, about="since it was read"),
        Column("key", "PER", 12, keep=20, grow=1, most=24, about="whose bucket"),
        Column("kind", "KIND", 14, keep=15, grow=1, most=20),
        Column("scope", "IN", 10, keep=14, grow=1, most=20, extra=True, about="namespace or host"),
        Column("owner", "OWNER", 10, keep=13, grow=1, most=20, extra=True, about="who else writes it"),
        Column("burst", "BURST", 6, right=True, keep=12, extra=True, about="as the platform has it"),
        Column("over", "OVER", 10, keep=11, grow=1, most=16, extra=True, about="what happens over it"),
        Column("mode", "MODE", 8, keep=10, extra=True, about="enforced or not"),
    )

    def source(self) -> Mapping[Ref, LimitRow]:
        return self.store.limits

    def sort_key(self, row: LimitRow) -> tuple[Any, ...]:
        if self.choice.sort == "risk":
            return -row.risk, -row.fullness
        value: object = {
            "name": row.name.lower(),
            "at": row.limit.environment,
            "used": row.used,
            "rejected": row.limit.use.rejected_per_second or Fraction(-1),
            "age": self.store.age(row.limit.environment, row.limit.read_at) or 0.0,
        }.get(self.choice.sort, row.name)
        return (value,)

    def more_needs(self) -> Mapping[str, int]:
        rows = self.store.limits.values()
        staged = 8 if self.staging.limits else 0
        return {
            "set": max((cells_of(amount_text(row.limit)) for row in rows), default=0) + staged,
            "key": max((cells_of(", ".join(row.limit.key) or "all callers") for row in rows), default=0),
        }

    def cell(self, row: LimitRow, key: str, width: int) -> list[Span]:
        limit = row.limit
        if key == "name":
            return self.name_cell(row, width)
        if key == "at":
            return self.environment_cell(limit.environment, width)
        if key == "set":
            return self._set_cell(limit, width)
        if key == "bar":
            amount = None if isinstance(limit.amount, Special) else limit.amount
            burst = limit.burst.at_once if limit.burst and not limit.measure.is_level else None
            if limit.use.current is None:
                return [(self.fit(figures.UNKNOWN, width), "faint")]
            return limit_bar(limit.use.current, amount, burst, width, self.look.glyphs)
        if key == "age":
            return self.age_cell(limit.environment, limit.read_at, width)
        text, role = self._plain_cell(row, key)
        return [(self.fit(text, width, key in _RIGHT), role)]

    def _set_cell(self, limit: Limit, width: int) -> list[Span]:
        edit = self.staging.limits.get(limit.ref)
        if edit is None:
            text, strange = amount_text(limit), limit.amount is None
            return [(self.clip(text, width) if strange else self.fit(text, width, True), "warn" if strange else "text")]
        arrow = self.look.glyphs.arrow
        before, after = amount_text(limit), staged_text(limit, edit)
        unit = level_word(limit) or before.lstrip("0123456789.")
        if unit and after.endswith(unit):
            before = before.removesuffix(unit)  # `25→12 conc`: the unit once
        return [(self.fit(f"{before}{arrow}{after}", width, True), "staged")]

    def _plain_cell(self, row: LimitRow, key: str) -> tuple[str, str]:
        limit = row.limit
        if key == "used":
            used = used_ratio(limit)
            return figures.ratio(used), "faint" if used is None else "bad" if used >= Fraction(9, 10) else "text"
        if key == "rejected":
            rejected = limit.use.rejected_per_second
            return figures.count(rejected), "faint" if not rejected else "bad"
        if key == "effective":
            effective = next((b.effective for b in limit.bindings if b.effective), None)
            return interval_text(effective, effective.seconds if effective else None), "text" if effective else "faint"
        if key == "key":
            return ", ".join(limit.key) or "all callers", "muted"
        return _WORDS[key](limit), "muted"


_RIGHT = frozenset({"used", "rejected", "effective", "burst"})


def _burst(limit: Limit) -> str:
    burst = burst_of(limit)
    return figures.UNKNOWN if burst is None else str(burst)


_WORDS: Mapping[str, Callable[[Limit], str]] = {
    "kind": lambda limit: limit.kind,
    "scope": lambda limit: limit.ref.scope,
    "owner": lambda limit: owner_names(limit.owners),
    "burst": _burst,
    "over": lambda limit: str(limit.over),
    "mode": lambda limit: limit.mode.value,
}
