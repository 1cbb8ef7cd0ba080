"""Shares and native weights: exact both ways, on the grid that a platform can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, lcm

from control.errors import InvalidValue
from control.model import Grid, Semantics, TargetState, Weight


def shares_of(
    weights: Sequence[Weight | None], states: Sequence[TargetState], semantics: Semantics
) -> tuple[Fraction | None, ...]:
    """The share of each target as set: None where it cannot be known, 0 for targets that are not active.

    PROPORTIONAL and REPLICA_RATIO: weight / sum over active targets (all 0 when that sum is 0; all None when an
    active weight is None). PERCENT: weight / 100. PRIMARY_ADDITIONAL (weights are fractions) and CANARY (percents):
    the one None, the main target, has the rest. PRIORITY: always None.
    """
    if semantics is Semantics.PRIORITY:
        return (None,) * len(weights)
    live = [w if s is TargetState.ACTIVE else 0 for w, s in zip(weights, states, strict=True)]
    if semantics in (Semantics.PROPORTIONAL, Semantics.REPLICA_RATIO):
        return _proportional(live)
    scale = 1 if semantics is Semantics.PRIMARY_ADDITIONAL else 100
    given = [None if w is None else Fraction(w) / scale for w in live]
    rest = 1 - sum((share for share in given if share is not None), Fraction(0))
    alone = given.count(None) == 1 and rest >= 0
    return tuple((rest if alone else None) if share is None else share for share in given)


def _proportional(live: Sequence[Weight | None]) -> tuple[Fraction | None, ...]:
    known = [Fraction(w) for w in live if w is not None]
    if len(known) < len(live):
        return (None,) * len(live)
    total = sum(known, Fraction(0))
    return tuple(w / total if total else Fraction(0) for w in known)


def percent(share: Fraction) -> str:
    """A share for people: `70%`, `33.3%`; at most two decimals, with `~` before a rounded one."""
    hundredths = share * 10_000
    text = f"{float(round(hundredths)) / 100:.2f}".rstrip("0").rstrip(".")
    return f"{text}%" if hundredths.denominator == 1 else f"~{text}%"


def _check_shares(wanted: Mapping[str, Fraction], grid: Grid) -> None:
    made = sum(wanted.values(), Fraction(0))
    if made != 1 or any(share < 0 for share in wanted.values()):
        raise InvalidValue(f"the shares make {percent(made)}, not 100%")
    empty = [name for name, share in wanted.items() if share == 0]
    if empty and not grid.zero:
        raise InvalidValue(
            f"'{empty[0]}' cannot have 0%: the smallest weight here is {grid.minimum}",
            hint="to take a target out, set its state",
        )


def exact_weights(
    wanted: Mapping[str, Fraction],
    grid: Grid,
    total: int,
    pins: Mapping[str, int] | None = None,
    fixed: bool = False,
) -> Mapping[str, int]:
    """Weights that give exactly `wanted`: at `total` where that is possible, else the smallest integers that do.

    With `pins`, or where `fixed`, the total stays `total`. Raises `InvalidValue` naming the two nearest values that
    the grid can hold where no weights are exact.
    """
    pins = pins or {}
    fixed = fixed or bool(pins)
    _check_shares(wanted, grid)
    for candidate in (total,) if fixed else (total, _smallest_total(wanted, grid)):
        exact = {name: share * candidate for name, share in wanted.items()}
        if candidate > 0 and all(_fits(weight, grid) and pins.get(n, weight) == weight for n, weight in exact.items()):
            return {name: int(weight) for name, weight in exact.items()}
    raise _refusal(wanted, grid, total if fixed else None)


def _smallest_total(wanted: Mapping[str, Fraction], grid: Grid) -> int:
    base = lcm(*(share.denominator for share in wanted.values()))
    smallest = min((share for share in wanted.values() if share > 0), default=Fraction(1)) * base
    return base * max(1, ceil(grid.minimum / smallest))


def _fits(weight: Fraction, grid: Grid) -> bool:
    return weight.denominator == 1 and (weight == 0 or grid.minimum <= weight <= grid.maximum)


def _refusal(wanted: Mapping[str, Fraction], grid: Grid, total: int | None) -> InvalidValue:
    """Name the smallest share that does not fit, with its two neighbours on the grid."""
    at = total or _smallest_total(wanted, grid)
    live = sorted((share, name) for name, share in wanted.items() if share > 0)
    share, name = next(((s, n) for s, n in live if not _fits(s * at, grid)), live[0])
    low, high = nearest_shares(share, grid, total)
    return InvalidValue(
        f"'{name}' cannot hold exactly {percent(share)} here",
        hint=f"the nearest that it can hold are {percent(low)} and {percent(high)}",
    )


def nearest_shares(share: Fraction, grid: Grid, total: int | None) -> tuple[Fraction, Fraction]:
    """The largest share <= `share` and the smallest >= it that one target can hold beside one other.

    At a fixed `total`, or (None) at any total that two weights of this grid can make.
    """
    if grid.denominator is not None:
        steps = share * grid.denominator
        return Fraction(floor(steps), grid.denominator), Fraction(ceil(steps), grid.denominator)
    if total is not None:
        return _held(floor(share * total), grid, total), _held(ceil(share * total), grid, total)
    if share > Fraction(1, 2):
        low, high = nearest_shares(1 - share, grid, None)
        return 1 - high, 1 - low
    below, above = _neighbours(share / (1 - share), grid.maximum)
    if below == 0 and share > 0 and not grid.zero:
        below = Fraction(grid.minimum, grid.maximum)
    return below / (1 + below), above / (1 + above)


def _neighbours(ratio: Fraction, maximum: int) -> tuple[Fraction, Fraction]:
    """The fractions with a denominator of at most `maximum` next to `ratio`, below and above (continued fraction)."""
    if ratio.denominator <= maximum:
        return ratio, ratio
    p0, q0, p1, q1 = 0, 1, 1, 0
    numerator, denominator = ratio.numerator, ratio.denominator
    while (q2 := q0 + (whole := numerator // denominator) * q1) <= maximum:
        p0, q0, p1, q1 = p1, q1, p0 + whole * p1, q2
        numerator, denominator = denominator, numerator - whole * denominator
    steps = (maximum - q0) // q1
    one, other = Fraction(p0 + steps * p1, q0 + steps * q1), Fraction(p1, q1)
    return min(one, other), max(one, other)


def _held(weight: int, grid: Grid, total: int) -> Fraction:
    least = 0 if grid.zero else grid.minimum
    lowest, highest = max(least, total - grid.maximum), min(grid.maximum, total - least)
    return Fraction(min(max(weight, lowest), highest), total)
