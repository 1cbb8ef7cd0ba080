"""Shares and native weights: exact both ways, by largest remainder on the grid that a platform can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from control.model import Grid, Semantics, TargetState, Weight


@dataclass(frozen=True, slots=True)
class Apportioned:
    """Native weights for wanted shares. `error` is the largest |got - wanted| of any target, 0 when exact."""

    weights: Mapping[str, int]
    error: Fraction


def shares_of(
    weights: Sequence[Weight | None], states: Sequence[TargetState], semantics: Semantics
) -> tuple[Fraction | None, ...]:
    """The share of each target as set: None where it cannot be known, 0 for targets that are not active.

    PROPORTIONAL, CANARY and REPLICA_RATIO: weight / sum over active targets (all 0 when that sum is 0; all None when
    an active weight is None). PERCENT: weight / 100. PRIMARY_ADDITIONAL: weights are fractions, and the one None (the
    main target) has the rest. PRIORITY: always None.
    """
    raise NotImplementedError


def apportion(
    wanted: Mapping[str, Fraction], grid: Grid, total: int, pins: Mapping[str, int] | None = None
) -> Apportioned:
    """Weights that sum to `total`, as near to `wanted` (shares that sum to 1) as `grid` allows, by largest remainder.

    `pins` are weights that stay. A target whose share is above 0 never gets a weight below `grid.minimum`.
    Raises `InvalidValue` where the grid cannot hold it at this total.
    """
    raise NotImplementedError


def exact_weights(
    wanted: Mapping[str, Fraction], grid: Grid, total: int, pins: Mapping[str, int] | None = None
) -> Mapping[str, int]:
    """Weights that give exactly `wanted`: at `total` where that is possible, else the smallest integers that do.

    Raises `InvalidValue` naming the two nearest values the grid can hold where no weights are exact.
    """
    raise NotImplementedError
