"""The last two lines: the last change, then hints or what just happened. Draws text only; Textual's Footer leaks."""

from __future__ import annotations

from dataclasses import dataclass

from tui import figures
from tui.actions import Keymap, Situation, in_scope
from tui.cells import clip, line_width, safe, width
from tui.look import Line, Look, Span
from tui.store import Store


@dataclass(frozen=True, slots=True)
class Note:
    """One message. Errors stay until the next key; others fade after `seconds`."""

    text: str
    role: str = "info"
    seconds: float = 6.0


def change_line(store: Store, look: Look, cells: int) -> Line:
    """The last changes, ours and others', newest first."""
    parts: list[Span] = [(" ", "muted")]
    if store.changes_unknown:
        words = clip(f"changes are not known: {safe(store.changes_unknown)}", max(cells - 2, 1))
        parts += [(words, "warn"), (f"  {look.glyphs.dot}  ", "faint")]
    for row in store.changes[:4]:
        role = "info" if row.outside else "text"
        text = f"{row.who} {row.what} "
        outcome = f"({row.outcome})"
        size = 6 + len(text) + len(outcome) + 3
        if line_width(tuple(parts)) + size > cells and len(parts) > 1:
            break
        parts += [
            (figures.clock(row.at) + " ", "muted"),
            (text, role),
            (outcome, "muted"),
            (f"  {look.glyphs.dot}  ", "faint"),
        ]
    if not store.changes and not store.changes_unknown:
        return ((" no changes on record", "faint"),) if store.history is not None else ((" ", "faint"),)
    return tuple(parts[:-1])


def lack_line(store: Store, cells: int) -> Line | None:
    """What the lists were asked for and lack, by environment; None where they lack nothing."""
    lacking = store.inventory.lacking if store.inventory is not None else ()
    if not lacking:
        return None
    head, room, shown = "not read: ", cells - 2, min(len(lacking), MOST_LACKING)
    parts = [safe(f"{one.environment}: {one.why}") for one in lacking[:shown]]
    while shown > 1 and width(head + "; ".join(parts[:shown]) + _more(len(lacking) - shown)) > room:
        shown -= 1
    more = _more(len(lacking) - shown)
    words = clip(head + "; ".join(parts[:shown]), max(room - width(more), 1)).rstrip()
    return ((f" {words}{more}", "warn"),)


MOST_LACKING = 8


def _more(number: int) -> str:
    return f"; {number} more: 4" if number else ""


def hint_line(keymap: Keymap, now: Situation, cells: int, note: Note | None = None) -> Line:
    """The keys that matter here; greyed where they do nothing now. A note takes their place."""
    if note is not None:
        return ((" " + clip(note.text, max(cells - 2, 1)), note.role),)
    parts: list[Span] = []
    actions = in_scope(now.scope)
    if now.scope == "plan":
        actions.sort(key=lambda action: (action.group != "plan", not action.writes))
    for action in actions:
        if not action.short or (action.edits and not now.can_arm and now.scope == "oncall"):
            continue
        off = bool(action.unavailable(now))
        if off and now.scope == "plan":
            continue
        key, word = f" {keymap.shown(action)} ", action.word(now)
        if line_width(tuple(parts)) + len(key) + len(word) + 1 > cells:
            break
        parts += [(key, "faint" if off else "key"), (word + " ", "faint" if off else "muted")]
    return tuple(parts)
