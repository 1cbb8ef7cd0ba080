"""Back and forward through the places visited, and the jump to what is related."""

from __future__ import annotations

from collections.abc import Callable

from driver import pick, ready, screen_text, type_text, until

from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen
from tui.screens.xray import XrayScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


def where(app: DeckApp) -> tuple[str, str]:
    deck = app.screen
    assert isinstance(deck, DeckScreen)
    return deck.view.name, str(getattr(deck.selected, "ref", ""))


async def test_back_and_forward_walk_the_places(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("left_square_bracket")
        assert "no place before" in screen_text(app)
        await pick(pilot, app, "chat-v2")
        route = where(app)
        await pilot.press("2", "j")
        limit = where(app)
        assert limit[0] == "limits"
        await pilot.press("4", "left_square_bracket")
        assert where(app) == limit
        await pilot.press("left_square_bracket")
        assert where(app) == route
        await pilot.press("right_square_bracket")
        assert where(app) == limit
        await pilot.press("right_square_bracket")
        assert where(app)[0] == "pulse"
        await pilot.press("right_square_bracket")
        assert "no place after" in screen_text(app)


async def test_related_goes_from_a_limit_to_its_route_and_back_names_the_owner(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        limit = next(limit for limit in plane.inventory.limits.values() if limit.bindings)
        await pilot.press("2")
        await pick(pilot, app, limit.name)
        await pilot.press("o")
        view, ref = where(app)
        assert view == "routes" and ref == limit.bindings[0].on
        await pilot.press("left_square_bracket")
        assert where(app) == ("limits", str(limit.ref))
        await pilot.press("1")
        await pick(pilot, app, "llm-gw")
        await pilot.press("o")
        assert "owned by argocd llm: edit the Git repository" in screen_text(app)


async def test_letters_jump_to_a_row(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        deck = app.screen
        assert isinstance(deck, DeckScreen)
        await pilot.press("apostrophe")
        labels = dict(deck.table.labels)
        assert len(labels) == deck.table.position[1] and "type the letters" in screen_text(app)
        letters, key = list(labels.items())[-1]
        assert any(line.lstrip().startswith(f"{letters} ") for line in screen_text(app).splitlines())
        await pilot.press(*letters)
        assert deck.table.selected is not None and deck.table.selected.key == key and not deck.table.labels
        await pilot.press("apostrophe", "escape")
        assert deck.table.selected.key == key and not deck.table.labels
        await pilot.press("apostrophe", "1")
        assert deck.view.name == "routes" and not deck.table.labels, "another key only ends it"


async def test_xray_shows_a_service_down_to_its_servers_and_leads_to_each_route(make_app: Make) -> None:
    app, plane = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        service = next(name for name, view in plane.inventory.services.items() if view.routes)
        await type_text(pilot, f":xray {service}")
        await pilot.press("enter")
        await until(pilot, app, "XRAY")
        xray = app.screen
        assert isinstance(xray, XrayScreen)
        text = screen_text(app)
        for ref in plane.inventory.services[service].routes:
            assert ref.environment in text
        assert "A  " in text and "%" in text and "rps" in text
        last = xray.branches[-1]
        await pilot.press("G", "enter")
        assert where(app) == ("routes", str(last.ref))
        await type_text(pilot, ":xray nothing")
        await pilot.press("enter")
        assert "there is no service 'nothing'" in screen_text(app)
