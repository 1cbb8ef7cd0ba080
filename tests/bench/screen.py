"""The deck over 2,000 routes and 3,000 limits in memory: `python -m tests.bench.screen [refreshing]`.

What is measured then is the screen alone. `refreshing`: all 25 environments bring new figures every 2.5 seconds, one
after the other.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from control.structs import replace
from tui.app import run

ENVIRONMENTS = 25
REFRESH_SECONDS = 2.5


def _fake_plane() -> Any:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))
    import fake_plane  # it stands beside the tests that use it, which are no package

    return fake_plane


def moved(inventory: Any, number: int) -> Any:
    """The inventory after one environment was read and counted anew: every route of it has another rate."""
    name = f"env-{number % ENVIRONMENTS:02}"
    seen = dict(inventory.seen)
    for ref, one in inventory.seen.items():
        if ref.environment == name:
            rate = Fraction(1 + (number * 37 + len(ref.name)) % 900)
            seen[ref] = replace(one, traffic=replace(one.traffic, rps=rate))
    return replace(inventory, version=inventory.version + 1, seen=seen)


async def refresh(plane: Any) -> None:
    """Bring new figures for ever."""
    number = 0
    while True:
        await asyncio.sleep(REFRESH_SECONDS / ENVIRONMENTS)
        number += 1
        plane.put(await asyncio.to_thread(moved, plane.inventory, number))


def main(refreshing: bool) -> int:
    kept: list[asyncio.Task[None]] = []

    async def make_session() -> Any:
        fake = await asyncio.to_thread(_fake_plane)
        fleet = await asyncio.to_thread(fake.large)
        plane = fake.FakePlane(fake.deck_of(fleet), fleet)
        if refreshing:
            kept.append(asyncio.create_task(refresh(plane)))
        return fake.session_of(plane, Path(tempfile.mkdtemp()))

    return run(make_session)


if __name__ == "__main__":
    sys.exit(main("refreshing" in sys.argv))
