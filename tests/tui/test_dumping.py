"""`:dump`: the screen as text and SVG, its rows as JSON, readable by their owner alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from driver import ready, type_text, until

from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


async def test_dump_writes_text_svg_and_json(make_app: Make, tmp_path: Path) -> None:
    app, plane = make_app()
    async with app.run_test(size=(200, 60)) as pilot:
        await ready(pilot, app)
        await type_text(pilot, ":dump")
        await pilot.press("enter")
        await until(pilot, app, ".svg and .json beside it")
    judge(tmp_path, {str(ref) for ref in plane.inventory.routes})


def judge(folder: Path, refs: set[str]) -> None:
    (text,) = folder.glob("dump-*.txt")
    assert "A80 B20" in text.read_text()
    assert text.with_suffix(".svg").read_text().startswith("<svg")
    items = json.loads(text.with_suffix(".json").read_text())["items"]
    assert {item["ref"] for item in items} == refs
    assert {path.stat().st_mode & 0o777 for path in folder.glob("dump-*")} == {0o600}
