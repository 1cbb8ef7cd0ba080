"""Who else writes an object, in which role, and whether they take our edits back."""

from __future__ import annotations

from enum import StrEnum

from control.structs import Frozen


class OwnerRole(StrEnum):
    DRIVER = "driver"
    """A controller writes this very field: a raw edit is refused."""
    DECLARED = "declared"
    """A source will restore it at its next sync: an edit is warned about."""


class Owner(Frozen, frozen=True):
    kind: str
    """What it is, in one word of its adapter's: a controller, a tool of deployment, an operator."""
    name: str
    role: OwnerRole
    found_by: str = ""
    """The sign it was recognised by: an annotation, a field manager, a tag."""
    reverts: bool | None = None
    """Whether it will undo our edit; None where that could not be read."""
    within_seconds: int | float | None = None
    edit_instead: str = ""
