"""What tripped a person at the keyboard: the way back, the way out, filters, and keys that were meant as text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from fractions import Fraction

import pytest
from driver import guard_time, pick, ready, screen_text, type_text, until

from control.errors import Unreachable
from control.model import Counted, Editable, Grid, TargetCount
from control.model.ref import Ref
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.actions import in_scope
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen
from tui.screens.plan import PlanScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
CHAT = Ref("fn", "LambdaAlias", "inference", "chat-v2")
SMALL, LARGE = (80, 24), (120, 35)


def last_line(app: DeckApp) -> str:
    return screen_text(app).splitlines()[-1]


def deck_of(app: DeckApp) -> DeckScreen:
    assert isinstance(app.screen, DeckScreen)
    return app.screen


# --- the way back and the way out


@pytest.mark.parametrize("mode", ["deck", "oncall"])
async def test_esc_never_quits(make_app: Make, mode: str) -> None:
    app, _ = make_app(mode=mode)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, app, "llm-gw")
        await pilot.press("enter", "escape", "escape", "escape", "escape", "escape")
        assert app.is_running and app.return_value is None
        await pilot.press("q", "q")
        assert not app.is_running or app.return_value == 0, "q does"


async def test_esc_goes_back_one_level_at_a_time(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await type_text(pilot, "/llm")
        await pilot.press("enter", "enter")
        deck = deck_of(app)
        assert deck.in_detail and deck.view.choice.words == "llm"
        await pilot.press("escape")
        assert not deck.in_detail and deck.view.choice.words == "llm"
        await pilot.press("escape")
        assert not deck.view.choice.words
        await pilot.press("escape")
        assert app.is_running


@pytest.mark.parametrize(("second", "ends"), [("y", True), ("q", True), ("j", False), ("escape", False)])
async def test_q_asks_where_something_is_staged(make_app: Make, second: str, ends: bool) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("+", "q")
        assert app.return_value is None
        assert "1 edit staged, kept as a draft. y or q quits" in last_line(app)
        await pilot.press(second)
        assert (app.return_value == 0) is ends


async def test_q_asks_while_a_change_is_under_way(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        app.in_flight = 1
        await pilot.press("q")
        assert app.return_value is None and "a change is being applied" in last_line(app)
        app.in_flight = 0


# --- filters


async def test_a_filter_starts_afresh_and_the_last_one_is_one_key_away(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await type_text(pilot, "/llm")
        await pilot.press("enter")
        deck = deck_of(app)
        shown = deck.table.position[1]
        await pilot.press("slash")
        assert last_line(app).startswith("/ ") and "up: llm" in last_line(app)
        assert deck.table.position[1] > shown, "what is typed is what is shown: nothing yet"
        await pilot.press("escape")
        assert deck.view.choice.words == "llm" and deck.table.position[1] == shown, "esc leaves it as it was"
        await pilot.press("slash", "up", "enter")
        assert deck.view.choice.words == "llm"
        await pilot.press("2", "slash", "up", "enter")
        assert deck.view.choice.words == "llm", "in the other list too"


async def test_a_column_that_does_not_exist_is_an_error_with_those_that_do(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=LARGE) as pilot:
        await ready(pilot, app)
        deck = deck_of(app)
        await type_text(pilot, "/team:ml")
        await pilot.press("enter")
        assert deck.input is not None and deck.input.text == "team:ml", "it stays, to be mended"
        assert "there is no column 'team'" in last_line(app) and "name, env" in last_line(app)
        await pilot.press("escape")
        assert deck.view.choice.words == ""
        await pilot.press("3")
        await type_text(pilot, "/env:x")
        await pilot.press("enter")
        assert "there is no column 'env'" in last_line(app) and "who, what, outcome, why" in last_line(app)


async def test_an_empty_board_says_why(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await type_text(pilot, "/nothing-like-it")
        await pilot.press("enter")
        text = await until(pilot, app, "no route matches")
        assert "matches /nothing-like-it" in text and "esc shows all of them" in text
        assert "could not be read" in text, "and what of it may be missing"
        await pilot.press("escape")
        assert "no route matches" not in await ready(pilot, app)


async def test_lists_without_rows_say_which_there_are(make_app: Make) -> None:
    fleet = fleets.small()
    app, _ = make_app(replace(fleet, limits={}))
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await pilot.press("2")
        text = await until(pilot, app, "no limits")
        assert "of a kind known here" in text and "routes (1)" in text


# --- keys that were meant as text


async def test_a_value_typed_after_a_refused_edit_fires_no_key(make_app: Make) -> None:
    fleet = fleets.small()
    fixed = {ref: replace(row, editable=Editable(False, "a controller holds it")) for ref, row in fleet.limits.items()}
    app, _ = make_app(replace(fleet, limits=fixed))
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await pilot.press("2")
        deck = deck_of(app)
        for value in ("50/s", "/2", "unlimited", "blocked", "*1.5", "-10%"):
            await pilot.press("e")
            assert "a controller holds it" in last_line(app)
            before = (deck.view, deck.view.choice.words, deck.table.selected)
            await type_text(pilot, value)
            assert "does nothing" in last_line(app)
            await pilot.press("enter")
            assert (deck.view, deck.view.choice.words, deck.table.selected) == before and app.screen is deck
            assert not len(app.staging)
        await pilot.press("e", "j")
        assert deck.input is None, "what begins no value is a key again"


async def test_a_value_that_is_refused_stays_to_be_mended(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await pilot.press("2", "e")
        await type_text(pilot, "many")
        await pilot.press("enter")
        deck = deck_of(app)
        assert deck.input is not None and deck.input.text == "many"
        assert deck.view.name == "limits" and not len(app.staging)


async def test_a_code_typed_after_a_refused_apply_fires_no_key(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "llm-gw")
        await pilot.press("plus", "a")
        await until(pilot, app, "what if: prod-eu disarmed")
        await guard_time()
        sheet = app.screen
        assert isinstance(sheet, PlanScreen)
        await pilot.press("y")
        await type_text(pilot, "eu")
        await pilot.press("enter")
        assert app.screen is sheet and not plane.applied, "neither back to editing nor an undo"
        await pilot.press("y", "n")
        assert app.screen is not sheet, "and n still leaves"


async def test_discard_typed_where_nothing_is_staged_fires_no_key(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await ready(pilot, app)
        await pilot.press("X")
        await type_text(pilot, "discard")
        await pilot.press("enter")
        assert isinstance(app.screen, DeckScreen) and deck_of(app).view.choice.sort == "risk"


# --- bulk edits


async def test_a_bulk_edit_stages_all_it_can_and_tells_of_the_rest(make_app: Make) -> None:
    fleet = fleets.small()
    first = next(iter(fleet.limits.values()))
    amounts = [24, 25, 26, 27, 28]
    limits = {}
    for amount in amounts:
        ref = replace(first.ref, name=f"limit-{amount}")
        limits[ref] = replace(
            first, ref=ref, name=ref.name, amount=Fraction(amount), amounts=Grid(maximum=1000), windows=(), members=()
        )
    app, _ = make_app(replace(fleet, limits=limits))
    async with app.run_test(size=LARGE) as pilot:
        await ready(pilot, app)
        await pilot.press("2", *["space"] * len(amounts), "e")
        await type_text(pilot, "/2")
        assert "3 of 5 can" in last_line(app)
        await pilot.press("enter")
        text = await until(pilot, app, "3 of 5 staged; 2 not")
        assert {ref.name for ref in app.staging.limits} == {"limit-24", "limit-26", "limit-28"}
        assert "limit-25" in text and "limit-27" in text
        assert "12" in text and "13" in text and "14" in text, "with the nearest of each"
        await pilot.press("escape")
        assert "3 of 5 staged; 2 not: 25/s" in last_line(app)


# --- looks


@pytest.mark.parametrize("size", [(72, 20), SMALL, LARGE])
async def test_the_columns_of_palette_and_help_never_touch_and_counts_agree(
    make_app: Make, size: tuple[int, int]
) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await pilot.press("ctrl+p")
        text = await until(pilot, app, "PALETTE")
        total = len([action for action in in_scope("deck") if action.group != "move"])
        assert f"PALETTE  {total} actions" in text
        seen = set()
        for _ in range(total):
            seen |= {line.rstrip() for line in screen_text(app).splitlines()[1:-1] if line.strip()}
            await pilot.press("down")
        keys = {app.keymap.shown(action) for action in in_scope("deck")}
        last = {action.id for action in in_scope("deck")} if size[0] >= 100 else {*keys, ""}
        for line in seen:
            words = re.split(r" {2,}", line.strip())
            assert words[-1] in last or ("" in last and len(words) <= 2), line
            assert 1 <= len(words) <= 4, line
        assert len(seen) == total
        await type_text(pilot, "only problems")
        assert f"PALETTE  1 of {total} actions" in screen_text(app)
        await pilot.press("escape", "question_mark")
        for line in (await until(pilot, app, "HELP")).splitlines()[3:-1]:
            assert not re.search(r"\S:[a-z]", line[:40]), line


async def test_broken_in_the_head_is_the_sum_of_what_the_lists_say(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=SMALL) as pilot:
        text = await ready(pilot, app)
        head, tabs = text.splitlines()[:2]
        total = re.search(r"(\d+) broken", head)
        assert total is not None
        assert int(total[1]) == sum(int(number) for number in re.findall(r" (\d+)!", tabs)) == app.store.alerts
        for key, name in (("1", "routes"), ("2", "limits")):
            await pilot.press(key)
            rows = [row for row in deck_of(app).table.rows if not row.heading]
            assert sum(row.data.broken for row in rows) == app.store.broken[name]


async def test_sixteen_colours_paint_no_blank_red(make_app: Make) -> None:
    app, _ = make_app(theme="sixteen")
    async with app.run_test(size=LARGE) as pilot:
        await ready(pilot, app)
        for key in ("1", "2", "4", "enter", "3"):
            await pilot.press(key)
            await pilot.pause(0.1)
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    ground = segment.style.bgcolor if segment.style else None
                    red = ground is not None and ground.triplet is not None and ground.triplet.hex == "#aa0000"
                    badge = segment.text.strip().startswith("PROD")
                    assert not red or badge or segment.text == segment.text.strip(), repr(segment.text)


# --- observed goes on


def counted(*requests: int) -> Counted:
    """Counters of chat-v2 as they stand now."""
    targets = tuple((f"chat-v2-v{n}", TargetCount(Fraction(count))) for n, count in enumerate(requests, 1))
    return Counted(CHAT, time.time(), targets, source="counters")


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_observed_goes_on_after_the_sheet_is_done_and_when_it_is_closed(
    make_app: Make, size: tuple[int, int]
) -> None:
    app, plane = make_app()
    fn = plane.readers["fn"]
    fn.samples = {CHAT: counted(0, 0)}
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        await pilot.press("+", "a")
        await until(pilot, app, "y applies")
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "DONE")
        fn.samples = {CHAT: counted(72, 48)}
        text = await until(pilot, app, "120 of about 300")
        assert "known in" in text and "about" in text
        await pilot.press("q")
        fn.samples = {CHAT: counted(240, 160)}
        await until(pilot, app, "observed yes: chat-v2-v1 60.0%")
        await pilot.press("3", "enter")
        assert "yes  chat-v2-v1 60.0%" in await until(pilot, app, "observed")


# --- another environment's silence


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_a_plan_that_silence_would_block_says_which_and_leaves_it_out(
    make_app: Make, size: tuple[int, int]
) -> None:
    app, plane = make_app()
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        plane.readers["lb"].refused = Unreachable("no answer within 15 s")
        for name in ("chat-v2", "llm-edge"):
            await pick(pilot, app, name)
            await pilot.press("enter", "+", "q")
        await pilot.press("a")
        text = await until(pilot, app, "lb does not answer")
        assert "would hold up" in text and "x leaves lb out" in text
        await pilot.press("x")
        text = await until(pilot, app, "y applies")
        assert "without lb, which gives no answer: 1 edit left staged" in text and "llm-edge" not in text
        await guard_time()
        await pilot.press("y")
        await until(pilot, app, "DONE")
        assert [str(ref.environment) for ref in app.staging.routes] == ["lb"]
