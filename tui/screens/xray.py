"""The tree from a service down to the last server; Enter goes to the route under the cursor."""

from __future__ import annotations

from collections.abc import Callable

from control.model.ref import Ref
from tui.look import Line
from tui.screens.sheet import SheetScreen
from tui.views.xray import Branch, Xray


class XrayScreen(SheetScreen):
    """Live: it is drawn anew with every update, and the cursor stays where it was."""

    def __init__(self, title: str, make: Callable[[Xray], list[Branch]], go: Callable[[Ref], None]) -> None:
        super().__init__()
        self.title_text, self._make, self._go = title, make, go
        self.at = 0
        self.branches: list[Branch] = []

    def heading(self) -> Line:
        return (
            (" XRAY ", "strong"),
            (self.title_text, "title"),
            ("   share of all, requests now; enter goes there", "muted"),
        )

    def lines(self, width: int) -> list[Line]:
        session = self.deck.session
        services = session.deck.services if session is not None else ()
        self.branches = self._make(Xray(self.deck.store, services, self.deck.look.glyphs, width))
        return [branch.line for branch in self.branches] or [((" nothing is known of it", "muted"),)]

    def cursor_line(self) -> int | None:
        self.at = max(0, min(self.at, len(self.branches) - 1))
        return self.at if self.branches else None

    def _scroll(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.branches) - 1))
        self.render_all()

    def do_choose(self) -> None:
        if self.at < len(self.branches):
            ref = self.branches[self.at].ref
            self.app.pop_screen()
            self._go(ref)
