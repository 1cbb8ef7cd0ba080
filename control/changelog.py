"""Changes as the journal keeps them: opened before the first write, noted step by step, closed with their result.

An open change holds an operating-system lock beside the journal. Lock held: somebody is at it (`in_progress`). Lock
free while the change is still open: its process died (`interrupted`), and only looking at the platforms tells what is
true.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from control.beside import Beside, Record, kept_changes, path_beside, records_in
from control.edit import Change, split_field
from control.errors import ErrorKind, Locked, NotFound
from control.journal import Entry, Journal
from control.model import Weight
from control.openchange import OpenChange
from control.oslocks import FileLock, is_held
from control.plan import (
    HistoryItem,
    HistoryStep,
    Plan,
    Reason,
    Result,
    ResultOutcome,
    StepOutcome,
    StepResult,
)
from control.planshapes import plan_from_json, plan_to_json, result_from_json
from control.ref import Ref

DONE = frozenset(
    {
        ResultOutcome.APPLIED,
        ResultOutcome.APPLIED_UNPROVEN,
        ResultOutcome.PARTLY_APPLIED,
        ResultOutcome.IN_PROGRESS,
    }
)
"""Outcomes after which something of the change is in force."""


@dataclass(slots=True)
class Recorded:
    """One change as the journal has it."""

    change: str
    at: float
    actor: str
    reason: str
    plan: Plan
    process: Mapping[str, Any]
    noted: dict[int, StepResult] = field(default_factory=dict)
    """What was noted of single steps while the change was open."""
    writing: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """The steps that were about to be written, each with what its platform recorded right before."""
    notes_writing: bool = False
    """Whether a step that is not in `writing` is known not to have been begun; earlier versions did not note it."""
    result: Result | None = None
    """None while it is open."""
    held: bool = False
    """While it is open: does a process hold its lock?"""

    @property
    def outcome(self) -> ResultOutcome:
        if self.result is not None:
            left = self.result.outcome is ResultOutcome.IN_PROGRESS
            return ResultOutcome.APPLIED_UNPROVEN if left else self.result.outcome
        return ResultOutcome.IN_PROGRESS if self.held else ResultOutcome.INTERRUPTED

    @property
    def unfinished(self) -> bool:
        """It ended while the platform was still at it: written, and to be followed up."""
        return self.result is not None and self.result.outcome is ResultOutcome.IN_PROGRESS

    @property
    def interrupted(self) -> bool:
        return self.result is None and not self.held

    def step_result(self, number: int) -> StepResult | None:
        """The last that is known of one step, or None."""
        if self.result is not None and number < len(self.result.steps):
            return self.result.steps[number]
        return self.noted.get(number)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal could not take of one change, as it lies beside it."""

    change: str
    path: Path
    records: tuple[Record, ...] = ()
    why: str = ""
    """Why it cannot be read; "" where it was."""

    @property
    def outcome(self) -> ResultOutcome | None:
        """What came of the change; None where its process died before it knew, or where it cannot be read."""
        closed = [one for one in self.records if one.kind in ("close", "resolve") and one.data.get("closes", True)]
        return result_from_json(closed[-1].data["result"]).outcome if closed else None


def lives(process: Mapping[str, Any]) -> bool:
    """Whether the process with this identity still runs, as far as this machine can tell."""
    if process.get("boot_id") != _read("/proc/sys/kernel/random/boot_id"):
        return False
    pid = process.get("pid")
    return isinstance(pid, int) and _start_ticks(str(pid)) == process.get("started")


def process_identity() -> dict[str, Any]:
    """Who we are among all processes of all boots: pid, start time in clock ticks since boot, boot id."""
    return {"pid": os.getpid(), "started": _start_ticks(), "boot_id": _read("/proc/sys/kernel/random/boot_id")}


def _start_ticks(pid: str = "self") -> int | None:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


class ChangeLog:
    """The changes in one journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def open(self, plan: Plan, actor: str, reason: str, overrides: Iterable[str]) -> OpenChange:
        """Record that `plan` is about to be applied. On disk when this returns."""
        change = f"{time.strftime('%y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        self.journal.ensure()
        lock = FileLock(self._lock_path(change))
        lock.take(1.0, f"change {change}")
        beside = Beside(path_beside(self.journal.path, change))
        data = {
            "actor": actor,
            "reason": reason,
            "overrides": sorted(overrides),
            "plan": plan_to_json(plan),
            "process": process_identity(),
            "notes_writing": True,
        }
        opened = OpenChange(change, self.journal, lock, beside)
        try:
            opened.begin(data)
        except BaseException:
            beside.drop()
            lock.release()
            raise
        return opened

    def reopen(self, change: str) -> OpenChange:
        """Take over an interrupted change to state the truth of it. Raises `Locked` where somebody else is at it."""
        lock = FileLock(self._lock_path(change))
        lock.take(1.0, f"change {change}")
        opened = OpenChange(change, self.journal, lock, Beside(path_beside(self.journal.path, change)))
        opened.take_over()
        return opened

    def note(self, actor: str, what: str, data: Mapping[str, Any]) -> None:
        """Record something that is no change of a platform: that somebody armed a session, and why."""
        self.journal.append("note", "", {"actor": actor, "what": what, **data})

    def _lock_path(self, change: str) -> Path:
        return self.journal.path.with_name(f"{self.journal.path.name}.{change}.open")

    def recorded(self, change: str | None = None, since: float = 0.0) -> list[Recorded]:
        """All changes that were begun since then, or one, oldest first."""
        found: dict[str, Recorded] = {}
        for entry in self.journal.entries(change, since):
            if entry.kind == "open":
                found[entry.change] = _opened(entry)
            elif entry.change in found:
                _add(found[entry.change], entry)
        self._add_kept(found, change, since)
        for one in found.values():
            if one.result is None:
                one.held = self._is_at_it(one)
        return list(found.values())

    def _is_at_it(self, recorded: Recorded) -> bool:
        """Whether a process is at an open change: it holds the lock, or, where we may not ask that, it lives."""
        held = is_held(self._lock_path(recorded.change))
        return lives(recorded.process) if held is None else held

    # --- what the journal could not take ------------------------------------------------------------------------------

    def kept(self) -> list[Kept]:
        """What lies beside the journal of changes that no process is at."""
        found: list[Kept] = []
        for change, path in kept_changes(self.journal.path):
            if is_held(self._lock_path(change)):
                continue
            try:
                records = tuple(records_in(path))
            except OSError as error:
                found.append(Kept(change, path, why=error.strerror or type(error).__name__))
                continue
            if records:
                found.append(Kept(change, path, records))
        return found

    def take_in(self) -> list[Kept]:
        """Give the journal what lies beside it; returns what it took. Raises `JournalError` or `Locked` where it
        cannot take it now."""
        taken: list[Kept] = []
        for one in self.kept():
            if one.records:
                with contextlib.suppress(Locked):  # another process is about to do the same
                    self.reopen(one.change).abandon()
                    taken.append(one)
        return taken

    def _add_kept(self, found: dict[str, Recorded], change: str | None, since: float) -> None:
        """What lies beside counts as if the journal had it."""
        for one in self.kept():
            if change not in (None, one.change) or not one.records or one.records[0].at < since:
                continue
            for record in one.records:
                entry = Entry(0, "", record.at, record.kind, one.change, record.data)
                if record.kind == "open":
                    found.setdefault(one.change, _opened(entry))
                elif one.change in found and found[one.change].result is None:
                    _add(found[one.change], entry)

    def get(self, change: str) -> Recorded:
        """One change. Raises `NotFound`."""
        found = self.recorded(change)
        if not found:
            raise NotFound(f"there is no change {change}", hint="'trafficdeck history' lists them")
        return found[0]

    def interrupted(self) -> list[Recorded]:
        """The changes whose process died, oldest first."""
        return [one for one in self.recorded() if one.interrupted]

    def last_of(self, actor: str) -> Recorded:
        """The last change of `actor` that was begun and not refused, whatever came of it. Raises `NotFound`.

        One that was rolled back is not passed over: whoever says "undo" then does not mean the change before it.
        """
        nothing = (ResultOutcome.REFUSED, ResultOutcome.NO_CHANGE)
        mine = [one for one in self.recorded() if one.actor == actor and one.outcome not in nothing]
        if not mine:
            raise NotFound(f"{actor} has no change to undo", hint="name one: 'trafficdeck history' lists them")
        return mine[-1]

    def history(self) -> list[HistoryItem]:
        """All changes, newest first."""
        recorded = self.recorded()
        undone = {one.plan.undo_of: one.change for one in recorded if one.plan.undo_of and one.outcome in DONE}
        return [
            HistoryItem(
                one.change,
                one.at,
                one.actor,
                one.reason,
                one.outcome,
                undone.get(one.change),
                tuple(HistoryStep(step.object, step.changes) for step in one.plan.steps),
            )
            for one in reversed(recorded)
        ]

    def last_change_at(self, since: float) -> dict[Ref, float]:
        """When each ref was last changed, since then, by a change that left something in force."""
        found: dict[Ref, float] = {}
        for one in self.recorded(since=since):
            if one.outcome in DONE:
                found.update({change.ref: one.at for step in one.plan.steps for change in step.changes})
        return found

    def remembered_weight(self, ref: Ref, target: str) -> Weight | None:
        """The weight that a target had before it was last set to 0, as far as the journal knows."""
        for one in reversed(self.recorded()):
            if one.outcome not in DONE:
                continue
            for change in _changes(one):
                name, what = split_field(change.field)
                if change.ref == ref and name == target and what in ("weight", "share") and change.after == 0:
                    return change.before if isinstance(change.before, Weight) else None
        return None


def _changes(recorded: Recorded) -> Iterable[Change]:
    return (change for step in recorded.plan.steps for change in step.changes)


def _opened(entry: Entry) -> Recorded:
    data = entry.data
    return Recorded(
        entry.change,
        data.get("noted_at", entry.at),
        data["actor"],
        data["reason"],
        plan_from_json(data["plan"]),
        data.get("process", {}),
        notes_writing=bool(data.get("notes_writing")),
    )


def _add(recorded: Recorded, entry: Entry) -> None:
    if entry.kind == "step":
        result = result_from_json({**_EMPTY_RESULT, "steps": [entry.data["result"]]})
        recorded.noted[int(entry.data["step"])] = result.steps[0]
    elif entry.kind == "writing":
        recorded.writing[int(entry.data["step"])] = entry.data.get("recorded", {})
    elif entry.kind in ("close", "resolve") and entry.data.get("closes", True):
        recorded.result = result_from_json(entry.data["result"])


_EMPTY_RESULT = {"change": None, "outcome": ResultOutcome.INTERRUPTED.value, "head": None}


def refused(plan: Plan, head: str | None, reasons: Mapping[int, tuple[ErrorKind, str]]) -> Result:
    """The result of a plan of which nothing was written; `reasons` are by step number."""
    steps = tuple(
        StepResult(step.object, StepOutcome.REFUSED, Reason(*reasons[number]))
        if number in reasons
        else StepResult(step.object, StepOutcome.NOT_STARTED)
        for number, step in enumerate(plan.steps)
    )
    return Result(None, ResultOutcome.REFUSED, head, steps)
