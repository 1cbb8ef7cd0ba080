"""`:dump`: what is on the screen as text and SVG, and the rows of the list as JSON, beside each other in one folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from textual.app import App

from control.contract.documents import Happened, Item
from control.contract.rows import environment_document, limit_document, list_document, route_document, service_document
from control.plane import EnvironmentView, Inventory, ServiceView
from control.planning.fields import AnyRow
from control.serialiser import to_text
from control.structs import replace
from tui.store import ChangeRow, LimitRow, RouteRow


def dump(app: App[int], folder: Path, rows: Sequence[object], inventory: Inventory | None) -> Path:
    """Write `NAME.txt`, `NAME.svg` and `NAME.json`, for their owner alone. Returns the path of the text.

    Raises `OSError` where the folder cannot be written.
    """
    now = time.time()
    base = folder / time.strftime("dump-%Y%m%d-%H%M%S", time.localtime(now))
    items = [item for row in rows if inventory is not None and (item := _item(row, inventory, now)) is not None]
    document = list_document(items, inventory.lacking if inventory else (), None)
    texts = {
        ".txt": screen_text(app),
        ".svg": app.export_screenshot(),
        ".json": to_text(document).decode() + "\n",
    }
    for ending, text in texts.items():
        path = base.with_suffix(ending)
        path.touch(mode=0o600)
        path.write_text(text, "utf-8")
    return base.with_suffix(".txt")


def screen_text(app: App[int]) -> str:
    """What is on the screen, one line a row, without colours."""
    strips = app.screen._compositor.render_strips()
    return "".join("".join(segment.text for segment in strip).rstrip() + "\n" for strip in strips)


def _dated(row: AnyRow, inventory: Inventory) -> AnyRow:
    """The row with the age that the list shows."""
    return replace(row, read_at=inventory.as_of(row.environment, row.read_at) or row.read_at)


def _item(row: object, inventory: Inventory, now: float) -> Item | None:
    if isinstance(row, RouteRow):
        return route_document(_dated(row.route, inventory), inventory, now)
    if isinstance(row, LimitRow):
        return limit_document(_dated(row.limit, inventory), now)
    if isinstance(row, ServiceView):
        return service_document(row, now)
    if isinstance(row, EnvironmentView):
        return environment_document(row, now)
    if isinstance(row, ChangeRow):
        return Happened(row.at, row.who, row.what, row.outcome)
    return None
