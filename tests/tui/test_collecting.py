"""The cyclic collector waits for a pause of the one who types, and not for ever."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from driver import ready

from tests.tui.memory_plane import MemoryPlane
from tui.collecting import AT_LEAST_SECONDS, EVERY_SECONDS, QUIET_SECONDS, Collecting
from tui.deck_app import DeckApp


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collecting(clock: Clock) -> Iterator[Collecting]:
    made = Collecting(clock)
    made.start()
    yield made
    made.stop()


def test_it_waits_for_a_pause(collecting: Collecting, clock: Clock) -> None:
    clock.now = EVERY_SECONDS + 1
    collecting.key()
    assert not collecting.tick(), "somebody types"
    clock.now += QUIET_SECONDS + 1
    assert collecting.tick()
    clock.now += QUIET_SECONDS + 1
    assert not collecting.tick(), "not again so soon"


def test_it_does_not_wait_for_ever(collecting: Collecting, clock: Clock) -> None:
    while not collecting.tick():
        clock.now += QUIET_SECONDS / 2
        collecting.key()
        assert clock.now < 2 * AT_LEAST_SECONDS
    assert clock.now > AT_LEAST_SECONDS


def test_cycles_are_freed_by_it(collecting: Collecting, clock: Clock) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

    Cycle()
    clock.now = EVERY_SECONDS + QUIET_SECONDS + 1
    assert collecting.tick()
    assert not [one for one in gc.get_objects() if type(one) is Cycle]


async def test_the_deck_leaves_the_collector_as_it_was(
    make_app: Callable[..., tuple[DeckApp, MemoryPlane]],
) -> None:
    before = gc.get_threshold()
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        assert gc.get_threshold() != before
        await pilot.press("j")
    assert gc.get_threshold() == before
