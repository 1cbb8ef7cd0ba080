"""The inventory: groups, services and their headroom, limits on the path, measured shares, watching."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fake_adapter import limit, route
from worlds import RATE, VM, A, World, amount, environments, native, shares, world

from control.deck.config import DeckConfig, FrontConfig, ServiceConfig
from control.errors import InvalidValue, NotFound, Unreachable, UsageError
from control.fleet.inventory import find_row
from control.model import Interval
from control.model.ref import Ref
from control.ports import EVERYTHING, Delta
from control.structs import replace

VM_RATE = "vm/NginxLimitReq/{}/edge"


def fronted(folder: Path, front: bool = True) -> World:
    """A front in k8s sends 3/4 to k8s' own inner route (limit 120/s) and 1/4 to the VMs (60/s on each host)."""
    state: dict[str, Any] = native()
    edge, inner = "k8s/HTTPRoute/edge/llama", "k8s/TraefikService/inference/llama"
    state["k8s"] = {
        edge: {"version": 1, "routes": {edge: route(kube=3, vms=1)}},
        inner: {"version": 1, "routes": {inner: route(v1=1)}},
        str(RATE): {"version": 1, "limits": {str(RATE): limit("120", on=inner)}},
    }
    for n in (1, 2, 3):
        one = state["vm"][f"vm/file/h{n}/llama.conf"]
        one["limits"] = {VM_RATE.format(f"h{n}"): limit("60", on=f"vm/NginxUpstream/h{n}/llama")}
    service = ServiceConfig(
        "llama",
        (inner, "vm/NginxUpstream/*/lla*"),
        FrontConfig(edge, {"kube": "k8s", "vms": "vm"}) if front else None,
    )
    deck = DeckConfig(folder / "deck.yaml", environments(), (service,))
    return world(folder, deck, state)


async def test_group_rows(tmp_path: Path) -> None:
    w = world(tmp_path)
    inventory = await w.plane.refresh()
    assert [r for r in inventory.routes if r.environment == "vm"] == [VM]
    row = inventory.routes[VM]
    assert [m.ref.scope for m in row.members] == ["h1", "h2", "h3"]
    assert row.targets[0].weight == 1 and row.targets[0].share == Fraction(1, 2)
    h2 = Ref.parse("vm/NginxUpstream/h2/llama")
    assert find_row(inventory, h2) is row.members[1]
    await w.plane.apply(await w.plane.plan([shares(h2, u=3)]))
    row = (await w.plane.refresh()).routes[VM]
    assert row.targets[0].weight is None and row.targets[0].share is None and row.targets[1].weight == 1
    assert row.targets[1].share is None and row.base == ""


async def test_headroom_of_a_fronted_service(tmp_path: Path) -> None:
    w = fronted(tmp_path)
    inventory = await w.plane.refresh()
    service = inventory.services["llama"]
    assert service.shares == (("k8s", Fraction(3, 4), "front"), ("vm", Fraction(1, 4), "front"))
    assert service.headroom.demand_max == Interval(Fraction(160), Fraction(160))
    assert inventory.limits_of[Ref.parse("k8s/TraefikService/inference/llama")] == (RATE,)
    assert inventory.service_of[VM] == "llama"
    assert inventory.service_of[Ref.parse("vm/NginxUpstream/h3/llama")] == "llama"
    plan = await w.plane.plan([shares(Ref.parse("k8s/HTTPRoute/edge/llama"), kube=1)])
    assert plan.headroom == ("llama: D* 160 rps, k8s saturates first -> 120 rps, vm saturates first",)


async def test_the_edge_moves_last_and_its_limit_first(tmp_path: Path) -> None:
    w = fronted(tmp_path)
    edge, inner = Ref.parse("k8s/HTTPRoute/edge/llama"), Ref.parse("k8s/TraefikService/inference/llama")
    w.store().change(str(inner), lambda new: new["routes"][str(inner)].update(v2=route(v2=1)["v2"]))
    plan = await w.plane.plan([shares(edge, kube=2, vms=2), shares(inner, v1=3, v2=2), amount(RATE, 300)])
    assert [s.object for s in plan.steps] == [str(RATE), str(inner), str(edge)]


async def test_measured_shares_where_there_is_no_front(tmp_path: Path) -> None:
    w = fronted(tmp_path, front=False)
    inventory = await w.plane.refresh()
    assert {source for _, _, source in inventory.services["llama"].shares} == {"unknown"}
    inner = Ref.parse("k8s/TraefikService/inference/llama")
    hosts = [Ref.parse(f"vm/NginxUpstream/h{n}/llama") for n in (1, 2, 3)]
    for sample in (0, 300):
        w.readers["k8s"].counters = {inner: {"v1": sample * 3}}
        w.readers["vm"].counters = {host: {"u": sample, "v": sample} for host in hosts}
        inventory = await w.plane.measure()
        await asyncio.sleep(0.05)
    told = {name: share for name, share, source in inventory.services["llama"].shares if source == "measured"}
    assert told["vm"] == pytest.approx(Fraction(2, 3), abs=0.05)
    assert inventory.seen[VM].shares["u"] == Fraction(1, 2)


async def test_watch_shows_changes_and_survives_a_dead_environment(tmp_path: Path) -> None:
    w = world(tmp_path)
    w.faults("vm").down = True
    watching = w.plane.watch()

    async def until(met: Any) -> None:
        async with asyncio.timeout(5):
            async for inventory in watching:
                if met(inventory):
                    return

    await until(lambda i: A in i.routes and i.unreached)
    w.store().change("k8s/HTTPRoute/inference/llama", lambda new: new["routes"][str(A)]["a"].update(weight=33))
    w.readers["k8s"].touched.set()
    await until(lambda i: i.routes[A].targets[0].weight == 33)
    w.faults("vm").down = False
    await until(lambda i: VM in i.routes and not i.unreached)
    await watching.aclose()  # type: ignore[attr-defined]


async def test_what_moved_is_said_once_at_the_source_and_a_failure_means_that_anything_may_have(tmp_path: Path) -> None:
    w = world(tmp_path)
    reader = w.readers["k8s"]
    one, other = Delta(frozenset({"a"})), Delta(frozenset({"b"}), frozenset({"a"}))
    watching = w.plane.watch()

    async def until(told: list[Delta | None]) -> None:
        async with asyncio.timeout(5):
            async for _ in watching:
                if reader.told[-len(told) :] == told:
                    return

    await until([EVERYTHING])
    reader.moved = one
    reader.touched.set()
    await until([EVERYTHING, one])
    w.faults("k8s").down = True
    reader.moved = other
    reader.touched.set()
    async with asyncio.timeout(5):
        async for inventory in watching:
            if inventory.unreached:
                break
    w.faults("k8s").down = False
    await until([EVERYTHING])
    assert one.and_then(other) == Delta(frozenset({"b"}), frozenset({"a"}))
    assert other.and_then(one) == Delta(frozenset({"a", "b"}))
    await watching.aclose()  # type: ignore[attr-defined]


async def test_rows_are_as_old_as_when_they_were_last_seen_to_hold(tmp_path: Path) -> None:
    w = world(tmp_path)
    read = await w.plane.refresh(["k8s"])
    at = read.environments["k8s"].read_at
    assert at is not None
    w.readers["k8s"].confirmed_at = lambda: at + 7  # type: ignore[method-assign]
    later = await w.plane.measure()
    assert later.environments["k8s"].read_at == at + 7
    w.faults("k8s").down = True
    lost = await w.plane.refresh(["k8s"])
    assert lost.environments["k8s"].read_at == at, "an environment that does not answer confirms nothing"


async def test_errors_of_edits(tmp_path: Path) -> None:
    w = world(tmp_path)
    for wrong in ("k8s/HTTPRoute/inference/none", "nowhere/HTTPRoute/inference/llama", "vm/NginxUpstream/h9/llama"):
        with pytest.raises(NotFound):
            await w.plane.plan([shares(Ref.parse(wrong), a=1)])
    with pytest.raises(UsageError, match="is a route"):
        await w.plane.plan([amount(A, 5)])
    with pytest.raises(UsageError, match="is a limit"):
        await w.plane.plan([shares(RATE, a=1)])
    with pytest.raises(UsageError, match="two edits"):
        await w.plane.plan([shares(A, a=70), shares(A, a=60)])
    reader = w.readers["k8s"]
    kept = reader._route

    def held(*arguments: Any) -> Any:
        from control.model import Editable

        return replace(kept(*arguments), editable=Editable(False, "weights are written by a controller"))

    reader._route = held  # type: ignore[method-assign]
    await w.plane.refresh()
    with pytest.raises(InvalidValue, match="written by a controller"):
        await w.plane.plan([shares(A, a=70)])


async def test_the_rows_of_the_last_session_are_there_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    first = fronted(tmp_path)
    async with asyncio.timeout(5):
        async for inventory in first.plane.watch():
            kept = inventory
            if len(list((tmp_path / "state" / "cache").glob("[!.]*"))) == 2:
                break
    later = fronted(tmp_path)
    for name in later.readers:
        later.faults(name).down = True
    watching = later.plane.watch()
    cached = await anext(watching)
    assert cached.routes == kept.routes and cached.limits == kept.limits
    assert cached.services["llama"].headroom == kept.services["llama"].headroom
    assert {view.environment.reach.state.value for view in cached.environments.values()} == {"degraded"}
    with pytest.raises(Unreachable):
        await later.plane.plan([amount(RATE, 5)])
    await watching.aclose()  # type: ignore[attr-defined]
    for file in (tmp_path / "state" / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:-7])
    broken = fronted(tmp_path)
    async with asyncio.timeout(5):
        async for inventory in broken.plane.watch():
            if inventory.routes:
                break
    assert all(view.environment.reach.state.value == "ok" for view in inventory.environments.values() if view.read_at)
