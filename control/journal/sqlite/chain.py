"""The chain of a journal's entries in its file: append-only, each entry with the SHA-256 of the one before it.

A change in the middle breaks the chain, and a head hash that was printed earlier shows a cut-off tail. What is asked of
changes is answered by the tables of `control.journal.sqlite.tables`, so that a journal of many years costs what one of
a day does. No secret may enter: what is kept are plans, their native diffs (masked by adapters) and results.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from control.errors import ControlError, JournalError, NotFound
from control.journal.port import check_understood
from control.journal.records import GENESIS, Entry, Verification
from control.journal.sqlite import tables
from control.journal.sqlite.beside import BesideFile, changes_beside, path_beside
from control.journal.sqlite.file import LOOK_SECONDS, SqliteFile
from control.journal.sqlite.os_locks import FileLock
from control.journal.sqlite.tables import SqliteIndex
from control.serialiser import canonical

TAIL = 50
"""So many of the last entries are checked before something is written."""
_BEFORE = "SELECT seq, previous FROM entries WHERE"


def _hash(previous: str, body: str) -> str:
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def _record(body: str) -> dict[str, Any] | None:
    """The record in an entry's text; None where it is none."""
    try:
        record = json.loads(body)
    except ValueError:
        return None
    whole = isinstance(record, dict) and {"seq", "at", "kind", "change", "data"} <= record.keys()
    return record if whole else None


def _columns(record: Mapping[str, Any]) -> tuple[Any, ...]:
    return record["seq"], record["at"], record["kind"], record["change"]


class SqliteJournal:
    """See `control.journal.port.Journal`."""

    def __init__(self, path: Path, busy_seconds: float = 10.0) -> None:
        """`busy_seconds` is how long a write waits for others; who only looks waits at most `LOOK_SECONDS`."""
        self.file = SqliteFile(path, busy_seconds)

    @property
    def path(self) -> Path:
        return self.file.path

    @property
    def name(self) -> str:
        return str(self.path)

    def identity(self) -> Hashable | None:
        try:
            seen = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise JournalError(f"the journal {self.path} is gone: {error.strerror}") from None
        return seen.st_dev, seen.st_ino

    def beside(self, change: str) -> BesideFile:
        return BesideFile(path_beside(self.path, change))

    def changes_beside(self) -> list[str]:
        return changes_beside(self.path)

    def change_lock(self, change: str) -> FileLock:
        return FileLock(self.path.with_name(f"{self.path.name}.{change}.open"))

    def object_lock(self, object: str) -> FileLock:
        mark = hashlib.sha256(object.encode()).hexdigest()[:16]
        return FileLock(self.path.with_name(f"{self.path.name}.{mark}.lock"))

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, kind: str, change: str, data: Mapping[str, Any], wait_seconds: float | None = None) -> str:
        """See `Journal.append`."""
        busy = self.file.busy_seconds
        with self.file.writing(busy if wait_seconds is None else min(wait_seconds, busy)) as connection:
            last = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
            at = time.time()
            record = {"seq": seq, "at": at, "kind": kind, "change": change, "data": data}
            body = canonical(record).decode()
            head = _hash(previous, body)
            connection.execute(
                "INSERT INTO entries (seq, hash, previous, at, kind, change, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, head, previous, at, kind, change, body),
            )
            self._index_too(connection)
        return head

    def _index_too(self, connection: sqlite3.Connection) -> None:
        """The index follows in the same transaction. Where it cannot, the entry counts, and who looks makes it anew."""
        connection.execute("SAVEPOINT indexing")
        try:
            tables.follow(connection)
        except sqlite3.Error:
            connection.execute("ROLLBACK TO indexing")
        connection.execute("RELEASE indexing")

    def check_ready(self) -> None:
        """See `Journal.check_ready`."""
        with self.file.writing(self.file.busy_seconds) as connection:
            rows = connection.execute(
                "SELECT seq, hash, previous, body FROM entries ORDER BY seq DESC LIMIT ?", (TAIL,)
            )
            after = None
            for seq, own, previous, body in rows.fetchall():
                self._entry(seq, own, previous, body)
                if after is not None and own != after:
                    raise self.file.corrupt(f"entry {seq + 1} does not follow entry {seq}")
                after = previous
        with self.index() as index:
            check_understood(self.name, index)

    # --- reading ------------------------------------------------------------------------------------------------------

    def entries(self, change: str | None = None) -> list[Entry]:
        """The entries of one change, or all there are, oldest first."""
        query = "SELECT seq, hash, previous, body FROM entries"
        with self._reading() as connection:
            if connection is None:
                return []
            if change is None:
                rows = connection.execute(f"{query} ORDER BY seq").fetchall()
            else:
                rows = connection.execute(f"{query} WHERE change = ? ORDER BY seq", (change,)).fetchall()
        return [self._entry(*row) for row in rows]

    def numbered(self, numbers: Sequence[int]) -> dict[int, Entry | JournalError]:
        """Single entries by number; what is wrong with one stands in its place."""
        entries: dict[int, Entry | JournalError] = {}
        with self._reading() as connection:
            for seq in numbers:
                row = (
                    connection
                    and connection.execute(
                        "SELECT seq, hash, previous, body FROM entries WHERE seq = ?", (seq,)
                    ).fetchone()
                )
                try:
                    entries[seq] = self._entry(*row) if row else self.file.corrupt(f"entry {seq} is gone")
                except JournalError as error:
                    entries[seq] = error
        return entries

    def head(self) -> str | None:
        """The hash of the last entry; None while there is none."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            return str(row[0]) if row else None

    @contextlib.contextmanager
    def index(self) -> Iterator[SqliteIndex]:
        """What answers questions about changes, as far as the chain goes now."""
        with self._reading(indexed=True) as connection:
            if connection is not None:
                yield SqliteIndex(connection)
                return
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as nothing:
            tables.make(nothing)
            yield SqliteIndex(nothing)

    def verify(self, head: str | None = None, begin: int | str | None = None) -> Verification:
        """Walk the chain, from entry `begin` (its number or its hash) or from the first on. With `head`, a hash that
        was printed earlier, it must also be found in it. Raises `NotFound` for a `begin` that is not there.

        Reads a batch at a time: nobody who appends waits for it.
        """
        count, previous = self._before(begin)
        last, met, agrees = previous if count else None, head is None, True
        while rows := self._batch(count):
            with self.index() as index:
                for seq, own, before, at, kind, change, body in rows:
                    good = seq == count + 1 and before == previous and own == _hash(previous, body)
                    record = _record(body) if good else None
                    if record is None or _columns(record) != (seq, at, kind, change):
                        return Verification(False, self._length(), last, count + 1)
                    agrees = agrees and index.agrees(kind, seq, change, record["data"])
                    previous, last, count, met = own, own, count + 1, met or own == head
        if not agrees:
            self.forget_index()
        return Verification(met, count, last, None if met else count + 1)

    def _before(self, begin: int | str | None) -> tuple[int, str]:
        """(number, hash) of the entry before the one to begin with."""
        if begin is None or begin == 1:
            return 0, GENESIS
        with self._reading() as connection:
            query = f"{_BEFORE} hash = ?" if isinstance(begin, str) else f"{_BEFORE} seq = ?"
            row = connection and connection.execute(query, (begin,)).fetchone()
        if not row:
            raise NotFound(f"the journal {self.path} has no entry {begin}", hint="its tail may be cut off; verify all")
        return row[0] - 1, row[1]

    def _batch(self, after: int) -> list[tuple[Any, ...]]:
        query = "SELECT seq, hash, previous, at, kind, change, body FROM entries WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._reading() as connection:
            return connection.execute(query, (after, tables.BATCH)).fetchall() if connection else []

    def _length(self) -> int:
        with self._reading() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM entries").fetchone()[0]) if connection else 0

    def last(self) -> int:
        """The number of the last entry; 0 while there is none."""
        with self._reading() as connection:
            row = connection and connection.execute("SELECT MAX(seq) FROM entries").fetchone()
        return int(row[0] or 0) if row else 0

    def forget_index(self) -> None:
        """Have the index made anew by who looks next. Where the file may not be written, nothing happens."""
        with contextlib.suppress(ControlError), self.file.connection(LOOK_SECONDS) as connection:
            connection.execute("BEGIN IMMEDIATE")
            tables.forget(connection)
            connection.execute("COMMIT")

    def _entry(self, seq: int, own: str, previous: str, body: str) -> Entry:
        if own != _hash(previous, body):
            raise self.file.corrupt(f"entry {seq} does not fit the chain")
        record = _record(body)
        if record is None or record["seq"] != seq:
            raise self.file.corrupt(f"entry {seq} is no record of ours")
        return Entry(seq, own, record["at"], record["kind"], record["change"], record["data"])

    @contextlib.contextmanager
    def _reading(self, indexed: bool = False) -> Iterator[sqlite3.Connection | None]:
        """A connection for reading, or None where there is no journal yet. `indexed`: with the index at its end."""
        with self.file.looking() as connection:
            if connection is not None:
                if indexed and not tables.is_current(connection):
                    self._follow(connection)
                connection.execute("PRAGMA query_only = 1")
                connection.execute("BEGIN")
            yield connection

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Bring the index to the end of the chain, in the file where it may be written, else in memory."""
        try:
            whole = False
            while not whole:
                connection.execute("BEGIN IMMEDIATE")
                whole = tables.follow(connection)
                connection.execute("COMMIT")
            return
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        tables.copy_to_memory(connection)
        while not tables.follow(connection):
            pass
