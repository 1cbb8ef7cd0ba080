"""Changes as the journal keeps them: opened before the first write, noted step by step, closed with their result.

An open change holds an operating-system lock beside the journal. Lock held: somebody is at it (`in_progress`). Lock
free while the change is still open: its process died (`interrupted`), and only looking at the platforms tells what is
true.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control.contract.plans import plan_to_json, result_from_json
from control.errors import ControlError, JournalError, Locked, NotFound
from control.journal.open_change import OpenChange
from control.journal.port import Journal
from control.journal.process import lives, process_identity
from control.journal.recorded import Recorded, add, opened
from control.journal.records import Entry, Record
from control.own_secrets import strike
from control.planning.plan import Plan, ResultOutcome
from control.text import clean


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal could not take of one change, as it lies beside it."""

    change: str
    where: str
    """What it is kept in, for people."""
    records: tuple[Record, ...] = ()
    why: str = ""
    """Why it cannot be read; "" where it was."""

    @property
    def outcome(self) -> ResultOutcome | None:
        """What came of the change; None where its process died before it knew, or where it cannot be read."""
        closed = [one for one in self.records if one.kind in ("close", "resolve") and one.data.get("closes", True)]
        return result_from_json(closed[-1].data["result"]).outcome if closed else None


class ChangeLog:
    """The changes in one journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def open(self, plan: Plan, actor: str, reason: str, overrides: Iterable[str]) -> OpenChange:
        """Record that `plan` is about to be applied. On disk when this returns. Raises `JournalError` or `Locked`
        where the journal takes no entry or is not to be relied on: then nothing may be written anywhere."""
        self.journal.check_ready()
        change = f"{time.strftime('%y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        lock, beside = self.journal.change_lock(change), self.journal.beside(change)
        lock.take(1.0, f"change {change}")
        data = {
            "actor": actor,
            "reason": strike(reason),
            "overrides": sorted(overrides),
            "plan": plan_to_json(plan),
            "process": process_identity(),
            "notes_writing": True,
        }
        begun = OpenChange(change, self.journal, lock, beside)
        try:
            begun.begin(data)
        except BaseException:
            beside.drop()
            lock.release()
            raise
        return begun

    def reopen(self, change: str) -> OpenChange:
        """Take over an interrupted change to state the truth of it. Raises `Locked` where somebody else is at it."""
        lock = self.journal.change_lock(change)
        lock.take(1.0, f"change {change}")
        taken = OpenChange(change, self.journal, lock, self.journal.beside(change))
        try:
            taken.take_over()
        except BaseException:
            taken.abandon()
            raise
        return taken

    def note(self, actor: str, what: str, data: Mapping[str, Any]) -> None:
        """Record something that is no change of a platform: that somebody armed a session, and why."""
        self.journal.append("note", "", {"actor": actor, "what": what, **data})

    def _is_at_it(self, recorded: Recorded) -> bool:
        """Whether a process is at an open change: it holds the lock, or, where we may not ask that, it lives."""
        locked = self.journal.change_lock(recorded.change).is_held()
        return lives(recorded.process) if locked is None else locked

    # --- what the journal could not take ------------------------------------------------------------------------------

    def kept(self) -> list[Kept]:
        """What lies beside the journal of changes that no process is at."""
        kept: list[Kept] = []
        for change in self.journal.changes_beside():
            if self.journal.change_lock(change).is_held():
                continue
            beside = self.journal.beside(change)
            try:
                records = tuple(beside.records())
            except OSError as error:
                kept.append(Kept(change, beside.name, why=error.strerror or type(error).__name__))
                continue
            if records:
                kept.append(Kept(change, beside.name, records))
        return kept

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

    def late(self) -> dict[str, Recorded]:
        """The changes of which something lies beside the journal: it counts as if the journal had it."""
        return {one.change: self.get(one.change) for one in self.kept() if one.records}

    # --- one change ---------------------------------------------------------------------------------------------------

    def get(self, change: str) -> Recorded:
        """One change. Raises `NotFound`, and `JournalError` where this version does not understand its records."""
        recorded: Recorded | None = None
        for entry in (*self.journal.entries(change), *self._entries_beside(change)):
            try:
                if entry.kind == "open":
                    recorded = recorded or opened(entry)
                elif recorded is not None and (entry.seq or recorded.result is None):
                    add(recorded, entry)
            except (ControlError, KeyError, ValueError, TypeError, AttributeError) as error:
                raise self._not_understood(entry.seq, error) from None
        if recorded is None:
            raise NotFound(f"there is no change {change}", hint="'trafficdeck history' lists them")
        return self.with_process(recorded)

    def with_process(self, recorded: Recorded) -> Recorded:
        """A change with what its entries cannot say: whether, while it is open, a process is at it."""
        if recorded.result is None:
            recorded.held = self._is_at_it(recorded)
        return recorded

    def _entries_beside(self, change: str) -> list[Entry]:
        """What lies beside the journal of one change that no process is at, as entries without a number."""
        if self.journal.change_lock(change).is_held():
            return []
        try:
            records = self.journal.beside(change).records()
        except OSError:
            return []
        return [Entry(0, "", record.at, record.kind, change, record.data) for record in records]

    def _not_understood(self, seq: int, error: Exception) -> JournalError:
        why = error.message if isinstance(error, ControlError) else type(error).__name__
        return JournalError(
            f"entry {seq} of the journal {self.journal.name} is not understood by this version: {clean(why)}",
            hint="update trafficdeck; 'trafficdeck journal verify' says whether the chain holds",
        )
