"""The journal: chain, tail, corruption, versions, locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from control.errors import JournalError, Locked
from control.journal.sqlite.chain import SqliteJournal
from control.journal.sqlite.os_locks import FileLock


def filled(path: Path, count: int = 4) -> tuple[SqliteJournal, list[str]]:
    journal = SqliteJournal(path, busy_seconds=0.3)
    return journal, [journal.append("note", "c", {"n": n, "text": "ü\n'"}) for n in range(count)]


def tamper(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER entries_stay")
        connection.execute("DROP TRIGGER entries_remain")
        for statement in statements:
            connection.execute(statement)


def test_empty_and_absent(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "none" / "journal.db")
    assert journal.entries() == [] and journal.head() is None and journal.verify().ok
    assert not (tmp_path / "none").exists()


def test_chain_and_tail(tmp_path: Path) -> None:
    journal, heads = filled(tmp_path / "j.db")
    assert journal.head() == heads[-1]
    assert all(journal.verify(head).ok for head in heads)
    told = journal.verify("f" * 64)
    assert not told.ok and told.first_bad == 5
    tamper(journal.path, "DELETE FROM entries WHERE seq = 4")
    assert journal.verify().ok
    cut = journal.verify(heads[-1])
    assert not cut.ok and cut.first_bad == 4 and cut.head == heads[2]


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("UPDATE entries SET body = replace(body, '\"n\":1', '\"n\":7') WHERE seq = 2", 2),
        ("UPDATE entries SET kind = 'close' WHERE seq = 3", 3),
        ("UPDATE entries SET at = at - 60 WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq = 2", 2),
        ("UPDATE entries SET body = 'gone' WHERE seq = 4", 4),
    ],
)
def test_tampering_is_found(tmp_path: Path, statement: str, bad: int) -> None:
    journal, _ = filled(tmp_path / "j.db")
    tamper(journal.path, statement)
    told = journal.verify()
    assert not told.ok and told.first_bad == bad


def test_append_only_below_us(tmp_path: Path) -> None:
    journal, _ = filled(tmp_path / "j.db")
    with sqlite3.connect(journal.path) as connection:
        for statement in ("UPDATE entries SET kind = 'x'", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_newer_schema(tmp_path: Path) -> None:
    journal, _ = filled(tmp_path / "j.db")
    with sqlite3.connect(journal.path) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(JournalError, match="newer") as caught:
        journal.entries()
    assert caught.value.hint and "update" in caught.value.hint


@pytest.mark.parametrize("content", [b"not a database, by far" * 200, b"SQLite format 3\0" + b"\xff" * 8000])
def test_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(content)
    for action in (
        SqliteJournal(path).head,
        SqliteJournal(path).verify,
        lambda: SqliteJournal(path).append("note", "c", {}),
    ):
        with pytest.raises(JournalError):
            action()
    assert path.read_bytes() == content


def test_another_program_s_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "j.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(JournalError, match="not a journal"):
        SqliteJournal(tmp_path / "j.db").append("note", "c", {})


def test_locked_ends_in_time(tmp_path: Path) -> None:
    journal, _ = filled(tmp_path / "j.db")
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Locked, match="locked"):
        journal.append("note", "c", {})
    other.execute("ROLLBACK")
    journal.append("note", "c", {})
    other.close()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    journal, heads = filled(tmp_path / "j.db")
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from control.journal.sqlite.chain import SqliteJournal\n"
        "from control.errors import JournalError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: SqliteJournal(Path(sys.argv[1])).append('note', 'c', {'x': 'y' * 100000})\n"
        "except JournalError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(journal.path)], capture_output=True, text=True, timeout=20)
    assert "cannot be used" in ran.stdout, ran.stderr
    assert journal.head() == heads[-1] and journal.verify().ok


def test_group_writable_folders_share_the_file(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    journal, _ = filled(tmp_path / "j.db", 1)
    assert journal.path.stat().st_mode & 0o777 == 0o660
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    journal, _ = filled(own / "j.db", 1)
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_locks_end_with_their_process(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    script = (
        "import sys, time; from pathlib import Path; from control.journal.sqlite.os_locks import FileLock\n"
        "FileLock(Path(sys.argv[1])).take(1, 'it'); print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    assert FileLock(path).is_held() and FileLock(path).is_held()
    with pytest.raises(Locked):
        FileLock(path).take(0.1, "it")
    process.kill()
    process.wait()
    assert not FileLock(path).is_held()
    mine = FileLock(path)
    mine.take(1, "it")
    assert FileLock(path).is_held()
    mine.release()
    assert not path.exists() and not FileLock(path).is_held()
