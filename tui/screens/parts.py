"""What the parts of the main screen (finding, editing, commands) know of each other."""

from __future__ import annotations

from control.model.ref import Ref
from control.plane import EnvironmentView, ServiceView
from tui.screens.base import BaseScreen
from tui.store import ChangeRow, LimitRow, RouteRow
from tui.views.base import ListView
from tui.widgets.line_table import LineTable

Selected = RouteRow | LimitRow | ChangeRow | ServiceView | EnvironmentView | None


class DeckParts(BaseScreen):
    """The state that the parts share; `tui.screens.deck.DeckScreen` makes it."""

    views: list[ListView]
    view: ListView
    table: LineTable
    in_detail: bool

    @property
    def selected(self) -> Selected:
        """The data of the row under the cursor."""
        raise NotImplementedError

    def route_target(self) -> str | None:
        """The target that a key is for."""
        raise NotImplementedError

    def refresh_rows(self, force: bool = False) -> None:
        raise NotImplementedError

    def render_head(self) -> None:
        raise NotImplementedError

    def render_side(self) -> None:
        raise NotImplementedError

    def show_view(self, index: int) -> None:
        raise NotImplementedError

    def go_to(self, ref: Ref) -> None:
        raise NotImplementedError

    def clear_filter(self) -> None:
        raise NotImplementedError

    def marked_rows(self) -> list[RouteRow | LimitRow]:
        """The marked rows, hidden ones too; the one under the cursor where none is marked."""
        marked: list[RouteRow | LimitRow] = []
        store = self.deck.store
        for key in self.table.marked:
            if isinstance(key, Ref):
                row = store.routes.get(key) or store.limits.get(key)
                if row is not None:
                    marked.append(row)
        row_here = self.selected
        if not marked and isinstance(row_here, RouteRow | LimitRow):
            return [row_here]
        return sorted(marked, key=lambda row: row.ref)
