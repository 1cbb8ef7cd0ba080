"""Driving the app in tests: wait for rows, press keys, read the screen as text."""

from __future__ import annotations

import asyncio

from textual.pilot import Pilot

from tui.deck_app import DeckApp


def screen_text(app: DeckApp) -> str:
    """What is on the screen, one line a row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def until(pilot: Pilot[int], app: DeckApp, words: str, seconds: float = 20.0) -> str:
    """Wait until `words` are on the screen and return it."""
    for _ in range(int(seconds / 0.05)):
        text = screen_text(app)
        if words in text:
            return text
        await pilot.pause(0.05)
    raise AssertionError(f"{words!r} did not appear:\n{screen_text(app)}")


async def ready(pilot: Pilot[int], app: DeckApp, words: str = "A80 B20") -> str:
    """Wait for the first rows."""
    text = await until(pilot, app, words)
    await pilot.pause(0)
    return text


async def type_text(pilot: Pilot[int], text: str) -> None:
    """Type as a person does."""
    for character in text:
        await pilot.press({" ": "space", "/": "slash", ":": "colon", "=": "equals_sign"}.get(character, character))


async def guard_time() -> None:
    """Longer than a sheet ignores confirmations."""
    await asyncio.sleep(0.45)


async def pick(pilot: Pilot[int], app: DeckApp, name: str) -> None:
    """Put the cursor on the route or limit called `name`."""
    table = app.screen.table  # type: ignore[attr-defined]
    row = next(row for row in table.rows if getattr(row.data, "name", "") == name)
    table.select(row.key)
    await pilot.pause(0)
