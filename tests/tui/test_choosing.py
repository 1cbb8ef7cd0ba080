"""The order of rows and their columns, chosen in a menu; and from match to match."""

from __future__ import annotations

from collections.abc import Callable

from driver import ready, screen_text, type_text, until

from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen
from tui.screens.menu import MenuScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


def deck_of(app: DeckApp) -> DeckScreen:
    return next(screen for screen in app.screen_stack if isinstance(screen, DeckScreen))


def titles(app: DeckApp) -> list[str]:
    return [column.title for column in deck_of(app).table.columns]


async def test_the_order_is_chosen_in_a_menu(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("s")
        text = await until(pilot, app, "sort by")
        assert "risk: the worst first" in text and "now" in text and "A80 B20" in text, "the deck stays in sight"
        await pilot.press("j", "enter")
        await until(pilot, app, "by name")
        await pilot.press("s", "escape")
        assert deck_of(app).view.choice.sort == "name"
        await pilot.press("shift+right")
        assert deck_of(app).view.choice.sort == "at"
        await pilot.press("shift+left", "shift+left", "shift+left")
        assert deck_of(app).view.choice.sort == deck_of(app).view.sorts[-1]
        await type_text(pilot, ":sort nothing")
        await pilot.press("enter")
        assert "cannot sort by 'nothing'" in screen_text(app)


async def test_columns_are_chosen_moved_and_kept_per_view(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        assert "OWNER" not in titles(app)
        await pilot.press("C")
        await until(pilot, app, "columns of Routes")
        await pilot.press("space")
        assert "always there" in screen_text(app)
        assert isinstance(app.screen, MenuScreen)
        await pilot.press(*"j" * next(i for i, item in enumerate(app.screen.items) if item.key == "age"), "space")
        owner = next(i for i, item in enumerate(app.screen.items) if item.key == "owner")
        await pilot.press(*"j" * (owner - app.screen.at), "space", *"K" * (owner - 1), "escape")
        assert titles(app)[:2] == ["ROUTE", "OWNER"] and "AGE" not in titles(app)
        assert "argocd" in screen_text(app)
        await pilot.press("2")
        assert "OWNER" not in titles(app)
        app.remember()
    again, _ = make_app()
    async with again.run_test(size=(120, 35)) as pilot:
        await until(pilot, again, "CALLER GETS")
        await pilot.press("1")
        await until(pilot, again, "OWNER")
        assert titles(again)[:2] == ["ROUTE", "OWNER"]
        await type_text(pilot, ":columns default")
        await pilot.press("enter")
        assert "OWNER" not in titles(again) and "AGE" in titles(again)
        await type_text(pilot, ":columns p95 nothing")
        await pilot.press("enter")
        assert "there is no column 'nothing'" in screen_text(again)


async def test_from_match_to_match(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        table = deck_of(app).table
        total = table.position[1]
        seen = []
        for _ in range(total):
            await pilot.press("n")
            seen.append(table.position[0])
        assert sorted(seen) == list(range(1, total + 1)), "around the end, each once"
        await pilot.press("N")
        assert table.position[0] == seen[-2]
        await type_text(pilot, "/gw")
        await pilot.press("enter")
        names = set()
        for _ in range(table.position[1]):
            await pilot.press("n")
            names.add(getattr(deck_of(app).selected, "name", ""))
        assert names and all("gw" in name for name in names)
