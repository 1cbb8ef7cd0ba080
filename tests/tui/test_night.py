"""A whole night of on-call: eight hours of updates, run accelerated, with routes that come and go."""

from __future__ import annotations

import gc
import itertools
import statistics
import time
import tracemalloc
from fractions import Fraction

import pytest

from control.fleet.views import Inventory
from control.model.ref import Ref
from control.structs import replace
from tests.tui import fleets
from tui.look import UNICODE, Look
from tui.store import Store
from tui.themes import load_theme
from tui.views.oncall_lines import oncall_lines

UPDATES_AN_HOUR = 720
"""One in five seconds."""
HOURS = 8


def night(fleet: Inventory, number: int) -> Inventory:
    """The fleet at one update: other figures, and one route under a name that no other update has."""
    ref = next(iter(fleet.routes))
    passing = Ref.parse(f"{ref.environment}/HTTPRoute/inference/canary-{number}")
    seen = {
        row: replace(value, traffic=replace(value.traffic, rps=Fraction(50 + number % 97)))
        for row, value in fleet.seen.items()
    }
    route = replace(fleet.routes[ref], ref=passing, name=passing.name)
    return replace(fleet, routes={**fleet.routes, passing: route}, seen={**seen, passing: seen[ref]})


@pytest.mark.timeout(180)
def test_eight_hours_of_updates_grow_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tui.store.SAMPLE_SECONDS", 0.0)
    fleet, store, look = fleets.small(), Store(), Look(load_theme("dusk"), UNICODE)
    numbers = itertools.count()
    memory, seconds = [], []
    tracemalloc.start()
    for _ in range(HOURS):
        taken = []
        for _ in range(UPDATES_AN_HOUR):
            inventory = night(fleet, next(numbers))
            start = time.perf_counter()
            store.update(inventory)
            assert oncall_lines(store, look, 80, 22)
            taken.append(time.perf_counter() - start)
        gc.collect()
        memory.append(tracemalloc.get_traced_memory()[0] // 1024)
        seconds.append(statistics.median(taken) * 1000)
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\nnight: KiB by hour {memory}; ms an update by hour {[round(s, 2) for s in seconds]}")
    assert memory[-1] - memory[1] < 256
    assert len(store.samples) <= len(fleet.routes) + len(fleet.services) + 1
