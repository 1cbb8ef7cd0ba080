"""A change of one field in words."""

from __future__ import annotations

from fractions import Fraction

from control.planning.edit import Change, split_field
from control.typed import decimal


def field_words(field: str, brief: bool = False) -> str:
    """Which field: `v1 weight`, `burst`; where `brief`, of a target its name alone."""
    target, what = split_field(field)
    if target is None:
        return what
    return target if brief else f"{target} {what}"


def value_words(value: object) -> str:
    """A value of a change, exact."""
    if value is None:
        return "none"
    if isinstance(value, Fraction):
        return decimal(value)
    return str(getattr(value, "value", value))


def change_words(change: Change, arrow: str = "→") -> str:
    """`v1 50→60`, for a line that names several."""
    return f"{field_words(change.field, brief=True)} {value_words(change.before)}{arrow}{value_words(change.after)}"
