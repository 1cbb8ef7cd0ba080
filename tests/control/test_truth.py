"""Whatever breaks, at whatever gate of a change: the result, the history and a later start say what is in force."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_adapter import FakeWriter
from worlds import A, B, World, shares, world

from control.errors import ControlError, ErrorKind
from control.journal.sqlite.chain import SqliteJournal
from control.planning.options import PlanOptions
from control.planning.plan import OnFailure, Progress, Result, ResultOutcome, StepOutcome
from control.ports import Prepared, Written

BOTH = [shares(A, a=70, b=30), shares(B, x=60, y=40)]
OLD, NEW = ({"a": 90, "b": 10}, {"x": 50, "y": 50}), ({"a": 70, "b": 30}, {"x": 60, "y": 40})
GATES = [(stage, step) for step in (0, 1) for stage in ("journaled", "written", "read_back", "loaded", "observed")]
IN_FORCE = {StepOutcome.APPLIED, StepOutcome.IN_PROGRESS}
NOT_IN_FORCE = {StepOutcome.NOT_STARTED, StepOutcome.REFUSED, StepOutcome.UNDONE}

Break = Callable[[World, contextlib.ExitStack], None]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a locked journal for ten seconds here."""
    made = SqliteJournal.__init__
    monkeypatch.setattr(SqliteJournal, "__init__", lambda self, path, busy=0.1: made(self, path, min(busy, 0.1)))


# --- what breaks ------------------------------------------------------------------------------------------------------


def locked(w: World, repair: contextlib.ExitStack) -> None:
    connection = sqlite3.connect(w.plane.journal.path, isolation_level=None, check_same_thread=False)
    repair.callback(connection.close)
    connection.execute("BEGIN EXCLUSIVE")


def removed(w: World, repair: contextlib.ExitStack) -> None:
    w.plane.journal.path.unlink()


def damaged(w: World, repair: contextlib.ExitStack) -> None:
    path = w.plane.journal.path
    kept = path.read_bytes()
    path.write_bytes(b"no database at all" * 100)
    repair.callback(path.write_bytes, kept)


def replaced(w: World, repair: contextlib.ExitStack) -> None:
    path = w.plane.journal.path
    away = path.with_name("away")
    path.rename(away)
    SqliteJournal(path).append("note", "", {"what": "another journal", "actor": "x"})
    repair.callback(away.replace, path)


def folder_gone(w: World, repair: contextlib.ExitStack) -> None:
    shutil.rmtree(w.plane.journal.path.parent)


def in_the_way(w: World, repair: contextlib.ExitStack) -> None:
    """Nothing can be made in the folder any more, the journal's own help files least of all."""
    folder = w.plane.journal.path.parent
    away = folder.with_name("moved")
    folder.rename(away)
    folder.write_text("no folder")

    def back() -> None:
        folder.unlink()
        away.rename(folder)

    repair.callback(back)


JOURNAL = {f.__name__: f for f in (locked, removed, damaged, replaced, folder_gone, in_the_way)}


def small(tmp_path: Path) -> World:
    (tmp_path / "state").mkdir()
    return world(tmp_path / "state")


def now(w: World) -> tuple[dict[str, Any], dict[str, Any]]:
    return w.weights(A), w.weights(B)


def check(w: World, result: Result) -> None:
    """What a result says of each step is what its platform has."""
    for step, is_now, old, new in zip(result.steps, now(w), *(OLD, NEW), strict=True):
        if step.outcome in IN_FORCE:
            assert is_now == new, step
        if step.outcome in NOT_IN_FORCE:
            assert is_now == old, step
    anything = now(w) != OLD
    if result.outcome in (ResultOutcome.REFUSED, ResultOutcome.NO_CHANGE, ResultOutcome.ROLLED_BACK):
        assert not anything, result
    if result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN):
        assert now(w) == NEW, result


@contextlib.contextmanager
def repaired(stack: contextlib.ExitStack) -> Iterator[None]:
    stack.close()
    yield


async def later(w: World, change: str | None) -> None:
    """What a later start says and does, once the journal works again."""
    anything = now(w) != OLD
    w.plane.take_in()
    assert w.plane.kept() == []
    history = [item for item in w.plane.history() if item.change == change]
    if not history:
        assert not anything, "a change that is in force is in no history"
        return
    assert history[0].outcome is not ResultOutcome.IN_PROGRESS
    for resolved in await w.plane.resolve():
        check(w, resolved)
    undo = await w.plane.undo_plan(change)
    if undo.steps:
        assert (await w.plane.apply(undo)).outcome is ResultOutcome.APPLIED
    assert now(w) == OLD
    assert w.plane.journal.verify().ok
    left = [name for name in os.listdir(w.plane.journal.path.parent) if name.endswith((".kept", ".open"))]
    assert left == []


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize("fault", JOURNAL)
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate[0]}-{gate[1]}")
async def test_the_journal_breaks_at_a_gate(
    tmp_path: Path, gate: tuple[str, int], fault: str, on_failure: OnFailure
) -> None:
    w = small(tmp_path)
    plan = await w.plane.plan(BOTH, PlanOptions(on_failure=on_failure))  # type: ignore[arg-type]
    repair = contextlib.ExitStack()

    async def listen(p: Progress) -> None:
        if (p.stage, p.step) == gate:
            JOURNAL[fault](w, repair)

    with repair:
        result = await w.plane.apply(plan, progress=listen)
        check(w, result)
        first = gate == ("journaled", 0)
        assert result.change is not None
        if first:
            assert result.outcome is ResultOutcome.REFUSED and now(w) == OLD
        elif gate[1] == 0 or gate[0] == "journaled":
            # The second step could not be noted, so it was not begun: what was done goes back, or stays and is named.
            assert result.steps[1].outcome is StepOutcome.REFUSED
            assert result.steps[1].reason is not None
            assert result.steps[1].reason.kind in (ErrorKind.JOURNAL, ErrorKind.LOCKED)
            undone = on_failure is OnFailure.UNDO
            assert result.steps[0].outcome is (StepOutcome.UNDONE if undone else StepOutcome.APPLIED)
            assert result.outcome is (ResultOutcome.ROLLED_BACK if undone else ResultOutcome.PARTLY_APPLIED)
        else:
            assert result.outcome is ResultOutcome.APPLIED
        if not first:
            assert result.kept and result.head is None
            told = [step.reason.message for step in result.steps if step.reason is not None]
            assert any(f"trafficdeck resolve {result.change}" in message for message in told), told
        with contextlib.suppress(ControlError):
            w.plane.take_in()  # what every later command tries first; that it fails must not hide what is kept
        kept = w.plane.kept()
        if fault in ("removed", "folder_gone", "replaced"):  # the journal that is there now takes it
            assert kept == []
            assert w.plane.history()[0].outcome is result.outcome
        elif fault != "in_the_way":
            assert [one.change for one in kept] == [result.change]
            assert kept[0].outcome is result.outcome
            assert os.stat(kept[0].where).st_mode & 0o777 == 0o600
    if fault == "in_the_way":
        # Nothing could be kept anywhere: the change is open, and looking at the platforms tells what is true.
        assert "nor its folder" in result.kept or first
    await later(w, result.change)


class Wrong(Exception):
    """No ControlError: a bug of somebody."""


def broken_listener(w: World, gate: tuple[str, int]) -> Any:
    def listen(p: Progress) -> Any:
        if (p.stage, p.step) == gate:
            raise Wrong("secret-value")
        return asyncio.sleep(0)

    return listen


def failing_listener(w: World, gate: tuple[str, int]) -> Any:
    async def listen(p: Progress) -> None:
        if (p.stage, p.step) == gate:
            raise Wrong("secret-value")

    return listen


@pytest.mark.parametrize("kind", [broken_listener, failing_listener])
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate[0]}-{gate[1]}")
async def test_a_broken_listener_breaks_nothing(tmp_path: Path, gate: tuple[str, int], kind: Any) -> None:
    w = small(tmp_path)
    result = await w.plane.apply(await w.plane.plan(BOTH), progress=kind(w, gate))  # type: ignore[arg-type]
    assert result.outcome is ResultOutcome.APPLIED and now(w) == NEW
    await later(w, result.change)


METHODS = ["prepare", "fetch", "loaded", "count", "running"]


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate[0]}-{gate[1]}")
async def test_an_adapter_raises_something_else(
    tmp_path: Path, gate: tuple[str, int], method: str, on_failure: OnFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.applying.proving.READ_BACK_SECONDS", 0.2)
    w = small(tmp_path)
    plan = await w.plane.plan(BOTH, PlanOptions(on_failure=on_failure))  # type: ignore[arg-type]

    def fails_at_once(*_: object, **__: object) -> Any:
        raise Wrong("secret-value")

    async def fails(*_: object, **__: object) -> Any:
        fails_at_once()

    async def listen(p: Progress) -> None:
        if (p.stage, p.step) == gate:
            monkeypatch.setattr(w.readers["k8s"], method, fails_at_once if method == "prepare" else fails)

    result = await w.plane.apply(plan, progress=listen)
    monkeypatch.delattr(w.readers["k8s"], method, raising=False)
    check(w, result)
    assert result.change is not None and result.head is not None
    await later(w, result.change)


@pytest.mark.parametrize("on_failure", list(OnFailure))
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [0, 1])
async def test_a_writer_raises_something_else(
    tmp_path: Path, number: int, when: str, on_failure: OnFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = small(tmp_path)
    plan = await w.plane.plan(BOTH, PlanOptions(on_failure=on_failure))  # type: ignore[arg-type]
    write, count = FakeWriter.write, iter(range(100))

    async def fails(self: FakeWriter, step: Prepared) -> Written:
        wrong = next(count) == number
        if wrong and when == "before":
            raise Wrong("secret-value")
        said = await write(self, step)
        if wrong:
            raise Wrong("secret-value")
        return said

    monkeypatch.setattr(FakeWriter, "write", fails)
    result = await w.plane.apply(plan)
    check(w, result)
    assert result.steps[number].reason is not None and result.steps[number].reason.kind is ErrorKind.PLATFORM
    await later(w, result.change)


@pytest.mark.parametrize("name", ["apply.observe", "judging.outlook", "apply.wait_loaded", "apply.next_act"])
async def test_a_failure_of_our_own(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = small(tmp_path)
    plan = await w.plane.plan(BOTH)  # type: ignore[arg-type]

    def fails(*_: object, **__: object) -> Any:
        raise Wrong("secret-value")

    async def listen(p: Progress) -> None:
        if (p.stage, p.step) == ("written", 0):
            monkeypatch.setattr(f"control.applying.{name}", fails)

    result = await w.plane.apply(plan, progress=listen)
    monkeypatch.undo()
    check(w, result)
    assert result.change is not None and "secret-value" not in repr(result)
    await later(w, result.change)


@pytest.mark.parametrize("how", ["stop", "cancel", "cancel_all"])
@pytest.mark.parametrize("gate", GATES, ids=lambda gate: f"{gate[0]}-{gate[1]}")
async def test_stopped_at_a_gate(tmp_path: Path, gate: tuple[str, int], how: str) -> None:
    w = small(tmp_path)
    plan = await w.plane.plan(BOTH)  # type: ignore[arg-type]
    reached, stop = asyncio.Event(), asyncio.Event()

    async def listen(p: Progress) -> None:
        if (p.stage, p.step) == gate:
            reached.set()
            await asyncio.sleep(3600)

    task = asyncio.ensure_future(w.plane.apply(plan, progress=listen, stop=stop))
    await reached.wait()
    if how == "stop":
        stop.set()
        result = await task
        check(w, result)
        begun = [step.outcome is not StepOutcome.NOT_STARTED for step in result.steps]
        assert begun == [gate != ("journaled", 0), gate[1] == 1 and gate[0] != "journaled"]
        assert all(step.proof is not None for step in result.steps if step.outcome is StepOutcome.APPLIED)
    else:
        # What ends an event loop cancels every task there is, those inside a change too.
        mine = asyncio.current_task()
        for one in [task] if how == "cancel" else asyncio.all_tasks() - {mine}:
            one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    (item,) = w.plane.history()
    assert item.outcome not in (ResultOutcome.IN_PROGRESS, ResultOutcome.INTERRUPTED)
    written = now(w) != OLD
    assert written == (gate != ("journaled", 0))
    if not written:
        assert item.outcome is ResultOutcome.REFUSED
    await later(w, item.change)


async def test_no_room_beside_the_journal_refuses_before_the_first_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = small(tmp_path)
    plan = await w.plane.plan(BOTH)  # type: ignore[arg-type]

    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    from control.errors import JournalError

    with pytest.raises(JournalError, match="no room"):
        await w.plane.apply(plan)
    assert now(w) == OLD and w.plane.history() == []
    assert [name for name in os.listdir(tmp_path / "state") if name.endswith((".kept", ".open"))] == []
