"""Small routes and limits for the tests of control."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from control.model import (
    Amount,
    Binding,
    Domain,
    Grid,
    Interval,
    Limit,
    Measure,
    OverLimit,
    Route,
    Semantics,
    Target,
    TargetState,
    Weight,
    Window,
    WindowKind,
)
from control.model.ref import Ref
from control.model.shares import shares_of
from control.structs import replace

ANY_WEIGHT = Grid()


def make_route(
    weights: dict[str, Weight | None],
    *,
    grid: Grid = ANY_WEIGHT,
    semantics: Semantics = Semantics.PROPORTIONAL,
    states: dict[str, TargetState] | None = None,
    kind: str = "HTTPRoute",
    **more: Any,
) -> Route:
    held = [(states or {}).get(name, TargetState.ACTIVE) for name in weights]
    shares = shares_of(list(weights.values()), held, semantics)
    targets = tuple(
        Target(name, weight, share, state)
        for (name, weight), share, state in zip(weights.items(), shares, held, strict=True)
    )
    ref = Ref("east", kind, "inference", "llama")
    values: dict[str, Any] = {
        "ref": ref, "platform": "kubernetes", "name": "llama", "semantics": semantics, "grid": grid,
        "targets": targets, "object": str(ref), "base": "7", "read_at": 1000.0,
    }  # fmt: skip
    return Route(**(values | more))


def make_limit(amount: Amount | int = 100, seconds: int | None = 1, **more: Any) -> Limit:
    ref = Ref("east", "Middleware", "inference", "slow")
    if isinstance(amount, int):
        amount = Fraction(amount)
    values: dict[str, Any] = {
        "ref": ref, "platform": "kubernetes", "name": "slow", "measure": Measure.REQUESTS, "amount": amount,
        "object": str(ref), "base": "3", "read_at": 1000.0,
        "window": None if seconds is None else Window(WindowKind.BUCKET, Fraction(seconds)),
        "fields": frozenset({"amount", "window", "burst"}),
    }  # fmt: skip
    return Limit(**(values | more))


def make_binding(low: int = 1, high: int | None = 1, *, source: str = "deck file: 2 proxies", **more: Any) -> Binding:
    count = Interval(Fraction(low), None if high is None else Fraction(high))
    return Binding(**({"on": "east/HTTPRoute/inference/llama", "over": OverLimit(status=429),
                       "domain": Domain("process", count, source)} | more))  # fmt: skip


def bound(limit: Limit, binding: Binding) -> Limit:
    return replace(limit, bindings=(binding,))
