"""Reads and checks the deck file: every mistake is told with file and line."""

from __future__ import annotations

from pathlib import Path

from control.deckfile import DeckConfig


def read_deck(path: Path) -> DeckConfig:
    """The deck of a file. Raises `DeckError` naming file and line."""
    raise NotImplementedError


def parse_deck(text: str, path: Path) -> DeckConfig:
    """The deck of a text that stands in `path`. Raises `DeckError` naming file and line."""
    raise NotImplementedError
