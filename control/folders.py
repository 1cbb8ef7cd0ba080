"""Where we keep what is ours: the state folder and the journal."""

from __future__ import annotations

import os
from pathlib import Path

from control.deck.config import DeckConfig


def state_folder() -> Path:
    """`TRAFFICDECK_STATE_DIR`, or the platform's folder for state. Not made by asking."""
    named = os.environ.get("TRAFFICDECK_STATE_DIR")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_state_path("trafficdeck", appauthor=False)


def journal_path(deck: DeckConfig) -> Path:
    """The journal that a deck names; else the user's own, and for the demo fleet one of its own."""
    if deck.journal is not None:
        return deck.journal.expanduser()
    folder = state_folder()
    return (folder / "demo" if deck.path is None else folder) / "journal.db"


def cache_folder() -> Path:
    """The folder for what may be lost: under `TRAFFICDECK_STATE_DIR` where that is set."""
    if os.environ.get("TRAFFICDECK_STATE_DIR"):
        return state_folder() / "cache"
    import platformdirs

    return platformdirs.user_cache_path("trafficdeck", appauthor=False)
