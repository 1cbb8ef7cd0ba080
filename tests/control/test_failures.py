"""What goes wrong while a plan is applied, and what is then true."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from fake_adapter import FakeWriter
from worlds import RATE, VM, A, B, World, amount, shares, world

from control.errors import ErrorKind, GuardRefused, Locked, NotFound, ReadOnly, Stale
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import OnFailure, Progress, ResultOutcome, StepOutcome
from control.ports import Found, ProofState

BOTH = [shares(A, a=70, b=30), shares(B, x=60, y=40)]


async def applied(w: World, edits: list[object], on_failure: OnFailure | None = None) -> object:
    plan = await w.plane.plan(edits, PlanOptions(on_failure=on_failure))  # type: ignore[arg-type]
    return await w.plane.apply(plan)


@pytest.mark.parametrize("fault", ["refuse", "lose", "silent_before"])
async def test_a_failed_step_takes_the_done_ones_back(tmp_path: Path, fault: str) -> None:
    w = world(tmp_path)
    w.faults().write = ["ok", fault]
    result = await applied(w, BOTH)
    assert result.outcome is ResultOutcome.ROLLED_BACK
    assert [s.outcome for s in result.steps] == [StepOutcome.UNDONE, StepOutcome.FAILED]
    assert result.steps[1].found is Found.BEFORE
    assert "taken back because" in result.steps[0].reason.message
    assert w.weights(A) == {"a": 90, "b": 10} and w.weights(B) == {"x": 50, "y": 50}


async def test_a_failed_step_that_is_in_force_is_taken_back_too(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults().write = ["ok", "error_after"]
    result = await applied(w, BOTH)
    assert result.outcome is ResultOutcome.ROLLED_BACK
    assert [s.outcome for s in result.steps] == [StepOutcome.UNDONE, StepOutcome.UNDONE]
    assert "new values all the same" in result.steps[1].reason.message
    assert w.weights(A) == {"a": 90, "b": 10} and w.weights(B) == {"x": 50, "y": 50}


async def test_no_answer_and_read_back_as_meant_is_no_failure(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults().write = ["silent_after"]
    result = await applied(w, BOTH)
    assert result.outcome is ResultOutcome.APPLIED
    assert "no answer" in result.steps[0].proof.accepted.detail


async def test_not_loaded_is_a_failure_and_taken_back(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults().loaded = [ProofState.PENDING, ProofState.YES, ProofState.PENDING, ProofState.NO]
    result = await applied(w, BOTH)
    assert result.outcome is ResultOutcome.ROLLED_BACK
    assert w.weights(A) == {"a": 90, "b": 10} and w.weights(B) == {"x": 50, "y": 50}


async def test_stop_leaves_what_is_done(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults().write = ["ok", "refuse"]
    result = await applied(w, BOTH, OnFailure.STOP)
    assert result.outcome is ResultOutcome.PARTLY_APPLIED
    assert [s.outcome for s in result.steps] == [StepOutcome.APPLIED, StepOutcome.FAILED]
    assert w.weights(A) == {"a": 70, "b": 30}


async def test_what_cannot_be_undone_is_named(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults().write = ["ok", "down_after"]
    w.readers["k8s"].deadline_seconds = 0.2
    import control.applying.proving

    control.applying.proving.READ_BACK_SECONDS, kept = 0.3, control.applying.proving.READ_BACK_SECONDS
    try:
        result = await applied(w, BOTH)
    finally:
        control.applying.proving.READ_BACK_SECONDS = kept
    assert result.outcome is ResultOutcome.PARTLY_APPLIED
    assert [s.outcome for s in result.steps] == [StepOutcome.UNDO_FAILED, StepOutcome.UNKNOWN]
    assert all("could not be taken back" in s.reason.message for s in result.steps)


async def test_taking_back_leaves_what_somebody_else_set(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults().write = ["ok", "refuse"]

    async def meddle(p: Progress) -> None:
        if p.stage == "observed" and p.step == 0:
            w.store().change("k8s/HTTPRoute/inference/llama", lambda new: new["routes"][str(A)]["b"].update(weight=44))

    result = await w.plane.apply(await w.plane.plan(BOTH), progress=meddle)  # type: ignore[arg-type]
    assert result.outcome is ResultOutcome.PARTLY_APPLIED
    assert result.steps[0].outcome is StepOutcome.UNDO_FAILED
    assert "is 44 now, we had set 30" in result.steps[0].reason.message
    assert w.weights(A) == {"a": 90, "b": 44}


async def test_loaded_unknown_fails_nothing_and_pending_stays_in_progress(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.readers["k8s"].default_loaded = ProofState.UNKNOWN
    assert (await applied(w, [shares(A, a=70, b=30)])).outcome is ResultOutcome.APPLIED_UNPROVEN
    w.readers["k8s"].default_loaded, w.readers["k8s"].deadline_seconds = ProofState.PENDING, 0.2
    result = await applied(w, [shares(A, a=60, b=40)])
    assert result.outcome is ResultOutcome.IN_PROGRESS
    assert w.weights(A) == {"a": 60, "b": 40}
    w.readers["k8s"].default_loaded = ProofState.YES
    (followed,) = await w.plane.resolve()
    assert followed.outcome is ResultOutcome.APPLIED
    assert w.plane.history()[0].outcome is ResultOutcome.APPLIED


async def test_a_stale_base_refuses_the_whole_plan_and_writes_nothing(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan(BOTH)  # type: ignore[arg-type]
    w.store().change("k8s/HTTPRoute/inference/mistral", lambda new: None)
    writes = len(w.store().writes)
    result = await w.plane.apply(plan)
    assert result.outcome is ResultOutcome.REFUSED and result.change is None
    assert [s.outcome for s in result.steps] == [StepOutcome.NOT_STARTED, StepOutcome.REFUSED]
    assert result.steps[1].reason.kind is ErrorKind.STALE and "plan again" in result.steps[1].reason.message
    assert len(w.store().writes) == writes


@pytest.mark.parametrize("kind", ["stale", "locked"])
async def test_a_race_lost_at_the_write_is_refused(tmp_path: Path, kind: str) -> None:
    w = world(tmp_path)
    w.faults().write = [kind]
    result = await applied(w, [shares(A, a=70, b=30)])
    assert result.outcome is ResultOutcome.REFUSED
    assert result.steps[0].reason.kind is ErrorKind(kind)
    assert w.plane.history()[0].outcome is ResultOutcome.REFUSED


async def test_a_hanging_write_ends_and_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.applying.writing.WRITE_SECONDS", 0.2)
    w = world(tmp_path)
    w.faults().write = ["hang"]
    result = await applied(w, [shares(A, a=70, b=30)])
    assert result.outcome is ResultOutcome.ROLLED_BACK
    assert result.steps[0].found is Found.BEFORE


async def test_cancelling_finishes_the_step_in_flight(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan(BOTH)  # type: ignore[arg-type]
    at_gate = asyncio.Event()

    async def gate(p: Progress) -> None:
        if p.stage == "written":
            at_gate.set()
            await asyncio.sleep(3600)

    task = asyncio.ensure_future(w.plane.apply(plan, progress=gate))
    await at_gate.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    (item,) = w.plane.history()
    assert item.outcome is ResultOutcome.PARTLY_APPLIED
    assert w.weights(A) == {"a": 70, "b": 30} and w.weights(B) == {"x": 50, "y": 50}


async def test_a_failing_host_stops_the_others(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults("vm").write = ["ok", "refuse"]
    result = await applied(w, [shares(VM, u=3)])
    assert result.outcome is ResultOutcome.PARTLY_APPLIED
    assert [s.outcome.value for s in result.steps] == ["applied", "failed", "not_started"]


async def test_undo_leaves_fields_that_somebody_changed_since(tmp_path: Path) -> None:
    w = world(tmp_path)
    done = await applied(w, [shares(A, a=70, b=30)])
    w.store().change("k8s/HTTPRoute/inference/llama", lambda new: new["routes"][str(A)]["a"].update(weight=55))
    plan = await w.plane.undo_plan(done.change)
    assert [c.field for c in plan.steps[0].changes] == ["targets/b/weight"]
    assert "is 55 now, we had set 70" in plan.steps[0].guards[0].message
    assert (await w.plane.apply(plan)).outcome is ResultOutcome.APPLIED
    assert w.weights() == {"a": 55, "b": 10}
    w.store().change("k8s/HTTPRoute/inference/llama", lambda new: new["routes"][str(A)]["b"].update(weight=7))
    with pytest.raises(Stale, match="7 now"):
        await w.plane.undo_plan(w.plane.history()[0].change)


async def test_undo_takes_a_newer_value_back_where_it_is_told_to(tmp_path: Path) -> None:
    w = world(tmp_path)
    done = await applied(w, [shares(A, a=70, b=30)])
    w.store().change("k8s/HTTPRoute/inference/llama", lambda new: new["routes"][str(A)]["a"].update(weight=55))
    fields = {field.field: field for field in await w.plane.undo_fields(done.change)}
    newer = fields["targets/a/weight"]
    assert (newer.before, newer.ours, newer.now, newer.foreign) == (90, 70, 55, True)
    assert not fields["targets/b/weight"].foreign
    plan = await w.plane.undo_plan(done.change, [newer.key])
    assert {(c.field, c.before, c.after) for c in plan.steps[0].changes} == {
        ("targets/a/weight", 55, 90),
        ("targets/b/weight", 30, 10),
    }
    assert (await w.plane.apply(plan)).outcome is ResultOutcome.APPLIED
    assert w.weights() == {"a": 90, "b": 10}


async def test_undo_refusals(tmp_path: Path) -> None:
    w = world(tmp_path)
    with pytest.raises(NotFound):
        await w.plane.undo_plan()
    with pytest.raises(NotFound):
        await w.plane.undo_plan("nope")
    plan = await w.plane.plan([shares(A, a=70, b=30)])
    running = await asyncio.to_thread(w.plane._log.open, plan, "me@here", "", ())
    with pytest.raises(Locked):
        await w.plane.undo_plan()
    assert w.plane.history()[0].outcome is ResultOutcome.IN_PROGRESS
    running.abandon()
    assert w.plane.history()[0].outcome is ResultOutcome.INTERRUPTED
    with pytest.raises(GuardRefused, match="resolve"):
        await w.plane.undo_plan()
    (found,) = await w.plane.resolve()
    assert found.outcome is ResultOutcome.ROLLED_BACK and found.steps[0].found is Found.BEFORE
    nothing = await w.plane.undo_plan()
    assert nothing.steps == () and nothing.undo_of == running.change
    assert (await w.plane.apply(nothing)).outcome is ResultOutcome.NO_CHANGE


async def test_what_cannot_be_reached_stays_open_until_it_can(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan(BOTH)  # type: ignore[arg-type]
    died = await asyncio.to_thread(w.plane._log.open, plan, "me@here", "", ())
    for number, step in enumerate(plan.steps):
        died.note_writing(number, step.object, {"version": 1})
    died.abandon()
    w.faults().down = True
    (unclear,) = await w.plane.resolve()
    assert unclear.outcome is ResultOutcome.INTERRUPTED
    assert {s.found for s in unclear.steps} == {Found.UNREACHABLE}
    assert [item.change for item in w.plane.interrupted()] == [died.change]
    w.faults().down = False
    w.store().change("k8s/HTTPRoute/inference/llama", lambda new: new["routes"][str(A)]["a"].update(weight=1))
    (clear,) = await w.plane.resolve(died.change)
    assert [s.found for s in clear.steps] == [Found.OTHER, Found.BEFORE]
    assert clear.outcome is ResultOutcome.PARTLY_APPLIED and not w.plane.interrupted()
    with pytest.raises(Stale, match="is 1 now"):
        await w.plane.undo_plan(died.change)


async def test_an_armed_plane_shares_what_was_read(tmp_path: Path) -> None:
    w = world(tmp_path)
    reading = ControlPlane(w.deck, w.readers, None, "me@here")
    await reading.refresh()
    plan = await reading.plan([shares(A, a=70, b=30)])
    assert reading.read_only
    writers = []

    def make(config: object, reader: object) -> FakeWriter:
        writers.append(FakeWriter(w.readers["k8s"]))
        return writers[-1]

    armed = reading.with_writers(make)
    await armed.note("armed", {"minutes": "15", "reason": "ramp"})
    assert (await armed.apply(plan)).outcome is ResultOutcome.APPLIED
    assert len(writers) == 1 and writers[0].closed
    assert armed.inventory is reading.inventory
    assert [entry.kind for entry in reading.journal.entries()] == ["note", "open", "writing", "step", "close"]
    assert len(reading.history()) == 1


async def test_undo_without_a_name_never_reaches_past_what_was_rolled_back(tmp_path: Path) -> None:
    w = world(tmp_path)
    await applied(w, [shares(A, a=70, b=30)])
    w.faults().write = ["refuse"]
    assert (await applied(w, [shares(A, a=50, b=50)])).outcome is ResultOutcome.ROLLED_BACK
    assert (await w.plane.undo_plan()).steps == ()
    w.faults().write = ["stale"]
    assert (await applied(w, [shares(A, a=50, b=50)])).outcome is ResultOutcome.REFUSED
    assert (await w.plane.undo_plan()).steps == ()
    assert w.weights() == {"a": 70, "b": 30}


async def test_read_only_and_production(tmp_path: Path) -> None:
    w = world(tmp_path, production=True, code="eu")
    plan = await w.plane.plan([shares(A, a=70, b=30)])
    reader_only = ControlPlane(w.deck, w.readers, None, "me@here")
    with pytest.raises(ReadOnly):
        await reader_only.apply(plan)
    for options in (ApplyOptions(reason="x"), ApplyOptions(confirmed=frozenset({"eu"}))):
        refused = await w.plane.apply(plan, options)
        assert refused.outcome is ResultOutcome.REFUSED and refused.steps[0].reason.kind is ErrorKind.GUARD
    assert w.weights() == {"a": 90, "b": 10}
    done = await w.plane.apply(plan, ApplyOptions(reason="ramp", confirmed=frozenset({"eu"})))
    assert done.outcome is ResultOutcome.APPLIED
    assert w.plane.history()[0].reason == "ramp"


async def test_an_unreachable_environment_costs_only_its_rows(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults("vm").down = True
    inventory = await w.plane.refresh()
    assert A in inventory.routes and RATE in inventory.limits and VM not in inventory.routes
    assert [(u.environment, u.kind) for u in inventory.unreached] == [("vm", "unreachable")]
    w.faults("vm").down = False
    inventory = await w.plane.refresh(["vm"])
    assert VM in inventory.routes and not inventory.unreached
    w.faults("vm").down = True
    inventory = await w.plane.refresh()
    assert VM in inventory.routes and inventory.unreached[0].environment == "vm"


async def test_a_journal_that_cannot_be_written_writes_nothing_else(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=70, b=30)])
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    from control.errors import JournalError

    with pytest.raises(JournalError, match="damaged"):
        await w.plane.apply(plan)
    assert w.weights() == {"a": 90, "b": 10}


async def test_several_edits_are_ordered_and_merged(tmp_path: Path) -> None:
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=70), amount(RATE, 200), shares(A, b=30)])
    assert [s.object.split("/")[1] for s in plan.steps] == ["Middleware", "HTTPRoute"]
    assert len(plan.steps[1].changes) == 2
    assert plan.steps[0].effective[0].after.high == 200
    lowered = await w.plane.plan([amount(RATE, 50), shares(A, a=70)])
    assert [s.object.split("/")[1] for s in lowered.steps] == ["HTTPRoute", "Middleware"]
    assert (await w.plane.plan([amount(RATE, 50)])).on_failure is OnFailure.STOP
    assert plan.on_failure is OnFailure.UNDO
    assert Ref.parse(str(A)) == A
