"""What on call asks first: which rows are broken, get what nobody meant, throttle or are nearly full; the worst first.

Looked for once for each change of the rows: the screen asks four times a second, and there are thousands.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from tui.store import LimitRow, RouteRow, Store

NEARLY_FULL = 800
"""Permille of a limit."""


@dataclass(frozen=True, slots=True)
class Worst:
    broken: list[RouteRow]
    gaps: list[RouteRow]
    """Where what is seen differs from what is set by more than chance."""
    biting: list[LimitRow]
    full: list[LimitRow]


_KEPT: WeakKeyDictionary[Store, tuple[int, Worst]] = WeakKeyDictionary()


def worst_of(store: Store) -> Worst:
    """The four lists of the rows as they are now."""
    kept = _KEPT.get(store)
    if kept is None or kept[0] != store.revision:
        kept = _KEPT[store] = store.revision, _worst(store)
    return kept[1]


def _worst(store: Store) -> Worst:
    routes, limits = store.routes.values(), store.limits.values()
    rejected = [(row.limit.use.rejected_per_second, row) for row in limits]
    biting = sorted(((value, row) for value, row in rejected if value), key=lambda pair: -pair[0])
    return Worst(
        sorted((row for row in routes if row.broken), key=lambda row: -row.risk),
        sorted((row for row in routes if row.seen and any(row.seen.significant.values())), key=lambda row: -row.risk),
        [row for _, row in biting],
        sorted((row for row in limits if row.used >= NEARLY_FULL), key=lambda row: -row.used),
    )
