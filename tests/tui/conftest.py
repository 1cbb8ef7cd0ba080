"""Fixtures of the screen's tests: the app over an in-memory fleet, and its screen as text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fake_plane

from tui.deck_app import DeckApp


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[DeckApp, fake_plane.FakePlane]]:
    """(app, plane) over `small()` or the fleet that is given."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")

    def make(
        fleet: fake_plane.Inventory | None = None, *, read_only: bool = False, **options: object
    ) -> tuple[DeckApp, fake_plane.FakePlane]:
        fleet = fleet or fake_plane.small()
        plane = fake_plane.FakePlane(fake_plane.deck_of(fleet), fleet)
        read_only = read_only or options.get("mode") == "oncall"

        async def session() -> fake_plane.Session:
            return fake_plane.session_of(plane, tmp_path, read_only=read_only)

        return DeckApp(session, read_only=read_only, **options), plane  # type: ignore[arg-type]

    return make
