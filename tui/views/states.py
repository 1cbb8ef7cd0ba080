"""Nothing to show has reasons, and each looks different: still reading, nothing there, not allowed, failed."""

from __future__ import annotations

from collections.abc import Sequence

from control.errors import ControlError
from control.fleet.views import Unreached
from control.model import ReachState
from tui import figures
from tui.cells import fit, safe, wrap
from tui.look import Line, Look
from tui.store import Store
from tui.views.base import ListView


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
        [
            f"{figures.plural(len(inventory.environments), 'environment')} answered,"
            " and none has a route or a limit of a kind known here"
        ],
        width,
        "4 shows each environment   r reads again",
    )


def empty_lines(view: ListView, store: Store, cells: int) -> list[Line]:
    """Why a list has no rows: its filter, that nothing is wrong, that there are none, or that none could be read."""
    choice, total, what = view.choice, view.total(), view.title.lower()
    paragraphs = []
    keys = "r reads again   4 shows each environment"
    if not total:
        title = f"no {what} on record" if view.name == "changes" else f"no {what}"
        if store.inventory is not None and view.name in ("routes", "limits"):
            answer = [v for v in store.environments() if v.environment.reach.state is not ReachState.UNREACHABLE]
            none = "it has no" if len(answer) == 1 else "none has a"
            read = figures.plural(len(answer), "environment")
            paragraphs.append(f"{read} read, and {none} {what[:-1]} of a kind known here; {_others(view, store)}")
        elif view.name == "changes":
            paragraphs.append("nothing was changed from here, and nothing that others changed was seen")
    elif choice.words:
        title = f"no {what[:-1] if view.name != 'pulse' else 'row'} matches"
        problems = " and has a problem" if choice.problems else ""
        paragraphs.append(f"none of {figures.plural(total, what.removesuffix('s'))} matches /{choice.words}{problems}")
        keys = "esc shows all of them   / another filter, up the last one"
    else:
        title = "no problems"
        paragraphs.append(f"none of {figures.plural(total, what.removesuffix('s'))} has a problem")
        keys = "esc or ! shows all of them"
    if view.name != "changes":
        paragraphs += [f"{one.environment} could not be read: {one.why}" for one in _unreached(store)]
    role = "warn" if paragraphs and view.name != "changes" and _unreached(store) else "muted"
    return _page(title, role, paragraphs, min(cells - 8, 76), keys)


def _unreached(store: Store) -> Sequence[Unreached]:
    return store.inventory.unreached if store.inventory is not None else ()


def _others(view: ListView, store: Store) -> str:
    if view.name == "routes":
        return f"there are {figures.plural(len(store.limits), 'limit')} (2)"
    return f"there are {figures.plural(len(store.routes), 'route')} (1)"


def _page(title: str, role: str, paragraphs: list[str], width: int, keys: str) -> list[Line]:
    lines: list[Line] = [(), (), (("    ", "text"), (title, role)), ()]
    for paragraph in paragraphs:
        if paragraph:
            lines += [(("    ", "text"), (safe(part), "text")) for part in wrap(paragraph, width)]
    return [*lines, (), (("    ", "text"), (fit(keys, width), "muted"))] if keys else lines
