"""The demo's traffic and its store: the same each time, slow to follow, and safe between processes."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.demo import store
from adapters.demo.simulation import LAG_SECONDS, Flow, Simulator
from adapters.demo.store import Stored, reset
from control.errors import Locked


class Weights:
    def __init__(self, **shares: float) -> None:
        self.shares: dict[str, float] = dict(shares)

    def __call__(self) -> Mapping[str, float]:
        return self.shares


def running(weights: Weights, rps: float = 1000.0, **more: Any) -> Simulator:
    simulator = Simulator(clock=lambda: 1_800_000_000.0)
    simulator.add(Flow("f", rps, weights, **more))
    return simulator


def split(simulator: Simulator, seconds: float) -> dict[str, float]:
    """What was counted in the next `seconds`, as shares."""
    before = dict(simulator.tally("f").requests)
    simulator.skip(seconds)
    grown = {name: count - before.get(name, 0.0) for name, count in simulator.tally("f").requests.items()}
    return {name: count / sum(grown.values()) for name, count in grown.items()}


def test_the_split_follows_slowly_and_then_wholly() -> None:
    weights = Weights(a=0.9, b=0.1)
    simulator = running(weights)
    assert split(simulator, 60)["b"] == pytest.approx(0.1, abs=0.01)
    weights.shares = {"a": 0.1, "b": 0.9}
    assert 0.15 < split(simulator, LAG_SECONDS / 2)["b"] < 0.6
    split(simulator, 10 * LAG_SECONDS)
    assert split(simulator, 60)["b"] == pytest.approx(0.9, abs=0.01)


def test_a_target_that_left_gets_nothing_more() -> None:
    weights = Weights(a=0.5, b=0.5)
    simulator = running(weights)
    simulator.tally("f")
    weights.shares = {"a": 1.0}
    split(simulator, 20 * LAG_SECONDS)
    assert split(simulator, 60)["b"] < 0.001


def test_there_is_noise_and_it_is_the_same_each_time() -> None:
    counts = []
    for _ in range(2):
        simulator = running(Weights(a=0.5, b=0.5), rps=20.0)
        simulator.skip(10)
        counts.append(dict(simulator.tally("f").requests))
    assert counts[0] == counts[1]
    assert counts[0]["a"] != counts[0]["b"]


def test_a_limit_throttles_what_is_over_it() -> None:
    simulator = running(Weights(a=1.0), limit=lambda: 400.0)
    before = simulator.tally("f")
    throttled, requests = before.throttled, before.requests["a"]
    simulator.skip(100)
    after = simulator.tally("f")
    assert after.requests["a"] - requests == pytest.approx(40_000, rel=0.02)
    assert after.throttled - throttled > 30_000


def test_counters_never_go_back() -> None:
    simulator = running(Weights(a=0.5, b=0.5), rps=0.2)
    last = dict(simulator.tally("f").requests)
    for _ in range(50):
        simulator.skip(0.5)
        now = dict(simulator.tally("f").requests)
        assert all(now[name] >= last[name] for name in last)
        last = now


# --- store ------------------------------------------------------------------------------------------------------------


class Kept:
    def __init__(self, folder: Path) -> None:
        self.value = 0
        self.stored = Stored(folder, "prod-eu", lambda: {"value": self.value}, self._load)

    def _load(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


async def test_changes_of_many_are_all_kept(tmp_path: Path) -> None:
    async def add(kept: Kept) -> None:
        for _ in range(10):
            async with kept.stored.changing():
                was = kept.value
                await asyncio.sleep(0)
                kept.value = was + 1

    await asyncio.gather(*(add(Kept(tmp_path)) for _ in range(4)))
    last = Kept(tmp_path)
    last.stored.refresh()
    assert last.value == 40


async def test_a_fleet_that_was_only_read_has_no_file(tmp_path: Path) -> None:
    Kept(tmp_path / "demo").stored.refresh()
    assert not (tmp_path / "demo").exists()


async def test_a_lock_that_is_held_is_told_in_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.1)
    with (tmp_path / "fleet.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Locked, match="another process"):
            async with Kept(tmp_path).stored.changing():
                pytest.fail("entered")


async def test_what_failed_half_way_is_still_saved_as_it_is(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    with pytest.raises(RuntimeError):
        async with kept.stored.changing():
            kept.value = 3
            raise RuntimeError
    other = Kept(tmp_path)
    other.stored.refresh()
    assert other.value == 3


def test_a_broken_file_is_passed_over_and_reset_removes_all(tmp_path: Path) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "prod-eu.json").write_text("{")
    other = Kept(tmp_path)
    other.stored.refresh()
    assert other.value == 0
    reset(tmp_path)
    assert not tmp_path.exists()
