"""What the deck looked like when it was left: the view, and each view's filter, order, columns and "only problems"."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from control.serialiser import from_json, from_text, to_json, to_text
from tui.views.base import ListView

FILE = "session.json"
VERSION = 1


class KeptView(Struct, frozen=True):
    """What was chosen for one view."""

    filter: str = ""
    sort: str = ""
    reverse: bool = False
    problems: bool = False
    columns: list[str] | None = None


class KeptSession(Struct, frozen=True):
    """The file. A view that this version does not understand costs nothing but itself."""

    version: int
    view: str
    views: dict[str, Any] = msgspec.field(default_factory=dict)


NOTHING = KeptSession(VERSION, "")


def session_of(views: Sequence[ListView], current: ListView) -> KeptSession:
    """What is kept."""
    kept = {
        view.name: KeptView(
            view.choice.words, view.choice.sort, view.choice.reverse, view.choice.problems, view.choice.columns
        )
        for view in views
    }
    return KeptSession(VERSION, current.name, to_json(kept))


def save_session(folder: Path, session: KeptSession) -> None:
    """Write it whole or not at all; a folder that cannot be written costs the memory, not the deck."""
    beside = folder / f"{FILE}.{os.getpid()}"
    try:
        beside.write_bytes(to_text(session))
        beside.replace(folder / FILE)
    except (OSError, ValueError):
        beside.unlink(missing_ok=True)


def load_session(folder: Path) -> KeptSession:
    """What was kept; `NOTHING` where there is nothing, or nothing that this version understands."""
    try:
        session = from_text((folder / FILE).read_bytes(), KeptSession)
    except (OSError, ValueError):
        return NOTHING
    return session if session.version == VERSION else NOTHING


def restore_choice(view: ListView, session: KeptSession) -> str:
    """Give a view its order back and return its filter words; what does not fit this version is left out."""
    kept = KeptView()
    with contextlib.suppress(ValueError):
        kept = from_json(session.views.get(view.name, {}), KeptView)
    if kept.sort in view.sorts:
        view.choice.sort = kept.sort
    view.choice.reverse, view.choice.problems = kept.reverse, kept.problems
    known = {column.key for column in view.columns}
    if kept.columns and known.issuperset(kept.columns):
        view.choice.columns = list(dict.fromkeys(kept.columns))
    return kept.filter
