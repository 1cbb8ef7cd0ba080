"""Fixtures of the screen's tests: the app over a fleet in memory, and its screen as text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from control.fleet import following
from control.fleet.views import Inventory
from tests.tui import fleets, memory_plane
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.session import Session


@pytest.fixture
def make_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[DeckApp, MemoryPlane]]:
    """(app, plane) over `small()` or the fleet that is given."""
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setattr(following, "SHOW_MEASURED_SECONDS", 0.2)

    def make(
        fleet: Inventory | None = None, *, read_only: bool = False, **options: object
    ) -> tuple[DeckApp, MemoryPlane]:
        plane = memory_plane.plane_of(fleet or fleets.small(), tmp_path)
        read_only = read_only or options.get("mode") == "oncall"

        async def session() -> Session:
            await plane.begun()
            return memory_plane.session_of(plane, tmp_path, read_only=read_only)

        return DeckApp(session, read_only=read_only, **options), plane  # type: ignore[arg-type]

    return make
