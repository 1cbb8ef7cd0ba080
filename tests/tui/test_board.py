"""The board at three sizes: rows, sorting by risk, selection by identity, resize, the four empty screens."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from driver import pick, ready, screen_text, until

from control.errors import DeckError
from control.fleet.views import NOT_READ, Inventory, Unreached
from control.model import Reach, ReachState
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen
from tui.session import Session

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
SIZES = [(80, 24), (120, 35), (200, 60)]


def deck(app: DeckApp) -> DeckScreen:
    assert isinstance(app.screen, DeckScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_shows_set_beside_seen_and_what_is_broken_first(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app()
    async with app.run_test(size=size) as pilot:
        text = await ready(pilot, app)
        lines = text.split("\n")
        assert len(lines) == size[1]
        assert all(len(line) == size[0] for line in lines)
        assert "PROD eu" in lines[0] and "DISARMED" in lines[0] and "1 down" in lines[0]
        first = next(line for line in lines if "llm-gw" in line and "A80 B20" in line)
        assert "71/29 !" in first and "3.1%" in first and first[1] == "!"
        vision = next(line for line in lines if "vision" in line)
        assert "--" in vision and vision[1] == "?"
        names = ("llm-gw ", "chat-v2 ", "embed ", "vision ")
        order = [name for line in lines for name in names if line[2:].startswith(name)]
        assert order == ["llm-gw ", "embed ", "vision ", "chat-v2 "]


async def test_rows_stand_under_their_service_and_the_broken_above_all(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        lines = (await ready(pilot, app)).split("\n")
        at = next(i for i, line in enumerate(lines) if line.startswith("  llama 2 routes"))
        assert {line[2:10].strip() for line in lines[at + 1 : at + 3]} == {"chat-v2", "llm-edge"}
        await pilot.press("4")
        await pilot.resize_terminal(200, 60)
        await until(pilot, app, "lb 100% · up to 400 rps, lb")


async def test_selection_stays_on_its_row_when_the_order_changes(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        before = deck(app).table.selected
        assert before is not None and before.data.name == "chat-v2"
        inventory = plane.inventory
        ref = before.data.ref
        worse = replace(inventory.seen[ref], traffic=replace(inventory.seen[ref].traffic, error_ratio=Fraction(1, 2)))
        plane.put(replace(inventory, version=2, seen={**inventory.seen, ref: worse}))
        await until(pilot, app, "50%")
        after = deck(app).table.selected
        assert after is not None and after.data.ref == ref
        assert deck(app).table.position[0] == 1 or deck(app).table.selected is after


async def test_a_vanished_row_gives_the_cursor_to_its_neighbour_and_drops_its_mark(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        gone = deck(app).table.selected
        assert gone is not None
        routes = {ref: row for ref, row in plane.inventory.routes.items() if ref != gone.key}
        plane.put(replace(plane.inventory, version=2, routes=routes))
        for _ in range(40):
            await pilot.pause(0.05)
            if "A80 B20" not in screen_text(app):
                break
        now = deck(app).table.selected
        assert now is not None and now.key != gone.key


async def test_every_view_answers_to_its_number(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        for key, words in (("2", "CALLER GETS"), ("3", "OUTCOME"), ("4", "environments"), ("1", "ROUTE")):
            await pilot.press(key)
            assert words in screen_text(app)
        await pilot.press("backspace")
        assert "environments" in screen_text(app)


async def test_limits_say_what_bites_first(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("2")
        lines = screen_text(app).split("\n")
        assert "per-client" in lines[3] and "100/s" in lines[3] and "100-200/s" in lines[3] and lines[3][1] == "!"
        await pilot.press("enter")
        text = await until(pilot, app, "1 to 2 (deck file)")
        assert "reject 429" in text


async def test_drill_down_and_back(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("enter")
        text = await until(pilot, app, "TARGET")
        assert "llm-gw-v2 is down" in text and "argocd llm: will revert an edit within 3m" in text
        await pilot.press("q")
        await until(pilot, app, "ROUTE")


async def test_native_text(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        await pilot.press("y")
        await until(pilot, app, "kind: HTTPRoute")
        await pilot.press("n")
        await until(pilot, app, "ROUTE")


async def test_resize_changes_the_layout_live_and_too_small_keeps_running(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        assert "TARGET" not in screen_text(app)
        await pilot.resize_terminal(120, 35)
        await until(pilot, app, "TARGET")
        await pilot.resize_terminal(200, 60)
        await until(pilot, app, "nothing waits to be sent")
        await pilot.resize_terminal(160, 40)
        text = await until(pilot, app, "nothing waits to be sent")
        assert all(title in text for title in ("RPS", "5xx", "429", "AGE")), (
            "the third pane takes no column of the list"
        )
        await pilot.resize_terminal(60, 15)
        await until(pilot, app, "need 72x16")
        await pilot.press("q")
        await pilot.resize_terminal(80, 24)
        await until(pilot, app, "llm-gw")


async def test_loading_empty_refused_and_failed_are_four_screens(make_app: Make) -> None:
    fleet = fleets.small()

    def bare(reach: Reach, kind: str = "") -> Inventory:
        views = {
            name: replace(view, environment=replace(view.environment, reach=reach), read_at=None)
            for name, view in fleet.environments.items()
        }
        unreached = tuple(Unreached(name, reach.why, kind) for name in views) if kind else ()
        return replace(
            fleet, environments=views, routes={}, limits={}, services={}, service_of={}, seen={}, unreached=unreached
        )

    seen: list[str] = []
    app, plane = make_app(bare(Reach(ReachState.UNREACHABLE, NOT_READ)))
    async with app.run_test(size=(80, 24)) as pilot:
        seen.append(await until(pilot, app, "nothing is drawn that was not read"))
        plane.put(bare(Reach()))
        seen.append(await until(pilot, app, "nothing here"))
        for kind, title in (("forbidden", "not allowed"), ("unreachable", "no environment answers")):
            plane.put(bare(Reach(ReachState.UNREACHABLE, "no"), kind))
            seen.append(await until(pilot, app, title))
    assert len(set(seen)) == 4


async def test_a_deck_that_cannot_be_read_is_told_on_the_screen(make_app: Make) -> None:
    app, _ = make_app()

    async def broken() -> Session:
        raise DeckError("deck.yaml: line 3: unknown key 'colour'")

    app.make_session = broken
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, app, "line 3: unknown key 'colour'")
        await pilot.press("q")
    assert app.failure is not None


async def test_a_click_on_a_column_sorts_by_it_and_a_second_one_reverses(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        view = deck(app).view
        head = next(line for line in screen_text(app).split("\n") if "RPS" in line)
        for reverse in (False, True):
            await pilot.click("#list", offset=(head.index("RPS"), 0))
            await pilot.pause()
            assert (view.choice.sort, view.choice.reverse) == ("rps", reverse)
