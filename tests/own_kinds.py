"""The kinds of a user's own that the manual shows: what it says is what the tests declare."""

from __future__ import annotations

from pathlib import Path

from adapters.engine.kind import Kind
from adapters.registry import sections
from control.deck.reading import parse_deck

MANUAL = Path(__file__).parent.parent / "docs" / "kinds.md"
DECLARED = MANUAL.read_text().split("```yaml\n")[1].split("```")[0]
"""`kinds:` of a deck file."""


def kinds() -> tuple[Kind, ...]:
    """As a deck file with one cluster has them."""
    text = f"environments:\n  - name: east\n    kubernetes: {{}}\n{DECLARED}"
    found: tuple[Kind, ...] = parse_deck(text, MANUAL, sections()).environments[0].kinds
    return found
