"""What the deck file says of how an environment looks, the words that it gives commands, and one environment alone."""

from __future__ import annotations

from collections.abc import Callable

from driver import pick, ready, screen_text, type_text, until

from control.structs import replace
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.themes import load_theme

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
COLOR, BANNER = "#f2a33c", "payments: page #sre first"


def dressed(plane: MemoryPlane) -> None:
    """The deck file gives prod-eu a colour and a banner, and `gw` a meaning."""
    environments = tuple(
        replace(one, color=COLOR, banner=BANNER) if one.name == "prod-eu" else one for one in plane.deck.environments
    )
    plane.deck = replace(plane.deck, environments=environments, aliases={"gw": "get routes llm-gw"})


def colours_of(app: DeckApp, words: str) -> set[str]:
    """The colours in which a text is drawn."""
    return {
        segment.style.color.get_truecolor().hex
        for strip in app.screen._compositor.render_strips()
        for segment in strip
        if words in segment.text and segment.style is not None and segment.style.color is not None
    }


async def test_an_environment_has_its_colour_and_its_banner_where_it_is_changed(make_app: Make) -> None:
    app, plane = make_app()
    dressed(plane)
    async with app.run_test(size=(120, 35)) as pilot:
        text = await ready(pilot, app)
        assert COLOR in colours_of(app, "prod-eu") and BANNER in text
        await pick(pilot, app, "llm-gw")
        await pilot.press("enter", "j", "+", "a")
        await until(pilot, app, f"prod-eu: {BANNER}")
        assert COLOR in colours_of(app, "payments")
        await pilot.press("n", "q")
        app.set_theme(load_theme("mono"))
        await pilot.pause(0.1)
        assert COLOR not in colours_of(app, "prod-eu"), "without colour there is none"


async def test_one_environment_alone_by_menu_and_by_word(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, ":ctx")
        await pilot.press("enter")
        await until(pilot, app, "all of them")
        await pilot.press("j", "enter")
        assert "/env:fn" in screen_text(app) and "llm-edge" not in screen_text(app)
        await type_text(pilot, ":env lb")
        await pilot.press("enter")
        text = await until(pilot, app, "/env:lb")
        assert "llm-edge" in text and "chat-v2" not in text
        await type_text(pilot, ":env nowhere")
        await pilot.press("enter")
        assert "there is no environment 'nowhere'" in screen_text(app)
        await type_text(pilot, ":ctx")
        await pilot.press("enter", "enter")
        assert "chat-v2" in await until(pilot, app, "1/5")


async def test_a_word_of_the_users_own_stands_for_a_command(make_app: Make) -> None:
    app, plane = make_app()
    dressed(plane)
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, ":gw")
        await pilot.press("enter")
        text = await until(pilot, app, "/llm-gw")
        assert "chat-v2" not in text
