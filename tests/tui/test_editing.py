"""Editing by keyboard: step, expression, drain, plan, confirm, apply, undo; and what must never send."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from driver import guard_time, pick, ready, screen_text, type_text, until
from textual import events
from textual.pilot import Pilot

from control.contract.plans import seal
from control.model import Grid
from control.model.ref import Ref
from control.planning.edit import LimitEdit, SharesEdit
from control.planning.plan import GuardResult, Verdict
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.app import _tell_ended
from tui.deck_app import DeckApp
from tui.planfiles import write_plan

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
GATEWAY = Ref("prod-eu", "HTTPRoute", "inference", "llm-gw")
CHAT = Ref("fn", "LambdaAlias", "inference", "chat-v2")


async def arm(pilot: object, app: DeckApp) -> None:
    await type_text(pilot, ":arm 15m canary")  # type: ignore[arg-type]
    await pilot.press("enter")  # type: ignore[attr-defined]
    await until(pilot, app, "ARMED 1")  # type: ignore[arg-type]


async def test_shift_ten_points_then_plan_apply_and_undo(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("enter", "j", "+")
        assert app.staging.edits() == [SharesEdit(CHAT, (("chat-v2-v1", 40), ("chat-v2-v2", 60)))]
        await pilot.press("q")
        assert "A50→40 B50→60" in screen_text(app).replace("A50→40 +1", "A50→40 B50→60")
        await pilot.press("a")
        text = await until(pilot, app, "y applies")
        assert "chat-v2-v1 weight" in text and "50 → 40" in text
        assert "moves about 8.8 of 88 rps to chat-v2-v2" in text
        assert "the capacity of prod-eu, lb, fn is not known" in " ".join(text.split())
        await guard_time()
        await pilot.press("y")
        text = await until(pilot, app, "waiting for traffic")
        assert "accepted" in text and "2 of 2 replicas" in text
        assert plane.held(CHAT).targets[0].weight == 40
        assert not len(app.staging)
        await pilot.press("u")
        await until(pilot, app, " UNDO ")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "waiting for traffic")
        assert plane.held(CHAT).targets[0].weight == 50


async def test_redo_takes_back_the_last_undo(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("U")
        assert "nothing was undone" in screen_text(app)
        await pilot.press("enter", "j", "+", "a")
        for key, weight in (("y", 40), ("u", 50), ("U", 40)):
            if key == "U":
                await pilot.press("n")
            if key != "y":
                await pilot.press(key)
            await until(pilot, app, " UNDO " if key != "y" else "y applies")
            await guard_time()
            await pilot.press("y")
            await until(pilot, app, "waiting for traffic")
            assert plane.held(CHAT).targets[0].weight == weight
            app.read_history()
            await pilot.pause(0.1)


async def test_enter_never_confirms_nor_does_the_key_that_opened_the_plan(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("+", "a")
        await until(pilot, app, "y applies")
        await pilot.press("y")  # within the guard time
        await guard_time()
        await pilot.press("enter", "a", "space")
        assert not plane.applied
        await pilot.press("n")
        await until(pilot, app, "ROUTE")
        assert len(app.staging) == 1


async def test_production_is_disarmed_then_takes_its_code(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("plus", "a")
        await until(pilot, app, "what if: prod-eu disarmed")
        await guard_time()
        await pilot.press("y")
        assert not plane.applied
        await pilot.press("n")
        await arm(pilot, app)
        await pilot.press("a")
        await until(pilot, app, "prod-eu is production")
        await guard_time()
        await pilot.press("y")
        await pilot.press("enter")
        assert not plane.applied
        await pilot.press("y")
        await type_text(pilot, "eu")
        await pilot.press("enter")
        await until(pilot, app, "waiting for traffic")
        _, options = plane.applied[0]
        assert options.confirmed == frozenset({"eu"}) and options.reason == "canary"


async def test_draining_the_last_healthy_target_types_its_objects_name(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await arm(pilot, app)
        await pilot.press("enter", "D", "a")
        for guard, left in (("last_healthy", "refused by maximum_move"), ("maximum_move", "type llm-gw, then type eu")):
            await until(pilot, app, f"refused by {guard}")
            await pilot.press("O")
            await type_text(pilot, f"{guard} it is on fire")
            await pilot.press("enter")
            text = await until(pilot, app, left)
        assert "would lose its last healthy target" in text
        await guard_time()
        await pilot.press("y")
        await type_text(pilot, "eu")
        await pilot.press("enter")
        await until(pilot, app, "'llm-gw' was not typed")
        assert not plane.applied


async def test_halving_a_limit_by_expression(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("2", "e", "slash", "2")
        await until(pilot, app, "→ 50/s")
        await pilot.press("enter")
        edit = app.staging.edits()[0]
        assert isinstance(edit, LimitEdit) and (edit.factor == Fraction(1, 2) or edit.amount == 50)
        await until(pilot, app, "100/s→50/s")
        await pilot.press("x")
        assert not len(app.staging)


async def test_a_wrong_expression_is_told_as_it_is_typed_and_stages_nothing(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("e")
        await type_text(pilot, "abc")
        await until(pilot, app, "is no weight")
        await pilot.press("enter")
        assert not len(app.staging)


async def test_one_expression_over_all_marked_rows(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("2", "space", "space", "e", "slash", "2", "enter")
        assert len(app.staging.limits) == 2


async def test_locked_shares_neither_give_nor_take(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-edge")
        await pilot.press("enter", "L", "j", "j", "+")
        edge = next(iter(app.staging.routes.values()))
        assert edge.after["llm-edge-v1"] == Fraction(1, 2) and edge.after["llm-edge-v3"] == Fraction(3, 10)


async def test_pasted_text_never_acts(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        app.screen.post_message(events.Paste("Day\n"))
        await until(pilot, app, "pasted text does nothing here")
        for key in ("plus", "D", "a", "y"):
            app.screen.post_message(events.Key(key, "+" if key == "plus" else key))
        await pilot.pause(0.2)
        assert not plane.applied and "APPLY" not in screen_text(app)


async def test_a_number_that_the_platform_cannot_hold_is_told_as_it_is_typed(make_app: Make) -> None:
    fleet = fleets.small()
    whole = {ref: replace(one, amounts=Grid(), amount=Fraction(25)) for ref, one in fleet.limits.items()}
    app, _ = make_app(replace(fleet, limits=whole))
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("2", "e")
        await type_text(pilot, "/2")
        text = await until(pilot, app, "cannot hold 12.5")
        assert "12/s and 13/s" in text
        await pilot.press("enter")
        assert not len(app.staging)


async def test_a_draft_survives_the_session(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("+")
    again, _ = make_app()
    async with again.run_test(size=(80, 24)) as pilot:
        await until(pilot, again, "restored from the draft")
        assert again.staging.edits() == app.staging.edits()


async def test_a_plan_goes_through_a_file(make_app: Make, tmp_path: object) -> None:
    app, plane = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("+")
        await type_text(pilot, f":w {tmp_path}/p.json")
        await pilot.press("enter")
        await until(pilot, app, "saved")
        await pilot.press("x")
        await type_text(pilot, f":open {tmp_path}/p.json")
        await pilot.press("enter")
        await until(pilot, app, "y applies")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "waiting for traffic")
        assert plane.held(CHAT).targets[0].weight == 60


async def test_the_screen_shows_what_will_be_sent_and_not_what_the_file_says(make_app: Make, tmp_path: Path) -> None:
    app, plane = make_app()
    plan = await plane.plan([SharesEdit(CHAT, (("chat-v2-v1", 60), ("chat-v2-v2", 40)))])
    told = (GuardResult("zero_sum", Verdict.OK, "reviewed by everybody"),)
    ours = replace(plan.steps[0], guards=told)
    write_plan(tmp_path / "guards.json", seal(replace(plan, steps=(ours,), verdict=Verdict.OK)))
    write_plan(tmp_path / "diff.json", seal(replace(plan, steps=(replace(ours, diff="harmless"),))))
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, f":open {tmp_path}/guards.json")
        await pilot.press("enter")
        assert "reviewed by everybody" not in await until(pilot, app, "y applies")
        await pilot.press("n")
        await type_text(pilot, f":open {tmp_path}/diff.json")
        await pilot.press("enter")
        assert "y applies" not in await until(pilot, app, "diff is not what would be written")


async def test_quitting_with_staged_edits_asks_and_ctrl_c_never_quits(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("ctrl+c", "ctrl+q")
        assert app.is_running
        await pick(pilot, app, "chat-v2")
        await pilot.press("+", "j", "q")
        await until(pilot, app, "kept as a draft")
        await pilot.press("j", "q")
        assert app.is_running


async def test_a_screen_that_is_closed_waits_for_the_change_and_tells_what_came_of_it(
    make_app: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    app, plane = make_app()
    plane.readers["fn"].faults.late_seconds = 0.3

    async def drive(pilot: Pilot[int]) -> None:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("enter", "j", "+", "q", "a")
        await until(pilot, app, "y applies")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "ok journaled")
        app.exit(1)

    await app.run_async(headless=True, size=(80, 24), auto_pilot=drive)
    assert app.in_flight == 0
    [(plan, result)] = app.under_way.ended
    assert plan.steps and result.change is not None
    assert plane.held(CHAT).targets[0].weight == 40
    capsys.readouterr()
    _tell_ended(app)
    told = capsys.readouterr().out
    assert f"trafficdeck change {result.change}" in told
