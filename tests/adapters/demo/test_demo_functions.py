"""The demo's functions: kept between processes, and counted after their weights."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

from preparing import prepared

from adapters.demo.deck import deck
from adapters.demo.functions import open_functions
from adapters.demo.simulation import Simulator
from adapters.demo.store import reset
from control.deck.config import EnvironmentConfig
from control.model import OwnerRole, Special
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofState, Reader

LLAMA = Ref("fn-eu", "LambdaAlias", "eu-central-1", "llama-chat:live")


def config(folder: Path, name: str) -> EnvironmentConfig:
    found = deck(folder).environment(name)
    assert found is not None
    return found


def shares(first: str, second: str) -> list[Change]:
    return [
        Change(LLAMA, "targets/17/share", None, Fraction(first)),
        Change(LLAMA, "targets/18/share", None, Fraction(second)),
    ]


async def split(reader: Reader, ref: Ref) -> dict[str, Fraction | None]:
    (route,) = (await reader.fetch([str(ref)]))[0].routes
    return {target.name: target.share for target in route.targets}


async def test_what_one_process_writes_the_next_one_reads(tmp_path: Path) -> None:
    first, writer_of = open_functions(config(tmp_path, "fn-eu"), tmp_path, Simulator())
    (step,) = await prepared(first, shares("3/4", "1/4"))
    await writer_of(first).write(step)
    second, _ = open_functions(config(tmp_path, "fn-eu"), tmp_path, Simulator())
    assert await split(second, LLAMA) == {"17": Fraction(3, 4), "18": Fraction(1, 4)}
    assert (await second.loaded(step)).state is ProofState.YES
    reset(tmp_path)
    third, _ = open_functions(config(tmp_path, "fn-eu"), tmp_path, Simulator())
    assert await split(third, LLAMA) == {"17": Fraction(9, 10), "18": Fraction(1, 10)}


async def test_two_open_fleets_cannot_both_win(tmp_path: Path) -> None:
    pairs = [open_functions(config(tmp_path, "fn-eu"), tmp_path, Simulator()) for _ in range(2)]
    steps = [
        (await prepared(reader, shares(*wanted)))[0]
        for (reader, _), wanted in zip(pairs, (("1/2", "1/2"), ("1/4", "3/4")), strict=True)
    ]
    results = await asyncio.gather(
        *(make(reader).write(step) for (reader, make), step in zip(pairs, steps, strict=True)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Stale", "Written"]


async def test_the_measured_split_follows_the_weights(tmp_path: Path) -> None:
    clock = [1_800_000_000.0]
    simulator = Simulator(clock=lambda: clock[0])
    reader, writer_of = open_functions(config(tmp_path, "fn-eu"), tmp_path, simulator)
    assert hasattr(reader, "_metrics")
    reader._metrics._keep = 0.0
    reader._metrics._clock = simulator.now
    await reader.read()

    async def measured() -> float:
        (counted,) = await reader.count([LLAMA])
        by_version = {name: count.requests for name, count in counted.targets}
        assert counted.total is not None
        return float(by_version["18"] / counted.total)

    assert abs(await measured() - 0.1) < 0.02
    (step,) = await prepared(reader, shares("1/2", "1/2"))
    await writer_of(reader).write(step)
    await reader.read()
    assert abs(await measured() - 0.1) < 0.02, "the window lies before the change"
    simulator.skip(600)
    assert abs(await measured() - 0.5) < 0.03


async def test_marked_objects(tmp_path: Path) -> None:
    reader, _ = open_functions(config(tmp_path, "fn-eu"), tmp_path, Simulator())
    snapshot = await reader.read()
    owners = {route.name: [(owner.kind, owner.role) for owner in route.owners] for route in snapshot.routes}
    assert owners["rerank-pairs:live"] == [("codedeploy", OwnerRole.DRIVER)]
    assert owners["embed-text:live"] == [("cloudformation", OwnerRole.DECLARED)]
    amounts = {limit.name: limit.amount for limit in snapshot.limits}
    assert amounts["whisper-batch"] is Special.BLOCKED
    assert amounts["embed-text"] is Special.UNLIMITED


async def test_the_reservation_that_bites(tmp_path: Path) -> None:
    reader, _ = open_functions(config(tmp_path, "fn-us"), tmp_path, Simulator())
    await reader.read()
    counted = {one.ref.name: one for one in await reader.count()}
    assert (counted["vision-caption:live"].throttled or 0) > 0
    assert counted["llama-chat:live"].throttled == 0
    limits = {limit.name: limit for limit in (await reader.read()).limits}
    assert limits["vision-caption"].use.current == limits["vision-caption"].amount
