"""The changes that the screen is applying: they outlive it by the step in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from control.journal.log import Kept
    from control.planning.plan import Plan, Result


class UnderWay:
    """What is being applied, and what came of it after the screen was closed."""

    def __init__(self) -> None:
        self._stops: dict[asyncio.Task[None], asyncio.Event] = {}
        self.ended: list[tuple[Plan, Result]] = []
        """What came of those that ended after the screen was closed."""

    def begin(self, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        """A change is being applied by `task`; `stop` ends it before its next step."""
        self._stops[task] = stop
        task.add_done_callback(lambda done: self._stops.pop(done, None))

    async def finish(self) -> None:
        """Stop each before its next step, and wait for it."""
        for stop in self._stops.values():
            stop.set()
        if self._stops:
            await asyncio.wait(set(self._stops))


def kept_words(kept: Iterable[Kept]) -> str:
    """What the journal could not take, in one line; empty where it has everything."""
    changes = [one.change for one in kept]
    if not changes:
        return ""
    return f"the journal could not take what came of {', '.join(changes)}: it is kept beside it; :resolve looks"
