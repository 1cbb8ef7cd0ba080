"""Walking the graph and back: the owner or what is related, and the places visited before."""

from __future__ import annotations

from collections.abc import Hashable

from control.model import Owner
from control.ref import Ref
from tui.cells import safe
from tui.screens.parts import DeckParts
from tui.store import LimitRow, RouteRow

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
