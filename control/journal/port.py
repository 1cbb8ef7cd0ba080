"""What control asks of a journal, whatever keeps it: an append-only chain of entries, an index of the changes in it,
room beside it for what it cannot take, and locks among all that share it.

`control.journal.sqlite` keeps it in one file. All methods block and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from control.errors import JournalError
from control.journal.records import Entry, Indexed, Record, Verification, told
from control.planning.plan import ResultOutcome


class Journal(Protocol):
    """One journal. It is made by the first `append`; before that it is empty.

    Raises `JournalError` where it is damaged, of a later version or cannot be used, and `Locked` where others hold it
    for too long.
    """

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def identity(self) -> Hashable | None:
        """Which journal it is: one that was made anew in its place is another. None where there is none."""
        ...

    # --- the chain ----------------------------------------------------------------------------------------------------

    def append(self, kind: str, change: str, data: Mapping[str, Any], wait_seconds: float | None = None) -> str:
        """Add one entry, on disk when this returns. Returns the new head hash. Waits at most `wait_seconds` for
        others, by default as long as the journal is made to."""
        ...

    def check_ready(self) -> None:
        """Raises where the next entry could not be appended, or where what is there is not to be relied on: damaged at
        its end, of a later version, with records that this version does not understand."""
        ...

    def entries(self, change: str | None = None) -> list[Entry]:
        """The entries of one change, or all there are, oldest first."""
        ...

    def numbered(self, numbers: Sequence[int]) -> dict[int, Entry | JournalError]:
        """Single entries by number; what is wrong with one stands in its place."""
        ...

    def head(self) -> str | None:
        """The hash of the last entry; None while there is none."""
        ...

    def last(self) -> int:
        """The number of the last entry; 0 while there is none."""
        ...

    def verify(self, head: str | None = None, begin: int | str | None = None) -> Verification:
        """Walk the chain, from entry `begin` (its number or its hash) or from the first on. With `head`, a hash that
        was printed earlier, it must also be found in it. Raises `NotFound` for a `begin` that is not there."""
        ...

    def index(self) -> AbstractContextManager[ChangeIndex]:
        """What answers questions about changes, all as of one moment."""
        ...

    # --- beside the chain ---------------------------------------------------------------------------------------------

    def beside(self, change: str) -> Beside:
        """Where what the journal cannot take of one change is kept."""
        ...

    def changes_beside(self) -> list[str]:
        """The changes for which there is something beside the journal, the oldest first. It may hold nothing."""
        ...

    def change_lock(self, change: str) -> Lock:
        """Held by the process that is at an open change."""
        ...

    def object_lock(self, object: str) -> Lock:
        """Held while a native object is written, so that our own people do not race each other there."""
        ...


class ChangeIndex(Protocol):
    """Questions about the changes of a journal that cost what they list, not what there is."""

    def page(self, limit: int | None, before: int | None = None) -> list[Indexed]:
        """The newest changes first: at most `limit`, with numbers below `before`."""
        ...

    def since(self, at: float, limit: int | None) -> list[Indexed]:
        """The changes that were begun since then (Unix time), newest first."""
        ...

    def get(self, change: str) -> Indexed | None: ...

    def unfinished(self) -> list[Indexed]:
        """What is open, or was left in progress; oldest first."""
        ...

    def by_actor(self, actor: str, without: Iterable[ResultOutcome]) -> Indexed | None:
        """The last change of an actor with another outcome than these, the open ones among them."""
        ...

    def undoing(self, change: str) -> list[Indexed]:
        """The undos of a change, last first."""
        ...

    def touched_since(self, at: float, outcomes: Iterable[ResultOutcome]) -> dict[str, float]:
        """Ref -> when it was last changed, since then, by a change that is open or has one of these outcomes."""
        ...

    def zeroing(self, ref: str, field: str, or_field: str) -> Iterable[Indexed]:
        """The changes that set one of two fields of `ref` to 0, last first."""
        ...

    def unknown(self, limit: int = 5) -> tuple[int, list[tuple[int, str]]]:
        """(how many records are not understood, the first of them as number and why)."""
        ...

    def count(self) -> int:
        """How many changes there are."""
        ...


def check_understood(journal: str, index: ChangeIndex) -> None:
    """Raises `JournalError` where there are records that this version does not understand."""
    count, first = index.unknown()
    if count:
        raise JournalError(
            f"the journal {journal} has {count} records that this version does not understand: {told(first)}",
            hint="nothing is written on top of what is not understood; update trafficdeck",
        )


class Beside(Protocol):
    """What the journal could not take of one change, with room reserved for it before the first write."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def reserve(self, size: int) -> None:
        """Take so many bytes of room. Raises `JournalError` where there is none."""
        ...

    def keep(self, records: Sequence[Record]) -> None:
        """Keep all records of the change so far, on disk when this returns. Raises `OSError`."""
        ...

    def records(self) -> list[Record]:
        """What is kept, as far as it was written whole; nothing where there is nothing. Raises `OSError`."""
        ...

    def close(self) -> None:
        """Let go of it and leave it there."""
        ...

    def drop(self) -> None:
        """Remove it: the journal has everything."""
        ...


class Lock(Protocol):
    """An exclusive lock that ends with its process, however that ends."""

    def take(self, wait_seconds: float, what: str) -> None:
        """Wait at most so long for the lock; then raise `Locked` naming `what`."""
        ...

    def release(self) -> None: ...

    def is_held(self) -> bool | None:
        """Whether some process holds it; None where we may not ask. Asking disturbs nobody."""
        ...
