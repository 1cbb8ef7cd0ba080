"""The deck over 2,000 routes and 3,000 limits in memory: `python -m tests.bench.screen [refreshing]`.

The platforms are rows in memory; what is measured then is the screen and what control does to keep it. `refreshing`:
all 25 environments bring new figures every 2.5 seconds, one after the other.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from control.structs import replace
from tui.app import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from control.fleet.views import Seen
    from control.model.ref import Ref
    from tests.tui.memory_plane import MemoryPlane
    from tui.session import Session

REFRESH_SECONDS = 2.5


def figures(seen: Mapping[Ref, Seen], number: int) -> dict[Ref, Seen]:
    """Every route counted anew: each has another rate."""
    return {
        ref: replace(one, traffic=replace(one.traffic, rps=Fraction(1 + (number * 37 + len(ref.name)) % 900)))
        for ref, one in seen.items()
    }


async def refresh(plane: MemoryPlane) -> None:
    """Bring new figures for ever."""
    readers = list(plane.readers.values())
    number = 0
    while True:
        await asyncio.sleep(REFRESH_SECONDS / len(readers))
        number += 1
        reader = readers[number % len(readers)]
        reader.seen = await asyncio.to_thread(figures, reader.seen, number)


def main(refreshing: bool) -> int:
    kept: list[asyncio.Task[None]] = []

    async def make_session() -> Session:
        from tests.tui import fleets, memory_plane  # after the first frame, as the program's own imports

        folder = Path(tempfile.mkdtemp())
        fleet = await asyncio.to_thread(fleets.large)
        plane = await asyncio.to_thread(memory_plane.plane_of, fleet, folder)
        await plane.begun()
        if refreshing:
            kept.append(asyncio.create_task(refresh(plane)))
        return memory_plane.session_of(plane, folder)

    return run(make_session)


if __name__ == "__main__":
    sys.exit(main("refreshing" in sys.argv))
