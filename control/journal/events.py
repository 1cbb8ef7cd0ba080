"""What one record of a change says, as far as this version understands it: the one reading of the journal's records.

Whoever asks what became of a change (the state of it, the index, an open change taken up again) asks here, so that none
of them can read a record otherwise than the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from control.planning.plan import PLAN_SCHEMA, OnFailure, ResultOutcome

_OUTCOMES = frozenset(outcome.value for outcome in ResultOutcome)


class NotKnown(Exception):
    """A record of a later version, or no whole record; says which."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The change is about to be applied: nothing was written yet."""

    actor: str
    reason: str
    plan: Mapping[str, Any]
    """As the contract has it."""
    process: Mapping[str, Any]
    notes_writing: bool
    """Whether each step is noted before it is written; earlier versions did not."""
    on_failure: OnFailure | None
    """What was asked for where a step fails; None where the plan says it."""
    noted_at: float | None
    """When it was noted (Unix time), where the journal took it later."""

    @property
    def undo_of(self) -> str | None:
        undone: str | None = self.plan["undo_of"]
        return undone

    def touched(self) -> list[tuple[str, str, bool]]:
        """(ref, field, whether it is set to 0) of everything that is to be changed."""
        return [(c["ref"], c["field"], c["to"] in (0, "0")) for s in self.plan["steps"] for c in s["changes"]]


@dataclass(frozen=True, slots=True)
class Writing:
    """A step is about to be written. `recorded` is what its platform must know to judge it later."""

    step: int
    recorded: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stepped:
    """What came of a step, as the contract has a result's step."""

    step: int
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Undoing:
    """A step is about to be taken back."""

    step: int


@dataclass(frozen=True, slots=True)
class Closed:
    """What the whole change came to, as the contract has a result."""

    result: Mapping[str, Any]
    outcome: ResultOutcome


@dataclass(frozen=True, slots=True)
class Noted:
    """Nothing that changes what is known of a change."""


Event = Opened | Writing | Stepped | Undoing | Closed | Noted


def read(kind: str, data: Mapping[str, Any]) -> Event:
    """Raises `NotKnown`."""
    try:
        reading = _READINGS.get(kind)
        if reading is None:
            raise NotKnown(f"it is of a kind that is not known here, '{str(kind)[:40]}'")
        return reading(data)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NotKnown("it is no whole record") from None


def _opened(data: Mapping[str, Any]) -> Event:
    plan, way = data["plan"], data.get("on_failure")
    if plan["schema"] > PLAN_SCHEMA:
        raise NotKnown(f"its plan is of a later version (schema {plan['schema']}, this one knows {PLAN_SCHEMA})")
    return Opened(
        data["actor"],
        data.get("reason", ""),
        plan,
        data.get("process", {}),
        bool(data.get("notes_writing")),
        None if way is None else OnFailure(way),
        data.get("noted_at"),
    )


def _closed(data: Mapping[str, Any]) -> Event:
    if not data.get("closes", True):
        return Noted()
    outcome = data["result"]["outcome"]
    if outcome not in _OUTCOMES:
        raise NotKnown(f"its outcome is not known here, '{str(outcome)[:40]}'")
    return Closed(data["result"], ResultOutcome(outcome))


_READINGS: Mapping[str, Callable[[Mapping[str, Any]], Event]] = {
    "open": _opened,
    "writing": lambda data: Writing(int(data["step"]), data.get("recorded", {})),
    "step": lambda data: Stepped(int(data["step"]), data["result"]),
    "undoing": lambda data: Undoing(int(data["step"])),
    "close": _closed,
    "resolve": _closed,
    "note": lambda data: Noted(),
}
"""By the kind of a record: the kinds that this version understands."""
