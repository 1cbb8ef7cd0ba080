"""Editing the native text of a row in $EDITOR. What comes back is a plan like any other; nothing is sent from here."""

from __future__ import annotations

import contextlib
from pathlib import Path

from textual.app import SuspendNotSupported

from control.errors import ControlError
from control.model.ref import Ref
from control.planning.edit import Edit
from tui.native_editor import MARK, forget, put_words, read_text, run_editor, write_text
from tui.screens.parts import DeckParts
from tui.store import LimitRow, RouteRow
from tui.views.preview import stage_edit


class NativeEditing(DeckParts):
    """The part of the main screen that hands a text to an editor and takes it back."""

    def do_edit_native(self) -> object:
        row = self.selected
        return self._edit_native(row.ref) if isinstance(row, RouteRow | LimitRow) else None

    async def _edit_native(self, ref: Ref) -> None:
        from tui.screens.plan import PlanScreen

        deck = self.deck
        if deck.session is None:
            return
        native = await deck.plane.native(ref)
        words = [
            f"{native.object}",
            "Weights, shares, states and limits can be changed. Saving makes a plan; nothing is sent.",
            f"Lines with {MARK} are not read. Leave without a change to stop.",
        ]
        path = write_text(deck.session.state_folder, native.language, native.text, words)
        edits = await self._until_it_fits(ref, path, native.text, words)
        if not edits:
            return
        if all(edit.ref in deck.store.routes or edit.ref in deck.store.limits for edit in edits):
            for edit in edits:
                stage_edit(deck.staging, deck.store, edit)
            self.refresh_rows()
            self.perform("plan")
        else:  # one host of a group: the list has no row of its own for it
            self.app.push_screen(PlanScreen("text", lambda options: deck.plane.plan(edits, options)))
        forget(path)  # last: until then what was typed lives in that file alone

    async def _until_it_fits(self, ref: Ref, path: Path, original: str, words: list[str]) -> list[Edit]:
        """The edits that were made; none where the user left without a change, or gave up on a refused one."""
        last = original
        while True:
            try:
                self._run_editor(path)
                text = read_text(path)
            except ControlError as error:
                self.fail(type(error)(f"{error}; the text is in {path}"))
                return []
            if text.strip() == last.strip():
                if last == original:
                    forget(path)
                    self.say("nothing was changed")
                else:
                    self.say(f"stopped; what you typed is in {path}", "warn")
                return []
            last = text
            try:
                edits = await self.deck.plane.edits_of(ref, original, text)
            except ControlError as error:
                put_words(path, text, [f"REFUSED: {error}", *words])
                continue
            if not edits:
                forget(path)
                self.say("nothing that counts was changed")
            return edits

    def _run_editor(self, path: Path) -> None:
        """Give the terminal to the editor. No frame may be drawn meanwhile: its writes would block for ever."""
        app = self.app
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(app.suspend())
            except SuspendNotSupported:
                raise ControlError("an editor needs a terminal of its own, which is not here") from None
            stack.enter_context(app.batch_update())
            run_editor(path)
        self.app.refresh(layout=True)
