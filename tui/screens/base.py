"""What every screen shares: keys to actions, one line of typing, notes, and the guard against pasted keys."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.geometry import Size
from textual.screen import Screen

from control.errors import ControlError
from tui.actions import BY_ID, Action, Situation, method_name
from tui.look import SMALLEST, Look
from tui.staging import Staging
from tui.store import Store
from tui.widgets.footer import Note
from tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from tui.deck_app import DeckApp

BURST_KEYS = 3
BURST_SECONDS = 0.015
QUIET_SECONDS = 0.12
LONGEST_RESIZE_SECONDS = 0.2
WIDGETS_TURNS = 5
"""Turns of the loop in which widgets hear of their new size and ask to be painted: all of it is then one frame."""


class Burst:
    """Three different printable keys within 15 ms were pasted, not typed."""

    def __init__(self) -> None:
        self._times: list[tuple[float, str]] = []
        self._until = 0.0

    def pasted(self, key: str, at: float) -> bool:
        """Whether this key is part of a paste."""
        self._times = [(t, k) for t, k in self._times if at - t <= BURST_SECONDS] + [(at, key)]
        if len(self._times) >= BURST_KEYS and len({k for _, k in self._times}) > 1:
            self._until = at + QUIET_SECONDS
        return at < self._until


class BaseScreen(Screen[None], inherit_bindings=False):
    """A screen draws in `render_all` and does actions in `do_<action>` methods."""

    SCOPE: ClassVar[str] = "deck"
    ALLOW_SELECT = False
    AUTO_FOCUS = None

    def __init__(self) -> None:
        super().__init__()
        self.input: LineInput | None = None
        self.note: Note | None = None
        self._note_until = 0.0
        self._burst = Burst()
        self._laid_out: Size | None = None
        self._redrawing = False

    @property
    def deck(self) -> DeckApp:
        return cast("DeckApp", self.app)

    def deck_parts(self) -> tuple[Store, Staging, Look]:
        """What every view is made from."""
        return self.deck.store, self.deck.staging, self.deck.look

    # --- to be filled

    def situation(self) -> Situation:
        """What is true here now."""
        return self.deck.situation(self.SCOPE)

    def render_all(self) -> None:
        """Draw everything that this screen shows."""

    def render_foot(self) -> None:
        """Draw the last lines: input, note or hints."""

    def redraw(self) -> None:
        """Draw everything and the foot; a sheet without room for its lines still has one."""
        self.render_all()
        self.render_foot()

    def tick(self, changed: bool) -> None:
        """Called on the app's timer; `changed` when the store has a new batch."""
        if self.note is not None and self._note_until and time.monotonic() > self._note_until:
            self.note = None
            self.render_foot()
        if changed:
            self.render_all()

    # --- another size

    def on_resize(self, event: events.Resize) -> None:
        """Lay out and draw in one frame. Textual tells a screen of a size twice, the second time as its own layout's
        news, and paints the old lines at the new size before the widgets have heard of it."""
        if event.size == self._laid_out:
            event.prevent_default()
            return
        self._laid_out = event.size
        batch = contextlib.ExitStack()
        batch.enter_context(self.app.batch_update())
        self.app.set_timer(LONGEST_RESIZE_SECONDS, batch.close)  # where this screen goes before it is drawn
        self.call_next(self._fill, batch)

    async def _fill(self, batch: contextlib.ExitStack) -> None:
        try:
            self.redraw()
            for _ in range(WIDGETS_TURNS):
                await asyncio.sleep(0)
        finally:
            self.call_later(batch.close)

    def on_canvas_resized(self) -> None:
        """A part of the screen came, went or has another size: draw once, however many did."""
        if not self._redrawing:
            self._redrawing = True
            self.call_later(self._redraw_resized)

    def _redraw_resized(self) -> None:
        self._redrawing = False
        self.redraw()

    # --- notes

    def say(self, text: str, role: str = "info") -> None:
        """Show one message in the last line. Errors stay until the next key."""
        self.note = Note(text, role)
        self._note_until = 0.0 if role == "bad" else time.monotonic() + self.note.seconds
        self.render_foot()

    def fail(self, error: Exception) -> None:
        """Show an expected failure in its own words; anything else by its type, never with its locals."""
        self.say(str(error) if isinstance(error, ControlError) else f"unexpected: {type(error).__name__}", "bad")

    # --- typing

    def ask(self, line: LineInput) -> None:
        """Let the user type one line."""
        self.input = line
        self.note = None
        self.render_foot()

    def _typed(self, event: events.Key) -> None:
        line = self.input
        if line is None:
            return
        if line.dead and event.key not in ("enter", "escape") and not line.takes(event.character):
            self.input = None
            self._key(event)
            return
        ended = "escape" if event.key == "ctrl+c" else line.key(event.key, event.character)
        if ended:
            self.input = None
            if ended == "enter":
                try:
                    line.submit(line.text.strip())
                except ControlError as error:
                    if line.text.strip():
                        self.input, line.refused = line, str(error)  # the text stays, to be mended
                    else:
                        self.say(str(error), "warn")
            elif line.cancelled is not None:
                line.cancelled()
        self.render_foot()

    def refuse(self, why: str, begins: str) -> None:
        """Say why nothing can be typed now. What begins with one of these characters was meant for it: it is taken in
        and fires no key."""
        if begins:
            self.ask(LineInput(why, lambda _text: None, dead=begins))
        else:
            self.say(why, "warn")

    def asked(self, action: Action) -> str:
        """The characters that what an action asks for can begin with."""
        return action.asks

    # --- keys

    def on_key(self, event: events.Key) -> None:
        self.deck.collecting.key()
        event.stop()
        event.prevent_default()
        if self.too_small():
            return
        try:
            self._key(event)
        except Exception as error:  # a fault of ours costs one key press, not the night's screen
            self.deck.log_failure(error)
            self.fail(error)

    def _key(self, event: events.Key) -> None:
        if self.input is not None:
            self._typed(event)
            return
        action = self.deck.keymap.action(self.SCOPE, event.key, event.character)
        printable = event.character is not None and event.is_printable
        if printable and self._burst.pasted(event.key, event.time) and not (action and action.repeat):
            self.say("pasted text does nothing here", "warn")
            return
        if self.note is not None:
            self.note = None
            self.render_foot()
        if action is not None:
            self.perform(action)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        if self.input is not None:
            self.input.paste(event.text)
            self.render_foot()
        else:
            self.say("pasted text does nothing here", "warn")

    def too_small(self) -> bool:
        """Whether the terminal is below the smallest size that can be drawn."""
        size = self.app.size
        return size.width < SMALLEST[0] or size.height < SMALLEST[1]

    # --- actions

    def perform(self, action: Action | str, argument: str = "") -> None:
        """Do an action, or say why it is not available."""
        action = BY_ID[action] if isinstance(action, str) else action
        why = action.unavailable(self.situation())
        if why:
            self.refuse(why, self.asked(action))
            return
        handler = getattr(self, method_name(action), None) or getattr(self.deck, method_name(action), None)
        if handler is None:
            self.say(f"{action.title}: not here", "warn")
            return
        try:
            outcome = handler(argument) if argument or _takes_argument(handler) else handler()
        except ControlError as error:
            if argument or not self.asked(action):
                self.fail(error)
            else:
                self.refuse(str(error), self.asked(action))
            return
        if inspect.isawaitable(outcome):
            self.work(outcome, action.id)

    def work(self, job: Awaitable[object], name: str) -> None:
        """Run something that waits, off the key handler; its failure is shown, never a crash."""

        async def guarded() -> None:
            try:
                await job
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not isinstance(error, ControlError):
                    self.deck.log_failure(error)
                if self.is_attached:
                    self.fail(error)

        self.run_worker(guarded(), name=name, group=name, exit_on_error=False)


def _takes_argument(handler: Callable[..., object]) -> bool:
    return bool(inspect.signature(handler).parameters)
