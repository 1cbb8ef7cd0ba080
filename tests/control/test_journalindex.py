"""What is asked of changes costs the same however long the journal is, and is the same however its index came to be."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from worlds import A, world

from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from control.deck.config import DeckConfig, EnvironmentConfig, GuardConfig
from control.errors import JournalError, Locked, NotFound
from control.journal.history import History
from control.journal.log import ChangeLog
from control.journal.port import Journal
from control.journal.sqlite import chain, tables
from control.journal.sqlite.chain import SqliteJournal
from control.model.ref import Ref
from control.planning.edit import SharesEdit
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import ResultOutcome
from tests.bench.journals import fill

DRAINED = Ref.parse("cluster-0/HTTPRoute/inference/model-0000")


class Asked:
    """One journal and what is asked of it."""

    def __init__(self, path: Path) -> None:
        self.journal = SqliteJournal(path, busy_seconds=0.3)
        self.log = ChangeLog(self.journal)
        self.history = History(self.log)


def log_of(path: Path, changes: int, **more: Any) -> Asked:
    fill(path, changes, **more)
    return Asked(path)


def sql(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@contextlib.contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many times SQLite did 100 steps meanwhile."""
    steps = [0]
    connect = sqlite3.connect

    def counting(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)

        def step() -> int:
            steps[0] += 1
            return 0

        connection.set_progress_handler(step, 100)
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", counting)
        yield steps


QUESTIONS: dict[str, Callable[[Asked], object]] = {
    "history": lambda log: log.history.page(20),
    "history, older": lambda log: log.history.page(20, before="000030-filled"),
    "since": lambda log: log.history.page(None, since=log.history.page(5).items[-1].at),
    "interrupted": lambda log: log.history.open_items(),
    "unfinished": lambda log: log.history.unfinished(),
    "undo": lambda log: log.history.last_of("somebody@elsewhere"),
    "one": lambda log: log.log.get("000040-filled"),
    "cool down": lambda log: log.history.last_change_at(log.history.page(3).items[-1].at),
    "remembered": lambda log: log.history.remembered_weight(DRAINED, "v1"),
    "begin": lambda log: log.journal.check_ready(),
    "mark": lambda log: log.journal.last(),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_long_journal_costs_what_a_short_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    costs = []
    for changes in (60, 3_000):
        log = log_of(tmp_path / f"{changes}.db", changes)
        log.history.page()
        with counted(monkeypatch) as steps:
            QUESTIONS[question](log)
        costs.append(steps[0])
    assert costs[1] <= costs[0] * 1.3 + 3


async def test_nothing_that_looks_plans_or_begins_a_change_reads_the_whole_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(tmp_path)
    fill(tmp_path / "journal.db", 400)
    w.plane.history()
    read: list[str] = []
    monkeypatch.setattr(chain, "_record", lambda body, was=chain._record: read.append(body) or was(body))
    plan = await w.plane.plan([SharesEdit(A, (("a", 80), ("b", 20)))], PlanOptions())
    result = await w.plane.apply(plan, ApplyOptions())
    assert result.outcome is ResultOutcome.APPLIED
    assert (await w.plane.undo_plan()).undo_of == result.change
    assert len(read) < chain.TAIL + 30
    assert w.plane.history(1)[0].change == result.change and w.plane.changes(1).older == 400


def answers(log: Asked) -> dict[str, object]:
    return {name: question(log) for name, question in QUESTIONS.items() if name != "begin"}


def test_an_index_that_is_missing_behind_or_of_another_chain_is_made_anew(tmp_path: Path) -> None:
    log = log_of(tmp_path / "j.db", 60, until=1e9)
    first = answers(log)
    sql(
        log.journal.path,
        "DROP TABLE ix2_state",
        "DROP TABLE ix2_changes",
        "DROP TABLE ix2_touched",
        "DROP TABLE ix2_unknown",
    )
    assert answers(log) == first
    sql(log.journal.path, "UPDATE ix2_state SET hash = 'of another chain'", "UPDATE ix2_changes SET outcome = NULL")
    assert answers(log) == first
    sql(
        log.journal.path,
        "DELETE FROM ix2_changes WHERE number > 40",
        "UPDATE ix2_state SET seq = 121, hash = (SELECT hash FROM entries WHERE seq = 121)",
    )
    assert answers(log) == first


def test_whoever_cannot_write_the_index_has_one_of_his_own(tmp_path: Path) -> None:
    log = log_of(tmp_path / "j.db", 60)
    holder = sqlite3.connect(log.journal.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert len(log.history.page().items) == 60 and log.history.last_of("somebody@elsewhere").change == "000059-filled"
    holder.execute("ROLLBACK")
    holder.close()
    assert len(log.history.page().items) == 60


def test_an_appended_change_is_in_the_index_at_once_and_a_broken_index_stops_no_entry(tmp_path: Path) -> None:
    log = log_of(tmp_path / "j.db", 3)
    log.history.page()
    sql(log.journal.path, "DROP TABLE ix2_touched")
    entry = log.journal.entries("000001-filled")[0]
    head = log.journal.append("open", "new", entry.data)
    assert log.journal.head() == head and log.journal.verify(head).ok


def test_pages_of_history(tmp_path: Path) -> None:
    log = log_of(tmp_path / "j.db", 25)
    found: list[str] = []
    before, older = None, 25
    while older:
        page = log.history.page(10, before)
        found += [item.change for item in page.items]
        assert page.older == older - len(page.items)
        before, older = found[-1], page.older
    assert found == [f"{number:06}-filled" for number in reversed(range(25))]
    assert log.history.page(10, before).items == ()
    with pytest.raises(NotFound):
        log.history.page(10, "nothing")


def test_verify_begins_where_it_is_told_and_reads_a_batch_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BATCH", 7)
    log = log_of(tmp_path / "j.db", 20)
    entries = log.journal.entries()
    whole = log.journal.verify()
    assert whole.ok and whole.entries == 61 and whole.head == entries[-1].hash
    assert log.journal.verify(begin=50) == whole and log.journal.verify(begin=entries[30].hash) == whole
    assert not log.journal.verify(head=entries[3].hash, begin=10).ok
    sql(log.journal.path, "DROP TRIGGER entries_stay", "UPDATE entries SET body = body || ' ' WHERE seq = 20")
    assert log.journal.verify().first_bad == 20 and log.journal.verify().entries == 61
    assert log.journal.verify(begin=21).ok
    for nothing in (62, "f" * 64):
        with pytest.raises(NotFound):
            log.journal.verify(begin=nothing)


def test_verify_makes_an_index_anew_that_hides_a_change(tmp_path: Path) -> None:
    log = log_of(tmp_path / "j.db", 10)
    assert log.history.page().items[0].outcome is ResultOutcome.APPLIED
    sql(log.journal.path, "UPDATE ix2_changes SET outcome = 'refused' WHERE change = '000009-filled'")
    assert log.history.page().items[0].outcome is ResultOutcome.REFUSED
    assert log.journal.verify().ok
    assert log.history.page().items[0].outcome is ResultOutcome.APPLIED


# --- what is not known ------------------------------------------------------------------------------------------------


def later_plan(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "plan": {**data["plan"], "schema": 99}}


UNKNOWN: dict[str, Callable[[Journal, dict[str, Any]], str]] = {
    "a kind": lambda journal, data: journal.append("ramp", "later", data),
    "a plan": lambda journal, data: journal.append("open", "later", later_plan(data)),
    "an outcome": lambda journal, data: journal.append("close", "000003-filled", {"result": {"outcome": "ramping"}}),
    "no shape": lambda journal, data: journal.append("open", "later", {"strange": True}),
}


@pytest.mark.parametrize("what", UNKNOWN)
async def test_a_record_of_a_later_version(tmp_path: Path, what: str) -> None:
    """Who looks goes on and says so; who would write is stopped before the first write."""
    w = world(tmp_path)
    path = tmp_path / "journal.db"
    fill(path, 5)
    data = dict(w.plane.journal.entries("000002-filled")[0].data)
    UNKNOWN[what](w.plane.journal, data)
    page = w.plane.changes()
    assert page.not_understood == 1 and "entry 17" in page.why and len(page.items) == 5
    assert w.plane.interrupted_page().not_understood == 1
    assert w.plane.journal.verify().ok
    plan = await w.plane.plan([SharesEdit(A, (("a", 80), ("b", 20)))])
    with pytest.raises(JournalError, match="does not understand"):
        await w.plane.apply(plan)
    assert w.weights() == {"a": 90, "b": 10}
    with pytest.raises(JournalError):
        await w.plane.undo_plan()


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)


def later(path: Path) -> None:
    sql(path, "PRAGMA user_version = 2")


def broken_tail(path: Path) -> None:
    sql(path, "DROP TRIGGER entries_stay", "UPDATE entries SET body = replace(body, 'a ramp', 'b ramp')")


def no_database(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [damaged, later, broken_tail, no_database])
async def test_a_journal_that_cannot_be_relied_on(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    guards = GuardConfig(cool_down_seconds=60)
    k8s = EnvironmentConfig("k8s", settings=KubernetesConfig(), section=KUBERNETES, guards=guards)
    w = world(tmp_path, DeckConfig(tmp_path / "deck.yaml", (k8s,)))
    fill(tmp_path / "journal.db", 5)
    w.plane.history()
    harm(tmp_path / "journal.db")
    plan = await w.plane.plan([SharesEdit(A, (("a", 80), ("b", 20)))])
    with pytest.raises(JournalError):
        await w.plane.apply(plan)
    assert w.weights() == {"a": 90, "b": 10}
    if harm is not broken_tail:
        told = [guard.message for step in plan.steps for guard in step.guards if guard.name == "cool_down"]
        assert told and "not known" in told[0]
        with pytest.raises(JournalError):
            w.plane.changes()
    else:
        assert w.plane.changes().items == () and w.plane.changes().not_understood == 5


async def test_a_locked_journal(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.plane.journal.busy_seconds = 0.2
    fill(tmp_path / "journal.db", 5)
    plan = await w.plane.plan([SharesEdit(A, (("a", 80), ("b", 20)))])
    holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Locked):
        w.plane.changes()
    assert (await w.plane.plan([SharesEdit(A, (("a", 80), ("b", 20)))])).steps
    with pytest.raises(Locked):
        await w.plane.apply(plan)
    assert w.weights() == {"a": 90, "b": 10}
    holder.close()


def test_the_bench_fills_as_the_journal_appends(tmp_path: Path) -> None:
    log = log_of(tmp_path / "j.db", 2)
    body = json.dumps(dict(log.journal.entries()[1].data), sort_keys=True)
    log.journal.append("open", "again", json.loads(body))
    assert log.journal.verify().ok and log.history.page().items[0].change == "again"
