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

from msgspec import UNSET

from control.contract.plans import plan_to_json
from control.errors import ControlError, JournalError, Locked, NotFound
from control.journal.events import Closed, NotKnown, Opened, read
from control.journal.open_change import OpenChange
from control.journal.port import Journal
from control.journal.process import lives, process_identity
from control.journal.records import Record
from control.journal.state import ChangeState, Said, reduce
from control.own_secrets import strike
from control.planning.plan import OnFailure, Plan, ResultOutcome
from control.structs import replace
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
        with contextlib.suppress(NotKnown):
            closed = [event for one in self.records if isinstance(event := read(one.kind, one.data), Closed)]
            return closed[-1].outcome if closed else None
        return None


class ChangeLog:
    """The changes in one journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def open(
        self, plan: Plan, actor: str, reason: str, overrides: Iterable[str], on_failure: OnFailure | None = None
    ) -> OpenChange:
        """Record that `plan` is about to be applied, and what is to be done where a step fails, where that is not what
        the plan says. On disk when this returns. Raises `JournalError` or `Locked`
        where the journal takes no entry or is not to be relied on: then nothing may be written anywhere."""
        self.journal.check_ready()
        change = f"{time.strftime('%y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        lock, beside = self.journal.change_lock(change), self.journal.beside(change)
        lock.take(1.0, f"change {change}")
        opened = Opened(
            actor=actor,
            reason=strike(reason),
            overrides=sorted(overrides),
            plan=plan_to_json(plan),
            process=process_identity(),
            notes_writing=True,
            on_failure=UNSET if on_failure is None else on_failure,
        )
        begun = OpenChange(change, self.journal, lock, beside)
        try:
            begun.begin(opened)
        except BaseException:
            beside.drop()
            lock.release()
            raise
        return begun

    def reopen(self, change: str) -> OpenChange:
        """Take over a change that no process is at, and give the journal what lies beside it. Raises `Locked` where
        somebody else is at it."""
        lock = self.journal.change_lock(change)
        lock.take(1.0, f"change {change}")
        taken = OpenChange(change, self.journal, lock, self.journal.beside(change))
        try:
            taken.take_over()
        except BaseException:
            taken.abandon()
            raise
        return taken

    def take_up(self, change: str) -> OpenChange:
        """Take over a change and all that is known of it, to go on from there or to state what is true. Raises as
        `reopen` and `get` do."""
        taken = self.reopen(change)
        try:
            taken.go_on_from(self.get(change))
        except BaseException:
            taken.abandon()
            raise
        return taken

    def note(self, actor: str, what: str, data: Mapping[str, Any]) -> None:
        """Record something that is no change of a platform: that somebody armed a session, and why."""
        self.journal.append("note", "", {"actor": actor, "what": what, **data})

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

    def late(self) -> dict[str, ChangeState]:
        """The changes of which something lies beside the journal: it counts as if the journal had it."""
        return {one.change: self.get(one.change) for one in self.kept() if one.records}

    # --- one change ---------------------------------------------------------------------------------------------------

    def get(self, change: str) -> ChangeState:
        """One change. Raises `NotFound`, and `JournalError` where this version does not understand its records."""
        state: ChangeState | None = None
        for entry in self.journal.entries(change):
            state = self._advance(change, state, entry, entry.seq)
        if state is None or state.result is None:
            for record in self._beside(change):
                state = self._advance(change, state, record, 0)
        if state is None:
            raise NotFound(f"there is no change {change}", hint="'trafficdeck history' lists them")
        return self.with_process(state)

    def _advance(self, change: str, state: ChangeState | None, record: Said, seq: int) -> ChangeState | None:
        try:
            return reduce(change, (record,), state)
        except (NotKnown, ControlError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise self._not_understood(seq, error) from None

    def with_process(self, state: ChangeState) -> ChangeState:
        """A change with what its records cannot say: whether, while it is open, a process is at it: it holds the lock,
        or, where we may not ask that, it lives."""
        if state.result is not None:
            return state
        locked = self.journal.change_lock(state.change).is_held()
        return replace(state, at_work=lives(state.process) if locked is None else locked)

    def _beside(self, change: str) -> list[Record]:
        """What lies beside the journal of one change that no process is at."""
        if self.journal.change_lock(change).is_held():
            return []
        try:
            return self.journal.beside(change).records()
        except OSError:
            return []

    def _not_understood(self, seq: int, error: Exception) -> JournalError:
        why = why_not_understood(error)
        return JournalError(
            f"entry {seq} of the journal {self.journal.name} is not understood by this version: {why}",
            hint="update trafficdeck; 'trafficdeck journal verify' says whether the chain holds",
        )


def why_not_understood(error: Exception) -> str:
    """Why a record is not understood, in words."""
    if isinstance(error, ControlError):
        return clean(error.message)
    return str(error) if isinstance(error, NotKnown) else type(error).__name__
