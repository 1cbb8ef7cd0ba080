"""The whole demo fleet: what is in it, and that it can be changed, proved and counted on all three platforms."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from pathlib import Path

import pytest
from preparing import prepared

from adapters import registry
from adapters.demo.fleet import open_fleet
from adapters.demo.simulation import Simulator
from control.deck.config import DeckConfig
from control.errors import Stale, Unreachable, UsageError
from control.model import Counted, Health, ReachState, Snapshot, TargetState
from control.model.ref import Ref
from control.plane import WriterFactory
from control.planning.edit import Change, Value
from control.ports import Prepared, ProofState, Reader, Written

HTTPROUTE = "prod-eu/HTTPRoute/inference/llama#rule=chat"
SPLIT = "prod-eu/TraefikService/inference/whisper-split"
INLINE = "prod-eu/IngressRoute/inference/tts#rule=0"
MIDDLEWARE = "prod-eu/Middleware/inference/llama-per-key"
UPSTREAM = "gpu-eu/NginxUpstream/gpu-eu-1/llama"
RATE = "gpu-eu/NginxLimitReq/gpu-eu-1/llama_keys"
BACKEND = "edge/HAProxyBackend/lb-1/edge-llama"
ALIAS = "fn-eu/LambdaAlias/eu-central-1/llama-chat:live"
RESERVED = "fn-eu/LambdaConcurrency/eu-central-1/llama-chat"


class Fleet:
    def __init__(self, folder: Path) -> None:
        self.simulator = Simulator()
        self.deck: DeckConfig
        self.readers: dict[str, Reader]
        self.make: WriterFactory
        self.deck, self.readers, self.make = open_fleet(folder, self.simulator)

    async def snapshots(self) -> dict[str, Snapshot]:
        read = await asyncio.gather(*(reader.read() for reader in self.readers.values()))
        return dict(zip(self.readers, read, strict=True))

    async def write(self, step: Prepared) -> Written:
        config = self.deck.environment(step.environment)
        assert config is not None
        writer = self.make(config, self.readers[step.environment])
        return await writer.write(step)

    async def prepare(self, name: str, *changes: tuple[str, Value]) -> Prepared:
        ref = Ref.parse(name)
        made = [Change(ref, field, None, value) for field, value in changes]
        (step,) = await prepared(self.readers[ref.environment], made)
        return step

    async def proved(self, step: Prepared) -> None:
        for _ in range(6):
            part = await self.readers[step.environment].loaded(step)
            if part.state is ProofState.YES:
                return
            assert part.state is ProofState.PENDING, part.detail
            self.simulator.skip(1.0)
        pytest.fail("never loaded")

    async def counted(self, name: str) -> Counted:
        ref = Ref.parse(name)
        return next(one for one in await self.readers[ref.environment].count() if one.ref == ref)


@pytest.fixture
async def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


async def test_size_and_oddities(fleet: Fleet) -> None:
    found = await fleet.snapshots()
    routes = {str(route.ref): route for snapshot in found.values() for route in snapshot.routes}
    limits = [limit for snapshot in found.values() for limit in snapshot.limits]
    assert (len(found), len(routes), len(limits)) == (12, 60, 92)
    assert {snapshot.environment.platform for snapshot in found.values()} == {"kubernetes", "ssh", "serverless"}
    sick = routes["prod-eu/HTTPRoute/inference/vision#rule=chat"].target("vision-v2")
    assert sick is not None
    assert sick.health is Health.DOWN
    mistral = routes["prod-eu/HTTPRoute/inference/mistral#rule=chat"]
    assert [(owner.kind, owner.reverts) for owner in mistral.owners] == [("argocd", True)]
    assert found["gpu-us"].environment.reach.state is ReachState.DEGRADED
    assert "gpu-us-2" in found["gpu-us"].environment.reach.why
    stale = found["prod-ap"]
    assert time.time() - stale.read_at > 300
    assert all(time.time() - route.read_at > 300 for route in stale.routes)
    assert all(snapshot.environment.code for snapshot in found.values() if snapshot.environment.production)
    assert [outside.who for outside in found["prod-us"].outside] == ["kubectl-edit"]


async def test_every_reference_of_the_deck_is_there(fleet: Fleet) -> None:
    from fnmatch import fnmatchcase

    found = await fleet.snapshots()
    refs = {str(route.ref): route for snapshot in found.values() for route in snapshot.routes}
    for service in fleet.deck.services:
        for glob in service.routes:
            assert any(fnmatchcase(ref, glob) for ref in refs), glob
        if service.front:
            front = refs[service.front.route]
            assert {target.name for target in front.targets} == set(service.front.targets)
            assert set(service.front.targets.values()) <= set(fleet.readers)


@pytest.mark.parametrize(
    ("name", "changes", "refers"),
    [
        (HTTPROUTE, (("targets/llama-v3/weight", 60), ("targets/llama-v4/weight", 40)), "llama-v4"),
        (SPLIT, (("targets/whisper-turbo/weight", 9),), "whisper-turbo"),
        (INLINE, (("targets/tts-b/weight", 4),), "tts-b"),
        (UPSTREAM, (("targets/10.8.1.13:8000/weight", 30),), "10.8.1.13:8000"),
        (BACKEND, (("targets/gpu/weight", 200),), "gpu"),
    ],
)
async def test_a_weight_is_written_proved_kept_and_seen(
    fleet: Fleet, tmp_path: Path, name: str, changes: tuple[tuple[str, Value], ...], refers: str
) -> None:
    await fleet.readers[Ref.parse(name).environment].read()
    before = await fleet.counted(name) if name != UPSTREAM else await _counted_later(fleet, name)
    step = await fleet.prepare(name, *changes)
    assert step.diff
    await fleet.write(step)
    await fleet.proved(step)
    fleet.simulator.skip(30)
    await fleet.counted(name)
    middle = await fleet.counted(name)
    fleet.simulator.skip(120)
    after = await fleet.counted(name)
    wanted = next(
        t.share for route in step.routes_after if str(route.ref) == name for t in route.targets if t.name == refers
    )
    assert wanted is not None
    assert abs(_share(middle, after, refers) - float(wanted)) < 0.06
    assert abs(_share(None, before, refers) - float(wanted)) > 0.06
    other = Fleet(tmp_path)
    (route,) = [r for r in (await other.readers[step.environment].fetch([step.object]))[0].routes if str(r.ref) == name]
    target = route.target(refers)
    assert target is not None
    assert target.share == wanted
    with pytest.raises(Stale):
        await fleet.write(step)


async def _counted_later(fleet: Fleet, name: str) -> Counted:
    await fleet.readers["gpu-eu"].read()
    await fleet.counted(name)
    fleet.simulator.skip(60)
    return await fleet.counted(name)


def _share(since: Counted | None, until: Counted, target: str) -> float:
    old = dict(since.targets) if since else {}
    grown = {name: float(count.requests - (old[name].requests if name in old else 0)) for name, count in until.targets}
    return grown[target] / sum(grown.values())


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        (MIDDLEWARE, "amount", Fraction(70)),
        ("prod-eu/Middleware/inference/whisper-inflight", "amount", Fraction(40)),
        (RATE, "amount", Fraction(35)),
        ("edge/HAProxyMaxconn/lb-1/edge-llama%2Fgpu", "amount", Fraction(90)),
        ("edge/HAProxyRequestLimit/lb-1/edge-llama%2Fedge-llama", "amount", Fraction(500)),
        (RESERVED, "amount", Fraction(250)),
    ],
)
async def test_a_limit_is_written_proved_and_kept(
    fleet: Fleet, tmp_path: Path, name: str, field: str, value: Value
) -> None:
    step = await fleet.prepare(name, (field, value))
    await fleet.write(step)
    await fleet.proved(step)
    (read,) = await Fleet(tmp_path).readers[step.environment].fetch([step.object])
    assert [limit.amount for limit in read.limits if str(limit.ref) == name] == [value]


async def test_a_server_is_drained(fleet: Fleet) -> None:
    await fleet.readers["edge"].read()
    step = await fleet.prepare(BACKEND, ("targets/fn/state", TargetState.DRAINING))
    await fleet.write(step)
    await fleet.proved(step)
    before = await fleet.counted(BACKEND)
    fleet.simulator.skip(60)
    before = await fleet.counted(BACKEND)
    fleet.simulator.skip(60)
    assert _share(before, await fleet.counted(BACKEND), "fn") < 0.001


async def test_a_biting_limit_lets_go_when_it_is_raised(fleet: Fleet) -> None:
    name = "prod-eu/IngressRoute/inference/whisper#rule=0"

    async def throttled() -> float:
        first = await fleet.counted(name)
        fleet.simulator.skip(60)
        second = await fleet.counted(name)
        assert first.throttled is not None
        assert second.throttled is not None
        return float(second.throttled - first.throttled)

    assert await throttled() > 100
    step = await fleet.prepare("prod-eu/Middleware/inference/whisper-inflight", ("amount", Fraction(64)))
    await fleet.write(step)
    await fleet.proved(step)
    await throttled()
    assert await throttled() == 0


async def test_argo_cd_takes_an_edit_of_its_own_object_back(fleet: Fleet) -> None:
    name = "prod-eu/HTTPRoute/inference/mistral#rule=chat"
    step = await fleet.prepare(name, ("targets/mistral-a/weight", 50), ("targets/mistral-b/weight", 50))
    await fleet.write(step)

    async def weights() -> list[object]:
        (route,) = (await fleet.readers["prod-eu"].fetch([step.object]))[0].routes
        return [target.weight for target in route.targets]

    assert await weights() == [50, 50]
    fleet.simulator.skip(8)
    assert await weights() == [70, 30]
    snapshot = await fleet.readers["prod-eu"].read()
    assert "argocd-controller" in [outside.who for outside in snapshot.outside if outside.object.endswith("/mistral")]


async def test_argo_cd_takes_an_incidents_mitigation_back(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "demo")
    name = "prod-eu/HTTPRoute/inference/mistral"

    async def look() -> tuple[list[object], list[str]]:
        snapshot = await fleet.readers["prod-eu"].read()
        route = next(route for route in snapshot.routes if str(route.ref).startswith(name))
        return [target.weight for target in route.targets], [o.who for o in snapshot.outside if o.object == name]

    assert await look() == ([70, 30], [])
    registry.demo_incident(tmp_path, "argo-sync")
    assert await look() == ([100, 0], ["kubectl-edit"])
    fleet.simulator.skip(8)
    weights, who = await look()
    assert weights == [70, 30] and "argocd-controller" in who
    fleet.simulator.skip(60)
    assert (await look())[0] == [70, 30], "nobody edits twice"


async def test_an_incident_ends_by_itself(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "demo")
    registry.demo_incident(tmp_path, "bad-canary")
    await fleet.counted(HTTPROUTE)
    assert await _error_ratio(fleet, HTTPROUTE) > 0.02
    fleet.simulator.skip(15 * 60)
    await fleet.counted(HTTPROUTE)
    assert await _error_ratio(fleet, HTTPROUTE) < 0.01
    assert registry.demo_incident(tmp_path, "rush") >= {"rush"}


async def _error_ratio(fleet: Fleet, name: str) -> float:
    first = await fleet.counted(name)
    fleet.simulator.skip(60)
    second = await fleet.counted(name)
    assert first.total is not None
    assert second.total is not None
    assert first.errors is not None
    assert second.errors is not None
    return float((second.errors - first.errors) / (second.total - first.total))


async def test_incidents_begin_and_end_from_outside(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "demo")
    assert await _error_ratio(fleet, HTTPROUTE) < 0.01
    assert registry.demo_incident(tmp_path, "bad-canary") == {"bad-canary"}
    assert registry.demo_incident(tmp_path, "dying-host") == {"bad-canary", "dying-host"}
    await fleet.counted(HTTPROUTE)
    assert 0.04 < await _error_ratio(fleet, HTTPROUTE) < 0.1
    assert "gpu-eu-3" in (await fleet.readers["gpu-eu"].read()).environment.reach.why
    registry.demo_incident(tmp_path, "bad-canary", begins=False)
    assert registry.demo_incident(tmp_path, "dying-host", begins=False) == frozenset()
    await fleet.counted(HTTPROUTE)
    assert await _error_ratio(fleet, HTTPROUTE) < 0.01
    assert (await fleet.readers["gpu-eu"].read()).environment.reach.state is ReachState.OK
    with pytest.raises(UsageError, match="no incident"):
        registry.demo_incident(tmp_path, "meteor")


async def test_a_rush_makes_a_limit_bite(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path / "demo")
    name = "prod-us/HTTPRoute/inference/embed#rule=embeddings"
    before = await fleet.counted(name)
    registry.demo_incident(tmp_path, "rush")
    await fleet.counted(name)
    fleet.simulator.skip(60)
    after = await fleet.counted(name)
    assert before.throttled == 0
    assert after.throttled is not None
    assert after.throttled > 10_000


async def test_the_stale_environment_refuses_to_be_planned_on(fleet: Fleet) -> None:
    await fleet.snapshots()
    ref = Ref.parse("prod-ap/HTTPRoute/inference/llama#rule=chat")
    with pytest.raises(Unreachable, match="has not answered"):
        await prepared(fleet.readers["prod-ap"], [Change(ref, "targets/llama-v3/weight", 100, 90)])


async def test_a_watch_sees_what_another_process_wrote(fleet: Fleet, tmp_path: Path) -> None:
    other = Fleet(tmp_path)
    reader = fleet.readers["prod-eu"]
    await reader.read()
    watch = reader.watch()
    first = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.2)
    await other.write(await other.prepare(HTTPROUTE, ("targets/llama-v4/weight", 55)))
    async with asyncio.timeout(5):
        await first
        while True:
            snapshot = await reader.read()
            route = next(route for route in snapshot.routes if str(route.ref) == HTTPROUTE)
            target = route.target("llama-v4")
            assert target is not None
            if target.weight == 55:
                break
            await anext(watch)
    await reader.close()


async def test_reset_starts_anew(tmp_path: Path) -> None:
    deck, readers, make = registry.demo(tmp_path)
    assert deck.journal == tmp_path / "demo" / "journal.db"
    assert deck.path is None
    ref = Ref.parse(ALIAS)
    changes = [Change(ref, "targets/17/share", None, Fraction(0)), Change(ref, "targets/18/share", None, Fraction(1))]
    (step,) = await prepared(readers["fn-eu"], changes)
    config = deck.environment("fn-eu")
    assert config is not None
    await make(config, readers["fn-eu"]).write(step)
    registry.reset_demo(tmp_path)
    _, fresh, _ = registry.demo(tmp_path)
    (route,) = (await fresh["fn-eu"].fetch([ALIAS]))[0].routes
    assert [target.share for target in route.targets] == [Fraction(9, 10), Fraction(1, 10)]
