"""Immutable values: what the model is made of, and how a copy with some fields changed is made."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs


class Frozen(Struct, frozen=True, array_like=True, gc=False):
    """A value that never changes, made of such values alone: strings, numbers, tuples, frozen sets, other frozen ones.

    It can be in no circle of references, so the garbage collector need not look at it. As a document it is a list of
    its fields in their order.
    """


if TYPE_CHECKING:
    from dataclasses import replace as replace  # mypy then checks names and types of what is replaced
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """A copy with some fields changed, of a struct or a dataclass, as `copy.replace` of Python 3.13 makes it."""
        if isinstance(value, Struct):
            return structs.replace(value, **changes)
        return dataclasses.replace(value, **changes)
