"""The codec of reserved concurrency: how many executions of a function may run at once, in one region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from adapters.serverless.aws import alias as alias_codec
from adapters.serverless.aws.owners import function_owners
from adapters.serverless.aws.records import Function, Place
from adapters.serverless.aws.section import PLATFORM
from control.errors import InvalidValue
from control.model import (
    Action,
    Amount,
    Binding,
    Domain,
    Grid,
    Interval,
    Limit,
    Measure,
    OverLimit,
    Special,
    Use,
)
from control.model.ref import Ref
from control.planning.edit import Change
from control.text import clean

KIND = "LambdaConcurrency"
KEPT_UNRESERVED = 100
"""What AWS keeps free of reservations in every account and region."""
OVER = OverLimit(Action.REJECT, 429)


def ref_of(place: Place, function: str) -> Ref:
    """`env/LambdaConcurrency/<region>/<function>`."""
    return Ref(place.environment, KIND, place.region, function)


def amount_of(reserved: int | None) -> Amount:
    """The reservation as an amount: 0 is off, absent is the account's pool."""
    if reserved is None:
        return Special.UNLIMITED
    return Special.BLOCKED if reserved == 0 else Fraction(reserved)


def base_of(reserved: int | None) -> str:
    """The value itself: Lambda gives reservations no token."""
    return f"reserved:{'none' if reserved is None else reserved}"


def maximum(place: Place, function: Function) -> int | None:
    """The most that can be reserved now; None where the account's settings are not known."""
    if place.account is None:
        return None
    return max(0, place.account.unreserved - KEPT_UNRESERVED + (function.reserved or 0))


def to_limit(place: Place, function: Function, use: Use | None = None) -> Limit:
    """The limit that a function's reservation is."""
    ref = ref_of(place, function.name)
    most = maximum(place, function)
    return Limit(
        ref=ref,
        platform=PLATFORM,
        name=clean(function.name),
        measure=Measure.INFLIGHT,
        amount=amount_of(function.reserved),
        object=str(ref),
        base=base_of(function.reserved),
        read_at=function.read_at,
        match="all versions and aliases of the function",
        over=OVER,
        bindings=_bindings(place, function),
        amounts=Grid(minimum=1, maximum=most, zero=False) if most else Grid(minimum=1, zero=False),
        specials=frozenset({Special.UNLIMITED, Special.BLOCKED}),
        owners=function_owners(function),
        notes=tuple(_notes(place, function, most)),
        location="ReservedConcurrentExecutions",
        remainder=_remainder(place),
        use=use or Use(),
    )


def _bindings(place: Place, function: Function) -> tuple[Binding, ...]:
    domain = Domain("region", Interval.exactly(1), _source(place, function))
    places = [str(alias_codec.ref_of(place, function.name, alias.name)) for alias in function.aliases]
    return tuple(Binding(on, OVER, domain, location=clean(function.arn)) for on in places or [clean(function.arn)])


def _source(place: Place, function: Function) -> str:
    where = f"counted once in {place.region}, over all versions and aliases together"
    if function.reserved is None and place.account is not None:
        return f"{where}; unreserved: shares the account's pool of {place.account.unreserved}"
    return where


def _notes(place: Place, function: Function, most: int | None) -> list[str]:
    notes = []
    if function.reserved is None:
        pool = f" of {place.account.unreserved}" if place.account else ""
        notes.append(f"unreserved: shares the account's pool{pool} with all other such functions")
    if most == 0:
        notes.append("nothing can be reserved: the account has no concurrency to spare")
    notes.append("no precondition exists for this write: it is compared right before, and a moment stays unguarded")
    return notes


def _remainder(place: Place) -> tuple[tuple[str, str], ...]:
    if place.account is None:
        return ()
    return (
        ("AccountLimit.ConcurrentExecutions", str(place.account.limit)),
        ("AccountLimit.UnreservedConcurrentExecutions", str(place.account.unreserved)),
    )


# --- edit -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConcurrencyWrite:
    """One Put or Delete: what `Prepared.payload` holds for a reservation."""

    function: str
    before: int | None
    after: int | None

    @property
    def operation(self) -> str:
        return "DeleteFunctionConcurrency" if self.after is None else "PutFunctionConcurrency"

    def arguments(self) -> dict[str, Any]:
        """The call's parameters."""
        arguments: dict[str, Any] = {"FunctionName": self.function}
        if self.after is not None:
            arguments["ReservedConcurrentExecutions"] = self.after
        return arguments


def edit(place: Place, function: Function, changes: Sequence[Change]) -> ConcurrencyWrite:
    """The one call that makes `changes` true. Raises `InvalidValue` for what cannot be reserved."""
    ref = str(ref_of(place, function.name))
    after = function.reserved
    for change in changes:
        if change.field != "amount":
            raise InvalidValue(f"{ref} has no {clean(change.field)}", ref=ref, hint="set inflight=N")
        after = _native(place, function, ref, change.after)
    return ConcurrencyWrite(function.name, function.reserved, after)


def _native(place: Place, function: Function, ref: str, value: object) -> int | None:
    if value is Special.UNLIMITED:
        return None
    if value is Special.BLOCKED:
        return 0
    if not isinstance(value, (int, Fraction)) or isinstance(value, bool) or value <= 0:
        raise InvalidValue(f"{value} is not an amount", ref=ref, hint="a whole number from 1, blocked or unlimited")
    if Fraction(value).denominator != 1:
        low = int(value)
        nearest = f"{low or 'blocked'} or {low + 1}"
        raise InvalidValue(f"reserved concurrency is a whole number, not {value}", ref=ref, hint=f"nearest: {nearest}")
    most = maximum(place, function)
    if most is not None and value > most:
        raise InvalidValue(
            f"{int(value)} cannot be reserved: the account must keep {KEPT_UNRESERVED} unreserved",
            ref=ref,
            hint=f"nearest: {most}" if most else "nothing can be reserved in this account",
        )
    return int(value)
