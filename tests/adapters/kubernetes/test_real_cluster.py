"""The whole path on real servers: read, plan, write, loaded, and the traffic counted by hand."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from kube_servers import DECK, VIEWER, Servers, make_roles, wait_for
from natives import GATEWAY_API, TRAEFIK_API, httproute, limited, service, traefik
from preparing import prepared

from adapters.engine.operations import patch_of
from adapters.kubernetes.kinds import httproute as httproute_kind
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.writer import KubernetesWriter
from control.errors import AuthError, Forbidden, InvalidValue, NotFound, ReadOnly, Stale
from control.model import AccessState, Editable, Limit, ReachState, Route, Special, StatusState
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.ports import Prepared, ProofState, Written
from control.structs import replace

Make = Callable[..., KubernetesReader]


async def until_loaded(reader: KubernetesReader, step: Prepared, seconds: float = 10.0) -> str:
    """Poll as control does; the detail of the proof."""
    started = time.monotonic()
    while True:
        proof = await reader.loaded(step)
        if proof.state is ProofState.YES:
            return proof.detail
        assert time.monotonic() - started < seconds, proof
        assert proof.state is ProofState.PENDING, proof
        await asyncio.sleep(0.05)


async def route_of(reader: KubernetesReader, ref: str) -> Route:
    snapshot = await reader.read()
    return next(route for route in snapshot.routes if str(route.ref) == ref)


async def limit_of(reader: KubernetesReader, ref: str) -> Limit:
    snapshot = await reader.read()
    return next(limit for limit in snapshot.limits if str(limit.ref) == ref)


def shift(route: Route, **weights: int) -> list[Change]:
    changes = []
    for name, weight in weights.items():
        target = route.target(name)
        assert target is not None
        changes.append(Change(route.ref, target_field(name, "weight"), target.weight, weight))
    return changes


async def apply(reader: KubernetesReader, changes: list[Change]) -> Prepared:
    """Plan, write, and wait until every replica runs it."""
    (step,) = await prepared(reader, changes)
    writer = KubernetesWriter(reader)
    try:
        await writer.write(step)
    finally:
        await writer.close()
    await until_loaded(reader, step)
    return step


async def sent(kube: Servers, host: str, count: int, proxy: int = 0) -> dict[str, int]:
    return await asyncio.to_thread(kube.send, host, count, proxy)


def weights(route: Route) -> list[Any]:
    return [target.weight for target in route.targets]


@pytest.fixture
def name() -> str:
    """A name that no other test of the session uses."""
    return "t-" + uuid.uuid4().hex[:8]


async def test_an_httproute_weight_edit_moves_real_traffic(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    wait_for(lambda: "v1" in kube.send(f"{name}.test", 5), 10)
    before = await sent(kube, f"{name}.test", 100)
    assert 85 <= before["v1"] <= 95
    reader = reader_of()
    route = await route_of(reader, f"bed/HTTPRoute/inference/{name}#rule=main")
    assert weights(route) == [90, 10]
    (step,) = await prepared(reader, shift(route, v1=25, v2=75))
    minus = [line for line in step.diff.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert [line.removeprefix("-").strip() for line in minus] == ["weight: 90", "weight: 10"]
    writer = KubernetesWriter(reader)
    assert (await writer.write(step)).said == "generation 2"
    detail = await until_loaded(reader, step)
    assert detail.startswith("all 2 replicas")
    assert "25/75" in detail
    for proxy in (0, 1):
        after = await sent(kube, f"{name}.test", 100, proxy)
        assert 70 <= after["v2"] <= 80, (proxy, after)
    (again,) = await reader.fetch([str(Ref.parse(str(route.ref)).whole)])
    assert weights(again.routes[0]) == [25, 75]
    assert again.routes[0].status.state is StatusState.OK
    await writer.close()


async def test_a_traefikservice_weight_edit_moves_real_traffic(kube: Servers, reader_of: Make, name: str) -> None:
    split = {"weighted": {"services": [service("v1", 3), service("v2")]}}
    kube.put(TRAEFIK_API, "traefikservices", traefik("TraefikService", name, split))
    rule = {"kind": "Rule", "match": f"Host(`{name}.test`)", "services": [{"name": name, "kind": "TraefikService"}]}
    kube.put(TRAEFIK_API, "ingressroutes", traefik("IngressRoute", name, {"entryPoints": ["web"], "routes": [rule]}))
    wait_for(lambda: "v1" in kube.send(f"{name}.test", 5), 10)
    reader = reader_of()
    route = await route_of(reader, f"bed/TraefikService/inference/{name}")
    assert weights(route) == [3, 1]
    above = await route_of(reader, f"bed/IngressRoute/inference/{name}#rule=0")
    assert above.targets[0].to == route.ref
    assert not above.editable.yes
    await apply(reader, shift(route, v1=1, v2=4))
    after = await sent(kube, f"{name}.test", 100)
    assert 75 <= after["v2"] <= 85
    held = kube.call("GET", f"/apis/{TRAEFIK_API}/namespaces/inference/traefikservices/{name}")
    assert held["spec"]["weighted"]["services"][1] == {**service("v2"), "weight": 4}


async def test_inline_weights_of_an_ingressroute_move_real_traffic(kube: Servers, reader_of: Make, name: str) -> None:
    rules = [
        {"kind": "Rule", "match": f"Host(`other.{name}.test`)", "services": [service("v3")]},
        {"kind": "Rule", "match": f"Host(`{name}.test`)", "services": [service("v1", 1), service("v2", 1)]},
    ]
    kube.put(TRAEFIK_API, "ingressroutes", traefik("IngressRoute", name, {"entryPoints": ["web"], "routes": rules}))
    wait_for(lambda: "v1" in kube.send(f"{name}.test", 5), 10)
    reader = reader_of()
    route = await route_of(reader, f"bed/IngressRoute/inference/{name}#rule=1")
    await apply(reader, shift(route, v1=9, v2=1))
    after = await sent(kube, f"{name}.test", 100)
    assert 85 <= after["v1"] <= 95
    lone = Ref.parse(f"bed/IngressRoute/inference/{name}#rule=0")
    with pytest.raises(InvalidValue, match="its one service gets everything"):
        await prepared(reader, [Change(lone, target_field("v3", "weight"), 1, 5)])


@pytest.mark.clock
async def test_a_rate_limit_edit_is_seen_in_429s_on_both_replicas(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, {"rateLimit": {"average": 2, "burst": 5}}))
    kube.put(GATEWAY_API, "httproutes", limited(name, f"{name}.test", name))
    wait_for(lambda: "v1" in kube.send(f"{name}.test", 1), 10)
    reader = reader_of()
    limit = await limit_of(reader, f"bed/Middleware/inference/{name}")
    assert limit.amount == 2
    (binding,) = limit.bindings
    assert binding.on == f"bed/HTTPRoute/inference/{name}#rule=main"
    assert (binding.domain.count.low, binding.domain.count.high) == (2, 2)
    assert limit.window is not None
    changes = [
        Change(limit.ref, "amount", limit.amount, Fraction(10)),
        Change(limit.ref, "burst", 5, 30),
        Change(limit.ref, "window", limit.window.seconds, Fraction(60)),
    ]
    await apply(reader, changes)
    for proxy in (0, 1):
        seen = await sent(kube, f"{name}.test", 60, proxy)
        assert 30 <= seen["v1"] <= 32, (proxy, seen)
        assert seen["429"] == 60 - seen["v1"]
    held = kube.call("GET", f"/apis/{TRAEFIK_API}/namespaces/inference/middlewares/{name}")
    assert held["spec"] == {"rateLimit": {"average": 10, "burst": 30, "period": "1m"}}
    counted = {str(one.ref): one for one in await reader.count()}
    assert (counted[binding.on].throttled or 0) >= 56


async def test_an_in_flight_limit_of_nothing_blocks_everything(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, {"inFlightReq": {"amount": 64}}))
    kube.put(GATEWAY_API, "httproutes", limited(name, f"{name}.test", name))
    wait_for(lambda: "v1" in kube.send(f"{name}.test", 1), 10)
    reader = reader_of()
    limit = await limit_of(reader, f"bed/Middleware/inference/{name}")
    assert limit.key == ("request host",)
    await apply(reader, [Change(limit.ref, "amount", limit.amount, Special.BLOCKED)])
    assert await sent(kube, f"{name}.test", 5) == {"429": 5}
    again = await limit_of(reader, str(limit.ref))
    assert again.amount is Special.BLOCKED
    await apply(reader, [Change(limit.ref, "amount", Special.BLOCKED, Fraction(3))])
    assert await sent(kube, f"{name}.test", 5) == {"v1": 5}


async def test_of_twenty_writers_on_one_base_one_wins(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    reader = reader_of()
    route = await route_of(reader, f"bed/HTTPRoute/inference/{name}#rule=main")
    steps = [(await prepared(reader, shift(route, v1=n)))[0] for n in range(1, 21)]
    writer = KubernetesWriter(reader)
    results = await asyncio.gather(*(writer.write(step) for step in steps), return_exceptions=True)
    await writer.close()
    assert sorted(type(result).__name__ for result in results) == ["Stale"] * 19 + ["Written"]
    winner = next(index for index, result in enumerate(results) if isinstance(result, Written))
    (now,) = await reader.fetch([f"bed/HTTPRoute/inference/{name}"])
    assert weights(now.routes[0]) == [winner + 1, 10]


async def test_a_status_or_a_label_written_meanwhile_makes_no_plan_stale(
    kube: Servers, reader_of: Make, name: str
) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    reader = reader_of()
    route = await route_of(reader, f"bed/HTTPRoute/inference/{name}#rule=main")
    (step,) = await prepared(reader, shift(route, v1=50))
    path = f"/apis/{GATEWAY_API}/namespaces/inference/httproutes/{name}"
    kube.call("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json")
    assert (await reader.fetch([step.object]))[0].routes[0].base == step.base
    writer = KubernetesWriter(reader)
    assert (await writer.write(step)).said == "generation 2"
    with pytest.raises(Stale):
        await writer.write(step)
    await writer.close()


async def test_a_viewer_sees_all_and_is_told_what_it_lacks(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    reader = reader_of(token=VIEWER)
    snapshot = await reader.read()
    assert snapshot.environment.identity == "viewer"
    assert snapshot.environment.access.state is AccessState.READ_ONLY_BY_ROLE
    route = next(route for route in snapshot.routes if route.ref.name == name)
    assert route.editable == Editable(False, "our role may not patch httproutes in inference")
    with pytest.raises(Forbidden, match="patch httproutes"):
        await prepared(reader, shift(route, v1=1))
    patchless = [check for check in await reader.check() if check.check == "httproutes"]
    assert patchless[0].state == "warn"
    assert "may not patch" in patchless[0].detail


async def test_reading_writes_nothing_at_the_server(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    reader = reader_of()
    earlier = len(_writes(kube, "deck"))
    route = await route_of(reader, f"bed/HTTPRoute/inference/{name}#rule=main")
    (step,) = await prepared(reader, shift(route, v1=1))
    await reader.native(route.ref)
    await reader.loaded(step)
    await reader.count()
    await reader.access()
    await reader.check()
    with pytest.raises(ReadOnly):
        await reader.api.patch(step.payload.codec.resource, "inference", name, patch_of(step.writes))
    await asyncio.sleep(0.3)
    assert len(_writes(kube, "deck")) == earlier


def _writes(kube: Servers, user: str) -> list[dict[str, Any]]:
    return [event for event in kube.writes_by(user) if "selfsubject" not in event["requestURI"]]


@pytest.mark.clock
async def test_a_change_made_elsewhere_is_told_within_a_second(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    reader = reader_of()
    await reader.read()
    watch = reader.watch()
    await asyncio.wait_for(anext(watch), 5)
    ref = f"bed/HTTPRoute/inference/{name}#rule=main"
    await asyncio.sleep(0.5)
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 1, "v2": 99}))
    started = time.monotonic()
    while weights(await route_of(reader, ref)) != [1, 99]:
        await asyncio.wait_for(anext(watch), 2)
    assert time.monotonic() - started < 1.0
    assert reader._watcher is not None
    assert reader._watcher.alive
    kube.call("DELETE", f"/apis/{GATEWAY_API}/namespaces/inference/httproutes/{name}")
    started = time.monotonic()
    while any(str(route.ref) == ref for route in (await reader.read()).routes):
        await asyncio.wait_for(anext(watch), 2)
    assert time.monotonic() - started < 1.0


async def test_silent_watches_confirm_what_was_read(
    kube: Servers, reader_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.kubernetes.reader.CONFIRM_SECONDS", 0.2)
    reader = reader_of()
    await reader.read()
    assert reader.confirmed_at() is None, "nothing is watched yet"
    watch = reader.watch()
    await asyncio.wait_for(anext(watch), 5)
    for _ in range(50):
        await asyncio.sleep(0.1)
        at = reader.confirmed_at()
        if at is not None:
            break
    else:
        pytest.fail("it was never confirmed")
    assert time.time() - at < 1
    assert reader._watcher is not None
    reader._watcher.relist_soon()
    await asyncio.sleep(0.3)
    before = reader.confirmed_at()
    await asyncio.sleep(0.5)
    assert reader.confirmed_at() == before, "a watch that was lost confirms nothing"


async def test_a_watch_that_is_too_old_lists_anew(kube: Servers, reader_of: Make, name: str) -> None:
    reader = reader_of()
    await reader.read()
    watch = reader.watch()
    await asyncio.wait_for(anext(watch), 5)
    watcher, held = reader._watcher, reader._store
    assert watcher is not None
    assert held is not None
    watcher.restart({(httproute_kind.RESOURCE.group_kind, ""): "1"}, held)
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    ref = f"bed/HTTPRoute/inference/{name}#rule=main"
    for _ in range(10):
        await asyncio.wait_for(anext(watch), 5)
        if any(str(route.ref) == ref for route in (await reader.read()).routes):
            break
    else:
        pytest.fail("the route never came")


async def test_counters_follow_requests_per_target(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 3, "v2": 1}))
    wait_for(lambda: "v1" in kube.send(f"{name}.test", 4), 10)
    await sent(kube, f"{name}.test", 4, proxy=1)
    reader = reader_of()
    ref = Ref.parse(f"bed/HTTPRoute/inference/{name}#rule=main")
    (before,) = await reader.count([ref])
    await sent(kube, f"{name}.test", 40, 0)
    await sent(kube, f"{name}.test", 40, 1)
    (after,) = await reader.count([ref])
    gained = {target: count.requests - dict(before.targets)[target].requests for target, count in after.targets}
    assert gained == {"v1": 60, "v2": 20}
    assert (after.total or 0) - (before.total or 0) == 80
    assert after.together_with == ()


async def test_a_service_that_crd_routes_share_is_counted_together(kube: Servers, reader_of: Make, name: str) -> None:
    split = {"weighted": {"services": [service("v3", 1), service("v2", 1)]}}
    kube.put(TRAEFIK_API, "traefikservices", traefik("TraefikService", name, split))
    kube.put(TRAEFIK_API, "traefikservices", traefik("TraefikService", f"{name}-b", split))
    rule = {"kind": "Rule", "match": f"Host(`{name}.test`)", "services": [{"name": name, "kind": "TraefikService"}]}
    kube.put(TRAEFIK_API, "ingressroutes", traefik("IngressRoute", name, {"entryPoints": ["web"], "routes": [rule]}))
    wait_for(lambda: "v3" in kube.send(f"{name}.test", 4), 10)
    reader = reader_of()
    (counted,) = await reader.count([Ref.parse(f"bed/TraefikService/inference/{name}")])
    assert f"bed/TraefikService/inference/{name}-b" in counted.together_with


async def test_a_wrong_token_and_a_missing_object(kube: Servers, reader_of: Make) -> None:
    with pytest.raises(AuthError, match="401"):
        await reader_of(token="expired").read()
    with pytest.raises(NotFound, match="httproutes"):
        await reader_of().fetch(["bed/HTTPRoute/inference/nothing"])
    with pytest.raises(NotFound, match="no kind"):
        await reader_of().fetch(["bed/Nothing/inference/nothing"])


async def test_a_value_that_the_schema_refuses_names_the_field(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    reader = reader_of()
    route = await route_of(reader, f"bed/HTTPRoute/inference/{name}#rule=main")
    with pytest.raises(InvalidValue, match="1000001"):
        await prepared(reader, shift(route, v1=1_000_001))
    (step,) = await prepared(reader, shift(route, v1=5))
    step = replace(step, writes=(replace(step.writes[0], after=1_000_001),))
    writer = KubernetesWriter(reader)
    with pytest.raises(InvalidValue, match=r"weight"):
        await writer.write(step)
    await writer.close()


async def test_only_some_kinds_readable_is_degraded_and_says_which(kube: Servers, reader_of: Make) -> None:
    reader = reader_of(token=DECK, replicas=1)
    snapshot = await reader.read()
    assert snapshot.environment.reach.state is ReachState.OK
    kube.call(
        "PATCH",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/bed-viewer",
        {"rules": [{"apiGroups": ["gateway.networking.k8s.io"], "resources": ["*"], "verbs": ["get", "list"]}]},
        "application/merge-patch+json",
    )
    try:
        await asyncio.sleep(0.5)
        partly = await reader_of(token=VIEWER).read()
        assert partly.environment.reach.state is ReachState.DEGRADED
        assert "middlewares" in partly.environment.reach.why
    finally:
        make_roles(kube)
