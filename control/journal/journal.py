"""The journal: append-only, hash-chained, one SQLite file that several operators of one machine may share.

Every entry holds the SHA-256 of the one before it, so a change in the middle breaks the chain, and a head hash that was
printed earlier shows a cut-off tail. What is asked of changes is answered by the tables of `control.journal.index`, so
that a journal of many years costs what one of a day does. A rollback journal is used, not a write-ahead log: readers
without the right to write can read it, and no files but one have to be shared. Each call opens the file anew, so a
`Journal` may be used from any thread. No secret may enter: what is kept are plans, their native diffs (masked by
adapters) and results.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.errors import ControlError, JournalError, Locked, NotFound
from control.journal import index as journalindex
from control.journal.index import ChangeIndex
from control.journal.os_locks import file_mode

SCHEMA = 1
LOOK_SECONDS = 2.0
"""How long who only looks waits for a journal that somebody else has locked."""
TAIL = 50
"""So many of the last entries are checked before something is written."""
_BEFORE = "SELECT seq, previous FROM entries WHERE"
_RIGHTS = "check the free space and the rights of the file and its folder"
GENESIS = "0" * 64
_MARK = 0x74726466
"""SQLite's application_id of our files: "trdf"."""

_TABLES = f"""
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, previous TEXT NOT NULL UNIQUE,
    at REAL NOT NULL, kind TEXT NOT NULL, change TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX entries_by_change ON entries (change);
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
PRAGMA application_id = {_MARK};
PRAGMA user_version = {SCHEMA};
"""


@dataclass(frozen=True, slots=True)
class Entry:
    seq: int
    hash: str
    at: float
    """Unix time."""
    kind: str
    """`open`, `writing`, `step`, `undoing`, `close`, `resolve`, `note`."""
    change: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verification:
    ok: bool
    entries: int
    head: str | None
    first_bad: int | None
    """The number of the first entry that does not fit; one past the last where the tail was cut off."""


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


def _agrees(index: ChangeIndex, record: Mapping[str, Any]) -> bool:
    """Whether the index fits one record; it says nothing of those that this version does not understand."""
    try:
        return index.agrees(record["kind"], record["seq"], record["change"], record["data"])
    except (KeyError, TypeError, AttributeError):
        return True


def told(unknown: Sequence[tuple[int, str]]) -> str:
    """Records that are not understood, in words."""
    return "; ".join(f"entry {seq}: {why}" for seq, why in unknown)


class Journal:
    """One journal file. It is made by the first `append`; before that it is empty."""

    def __init__(self, path: Path, busy_seconds: float = 10.0) -> None:
        """`busy_seconds` is how long a write waits for others; who only looks waits at most `LOOK_SECONDS`."""
        self.path = path
        self.busy_seconds = busy_seconds

    def append(self, kind: str, change: str, data: Mapping[str, Any]) -> str:
        """Add one entry, on disk when this returns. Returns the new head hash."""
        self.ensure()
        with self._connection(self.busy_seconds) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._check_schema(connection, create=True)
            last = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
            at = time.time()
            record = {"seq": seq, "at": at, "kind": kind, "change": change, "data": data}
            body = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            head = _hash(previous, body)
            connection.execute(
                "INSERT INTO entries (seq, hash, previous, at, kind, change, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, head, previous, at, kind, change, body),
            )
            self._index_too(connection)
            connection.execute("COMMIT")
            return head

    def _index_too(self, connection: sqlite3.Connection) -> None:
        """The index follows in the same transaction. Where it cannot, the entry counts, and who looks makes it anew."""
        connection.execute("SAVEPOINT indexing")
        try:
            journalindex.follow(connection)
        except sqlite3.Error:
            connection.execute("ROLLBACK TO indexing")
        connection.execute("RELEASE indexing")

    def check_ready(self) -> None:
        """Raises `JournalError` or `Locked` where the next entry could not be appended, or where what is there is not
        to be relied on: damaged at its end, of a later version, with records that this version does not understand."""
        self.ensure()
        with self._connection(self.busy_seconds) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._check_schema(connection, create=True)
            rows = connection.execute(
                "SELECT seq, hash, previous, body FROM entries ORDER BY seq DESC LIMIT ?", (TAIL,)
            )
            after = None
            for seq, own, previous, body in rows.fetchall():
                self._entry(seq, own, previous, body)
                if after is not None and own != after:
                    raise self._corrupt(f"entry {seq + 1} does not follow entry {seq}")
                after = previous
            connection.execute("COMMIT")
        with self.index() as index:
            count, first = index.unknown() if index is not None else (0, [])
        if count:
            raise self.not_understood(count, first)

    def not_understood(self, count: int, first: Sequence[tuple[int, str]]) -> JournalError:
        """So many records are of a later version, the first of them named."""
        return JournalError(
            f"the journal {self.path} has {count} records that this version does not understand: {told(first)}",
            hint="nothing is written on top of what is not understood; update trafficdeck",
        )

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
        found: dict[int, Entry | JournalError] = {}
        with self._reading() as connection:
            for seq in numbers:
                row = (
                    connection
                    and connection.execute(
                        "SELECT seq, hash, previous, body FROM entries WHERE seq = ?", (seq,)
                    ).fetchone()
                )
                try:
                    found[seq] = self._entry(*row) if row else self._corrupt(f"entry {seq} is gone")
                except JournalError as error:
                    found[seq] = error
        return found

    def head(self) -> str | None:
        """The hash of the last entry; None while there is none."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            return str(row[0]) if row else None

    @contextlib.contextmanager
    def index(self) -> Iterator[ChangeIndex | None]:
        """What answers questions about changes, as far as the chain goes now; None where there is no journal yet."""
        with self._reading(indexed=True) as connection:
            yield None if connection is None else ChangeIndex(connection)

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
                    agrees = agrees and (index is None or _agrees(index, record))
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
            return connection.execute(query, (after, journalindex.BATCH)).fetchall() if connection else []

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
        with contextlib.suppress(ControlError), self._connection(LOOK_SECONDS) as connection:
            connection.execute("BEGIN IMMEDIATE")
            journalindex.forget(connection)
            connection.execute("COMMIT")

    def _entry(self, seq: int, own: str, previous: str, body: str) -> Entry:
        if own != _hash(previous, body):
            raise self._corrupt(f"entry {seq} does not fit the chain")
        record = _record(body)
        if record is None or record["seq"] != seq:
            raise self._corrupt(f"entry {seq} is no record of ours")
        return Entry(seq, own, record["at"], record["kind"], record["change"], record["data"])

    # --- the file -----------------------------------------------------------------------------------------------------

    def ensure(self) -> None:
        """Make the file and its folder where they are not there. Raises `JournalError`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.path.exists():
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
                os.fchmod(descriptor, file_mode(self.path.parent))
                os.close(descriptor)
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be written: {error.strerror}",
                hint="nothing is changed without a journal entry; check the path and its rights",
            ) from None

    @contextlib.contextmanager
    def _reading(self, indexed: bool = False) -> Iterator[sqlite3.Connection | None]:
        """A connection for reading, or None where there is no journal yet. `indexed`: with the index at its end."""
        try:
            there = self.path.stat().st_size > 0
        except FileNotFoundError:
            there = False
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be read: {error.strerror}", hint=_RIGHTS) from None
        if not there:
            yield None
            return
        with self._connection(min(self.busy_seconds, LOOK_SECONDS)) as connection:
            there = self._check_schema(connection, create=False)
            if there and indexed and not journalindex.is_current(connection):
                self._follow(connection)
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            yield connection if there else None

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Bring the index to the end of the chain, in the file where it may be written, else in memory."""
        try:
            whole = False
            while not whole:
                connection.execute("BEGIN IMMEDIATE")
                whole = journalindex.follow(connection)
                connection.execute("COMMIT")
            return
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        journalindex.copy_to_memory(connection)
        while not journalindex.follow(connection):
            pass

    @contextlib.contextmanager
    def _connection(self, busy_seconds: float) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_seconds, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._told(error, busy_seconds) from None
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
        except sqlite3.Error as error:
            raise self._told(error, busy_seconds) from None
        finally:
            connection.close()

    def _check_schema(self, connection: sqlite3.Connection, *, create: bool) -> bool:
        """True where the tables are there (now)."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        if mark == _MARK and version > SCHEMA:
            raise JournalError(
                f"the journal {self.path} was written by a newer trafficdeck "
                f"(schema {version}, this one knows {SCHEMA})",
                hint="update trafficdeck, or name another journal in the deck file",
            )
        if mark == _MARK and version == SCHEMA:
            return True
        if mark or version or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise self._corrupt("it is not a journal of trafficdeck")
        if create:
            for statement in _statements(_TABLES):
                connection.execute(statement)
        return create

    def _told(self, error: sqlite3.Error, waited: float) -> ControlError:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Locked(
                f"the journal {self.path} is locked by another process for more than {waited:g} s",
                hint="try again; nothing was written",
            )
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")) or (
            isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)
        ):
            return self._corrupt(str(error))
        return JournalError(
            f"the journal {self.path} cannot be used: {error}",
            hint=_RIGHTS,
        )

    def _corrupt(self, why: str) -> JournalError:
        return JournalError(
            f"the journal {self.path} is damaged: {why}",
            hint="keep the file for the audit, move it aside, and a new one is begun",
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
