"""What an edit of shares means for one route, field by field, on what was just read.

For a group (`members`), call these with each member.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from control.errors import InvalidValue, NotFound
from control.model import Grid, Route, Semantics, Target, TargetState, Weight
from control.model.shares import exact_weights, nearest_shares, percent
from control.planning.edit import Change, Share, SharesEdit, target_field
from control.text import clean


def holds_shares(route: Route) -> bool:
    """True for kinds that hold shares instead of weights: their field is `targets/NAME/share`."""
    return route.semantics is Semantics.PRIMARY_ADDITIONAL or route.grid.denominator is not None


def resolve_shares(route: Route, edit: SharesEdit) -> tuple[Change, ...]:
    """The changes of native weights (or shares) that `edit` asks of `route`; none where nothing changes.

    The changes' ref is `route.ref`, so that a member's changes name the member. A target that leaves a kind with open
    targets has `after` None, one that joins has `before` None. Raises `NotFound` for a target that is not there and
    `InvalidValue` for what the kind cannot hold.
    """
    if route.semantics in (Semantics.PRIORITY, Semantics.REPLICA_RATIO):
        raise invalid(route, f"{route.kind} has no weights to set: its traffic follows {route.semantics.value}")
    asked = dict(edit.shares)
    for name, value in asked.items():
        _check_asked(route, name, value)
    if holds_shares(route):
        return share_changes(route, asked)
    shares = {name: value.value for name, value in asked.items() if isinstance(value, Share)}
    weights = {name: native_weight(route, name, value) for name, value in asked.items() if not isinstance(value, Share)}
    if shares:
        weights |= _weights_of_shares(route, shares, weights)
    _check_weights(route, weights)
    return tuple(
        Change(route.ref, target_field(target.name, "weight"), target.weight, weights[target.name])
        for target in route.targets
        if target.name in weights and weights[target.name] != target.weight
    )


def invalid(route: Route, message: str, hint: str | None = None) -> InvalidValue:
    return InvalidValue(clean(message), ref=str(route.ref), hint=clean(hint) if hint else None)


def _check_asked(route: Route, name: str, value: Weight | Share) -> None:
    if route.target(name) is None and not route.grid.open_targets:
        names = ", ".join(target.name for target in route.targets)
        raise NotFound(
            clean(f"{route.ref} has no target '{name}'"), ref=str(route.ref), hint=clean(f"its targets are {names}")
        )
    if not isinstance(value, Share) and route.grid.only_percent:
        raise invalid(route, f"{route.kind} counts in percent: '{name}={value}'", f"write {name}={value}%")
    if isinstance(value, Share) and not 0 <= value.value <= 1:
        raise invalid(route, f"'{name}' cannot have {percent(value.value)}", "a share is 0% to 100%")


def native_weight(route: Route, name: str, value: Weight) -> int:
    """A native weight as it was typed, when the grid can hold it."""
    grid = route.grid
    if isinstance(value, bool) or Fraction(value).denominator != 1:
        low = int(value // 1)
        raise invalid(
            route, f"'{name}' cannot have the weight {float(value):g}: weights are whole numbers",
            f"the nearest are {low} and {low + 1}; for a share write {name}=…%",
        )  # fmt: skip
    weight = int(value)
    least = 0 if grid.zero else grid.minimum
    if weight == 0 and not grid.zero:
        raise invalid(route, f"'{name}' cannot have the weight 0: the smallest is {least}", _taking_out(route, name))
    if weight != 0 and not grid.minimum <= weight <= grid.maximum:
        nearest = f"{least} and {grid.minimum}" if 0 < weight < grid.minimum else None
        nearest = nearest or str(least if weight < 0 else grid.maximum)
        raise invalid(
            route,
            f"'{name}' cannot have the weight {weight}: {route.kind} takes {least} to {grid.maximum}",
            f"the nearest is {nearest}",
        )
    return weight


def _taking_out(route: Route, name: str) -> str:
    state = next((s for s in (TargetState.DRAINING, TargetState.MAINTENANCE) if s in route.states), None)
    return f"to take it out: set state {route.ref} {name}={state.value}" if state else "give it at least the smallest"


def _check_weights(route: Route, weights: Mapping[str, int]) -> None:
    """What must hold for all weights of a route together."""
    grid = route.grid
    after = {t.name: weights.get(t.name, t.weight or 0) for t in route.targets}
    if route.semantics is Semantics.PERCENT and sum(after.values()) != 100:
        raise invalid(route, f"the percentages make {percent(Fraction(sum(after.values())) / 100)}, not 100%")
    live = [name for name, weight in after.items() if weight]
    if grid.live_targets is not None and len(live) > grid.live_targets:
        raise invalid(
            route, f"{', '.join(live)} would have traffic at once", f"at most {grid.live_targets} targets may have any"
        )
    if grid.all_or_nothing:
        for target in route.targets:
            wanted = weights.get(target.name, target.weight)
            if wanted and target.weight and wanted != target.weight:
                raise invalid(
                    route,
                    f"'{target.name}' cannot change from {target.weight} to {wanted}: "
                    "this balancing algorithm takes only 0% and 100% at runtime",
                    f"the nearest are 0 and {target.weight}",
                )


def _weights_of_shares(route: Route, shares: Mapping[str, Fraction], native: Mapping[str, int]) -> dict[str, int]:
    """Native weights for the targets in `shares`; everything else keeps its weight, or the one just asked for."""
    idle = [t for t in route.targets if t.name in shares and t.state is not TargetState.ACTIVE]
    for target in idle:
        if shares[target.name] > 0:
            raise invalid(
                route,
                f"'{target.name}' is {target.state.value} and takes no traffic",
                f"bring it back first: set state {route.ref} {target.name}=active",
            )
    active = [t for t in route.targets if t.state is TargetState.ACTIVE]
    _check_follow(route, active)
    kept = {t.name: native.get(t.name, _whole(t)) for t in active if t.name not in shares}
    if not native:
        _check_sum(route, shares, {t.name: t.share for t in active if t.name in kept})
    asked = sum(shares.values(), Fraction(0))
    pins = {name: weight for name, weight in kept.items() if weight}
    if pins and asked >= 1:
        raise invalid(route, f"{_listed(shares)} leave nothing for {', '.join(pins)}")
    if not pins and asked != 1:
        raise invalid(route, f"the shares make {percent(asked)}, not 100%")
    if pins:
        exact = sum(pins.values()) / (1 - asked)
        if exact.denominator != 1:
            raise invalid(
                route,
                f"{_listed(shares)} cannot be held exactly while {', '.join(pins)} keep their weights",
                "give all targets a share",
            )
        total = int(exact)
    else:
        total = 100 if route.semantics is Semantics.PERCENT else sum(_whole(t) for t in active)
    wanted = {t.name: shares.get(t.name, Fraction(kept.get(t.name, 0), total or 1)) for t in active}
    try:
        weights = exact_weights(wanted, route.grid, total, pins, fixed=route.semantics is Semantics.PERCENT)
    except InvalidValue as error:
        raise invalid(route, error.message, error.hint) from None
    return {name: weights[name] for name in shares if name in weights}


def _check_follow(route: Route, active: Sequence[Target]) -> None:
    """A share can be turned into weights only where the shares that are known follow from the weights."""
    live = [(t.name, Fraction(t.weight), t.share) for t in active if t.weight and t.share]
    total, shares = sum(weight for _, weight, _ in live), sum(share for _, _, share in live)
    if route.semantics is not Semantics.PROPORTIONAL or not total:
        return
    other = [name for name, weight, share in live if weight * shares != share * total]
    if other:
        raise invalid(
            route,
            f"the shares of {', '.join(other)} do not follow from the weights alone: {'; '.join(route.notes)}",
            "give native weights",
        )


def _whole(target: Target) -> int:
    return int(target.weight or 0)


def _listed(shares: Mapping[str, Fraction]) -> str:
    return " + ".join(f"{name} {percent(share)}" for name, share in shares.items())


def _check_sum(route: Route, shares: Mapping[str, Fraction], others: Mapping[str, Fraction | None]) -> None:
    """Percentages and the unchanged others must make 100."""
    unknown = [name for name, share in others.items() if share is None]
    if unknown:
        raise invalid(route, f"the share of {', '.join(unknown)} is not known", "give every target a share")
    kept = {name: share for name, share in others.items() if share}
    made = sum(shares.values(), Fraction(0)) + sum(kept.values(), Fraction(0))
    if made != 1:
        unchanged = f" with the unchanged {_listed(kept)}" if kept else ""
        raise invalid(
            route,
            f"{_listed(shares)}{unchanged} make {percent(made)}, not 100%",
            "give the other targets a share too" if kept else "shares must make 100%",
        )


# --- kinds that hold shares -------------------------------------------------------------------------------------------


def share_changes(route: Route, asked: Mapping[str, Weight | Share]) -> tuple[Change, ...]:
    wanted = {n: v.value if isinstance(v, Share) else Fraction(v) for n, v in asked.items()}
    current = {target.name: target.share for target in route.targets}
    if route.semantics is Semantics.PRIMARY_ADDITIONAL and list(wanted.values()) == [Fraction(1)]:
        wanted |= {name: Fraction(0) for name in current if name not in wanted}
    for name, share in wanted.items():
        _check_share(route, name, share)
    _check_sum(route, wanted, {name: share for name, share in current.items() if name not in wanted})
    after = {name: share or Fraction(0) for name, share in current.items()} | wanted
    live = [name for name, share in after.items() if share]
    if route.grid.live_targets is not None and len(live) > route.grid.live_targets:
        raise invalid(
            route,
            f"there is no room: {', '.join(live)} would have traffic at once",
            f"at most {route.grid.live_targets} may; give one of the others 0%",
        )
    leaves = route.grid.open_targets
    return tuple(
        Change(route.ref, target_field(name, "share"), current.get(name), None if leaves and not share else share)
        for name, share in wanted.items()
        if share != (current.get(name) or Fraction(0))
    )


def _check_share(route: Route, name: str, share: Fraction) -> None:
    grid: Grid = route.grid
    if not 0 <= share <= 1:
        raise invalid(route, f"'{name}' cannot have the share {float(share):g}", "a share is 0% to 100%")
    if grid.denominator is not None and (share * grid.denominator).denominator != 1:
        low, high = nearest_shares(share, grid, None)
        raise invalid(
            route,
            f"'{name}' cannot hold exactly {percent(share)} here",
            f"the nearest are {percent(low)} and {percent(high)}",
        )
