"""Help and palette, both from the action registry: what there is, its keys, and why it is not available now."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events

from tui.actions import Action, Situation, in_scope
from tui.cells import clip, fit, wrap
from tui.cells import width as cells
from tui.figures import plural
from tui.look import Line
from tui.screens.sheet import SheetScreen
from tui.widgets.line_input import LineInput

GROUPS = {
    "edit": "changing: nothing is sent before its plan is confirmed",
    "whatif": "what if: nothing is sent from here",
    "find": "finding",
    "look": "looking",
    "move": "moving",
    "plan": "the plan sheet",
    "menu": "menus",
    "deck": "the deck",
}
MARKS = (
    ("!", "bad", "broken: somebody should do something"),
    ("~", "staged", "staged here, not sent"),
    ("?", "stale", "old, or its environment does not answer"),
    ("*", "info", "its weights changed a moment ago"),
    ("#", "key", "this share is locked"),
    ("--", "faint", "unknown; never shown as 0"),
)


NAMED = 100
"""Cells from which on the palette says the id of an action too, for the user's own keys."""


class HelpScreen(SheetScreen):
    """Every action of the screen below, with its keys, its command, and the reason where it does nothing now."""

    def __init__(self, now: Situation) -> None:
        super().__init__()
        self.now = now

    def heading(self) -> Line:
        return ((" HELP ", "strong"), (" greyed: not available now, with the reason", "muted"))

    def lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        keymap = self.deck.keymap
        scope = in_scope(self.now.scope)
        keys_room = max(cells(" ".join(dict.fromkeys(keymap.written(action)))) for action in scope)
        words_room = max(len(action.command) + 1 for action in scope)
        taken = keys_room + words_room + 6
        for group, title in GROUPS.items():
            actions = [a for a in scope if a.group == group]
            if actions:
                lines += [(), ((f" {title}", "title"),)]
            for action in actions:
                keys = " ".join(dict.fromkeys(keymap.written(action)))
                why = action.unavailable(self.now)
                command = f":{action.command}" if action.command else ""
                role = "faint" if why else "text"
                lines.append(
                    (
                        (f"   {fit(keys, keys_room)} ", "faint" if why else "key"),
                        (f"{fit(command, words_room)} ", "faint" if why else "muted"),
                        (clip(action.title + (f"  ({why})" if why else ""), max(width - taken, 20)).rstrip(), role),
                    )
                )
        lines += [(), ((" marks", "title"),)]
        lines += [((f"   {mark:14}", role), (words, "text")) for mark, role, words in MARKS]
        text = "words of a name, /regex, !word, -l key=value, env:prod-eu, rps:>100, 5xx:>1, gap:>5, owner:argocd"
        lines += [(), ((" filter", "title"),)]
        return [*lines, *(((f"   {part}", "text"),) for part in wrap(text, max(width - 4, 20)))]


class PaletteScreen(SheetScreen):
    """Type to find an action; Enter does it."""

    SCOPE: ClassVar[str] = "sheet"

    def __init__(self, now: Situation, perform: Callable[[Action], None]) -> None:
        super().__init__()
        self.now, self.do = now, perform
        self.at = 0
        self.actions: list[Action] = []

    def on_mount(self) -> None:
        self.input = LineInput("do", self._chosen, changed=self._changed, cancelled=lambda: self.do_back())
        self._changed("")
        super().on_mount()

    def heading(self) -> Line:
        shown, of = len(self.actions), len(self._known())
        count = plural(of, "action") if shown == of else f"{shown} of {plural(of, 'action')}"
        return ((" PALETTE ", "strong"), (f" {count}", "muted"))

    def _known(self) -> list[Action]:
        return [action for action in in_scope(self.now.scope) if action.group != "move"]

    def _changed(self, text: str) -> None:
        words = text.lower().split()
        self.actions = [a for a in self._known() if all(w in f"{a.title} {a.command} {a.id}".lower() for w in words)]
        self.at = 0
        self.render_all()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("down", "up", "ctrl+n", "ctrl+p"):
            event.stop()
            by = 1 if event.key in ("down", "ctrl+n") else -1
            self.at = max(0, min(self.at + by, len(self.actions) - 1))
            self.render_all()
            return
        super().on_key(event)

    def cursor_line(self) -> int | None:
        self.top = 0  # as near to the best find as the cursor lets it be
        return self.at if self.actions else None

    def lines(self, width: int) -> list[Line]:
        keymap, known = self.deck.keymap, self._known()
        keys = max(cells(keymap.shown(action)) for action in known)
        ids = max(cells(action.id) for action in known)
        named = width >= NAMED  # where there is less room, the reasons have it
        room = max(width - keys - 4 - (ids + 2 if named else 0), 20)
        drawn: list[Line] = []
        for action in self.actions:
            why = action.unavailable(self.now)
            title = clip(action.title + (f"  ({why})" if why else ""), room)
            drawn.append(
                (
                    (f" {title}  ", "faint" if why else "text"),
                    (fit(keymap.shown(action), keys) + "  ", "key"),
                    (fit(action.id, ids) if named else "", "faint"),
                )
            )
        return drawn

    def _chosen(self, _text: str) -> None:
        chosen = self.actions[self.at] if self.at < len(self.actions) else None
        self.app.pop_screen()
        if chosen is not None:
            self.app.call_after_refresh(self.do, chosen)
