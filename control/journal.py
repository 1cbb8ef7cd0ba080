"""The journal: append-only, hash-chained, one SQLite file that several operators of one machine may share.

Every entry holds the SHA-256 of the one before it, so a change in the middle breaks the chain, and a head hash that was
printed earlier shows a cut-off tail. A rollback journal is used, not a write-ahead log: readers without the right to
write can read it, and no files but one have to be shared. Each call opens the file anew, so a `Journal` may be used
from any thread. No secret may enter: what is kept are plans, their native diffs (masked by adapters) and results.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control.errors import ControlError, JournalError, Locked
from control.oslocks import file_mode

SCHEMA = 1
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


class Journal:
    """One journal file. It is made by the first `append`; before that it is empty."""

    def __init__(self, path: Path, busy_seconds: float = 10.0) -> None:
        self.path = path
        self.busy_seconds = busy_seconds

    def append(self, kind: str, change: str, data: Mapping[str, Any]) -> str:
        """Add one entry, on disk when this returns. Returns the new head hash."""
        self.ensure()
        with self._connection() as connection:
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
            connection.execute("COMMIT")
            return head

    def entries(self, change: str | None = None, since: float = 0.0) -> list[Entry]:
        """All entries from `since` (Unix time) on, or those of one change, oldest first."""
        query = "SELECT seq, hash, body FROM entries"
        with self._reading() as connection:
            if connection is None:
                return []
            if change is None:
                rows = connection.execute(f"{query} WHERE at >= ? ORDER BY seq", (since,)).fetchall()
            else:
                rows = connection.execute(f"{query} WHERE change = ? ORDER BY seq", (change,)).fetchall()
        return [self._entry(*row) for row in rows]

    def head(self) -> str | None:
        """The hash of the last entry; None while there is none."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            return str(row[0]) if row else None

    def verify(self, head: str | None = None) -> Verification:
        """Walk the chain. With `head`, a hash that was printed earlier, it must also be found in it."""
        previous, count, met = GENESIS, 0, head is None
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM entries ORDER BY seq").fetchall() if connection else []
        for seq, own, before, at, kind, change, body in rows:
            if seq != count + 1 or before != previous or own != _hash(previous, body):
                return Verification(False, len(rows), previous if count else None, count + 1)
            record = self._entry(seq, own, body)
            if (record.seq, record.at, record.kind, record.change) != (seq, at, kind, change):
                return Verification(False, len(rows), previous if count else None, count + 1)
            previous, count, met = own, count + 1, met or own == head
        last = previous if count else None
        return Verification(met, count, last, None if met else count + 1)

    def _entry(self, seq: int, own: str, body: str) -> Entry:
        try:
            record = json.loads(body)
            return Entry(record["seq"], own, record["at"], record["kind"], record["change"], record["data"])
        except (ValueError, KeyError, TypeError):
            raise self._corrupt(f"entry {seq} is no record of ours") from None

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
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for reading, or None where there is no journal yet."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            yield None
            return
        with self._connection() as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            yield connection if self._check_schema(connection, create=False) else None

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=self.busy_seconds, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._told(error) from None
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
        except sqlite3.Error as error:
            raise self._told(error) from None
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

    def _told(self, error: sqlite3.Error) -> ControlError:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Locked(
                f"the journal {self.path} is locked by another process for more than {self.busy_seconds:g} s",
                hint="try again; nothing was written",
            )
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")) or (
            isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)
        ):
            return self._corrupt(str(error))
        return JournalError(
            f"the journal {self.path} cannot be used: {error}",
            hint="check the free space and the rights of the file and its folder",
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
