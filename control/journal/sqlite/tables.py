"""What the journal's chain says of changes, found without reading the chain: derived tables beside it.

They hold nothing that the chain does not: which changes there are, what became of each, what they touched, and which
records this version does not understand. Who reads a change reads its records in the chain. The tables follow the chain
entry by entry, in the transaction that appends where they can; where they are missing, behind (an earlier version
appended) or of another chain, they are made from it. Their names carry a version of their own: a version of the program
that understands more makes its own tables and leaves these alone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control.journal.events import Closed, NotKnown, Opened, Stepped, Undoing, Writing, read
from control.journal.records import Indexed
from control.planning.plan import ResultOutcome

BATCH = 2_000
"""So many entries are followed in one transaction: others may append in between."""

_TABLES = (
    "CREATE {temp} TABLE ix2_state (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL)",
    "CREATE {temp} TABLE ix2_changes (number INTEGER PRIMARY KEY, opened INTEGER NOT NULL UNIQUE, "
    "change TEXT NOT NULL UNIQUE, at REAL NOT NULL, actor TEXT NOT NULL, undo_of TEXT, closed INTEGER, outcome TEXT)",
    "CREATE {temp} TABLE ix2_touched (ref TEXT NOT NULL, field TEXT NOT NULL, number INTEGER NOT NULL, "
    "zeroed INTEGER NOT NULL)",
    "CREATE {temp} TABLE ix2_unknown (seq INTEGER PRIMARY KEY, why TEXT NOT NULL)",
)
_INDEXES = (
    "CREATE INDEX {schema}.ix2_changes_at ON ix2_changes (at)",
    "CREATE INDEX {schema}.ix2_changes_actor ON ix2_changes (actor, number)",
    "CREATE INDEX {schema}.ix2_changes_undo ON ix2_changes (undo_of) WHERE undo_of IS NOT NULL",
    "CREATE INDEX {schema}.ix2_changes_open ON ix2_changes (number) WHERE outcome IS NULL OR outcome = 'in_progress'",
    "CREATE INDEX {schema}.ix2_touched_number ON ix2_touched (number)",
    "CREATE INDEX {schema}.ix2_touched_zeroed ON ix2_touched (ref, field, number) WHERE zeroed",
)
_EMPTY = ("DELETE FROM ix2_state", "DELETE FROM ix2_changes", "DELETE FROM ix2_touched", "DELETE FROM ix2_unknown")
_DROP = (
    "DROP TABLE IF EXISTS main.ix2_state",
    "DROP TABLE IF EXISTS main.ix2_changes",
    "DROP TABLE IF EXISTS main.ix2_touched",
    "DROP TABLE IF EXISTS main.ix2_unknown",
)
_COUNT = (
    "SELECT COUNT(*) FROM temp.sqlite_master WHERE type = 'table' AND name GLOB 'ix2_*'",
    "SELECT COUNT(*) FROM main.sqlite_master WHERE type = 'table' AND name GLOB 'ix2_*'",
)
_COPY = (
    "INSERT INTO temp.ix2_state SELECT * FROM main.ix2_state",
    "INSERT INTO temp.ix2_changes SELECT * FROM main.ix2_changes",
    "INSERT INTO temp.ix2_touched SELECT * FROM main.ix2_touched",
    "INSERT INTO temp.ix2_unknown SELECT * FROM main.ix2_unknown",
)


# --- following the chain ----------------------------------------------------------------------------------------------


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the tables are there and end where the chain ends."""
    if not _exists(connection):
        return False
    state = connection.execute("SELECT seq, hash FROM ix2_state").fetchone() or (0, "")
    last = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
    return bool(state == last)


def follow(connection: sqlite3.Connection, limit: int = BATCH) -> bool:
    """Take at most so many further entries into the tables, made where they are missing. Runs in the caller's
    transaction. Returns whether the end of the chain was reached."""
    if not _exists(connection):
        make(connection)
    seq, own = connection.execute("SELECT seq, hash FROM ix2_state").fetchone() or (0, "")
    if seq and connection.execute("SELECT 1 FROM entries WHERE seq = ? AND hash = ?", (seq, own)).fetchone() is None:
        forget(connection)
        seq = 0
    rows = connection.execute(
        "SELECT seq, hash, body FROM entries WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)
    ).fetchall()
    for number, _, body in rows:
        _take(connection, number, body)
    if rows:
        connection.execute("INSERT OR REPLACE INTO ix2_state VALUES (1, ?, ?)", rows[-1][:2])
    return len(rows) < limit


def make(connection: sqlite3.Connection) -> None:
    """Make the tables, empty, in the database itself."""
    _create(connection, "", "main")


def forget(connection: sqlite3.Connection) -> None:
    """Empty the tables: the next to follow the chain makes them anew."""
    for statement in _EMPTY:
        connection.execute(statement)


def copy_to_memory(connection: sqlite3.Connection) -> None:
    """Tables of this connection's own, over the file's, for who may not write the file. They start as the file's."""
    connection.execute("PRAGMA temp_store = MEMORY")
    there = _exists(connection)
    _create(connection, "TEMP", "temp")
    if there:
        for statement in _COPY:
            connection.execute(statement)


def _exists(connection: sqlite3.Connection) -> bool:
    """Whether all tables are there, in the file or of this connection's own."""
    return any(connection.execute(query).fetchone()[0] == len(_TABLES) for query in _COUNT)


def _create(connection: sqlite3.Connection, temp: str, schema: str) -> None:
    """Make the tables; what is left of earlier ones goes."""
    for statement in _DROP if schema == "main" else ():
        connection.execute(statement)
    for statement in (*_TABLES, *_INDEXES):
        connection.execute(statement.format(temp=temp, schema=schema))


def _take(connection: sqlite3.Connection, seq: int, body: str) -> None:
    """One entry into the tables."""
    try:
        record = _whole(body)
        event, change = read(record["kind"], record["data"]), record["change"]
        match event:
            case Opened():
                _open(connection, seq, record["at"], change, event)
            case Closed():
                came = (seq, event.outcome.value, change)
                connection.execute("UPDATE ix2_changes SET closed = ?, outcome = ? WHERE change = ?", came)
            case Writing() | Stepped() | Undoing():  # somebody is at it again, whatever it was closed with
                connection.execute(
                    "UPDATE ix2_changes SET closed = ?, outcome = NULL WHERE change = ? AND outcome IS NOT NULL",
                    (seq, change),
                )
    except NotKnown as error:
        _not_understood(connection, seq, str(error))
    except sqlite3.IntegrityError:
        _not_understood(connection, seq, "it opens a change that is open")


def _whole(body: str) -> dict[str, Any]:
    """The record in an entry's text. Raises `NotKnown`."""
    try:
        record = json.loads(body)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not {"kind", "at", "change", "data"} <= record.keys():
        raise NotKnown("it is no whole record")
    return record


def _not_understood(connection: sqlite3.Connection, seq: int, why: str) -> None:
    connection.execute("INSERT OR REPLACE INTO ix2_unknown VALUES (?, ?)", (seq, why))


def _open(connection: sqlite3.Connection, seq: int, at: float, change: str, event: Opened) -> None:
    try:
        touched, undo_of = event.touched(), event.undo_of
    except (KeyError, TypeError):
        raise NotKnown("it is no whole record") from None
    cursor = connection.execute(
        "INSERT INTO ix2_changes (opened, change, at, actor, undo_of) VALUES (?, ?, ?, ?, ?)",
        (seq, change, at, event.actor, undo_of),
    )
    connection.executemany(
        "INSERT INTO ix2_touched VALUES (?, ?, ?, ?)",
        [(ref, field, cursor.lastrowid, zeroed) for ref, field, zeroed in touched],
    )


# --- asking -----------------------------------------------------------------------------------------------------------


class SqliteIndex:
    """Questions to the tables of one open connection, see `control.journal.port.ChangeIndex`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def page(self, limit: int | None, before: int | None = None) -> list[Indexed]:
        """The newest changes first: at most `limit`, with numbers below `before`."""
        query = "SELECT * FROM ix2_changes WHERE number < ? ORDER BY number DESC LIMIT ?"
        return self._rows(query, 2**62 if before is None else before, -1 if limit is None else limit)

    def since(self, at: float, limit: int | None) -> list[Indexed]:
        """The changes that were begun since then (Unix time), newest first."""
        query = "SELECT * FROM ix2_changes WHERE at >= ? ORDER BY at DESC, number DESC LIMIT ?"
        return self._rows(query, at, -1 if limit is None else limit)

    def get(self, change: str) -> Indexed | None:
        return next(iter(self._rows("SELECT * FROM ix2_changes WHERE change = ?", change)), None)

    def unfinished(self) -> list[Indexed]:
        """What is open, or was left in progress; oldest first."""
        return self._rows("SELECT * FROM ix2_changes WHERE outcome IS NULL OR outcome = 'in_progress' ORDER BY number")

    def by_actor(self, actor: str, without: Iterable[ResultOutcome]) -> Indexed | None:
        """The last change of an actor with another outcome than these, the open ones among them."""
        query = (
            "SELECT * FROM ix2_changes WHERE actor = ? AND (outcome IS NULL OR NOT instr(?, ' ' || outcome || ' ')) "
            "ORDER BY number DESC LIMIT 1"
        )
        return next(iter(self._rows(query, actor, _words(without))), None)

    def undoing(self, change: str) -> list[Indexed]:
        """The undos of a change, last first."""
        return self._rows("SELECT * FROM ix2_changes WHERE undo_of = ? ORDER BY number DESC", change)

    def touched_since(self, at: float, outcomes: Iterable[ResultOutcome]) -> dict[str, float]:
        """Ref -> when it was last changed, since then, by a change that is open or has one of these outcomes."""
        query = (
            "SELECT t.ref, MAX(c.at) FROM ix2_changes c JOIN ix2_touched t ON t.number = c.number "
            "WHERE c.at >= ? AND (c.outcome IS NULL OR instr(?, ' ' || c.outcome || ' ')) GROUP BY t.ref"
        )
        return dict(self._connection.execute(query, (at, _words(outcomes))).fetchall())

    def zeroing(self, ref: str, field: str, or_field: str) -> Iterable[Indexed]:
        """The changes that set one of two fields of `ref` to 0, last first."""
        query = (
            "SELECT DISTINCT c.* FROM ix2_touched t JOIN ix2_changes c ON c.number = t.number "
            "WHERE t.zeroed AND t.ref = ? AND t.field IN (?, ?) ORDER BY t.number DESC"
        )
        return map(_indexed, self._connection.execute(query, (ref, field, or_field)))

    def unknown(self, limit: int = 5) -> tuple[int, list[tuple[int, str]]]:
        """(how many records are not understood, the first of them as number and why)."""
        count = self._connection.execute("SELECT COUNT(*) FROM ix2_unknown").fetchone()[0]
        rows = self._connection.execute("SELECT seq, why FROM ix2_unknown ORDER BY seq LIMIT ?", (limit,)).fetchall()
        return int(count), [(int(seq), str(why)) for seq, why in rows]

    def count(self) -> int:
        """How many changes there are."""
        return int(self._connection.execute("SELECT MAX(number) FROM ix2_changes").fetchone()[0] or 0)

    def agrees(self, kind: str, seq: int, change: str, data: Mapping[str, Any]) -> bool:
        """Whether the tables say of one record of the chain what it says itself; nothing of what is not understood."""
        try:
            event = read(kind, data)
        except NotKnown:
            return True
        if isinstance(event, Opened):
            row = self._connection.execute("SELECT * FROM ix2_changes WHERE opened = ?", (seq,)).fetchone()
            return row is not None and (row[2], row[4], row[5]) == (change, event.actor, event.undo_of)
        if isinstance(event, Closed):
            query = "SELECT closed, outcome FROM ix2_changes WHERE change = ?"
            row = self._connection.execute(query, (change,)).fetchone()
            return row is None or (row[0] or 0) > seq or row == (seq, event.outcome.value)
        return True

    def _rows(self, query: str, *values: Any) -> list[Indexed]:
        return [_indexed(row) for row in self._connection.execute(query, values)]


def _words(outcomes: Iterable[ResultOutcome]) -> str:
    """Outcomes as one text with blanks around each, to look for one in it."""
    return f" {' '.join(outcome.value for outcome in outcomes)} "


def _indexed(row: Sequence[Any]) -> Indexed:
    number, opened, change, at, actor, undo_of, closed, outcome = row
    return Indexed(
        number, opened, change, at, actor, undo_of, closed, None if outcome is None else ResultOutcome(outcome)
    )
