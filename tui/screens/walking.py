"""Walking the graph and back: the owner or what is related, and the places visited before."""

from __future__ import annotations

from collections.abc import Hashable

from textual import events

from control.errors import UsageError
from control.model import Owner
from control.model.ref import Ref
from control.plane import ServiceView
from tui.cells import safe
from tui.screens.parts import DeckParts
from tui.store import LimitRow, RouteRow
from tui.widgets.line_table import LABELS

MOST_PLACES = 50
Place = tuple[int, Hashable | None]
"""(number of the view, identity of the row)."""


class Walking(DeckParts):
    """The part of the main screen that remembers where it was."""

    def __init__(self) -> None:
        super().__init__()
        self._behind: list[Place] = []
        self._ahead: list[Place] = []
        self._walking = False
        self._letters = ""

    def _place(self) -> Place:
        row = self.table.selected
        return self.views.index(self.view), row.key if row is not None else None

    def leave_place(self) -> None:
        """Remember this place before going to another one; what lay ahead is forgotten."""
        if self._walking:
            return
        here = self._place()
        if not self._behind or self._behind[-1] != here:
            self._behind = [*self._behind, here][-MOST_PLACES:]
        self._ahead.clear()

    def _walk(self, places: list[Place], others: list[Place], nothing: str) -> None:
        here = self._place()
        while places and places[-1] == here:
            places.pop()
        if not places:
            self.say(nothing, "warn")
            return
        index, key = places.pop()
        others.append(here)
        self._walking = True
        try:
            self.show_view(index)
            if key is not None and not self.table.select(key):
                self.say("the row of that place is gone or filtered out", "warn")
        finally:
            self._walking = False

    def do_history_back(self) -> None:
        self._walk(self._behind, self._ahead, "there is no place before this one")

    def do_history_forward(self) -> None:
        self._walk(self._ahead, self._behind, "there is no place after this one")

    # --- jump labels

    def do_jump(self) -> None:
        """Paint letters before every row that is in sight; typing them goes there."""
        self.table.label_rows()
        self._letters = ""
        if not self.table.labels:
            self.refuse("there is no row to jump to", LABELS)
            return
        self.say("type the letters of a row; esc stays", "info")

    def _key(self, event: events.Key) -> None:
        if not self.table.labels:
            super()._key(event)
            return
        self._letters += event.character or "" if event.is_printable else ""
        key = self.table.labels.get(self._letters)
        going_on = any(label.startswith(self._letters) for label in self.table.labels) and event.is_printable
        if key is None and going_on:
            return
        if key is None and (event.character or "") in LABELS and event.is_printable:
            self.say(f"no row has the letters {safe(self._letters)}; esc stays", "warn")
            self._letters = ""
            return
        self.table.clear_labels()
        self.note = None
        if key is not None:
            self.table.select(key)
        self.render_foot()

    # --- from a service to the last server

    def do_xray(self, name: str = "") -> None:
        from tui.screens.xray import XrayScreen

        row, store = self.selected, self.deck.store
        if name and name not in store.services():
            raise UsageError(f"there is no service '{safe(name)}'", hint="there are " + ", ".join(store.services()))
        service = name or (row.name if isinstance(row, ServiceView) else "")
        if isinstance(row, RouteRow | LimitRow) and not service:
            service = row.service
        if service in store.services():
            self.app.push_screen(XrayScreen(service, lambda xray: xray.service(service), self.go_to))
        elif isinstance(row, RouteRow):
            ref = row.ref
            self.app.push_screen(XrayScreen(row.name, lambda xray: xray.route(ref), self.go_to))
        else:
            raise UsageError("x-ray of what?", hint=":xray SERVICE, or with the cursor on a route or a service")

    # --- what belongs together

    def do_related(self) -> None:
        """Go to what the row leads to, else to what leads to it, else to its first limit; a limit goes to its route."""
        row, store = self.selected, self.deck.store
        if isinstance(row, LimitRow):
            near = [bound.ref for bound in store.routes_of(row.limit)]
            owners = row.limit.owners
        elif isinstance(row, RouteRow):
            near = self._near(row)
            owners = row.route.owners
        else:
            return
        if near:
            self.go_to(near[0])
        words = _owner_words(owners)
        if words or not near:
            self.say(words or "nothing related is known", "info" if words else "warn")

    def _near(self, row: RouteRow) -> list[Ref]:
        store = self.deck.store
        onward = [target.to for target in row.route.targets if target.to is not None and target.to in store.routes]
        to_here = [other.ref for other in store.routes.values() if any(t.to == row.ref for t in other.route.targets)]
        limits = [
            limit.ref for limit in store.limits.values() if any(r.ref == row.ref for r in store.routes_of(limit.limit))
        ]
        return [*onward, *to_here, *limits]


def _owner_words(owners: tuple[Owner, ...]) -> str:
    """Who else writes here, and what to edit instead."""
    told = [
        f"{owner.kind} {owner.name}" + (f": edit {owner.edit_instead}" if owner.edit_instead else "")
        for owner in owners
    ]
    return safe("owned by " + "; ".join(told)) if told else ""
