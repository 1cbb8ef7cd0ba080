"""The file of a journal: made, opened, its format checked, and what goes wrong with it in words.

A rollback journal is used, not a write-ahead log: readers without the right to write can read it, and no files but one
have to be shared. Each call opens the file anew, so it may be used from any thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from control.errors import ControlError, JournalError, Locked
from control.journal.sqlite.os_locks import file_mode

SCHEMA = 1
LOOK_SECONDS = 2.0
"""How long who only looks waits for a journal that somebody else has locked."""
_RIGHTS = "check the free space and the rights of the file and its folder"
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


class SqliteFile:
    """One file with the table of entries."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        """`busy_seconds` is how long a write waits for others; who only looks waits at most `LOOK_SECONDS`."""
        self.path = path
        self.busy_seconds = busy_seconds

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

    def is_there(self) -> bool:
        """Whether anything was ever written to it. Raises `JournalError` where that cannot be seen."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be read: {error.strerror}", hint=_RIGHTS) from None

    @contextlib.contextmanager
    def looking(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for who only looks, or None where there is no journal yet."""
        if not self.is_there():
            yield None
            return
        with self.connection(min(self.busy_seconds, LOOK_SECONDS)) as connection:
            yield connection if self.check_schema(connection, create=False) else None

    @contextlib.contextmanager
    def writing(self, busy_seconds: float) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction that writes, committed at the end; the file and its tables are made where they
        are not there."""
        self.ensure()
        with self.connection(busy_seconds) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self.check_schema(connection, create=True)
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def connection(self, busy_seconds: float) -> Iterator[sqlite3.Connection]:
        """The file opened; what goes wrong with it is raised as ours."""
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_seconds, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self.told(error, busy_seconds) from None
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection
        except sqlite3.Error as error:
            raise self.told(error, busy_seconds) from None
        finally:
            connection.close()

    def check_schema(self, connection: sqlite3.Connection, *, create: bool) -> bool:
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
            raise self.corrupt("it is not a journal of trafficdeck")
        if create:
            for statement in _statements(_TABLES):
                connection.execute(statement)
        return create

    def told(self, error: sqlite3.Error, waited: float) -> ControlError:
        """What went wrong, as an error of ours; `waited` seconds were waited for others."""
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Locked(
                f"the journal {self.path} is locked by another process for more than {waited:g} s",
                hint="try again; nothing was written",
            )
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")) or (
            isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)
        ):
            return self.corrupt(str(error))
        return JournalError(
            f"the journal {self.path} cannot be used: {error}",
            hint=_RIGHTS,
        )

    def corrupt(self, why: str) -> JournalError:
        """That the file is not what it has to be."""
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
