"""Reads the journal for the screen: the newest changes, older ones as somebody goes to them, and nothing where nothing
has moved."""

from __future__ import annotations

import time
from collections.abc import Hashable

from control.journal.history import PAGE
from control.plane import ControlPlane
from control.planning.plan import HistoryPage
from control.structs import replace

HOUR = 3600.0
"""The changes of the last hour are always read: the on-call view counts them."""


class ChangesReader:
    """All methods read the journal's file: off the loop, please. They raise where changes are not known."""

    def __init__(self) -> None:
        self._mark: Hashable = None
        self._page: HistoryPage | None = None

    def newest(self, plane: ControlPlane) -> HistoryPage:
        """The newest changes, and those that were gone to; the very same page where nothing has moved."""
        mark = plane.changes_mark()
        if self._page is None or mark != self._mark:
            wanted = len(self._page.items) if self._page is not None else 0
            page = plane.changes(max(wanted, PAGE))
            since = time.time() - HOUR
            if page.older and page.items and page.items[-1].at > since:
                page = plane.changes(None, since=since)
            self._page, self._mark = page, mark
        return self._page

    def older(self, plane: ControlPlane) -> HistoryPage:
        """The same and a page of older ones."""
        page = self._page or self.newest(plane)
        if not page.older or not page.items:
            return page
        more = plane.changes(PAGE, before=page.items[-1].change)
        count = max(page.not_understood, more.not_understood)
        self._page = replace(more, items=(*page.items, *more.items), not_understood=count, why=page.why or more.why)
        return self._page

    def forget_older(self) -> None:
        """Nobody looks at the older ones any more."""
        if self._page is not None and len(self._page.items) > PAGE:
            self._page = None
