"""What one record of a change says, as far as this version understands it: the one reading of the journal's records,
and the one form in which they are written.

Whoever asks what became of a change (the state of it, the index, an open change taken up again) asks here, so that none
of them can read a record otherwise than the others. Plans and results are kept as the contract has them and read where
they are asked for. What has no value here (`UNSET`) is not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from control.planning.plan import PLAN_SCHEMA, OnFailure, ResultOutcome
from control.serialiser import from_json

_OUTCOMES = frozenset(outcome.value for outcome in ResultOutcome)


class NotKnown(Exception):
    """A record of a later version, or no whole record; says which."""


class Event(Struct, frozen=True):
    """What a record says."""


class Opened(Event, frozen=True, kw_only=True):
    """The change is about to be applied: nothing was written yet."""

    actor: str
    plan: dict[str, Any]
    """As the contract has it."""
    reason: str = ""
    overrides: list[str] = msgspec.field(default_factory=list)
    process: dict[str, Any] = msgspec.field(default_factory=dict)
    notes_writing: bool = False
    """Whether each step is noted before it is written; earlier versions did not."""
    on_failure: OnFailure | UnsetType = UNSET
    """What was asked for where a step fails, where the plan does not say it."""
    noted_at: int | float | UnsetType = UNSET
    """When it was noted (Unix time), where the journal took it later."""

    @property
    def undo_of(self) -> str | None:
        undone: str | None = self.plan["undo_of"]
        return undone

    def touched(self) -> list[tuple[str, str, bool]]:
        """(ref, field, whether it is set to 0) of everything that is to be changed."""
        return [(c["ref"], c["field"], c["to"] in (0, "0")) for s in self.plan["steps"] for c in s["changes"]]


class Writing(Event, frozen=True):
    """A step is about to be written. `recorded` is what its platform must know to judge it later."""

    step: int
    recorded: dict[str, Any] = msgspec.field(default_factory=dict)
    object: str = ""


class Stepped(Event, frozen=True):
    """What came of a step, as the contract has a result's step."""

    step: int
    result: dict[str, Any]


class Undoing(Event, frozen=True):
    """A step is about to be taken back."""

    step: int
    object: str = ""


class Closed(Event, frozen=True):
    """What the whole change came to, as the contract has a result."""

    result: dict[str, Any]
    closes: bool = True
    """False where somebody looked and it is still open."""

    @property
    def outcome(self) -> ResultOutcome:
        return ResultOutcome(self.result["outcome"])


class Noted(Event, frozen=True):
    """Nothing that changes what is known of a change."""


def read(kind: str, data: Mapping[str, Any]) -> Event:
    """Raises `NotKnown`."""
    form = _FORMS.get(kind)
    if form is None:
        raise NotKnown(f"it is of a kind that is not known here, '{str(kind)[:40]}'")
    try:
        event = from_json(data, form)
        return _checked(event)
    except (ValueError, KeyError, TypeError):
        raise NotKnown("it is no whole record") from None


def _checked(event: Event) -> Event:
    """The same event, where plan and result are of this version. Raises `NotKnown`."""
    if isinstance(event, Opened) and event.plan["schema"] > PLAN_SCHEMA:
        schema = event.plan["schema"]
        raise NotKnown(f"its plan is of a later version (schema {schema}, this one knows {PLAN_SCHEMA})")
    if not isinstance(event, Closed):
        return event
    if not event.closes:
        return Noted()
    outcome = event.result["outcome"]
    if outcome not in _OUTCOMES:
        raise NotKnown(f"its outcome is not known here, '{str(outcome)[:40]}'")
    return event


_FORMS: Mapping[str, type[Event]] = {
    "open": Opened,
    "writing": Writing,
    "step": Stepped,
    "undoing": Undoing,
    "close": Closed,
    "resolve": Closed,
    "note": Noted,
}
"""By the kind of a record: the kinds that this version understands."""
