"""What somebody wants changed (edits) and what that means field by field (changes).

An edit is what was typed; the planner resolves it against what is there into changes, one per field, each with
the value it starts from. Changes are what adapters turn into native writes, what the journal keeps and what undo
reverses. Field names: `targets/NAME/weight`, `targets/NAME/share` (kinds that hold shares, not weights),
`targets/NAME/state`, `amount`, `window`, `burst`.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from fractions import Fraction

from msgspec import Struct

from control.model import Amount, TargetState, Weight
from control.model.ref import Ref


class Share(Struct, frozen=True):
    """A share that was asked for as such (`a=70%`), not as a native weight."""

    value: Fraction


class SharesEdit(Struct, frozen=True):
    ref: Ref
    shares: tuple[tuple[str, Weight | Share], ...]


class StateEdit(Struct, frozen=True):
    ref: Ref
    states: tuple[tuple[str, TargetState], ...]
    persist: bool = False
    """Ask for a state that outlives a reload, where the platform would keep it at runtime only."""


class LimitEdit(Struct, frozen=True):
    """Fields that are None stay as they are. `factor` multiplies the amount (`/2`, `*1.5`) instead of setting it."""

    ref: Ref
    amount: Amount | None = None
    window_seconds: Fraction | None = None
    burst: int | None = None
    factor: Fraction | None = None
    written_as: str = ""
    """`rate` or `inflight` where that short form was used: a limit of the other sort refuses it."""


Edit = SharesEdit | StateEdit | LimitEdit

Value = Weight | Fraction | Amount | TargetState | None
"""The value of one field. Window is its seconds; burst an int; amount a Fraction or Special; None is "not there"."""


def target_field(name: str, what: str) -> str:
    """The field name of one property (`weight`, `share`, `state`) of the target called `name`."""
    return f"targets/{name}/{what}"


def split_field(field: str) -> tuple[str | None, str]:
    """(target name or None, property) of a field name; target names may hold slashes themselves."""
    if field.startswith("targets/") and field.count("/") >= 2:
        name, _, what = field.removeprefix("targets/").rpartition("/")
        return name, what
    return None, field


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one route or limit, from what to what. `ref` is a member ref where there is a group."""

    ref: Ref
    field: str
    before: Value
    after: Value
    persist: bool = False
    was: str = dataclass_field(default="", compare=False)
    """How `before` stood natively, where writing that value anew would give other bytes: an undo restores those. Only
    the adapter that wrote it reads it, and believes nothing in it but the form. Never a secret."""
    again: str = dataclass_field(default="", compare=False)
    """The `was` of the change that this one takes back: how `after` is to stand."""
