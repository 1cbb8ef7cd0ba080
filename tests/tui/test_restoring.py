"""A deck that is opened again looks as it was left; what was kept may be broken and costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from driver import ready, screen_text, type_text, until

from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


async def test_view_filter_and_order_come_back(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, "/chat")
        await pilot.press("enter", "shift+right", "S", "2", "!", "q", "1", "2", "!")
        await until(pilot, app, "problems only")
        app.remember()
    again, _ = make_app()
    async with again.run_test(size=(120, 35)) as pilot:
        await until(pilot, again, "problems only")
        deck = again.screen
        assert isinstance(deck, DeckScreen) and deck.view.name == "limits"
        routes = deck.views[0].choice
        assert (routes.words, routes.sort, routes.reverse) == ("chat", deck.views[0].sorts[1], True)
        await pilot.press("1")
        text = await until(pilot, again, "/chat")
        assert "chat-v2" in text and "embed" not in text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"version": 9, "view": "limits", "views": {}}',
        '{"version": 1, "view": 7, "views": {"routes": 3, "limits": {"sort": [], "filter": "nosuchcol:>"}}}',
    ],
)
async def test_what_cannot_be_read_costs_nothing(make_app: Make, tmp_path: Path, text: str) -> None:
    (tmp_path / "session.json").write_text(text)
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        assert "embed" in screen_text(app)
