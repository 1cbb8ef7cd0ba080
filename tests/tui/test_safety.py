"""What must always hold: hostile strings, on-call without an editing key, a complete registry, crash words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from driver import pick, ready, screen_text, type_text, until

from control.errors import DeckError
from control.fleet.views import NOT_READ, EnvironmentView, Inventory
from control.model import (
    Environment,
    Outside,
    Owner,
    OwnerRole,
    Reach,
    ReachState,
    Status,
    StatusState,
)
from control.model.ref import Ref
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.actions import ACTIONS, BY_ID, COMMANDS, RESERVED, WHAT_IF, Keymap, Situation, in_scope, method_name
from tui.deck_app import DeckApp
from tui.planfiles import read_plan_file
from tui.screens.deck import DeckScreen
from tui.screens.oncall import OncallLists, OncallScreen
from tui.screens.plan import PlanScreen
from tui.screens.sheet import SheetScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
HOSTILE = (
    "x[/]y", "[/prod]", "[@click=app.quit]go[/]", "\x1b]0;owned\x07", "\x1b[2J\x1b[31mred", "\x9b31m", "a\x00b", "\x7f",
    "‮drawkcab", "tab\there", "line\nbreak", "[bold", "漢字のモデル", "e\u0301\u0301\u0301", "👩‍👩‍👧", "\\[", "\u202e]",
)  # fmt: skip


def hostile_fleet(nasty: str) -> Inventory:
    """The small fleet with one string everywhere. Unclean on purpose: the screen is the last door."""
    fleet = fleets.small()
    ref = next(iter(fleet.routes))
    row = fleet.routes[ref]
    targets = tuple(replace(target, name=f"{nasty}{i}", health_detail=nasty) for i, target in enumerate(row.targets))
    evil = replace(
        row, name=nasty, targets=targets, matches=(nasty,), owners=(Owner(nasty, nasty, OwnerRole.DECLARED),),
        notes=(nasty,), status=Status(StatusState.ERROR, nasty), location=nasty, sticky=nasty,
    )  # fmt: skip
    limit_ref, limit = next(iter(fleet.limits.items()))
    bad = replace(limit, name=nasty, match=nasty, key=(nasty,), notes=(nasty,), remainder=((nasty, nasty),))
    views = {
        name: replace(view, environment=replace(view.environment, identity=nasty))
        for name, view in fleet.environments.items()
    }
    seen = {**fleet.seen, ref: replace(fleet.seen[ref], shares={t.name: Fraction(1, 2) for t in targets})}
    service_of = {**fleet.service_of, ref: nasty}
    outside = (Outside(fleet.outside[0].at, nasty, nasty, nasty, nasty),)
    return replace(
        fleet, routes={**fleet.routes, ref: evil}, limits={**fleet.limits, limit_ref: bad}, environments=views,
        seen=seen, service_of=service_of, outside=outside,
    )  # fmt: skip


def assert_clean(app: DeckApp) -> None:
    for line in screen_text(app).split("\n"):
        bad = [c for c in line if ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F or c in "\u202e\u200d"]
        assert not bad, repr(line)


@pytest.mark.parametrize("nasty", HOSTILE)
async def test_hostile_strings_through_every_screen(make_app: Make, nasty: str) -> None:
    app, _ = make_app(hostile_fleet(nasty))
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, app, "chat-v2")
        assert_clean(app)
        deck = app.screen
        assert isinstance(deck, DeckScreen)
        for name in (
            "open",
            "move.down",
            "weight.more",
            "back",
            "view.limits",
            "open",
            "view.changes",
            "open",
            "view.pulse",
        ):
            deck.perform(name)
            await pilot.pause(0)
            assert_clean(app)
        deck.perform("view.routes")
        for name in ("help", "palette", "native"):
            app.screen.perform(name)  # type: ignore[attr-defined]
            await pilot.pause(0.05)
            assert_clean(app)
            await pilot.press("escape")
        if len(app.staging):
            deck.perform("plan")
            await pilot.pause(0.2)
            assert_clean(app)


async def test_hostile_strings_on_call(make_app: Make) -> None:
    for nasty in HOSTILE[:8]:
        app, _ = make_app(hostile_fleet(nasty), mode="oncall")
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, app, "broken")
            assert_clean(app)


async def test_on_call_answers_without_a_key_and_no_editing_key_acts(make_app: Make) -> None:
    app, plane = make_app(mode="oncall")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, app, "argocd")
        assert "READ-ONLY" in text and "rejects 12/s per source address" in text and "no answer in 5 s" in text
        assert "argocd" in text and "gets 71/29" in text
        keys = [key for action in ACTIONS if action.edits for key in action.keys if len(key) == 1]
        for where in ("answers", "lists"):
            for key in keys:
                action = app.keymap.action("oncall", key, key)
                assert action is None or not action.edits
            if where == "answers":
                await pilot.press("2")
                await pilot.pause(0.1)
                assert isinstance(app.screen, OncallLists)
        for key in ("plus", "u", "x", "a"):
            await pilot.press(key)
        assert not len(app.staging) and not plane.applied
        for verb in ("set limit . rate=1/s", "arm 15m x", "undo", "w /tmp/x"):
            app.screen.command(verb)
        await pilot.pause(0.1)
        assert not len(app.staging) and not app.arming.armed()
        assert not any(action.edits for action in in_scope("oncall"))


async def test_on_call_does_not_call_down_what_is_still_being_read(make_app: Make) -> None:
    fleet = fleets.small()
    waiting = Environment("far", "kubernetes", reach=Reach(ReachState.UNREACHABLE, NOT_READ))
    views = {**fleet.environments, "far": EnvironmentView(waiting, 0, 0, None)}
    app, _ = make_app(replace(fleet, environments=views), mode="oncall")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, app, "still being read")
        assert "1 reading" in text and "far" in text and NOT_READ not in text
        assert "old" in text and "does not answer: no answer in 5 s" in text, "what is down is still told"


async def test_on_call_plays_what_if_and_saves_it_for_somebody_else(make_app: Make, tmp_path: Path) -> None:
    app, plane = make_app(mode="oncall")
    async with app.run_test(size=(80, 24)) as pilot:
        text = await until(pilot, app, "argocd")
        assert " e " not in text.splitlines()[-1] and "edit" not in text.splitlines()[-1]
        await pilot.press("e")
        await until(pilot, app, "=")
        await type_text(pilot, "-10")
        await pilot.press("enter")
        await until(pilot, app, "staged, not sent")
        await pilot.press("a")
        await until(pilot, app, "this session is read-only")
        await pilot.pause(0.5)
        await pilot.press("y", "enter")
        await pilot.press("w")
        file = tmp_path / "plan.json"
        await pilot.press(*["backspace"] * 40)
        await type_text(pilot, str(file))
        await pilot.press("enter")
        await until(pilot, app, "saved ")
        assert read_plan_file(file).steps and not plane.applied
        await pilot.press("n", "x")
        assert not len(app.staging)
        assert app.session is not None and not list(app.session.state_folder.glob("draft*"))


async def test_read_only_stages_and_plans_as_what_if_and_sends_nothing(make_app: Make) -> None:
    app, plane = make_app(read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        text = await ready(pilot, app)
        assert "READ-ONLY" in text
        await pick(pilot, app, "chat-v2")
        await pilot.press("plus", "a")
        await until(pilot, app, "this session is read-only")
        await pilot.pause(0.5)
        await pilot.press("y", "enter")
        await pilot.press("n")
        app.screen.command("arm 15m because")  # type: ignore[attr-defined]
        await until(pilot, app, "read-only: start trafficdeck without")
        assert not plane.applied


def test_every_action_is_complete() -> None:
    assert len(BY_ID) == len(ACTIONS)
    for action in ACTIONS:
        assert action.title and action.group and action.scopes, action.id
        assert action.keys or action.command, f"{action.id} can be reached by nothing"
        assert not (action.edits and set(action.keys) & RESERVED), action.id
        assert not any(key.startswith("alt+") for key in action.keys), action.id
        assert isinstance(action.unavailable(Situation()), str)
        assert not action.writes or action.edits
    assert len(COMMANDS) + len(WHAT_IF) == len([action for action in ACTIONS if action.command])
    assert [action.id for action in ACTIONS if action.writes] == ["plan.apply"]


@pytest.mark.parametrize(
    ("scope", "screen"), [("deck", DeckScreen), ("oncall", OncallLists), ("plan", PlanScreen), ("sheet", SheetScreen)]
)
def test_every_action_of_a_scope_is_done_by_its_screen(scope: str, screen: type) -> None:
    for action in in_scope(scope):
        handler = getattr(screen, method_name(action), None) or getattr(DeckApp, method_name(action), None)
        assert inspect.isfunction(handler) or scope in ("sheet",), f"{scope}: {action.id}"


def test_on_call_hands_on_what_it_does_not_do_itself() -> None:
    assert OncallScreen.SCOPE == OncallLists.SCOPE == "oncall"


def test_keys_can_be_remapped_and_wrong_ones_are_refused() -> None:
    keymap = Keymap({"target.drain": ["K"]})
    action = keymap.action("deck", "K", "K")
    assert action is not None and action.id == "target.drain"
    assert keymap.action("deck", "D", "D") is None
    for own, words in (
        ({"no.such": ["z"]}, "no such action"),
        ({"target.drain": ["j"]}, "both"),
        ({"plan": ["ctrl+k"]}, "reserved"),
        ({"back": []}, "must have a key"),
    ):
        with pytest.raises(DeckError, match=words):
            Keymap(own)


async def test_a_crash_shows_no_locals(make_app: Make, capsys: pytest.CaptureFixture[str]) -> None:
    app, _ = make_app()
    secret = "tok-" + "en-123"
    with pytest.raises(RuntimeError):
        async with app.run_test(size=(80, 24)) as pilot:
            await ready(pilot, app)
            app._handle_exception(RuntimeError(secret))
    assert all(secret not in str(renderable) for renderable in app._exit_renderables)
    log = app.session.state_folder / "crash.log" if app.session else None
    assert log is not None and "RuntimeError" in log.read_text() and secret not in log.read_text()


async def test_an_unexpected_fault_costs_one_key_press(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = make_app()

    def broken(_screen: DeckScreen) -> None:
        raise KeyError("inside")

    monkeypatch.setattr(DeckScreen, "do_mark", broken)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("space")
        await until(pilot, app, "unexpected: KeyError")
        await pilot.press("2")
        assert "CALLER GETS" in screen_text(app)


def test_refs_with_hostile_parts_stay_one_line() -> None:
    assert "\n" not in str(Ref("a\nb", "HTTPRoute", "x", "y\x1b[2J"))
