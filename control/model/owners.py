"""Who else writes an object, in which role, and whether they take our edits back."""

from __future__ import annotations

from enum import StrEnum

from control.structs import Frozen


class OwnerRole(StrEnum):
    DRIVER = "driver"
    """A controller writes this very field: a raw edit is refused."""
    DECLARED = "declared"
    """A source will restore it at its next sync: an edit is warned about."""


class Source(Frozen, frozen=True):
    """Where an owner says that the object comes from. It stands in an object that anybody may have written: it is
    named, and believed in nothing."""

    repository: str
    """The URL of a Git repository, without a password or token."""
    path: str
    """The folder in it, without `./`; empty for its root."""
    revision: str
    """A branch, tag or commit; empty for the repository's default."""
    application: str
    """The object that deploys it: `NAMESPACE/NAME`."""


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
    source: Source | None = None
    """What it deploys the object from, where it says so."""
