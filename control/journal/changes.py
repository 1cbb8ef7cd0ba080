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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from control.applying.open_change import OpenChange
from control.contract.plans import plan_from_json, plan_to_json, result_from_json
from control.errors import ControlError, ErrorKind, JournalError, Locked, NotFound
from control.journal.beside import Beside, Record, kept_changes, path_beside, records_in
from control.journal.index import ChangeIndex, Indexed
from control.journal.journal import Entry, Journal, told
from control.journal.os_locks import FileLock, is_held
from control.model import Weight
from control.model.ref import Ref
from control.own_secrets import strike
from control.planning.edit import Change, target_field
from control.planning.plan import (
    HistoryItem,
    HistoryPage,
    HistoryStep,
    Plan,
    Reason,
    Result,
    ResultOutcome,
    StepOutcome,
    StepResult,
)
from control.text import clean

PAGE = 200
"""So many changes are listed where nobody asks for more."""

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
    def doubtful(self) -> bool:
        """It ended with something that is not known, or that is in force though it should not be."""
        doubts = (StepOutcome.UNKNOWN, StepOutcome.UNDO_FAILED, StepOutcome.FAILED)
        return self.result is not None and any(step.outcome in doubts for step in self.result.steps)

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
        """Record that `plan` is about to be applied. On disk when this returns. Raises `JournalError` or `Locked`
        where the journal takes no entry or is not to be relied on: then nothing may be written anywhere."""
        self.journal.check_ready()
        change = f"{time.strftime('%y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        lock = FileLock(self._lock_path(change))
        lock.take(1.0, f"change {change}")
        beside = Beside(path_beside(self.journal.path, change))
        data = {
            "actor": actor,
            "reason": strike(reason),
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
        try:
            opened.take_over()
        except BaseException:
            opened.abandon()
            raise
        return opened

    def note(self, actor: str, what: str, data: Mapping[str, Any]) -> None:
        """Record something that is no change of a platform: that somebody armed a session, and why."""
        self.journal.append("note", "", {"actor": actor, "what": what, **data})

    def _lock_path(self, change: str) -> Path:
        return self.journal.path.with_name(f"{self.journal.path.name}.{change}.open")

    def last(self) -> int:
        """The number of the journal's last entry: while it stays, the journal has heard of no change."""
        return self.journal.last()

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

    def _late(self) -> dict[str, Recorded]:
        """The changes of which something lies beside the journal: it counts as if the journal had it."""
        return {one.change: self.get(one.change) for one in self.kept() if one.records}

    # --- one change ---------------------------------------------------------------------------------------------------

    def get(self, change: str) -> Recorded:
        """One change. Raises `NotFound`, and `JournalError` where this version does not understand its records."""
        found: Recorded | None = None
        for entry in (*self.journal.entries(change), *self._entries_beside(change)):
            try:
                if entry.kind == "open":
                    found = found or _opened(entry)
                elif found is not None and (entry.seq or found.result is None):
                    _add(found, entry)
            except (ControlError, KeyError, ValueError, TypeError, AttributeError) as error:
                raise self._not_understood(entry.seq, error) from None
        if found is None:
            raise NotFound(f"there is no change {change}", hint="'trafficdeck history' lists them")
        if found.result is None:
            found.held = self._is_at_it(found)
        return found

    def _entries_beside(self, change: str) -> list[Entry]:
        """What lies beside the journal of one change that no process is at, as entries without a number."""
        if is_held(self._lock_path(change)):
            return []
        try:
            records = records_in(path_beside(self.journal.path, change))
        except OSError:
            return []
        return [Entry(0, "", record.at, record.kind, change, record.data) for record in records]

    def _not_understood(self, seq: int, error: Exception) -> JournalError:
        why = error.message if isinstance(error, ControlError) else type(error).__name__
        return JournalError(
            f"entry {seq} of the journal {self.journal.path} is not understood by this version: {clean(why)}",
            hint="update trafficdeck; 'trafficdeck journal verify' says whether the chain holds",
        )

    # --- many changes -------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[Recorded]:
        """The changes that are open, or that their process left in progress; oldest first."""
        with self.journal.index() as index:
            found = index.unfinished() if index is not None else []
        names = dict.fromkeys([*(one.change for one in found), *self._late()])
        every = [self.get(change) for change in names]
        return [one for one in every if one.result is None or one.unfinished]

    def last_of(self, actor: str) -> Recorded:
        """The last change of `actor` that was begun and not refused, whatever came of it. Raises `NotFound`.

        One that was rolled back is not passed over: whoever says "undo" then does not mean the change before it.
        """
        nothing = (ResultOutcome.REFUSED, ResultOutcome.NO_CHANGE)
        with self.journal.index() as index:
            self._understood(index)
            found = index.by_actor(actor, nothing) if index is not None else None
        late = [one for one in self._late().values() if one.actor == actor and one.outcome not in nothing]
        mine = [*([self.get(found.change)] if found is not None else []), *late]
        if not mine:
            raise NotFound(f"{actor} has no change to undo", hint="name one: 'trafficdeck history' lists them")
        return max(mine, key=lambda one: one.at)

    def history(self, limit: int | None = PAGE, before: str | None = None, since: float | None = None) -> HistoryPage:
        """The newest changes first: at most `limit` (all with None) of those that were begun before the change
        `before`, or since then (Unix time). Costs what is listed, not what there is."""
        late = self._late()
        with self.journal.index() as index:
            rows: list[Indexed] = []
            first: list[tuple[int, str]] = []
            undone: dict[str, str | None] = {}
            older, count = 0, 0
            if index is not None:
                rows, older = self._rows(index, limit, before, since)
                undone = {row.change: self._undone_by(index, row.change) for row in rows}
                count, first = index.unknown()
                beside = [one for one in late.values() if index.get(one.change) is None]
            else:
                beside = list(late.values())
        items, wrong = self._items(rows, undone, late)
        if before is None:
            new = [one for one in beside if since is None or one.at >= since]
            items = [*sorted(map(_item, new), key=lambda item: -item.at), *items]
        return HistoryPage(tuple(items), older, count + len(wrong), told([*first, *wrong]))

    def _rows(
        self, index: ChangeIndex, limit: int | None, before: str | None, since: float | None
    ) -> tuple[list[Indexed], int]:
        """(what the index lists, how many older ones it has). Raises `NotFound`."""
        place = index.get(before) if before is not None else None
        if before is not None and place is None:
            raise NotFound(f"there is no change {before}", hint="'trafficdeck history' lists the newest")
        if since is not None:
            rows = index.since(since, limit)
        else:
            rows = index.page(limit, None if place is None else place.number)
        return rows, min(row.number for row in rows) - 1 if rows else (index.count() if place is None else 0)

    def open_items(self) -> HistoryPage:
        """The changes that are open, as `history` lists them, oldest first, and what is not understood."""
        late = self._late()
        with self.journal.index() as index:
            rows = [row for row in index.unfinished() if row.outcome is None] if index is not None else []
            count, first = index.unknown() if index is not None else (0, [])
        items, wrong = self._items(rows, {}, late)
        listed = {item.change for item in items}
        items += [_item(one) for one in late.values() if one.change not in listed]
        still = [item for item in items if item.outcome in (ResultOutcome.IN_PROGRESS, ResultOutcome.INTERRUPTED)]
        return HistoryPage(tuple(still), 0, count + len(wrong), told([*first, *wrong]))

    def _items(
        self, rows: Sequence[Indexed], undone: Mapping[str, str | None], late: Mapping[str, Recorded]
    ) -> tuple[list[HistoryItem], list[tuple[int, str]]]:
        """(what is listed of these changes, the records that are not understood)."""
        entries = self.journal.numbered([row.opened for row in rows])
        items: list[HistoryItem] = []
        wrong: list[tuple[int, str]] = []
        for row in rows:
            entry = entries[row.opened]
            try:
                if isinstance(entry, JournalError):
                    raise entry
                recorded = late.get(row.change) or self._as_indexed(row, entry)
                items.append(_item(recorded, undone.get(row.change)))
            except (ControlError, KeyError, ValueError, TypeError, AttributeError) as error:
                why = error.message if isinstance(error, ControlError) else type(error).__name__
                wrong.append((row.opened, clean(why)))
        return items, wrong

    def _as_indexed(self, row: Indexed, opening: Entry) -> Recorded:
        """A change from its opening and what the index says became of it; its result holds no steps."""
        recorded = _opened(opening)
        if row.outcome is None:
            recorded.held = self._is_at_it(recorded)
        else:
            recorded.result = Result(row.change, row.outcome, None)
        return recorded

    def _in_force(self, row: Indexed) -> bool:
        return (row.outcome or self.get(row.change).outcome) in DONE

    def _undone_by(self, index: ChangeIndex, change: str) -> str | None:
        """The last change that took one back and is in force."""
        return next((undo.change for undo in index.undoing(change) if self._in_force(undo)), None)

    def last_change_at(self, since: float) -> tuple[dict[Ref, float], str]:
        """When each ref was last changed, since then, by a change that left or may have left something in force; and
        why more than that may be so, where the journal holds what this version does not understand."""
        with self.journal.index() as index:
            known = index.touched_since(since, DONE) if index is not None else {}
            count, first = index.unknown() if index is not None else (0, [])
        found = {Ref.parse(ref): at for ref, at in known.items()}
        for one in self._late().values():
            if one.at >= since:
                found.update({change.ref: max(one.at, found.get(change.ref, 0.0)) for change in _changes(one)})
        return found, told(first) if count else ""

    def remembered_weight(self, ref: Ref, target: str) -> Weight | None:
        """The weight that a target had before it was last set to 0, as far as the journal knows. Raises `JournalError`
        where the journal may know more than this version understands."""
        fields = [target_field(target, what) for what in ("weight", "share")]
        with self.journal.index() as index:
            self._understood(index)
            rows = index.zeroing(str(ref), *fields) if index is not None else ()
            found = next((row for row in rows if self._in_force(row)), None)
        mine = [one for one in self._late().values() if one.outcome in DONE]
        mine += [self.get(found.change)] if found is not None else []
        for one in sorted(mine, key=lambda one: -one.at):
            for change in _changes(one):
                if change.ref == ref and change.field in fields and change.after == 0:
                    return change.before if isinstance(change.before, Weight) else None
        return None

    def _understood(self, index: ChangeIndex | None) -> None:
        """Raises `JournalError` where there are records that this version does not understand."""
        count, first = index.unknown() if index is not None else (0, [])
        if count:
            raise self.journal.not_understood(count, first)


def _item(recorded: Recorded, undone_by: str | None = None) -> HistoryItem:
    steps = tuple(HistoryStep(step.object, step.changes) for step in recorded.plan.steps)
    reason, outcome = recorded.reason, recorded.outcome
    return HistoryItem(recorded.change, recorded.at, recorded.actor, reason, outcome, undone_by, steps)


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
