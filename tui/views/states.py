"""Nothing to show has reasons, and each looks different: still reading, nothing there, not allowed, failed."""

from __future__ import annotations

from control.errors import ControlError
from tui.cells import fit, safe, wrap
from tui.look import Line, Look
from tui.store import Store


def state_lines(store: Store, failure: ControlError | None, cells: int, look: Look) -> list[Line] | None:
    """The screen in place of the rows, or None where there are rows to show."""
    width = min(cells - 8, 76)
    if failure is not None:
        return _page("cannot start", "bad", [failure.message, failure.hint or ""], width, "q quits")
    if not store.loaded or store.inventory is None:
        return _page(
            "reading", "info", ["the first answers come in a moment; nothing is drawn that was not read"], width, ""
        )
    inventory = store.inventory
    if inventory.routes or inventory.limits:
        return None
    unreached = {u.environment: u for u in inventory.unreached}
    if unreached and len(unreached) >= len(inventory.environments):
        refused = all(u.kind in ("forbidden", "auth") for u in unreached.values())
        title, role = ("not allowed", "warn") if refused else ("no environment answers", "bad")
        lines = [f"{name}: {u.why}" for name, u in unreached.items()]
        return _page(title, role, lines, width, "r reads again   4 shows each environment")
    return _page(
        "nothing here",
        "muted",
        [f"{len(inventory.environments)} environments answer, and none has a route or a limit of a kind known here"],
        width,
        "4 shows each environment   r reads again",
    )


def _page(title: str, role: str, paragraphs: list[str], width: int, keys: str) -> list[Line]:
    lines: list[Line] = [(), (), (("    ", "text"), (title, role)), ()]
    for paragraph in paragraphs:
        if paragraph:
            lines += [(("    ", "text"), (safe(part), "text")) for part in wrap(paragraph, width)]
    return [*lines, (), (("    ", "text"), (fit(keys, width), "muted"))] if keys else lines
