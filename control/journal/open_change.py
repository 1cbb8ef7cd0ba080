"""One change while it is being applied or resolved: what is noted of it, and what becomes of a note that fails.

Before a step's write a note must be in the journal, or nothing is written. After a write nothing may fail for the
journal's sake: what it cannot take is kept beside it (`Beside`) and given to it as soon as it works again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Hashable, Mapping
from typing import Any

from control.contract.plans import result_to_json
from control.errors import ControlError, ErrorKind, JournalError
from control.journal.events import Closed, Event, Opened, Stepped, Undoing, Writing
from control.journal.port import Beside, Journal, Lock
from control.journal.records import Record, same_data
from control.journal.state import ChangeState, advance
from control.planning.plan import Reason, Result, ResultOutcome, StepOutcome, StepResult
from control.serialiser import canonical, to_json
from control.structs import replace

ROOM_PER_BYTE = 4
"""So many bytes are reserved beside the journal for each byte of the plan: its opening, its notes, its result."""
QUICK_SECONDS = 0.3
"""How long a journal that has failed once is waited for when it is tried again."""

_NOTHING = frozenset({StepOutcome.NOT_STARTED, StepOutcome.REFUSED, StepOutcome.UNDONE})


class OpenChange:
    """A change that is being applied (or resolved) by this process."""

    def __init__(self, change: str, journal: Journal, lock: Lock, beside: Beside) -> None:
        self.change = change
        self.trouble: ControlError | None = None
        """Why the journal does not have everything; None while it has."""
        self.lost: str = ""
        """Why what the journal could not take is not beside it either."""
        self._journal = journal
        self._lock = lock
        self._beside = beside
        self._state: ChangeState | None = None
        self._records: list[Record] = []
        self._delivered = 0
        self._loaded = 0
        """So many of the records were kept by an earlier process."""
        self._begun = False
        self._is_read = False
        """Whether it is known what lies beside the journal: only then may it be removed."""
        self._head: str | None = None
        self._identity: Hashable | None = None
        """Which journal it was when the change began: one that is made anew has not heard of it."""

    @property
    def state(self) -> ChangeState:
        """What is known of the change by all that was noted of it."""
        assert self._state is not None, "the change was reopened only to give the journal what lies beside it"
        return self._state

    def begin(self, opened: Opened) -> None:
        """Record that the change is about to be applied, with room for all that may come of it. On disk when this
        returns. Raises `JournalError` or `Locked`; nothing may be written then."""
        self._beside.reserve(ROOM_PER_BYTE * len(canonical(to_json(opened))))
        self._is_read = True
        self._note("open", opened)
        self._settle()
        self._begun = True

    def go_on_from(self, state: ChangeState) -> None:
        """Note further records of a change that was taken over, from what is known of it."""
        self._state = state

    def take_over(self) -> None:
        """Go on with a change that another process left open, with what it kept beside the journal. Raises
        `JournalError` or `Locked` where the journal cannot take that now."""
        self._begun = True
        self._remember_journal()
        try:
            self._records = self._beside.records()
        except OSError as error:
            raise JournalError(f"{self._beside.name} cannot be read: {error.strerror}") from None
        self._is_read = True
        self._loaded = len(self._records)
        if self._records:
            known = self._journal.entries(self.change)
            for record in self._records:
                if not any(one.kind == record.kind and same_data(one.data, record.data) for one in known):
                    break
                self._delivered += 1
            self._settle()

    def note_writing(self, number: int, object: str, recorded: Mapping[str, Any]) -> None:
        """Record that a step is about to be written, with what its platform must know to judge it later. Raises
        `JournalError` or `Locked`; the step must not be written then."""
        before = self._state
        self._note("writing", Writing(number, dict(recorded), object))
        try:
            self._settle()
        except ControlError:
            self._records.pop()
            self._state = before
            raise

    def note_step(self, number: int, result: StepResult) -> None:
        """Record what came of one step. Never raises."""
        told = result_to_json(Result(None, ResultOutcome.INTERRUPTED, None, (result,)))
        self._tell("step", Stepped(number, told["steps"][0]))

    def note_undo(self, number: int, object: str) -> None:
        """Record that a step is about to be taken back. Never raises: taking back is not put off."""
        self._tell("undoing", Undoing(number, object))

    def close(self, outcome: ResultOutcome, steps: tuple[StepResult, ...], kind: str = "close") -> Result:
        """Record the result and give the lock back. Never raises. Returns the result with the new head, or, where the
        journal could not take it, with a null head, why, and what to do."""
        result = Result(self.change, outcome, None, steps)
        closes = outcome is not ResultOutcome.INTERRUPTED
        try:
            self._tell(kind, Closed(result_to_json(result), closes))
        finally:
            self._let_go()
        if self.trouble is None:
            return replace(result, head=self._head)
        return replace(result, steps=tuple(self._told(step) for step in steps), kept=self._where())

    def abandon(self) -> None:
        """Give the lock back and leave the change open: what is true is not known."""
        self._let_go()

    # --- delivering ---------------------------------------------------------------------------------------------------

    def _note(self, kind: str, event: Event) -> None:
        record = Record(kind, time.time(), to_json(event))
        self._records.append(record)
        self._state = advance(self.change, self._state, record)

    def _tell(self, kind: str, event: Event) -> None:
        self._note(kind, event)
        with contextlib.suppress(ControlError):
            self._settle()

    def _settle(self) -> None:
        """Give the journal what it does not have; keep beside it what it does not take, and raise why."""
        try:
            self._deliver()
        except Exception as error:  # whatever it is, the note must not be lost
            self.trouble = _as_ours(error)
            self._keep()
            raise self.trouble from None
        self.trouble = None

    def _deliver(self) -> None:
        wait = None if self.trouble is None else QUICK_SECONDS
        while self._delivered < len(self._records):
            record = self._records[self._delivered]
            self._check_journal()
            late = self.trouble is not None or self._delivered < self._loaded
            data = {**record.data, "noted_at": record.at} if late else record.data
            self._head = self._journal.append(record.kind, self.change, data, wait)
            self._delivered += 1
            self._remember_journal()

    def _remember_journal(self) -> None:
        if self._identity is None:
            with contextlib.suppress(JournalError):
                self._identity = self._journal.identity()

    def _check_journal(self) -> None:
        if self._identity is None:
            return
        now = self._journal.identity()
        if now is None:
            raise JournalError(f"the journal {self._journal.name} is gone")
        if now != self._identity:
            raise JournalError(f"the journal {self._journal.name} was replaced while the change was under way")

    def _keep(self) -> None:
        if not self._begun:
            return  # nothing was written, so there is nothing to keep
        try:
            self._beside.keep(self._records)
            self.lost = ""
        except OSError as error:
            self.lost = error.strerror or type(error).__name__

    def _let_go(self) -> None:
        if self._is_read and self._delivered == len(self._records):
            self._beside.drop()
        else:
            self._beside.close()
        self._lock.release()

    # --- what is said -------------------------------------------------------------------------------------------------

    def _where(self) -> str:
        why = self.trouble.message if self.trouble is not None else ""
        if self.lost:
            return f"the journal could not take what came of change {self.change} ({why}), nor its folder ({self.lost})"
        return f"the journal could not take what came of change {self.change} ({why}): kept in {self._beside.name}"

    def _told(self, step: StepResult) -> StepResult:
        """The step with what the journal lacks of it, where something of it was written."""
        if step.outcome in _NOTHING and step.reason is None:
            return step
        said = f"{self._where()}; run 'trafficdeck resolve {self.change}'"
        if step.reason is not None:
            return replace(step, reason=replace(step.reason, message=f"{step.reason.message}; {said}"))
        return replace(step, reason=Reason(ErrorKind.JOURNAL, said))


def _as_ours(error: Exception) -> ControlError:
    if isinstance(error, ControlError):
        return error
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return JournalError(f"the journal cannot be used: {why}")
