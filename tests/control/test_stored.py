"""What an earlier version stored is read by this one: its journal verifies and undoes, its saved plans keep their seal.

`stored/` was written by the version before the contract had one serialiser: a journal of eight changes (the last one
interrupted), its history as that version printed it, three plans on the same platforms, one of every kind of the demo
fleet, and the platforms as they stood afterwards. It is never written anew.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from worlds import RATE, VM, A, B, World, file_world

from control.contract.plans import history_document, plan_to_json
from control.errors import UsageError
from control.model import Special
from control.planning.options import ApplyOptions
from control.planning.plan import ResultOutcome, StepOutcome, Verdict
from control.serialiser import to_json
from tui.planfiles import read_plan_file

STORED = Path(__file__).with_name("stored")
PLANS = sorted(path.name for path in STORED.glob("plan-*.json"))
HISTORY: list[dict[str, Any]] = json.loads((STORED / "history.json").read_text())["items"]
SHIFT, INTERRUPTED = HISTORY[-1]["change"], HISTORY[0]["change"]


@pytest.fixture
def stored(tmp_path: Path) -> World:
    """The world as the earlier version left it."""
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.executescript((STORED / "journal.sql").read_text())
    for name in ("k8s", "vm"):
        shutil.copy(STORED / f"{name}.json", tmp_path)
    return file_world(tmp_path, fill=False)


def test_a_stored_journal_verifies_and_lists_the_same(stored: World) -> None:
    told = stored.plane.journal.verify()
    assert told.ok and told.entries == 40 and told.head == stored.plane.journal.head()
    assert to_json(history_document(stored.plane.changes()))["items"] == HISTORY


async def test_a_stored_change_is_undone(stored: World) -> None:
    await stored.plane.resolve(INTERRUPTED)
    plan = await stored.plane.undo_plan(SHIFT)
    assert plan.undo_of == SHIFT and plan.verdict is not Verdict.REFUSE
    done = await stored.plane.apply(plan, ApplyOptions(reason="as it was"))
    assert done.outcome is ResultOutcome.APPLIED
    assert stored.weights(A) == {"a": 90, "b": 10}
    assert all(stored.weights(VM.on(host)) == {"u": 1, "v": 1} for host in ("h1", "h2", "h3"))
    told = stored.plane.journal.verify()
    assert told.ok and told.entries > 40
    assert [item.undone_by for item in stored.plane.changes().items if item.change == SHIFT] == [done.change]


async def test_a_stored_interrupted_change_is_resolved(stored: World) -> None:
    assert [item.change for item in stored.plane.interrupted()] == [INTERRUPTED]
    (result,) = await stored.plane.resolve(INTERRUPTED)
    assert [step.found and step.found.value for step in result.steps] == ["before"]
    assert stored.plane.interrupted() == [] and stored.plane.journal.verify().ok


@pytest.mark.parametrize("name", PLANS)
def test_a_stored_plan_keeps_its_seal(tmp_path: Path, name: str) -> None:
    document = json.loads((STORED / name).read_text())
    plan = read_plan_file(STORED / name)
    assert plan.sha256 == document["sha256"]
    assert plan_to_json(plan) == document and list(plan_to_json(plan)) == list(document)
    document["steps"][0]["diff"] += " "
    with pytest.raises(UsageError, match="changed after it was saved"):
        read_plan_file(_written(tmp_path, document))


def _written(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "plan.json"
    path.write_text(json.dumps(document))
    return path


async def test_a_stored_plan_is_applied(stored: World) -> None:
    await stored.plane.resolve(INTERRUPTED)
    plan = await stored.plane.replan(read_plan_file(STORED / "plan-saved.json"))
    done = await stored.plane.apply(plan)
    assert done.outcome is ResultOutcome.APPLIED
    assert {step.outcome for step in done.steps} == {StepOutcome.APPLIED}
    assert stored.weights(A) == {"a": 50, "b": 50} and stored.weights(VM.on("h2")) == {"u": 1, "v": 9}


async def test_records_are_written_with_the_fields_that_were_stored(stored: World) -> None:
    def keys(data: Any) -> Any:
        if isinstance(data, list):
            return [keys(data[0])] if data else []
        return {key: keys(value) for key, value in data.items()} if isinstance(data, dict) else None

    def forms(after: int) -> dict[str, Any]:
        entries = [entry for entry in stored.plane.journal.entries() if entry.seq > after]
        return {entry.kind: keys(entry.data) for entry in reversed(entries)}

    before = forms(0)
    last = stored.plane.journal.last()
    await stored.plane.resolve(INTERRUPTED)
    undo = await stored.plane.undo_plan(SHIFT)
    stored.faults("vm").write = ["ok", "refuse"]
    done = await stored.plane.apply(undo, ApplyOptions(reason="as it was"))
    assert done.outcome is ResultOutcome.ROLLED_BACK
    now = forms(last)
    assert now.keys() >= {"open", "writing", "step", "undoing", "close", "resolve"}
    assert {kind: now[kind].keys() for kind in before} == {kind: form.keys() for kind, form in before.items()}
    assert now["open"]["plan"].keys() == before["open"]["plan"].keys()
    (ours, *_), (theirs, *_) = (form["close"]["result"]["steps"] for form in (now, before))
    assert ours.keys() == theirs.keys() and ours["proof"] == theirs["proof"]


def test_what_a_stored_journal_says_of_values(stored: World) -> None:
    """The types of values come back by their fields: exact amounts, native weights, states, words."""
    changes = {
        (change.ref, change.field): change
        for item in reversed(stored.plane.changes().items)
        for step in item.steps
        for change in step.changes
    }
    assert changes[RATE, "amount"].after is Special.UNLIMITED
    assert changes[A, "targets/a/weight"].after == 10 and type(changes[A, "targets/a/weight"].after) is int
    assert str(changes[B, "targets/y/state"].after) == "active"
