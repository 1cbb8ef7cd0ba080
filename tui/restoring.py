"""What the deck looked like when it was left: the view, and each view's filter, order, columns and "only problems"."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tui.views.base import ListView

FILE = "session.json"
VERSION = 1


def session_of(views: Sequence[ListView], current: ListView) -> dict[str, Any]:
    """What is kept, as JSON values."""
    kept = {
        view.name: {
            "filter": view.choice.words,
            "sort": view.choice.sort,
            "reverse": view.choice.reverse,
            "problems": view.choice.problems,
            "columns": view.choice.columns,
        }
        for view in views
    }
    return {"version": VERSION, "view": current.name, "views": kept}


def save_session(folder: Path, session: dict[str, Any]) -> None:
    """Write it whole or not at all; a folder that cannot be written costs the memory, not the deck."""
    beside = folder / f"{FILE}.{os.getpid()}"
    try:
        beside.write_text(json.dumps(session, indent=1), "utf-8")
        beside.replace(folder / FILE)
    except OSError:
        beside.unlink(missing_ok=True)


def load_session(folder: Path) -> dict[str, Any]:
    """What was kept; empty where there is nothing, or nothing that this version understands."""
    try:
        session = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    fits = isinstance(session, dict) and session.get("version") == VERSION and isinstance(session.get("views"), dict)
    return session if fits else {}


def restore_choice(view: ListView, session: dict[str, Any]) -> str:
    """Give a view its order back and return its filter words; what does not fit this version is left out."""
    kept = session["views"].get(view.name)
    if not isinstance(kept, dict):
        return ""
    if kept.get("sort") in view.sorts:
        view.choice.sort = kept["sort"]
    view.choice.reverse = kept.get("reverse") is True
    view.choice.problems = kept.get("problems") is True
    columns = kept.get("columns")
    known = {column.key for column in view.columns}
    if isinstance(columns, list) and columns and all(isinstance(key, str) and key in known for key in columns):
        view.choice.columns = list(dict.fromkeys(columns))
    words = kept.get("filter")
    return words if isinstance(words, str) else ""
