"""What is typed for a weight: `80`, `80%`, `+10`, `-10%`, `/2`, `*1.5`, or the whole split, `70/30`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from control.errors import InvalidValue
from control.model import Route, TargetState, Weight
from tui.staging import HUNDRED, check_known, natives_after, step

_FORM = re.compile(r"\s*([-+*/]?)\s*(\d+(?:\.\d+)?)\s*(%?)\s*")
_SPLIT = re.compile(r"\s*\d+(?:\.\d+)?%?(?:\s*/\s*\d+(?:\.\d+)?%?)+\s*")


@dataclass(frozen=True, slots=True)
class Weighed:
    """What an expression comes to: the shares after it, and the native weight where one was typed as such."""

    after: dict[str, Fraction]
    native: Weight | None = None


def counts_to_hundred(route: Route) -> bool:
    """True where a weight and a percentage are the same number."""
    grid = route.grid
    if grid.only_percent or grid.denominator is not None:
        return True
    weights = [t.weight for t in route.targets if t.state is TargetState.ACTIVE]
    return None not in weights and sum((w for w in weights if w is not None), Fraction(0)) == HUNDRED


def weigh(route: Route, base: dict[str, Fraction], name: str, text: str, locked: set[str]) -> Weighed:
    """Read an expression for the target `name`. Raises `InvalidValue` with what is wrong."""
    if any(one.native for one in route.targets):
        check_known(route)
    if _SPLIT.fullmatch(text):
        return Weighed(_split(route, text))
    match = _FORM.fullmatch(text)
    target = route.target(name)
    if match is None or target is None:
        raise InvalidValue(f"'{text}' is no weight", hint="80, 80%, +10, -10%, /2, *1.5, 70/30")
    sign, number, points = match.group(1), Fraction(match.group(2)), bool(match.group(3))
    if not sign and not points and not counts_to_hundred(route):
        return _native(route, name, number)
    check_known(route)
    wanted = _wanted(base[name], sign, number)
    if not 0 <= wanted <= 1:
        raise InvalidValue(f"{text} would be {float(wanted * 100):g}%", hint="0 to 100")
    _on_grid(route, wanted)
    if wanted == base[name]:
        return Weighed(dict(base))
    return Weighed(step(route, base, name, wanted - base[name], locked))


def _on_grid(route: Route, share: Fraction) -> None:
    denominator = route.grid.denominator
    if denominator and (share * denominator).denominator != 1:
        raise InvalidValue(f"shares come in steps of 1/{denominator}")


def _split(route: Route, text: str) -> dict[str, Fraction]:
    """Percentages of all targets, in their order."""
    shares = [Fraction(part.strip().rstrip("%")) / 100 for part in text.split("/")]
    if len(shares) != len(route.targets):
        raise InvalidValue(f"{text.strip()} names {len(shares)} shares of {len(route.targets)} targets")
    if sum(shares) != 1:
        raise InvalidValue(f"{text.strip()} makes {float(sum(shares) * 100):g}, not 100")
    for share in shares:
        _on_grid(route, share)
    return {target.name: share for target, share in zip(route.targets, shares, strict=True)}


def _wanted(now: Fraction, sign: str, number: Fraction) -> Fraction:
    if sign == "+":
        return now + number / 100
    if sign == "-":
        return now - number / 100
    if sign == "*":
        return now * number
    if sign == "/":
        if not number:
            raise InvalidValue("nothing can be divided by 0")
        return now / number
    return number / 100


def _native(route: Route, name: str, number: Fraction) -> Weighed:
    grid = route.grid
    if number.denominator != 1 or number > grid.maximum or (number < grid.minimum and not (number == 0 and grid.zero)):
        low = 0 if grid.zero else grid.minimum
        raise InvalidValue(f"{float(number):g} is no weight here", hint=f"whole numbers from {low} to {grid.maximum}")
    return Weighed(natives_after(route, {name: int(number)}), int(number))
