"""The cluster in memory behaves as a cluster does, under the platform's own reader and writer."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from preparing import prepared

from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.kinds.table import CODECS
from adapters.kubernetes.memory.server import MemoryApi, MemoryTransport
from adapters.kubernetes.object_store import BREATHE_EVERY, RowDecorator, snapshot_parts
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from adapters.kubernetes.writer import KubernetesWriter
from control.deck.config import EnvironmentConfig
from control.errors import Forbidden, Stale, Unreachable
from control.model import AccessState
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Delta, ProofState, SetField
from control.structs import replace

REF = Ref("c", "HTTPRoute", "ml", "llama", "rule=chat")


def route() -> dict[str, Any]:
    rule = {"name": "chat", "backendRefs": [{"name": "a", "port": 80, "weight": 9}, {"name": "b", "port": 80}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "llama", "namespace": "ml", "uid": "u", "generation": 1, "resourceVersion": "1"},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [rule]},
        "status": {"parents": [{"parentRef": {"name": "gw"}, "controllerName": "example/controller"}]},
    }


def opened(api: MemoryApi) -> tuple[KubernetesReader, KubernetesWriter]:
    async def transport() -> httpx.AsyncBaseTransport:
        return MemoryTransport(api)

    async def headers(renew: bool) -> list[tuple[str, str]]:
        return []

    config = EnvironmentConfig("c", settings=KubernetesConfig(), section=KUBERNETES)
    reader = KubernetesReader(config, Connection("https://c.invalid", transport, headers, what="c"))
    return reader, KubernetesWriter(reader)


def weights(number: int) -> list[Change]:
    return [Change(REF, "targets/b/weight", None, number)]


async def test_a_patch_raises_the_generation_and_is_accepted() -> None:
    api = MemoryApi([route()])
    reader, writer = opened(api)
    (step,) = await prepared(reader, weights(4))
    await writer.write(step)
    (found,) = (await reader.fetch([step.object]))[0].routes
    assert [target.weight for target in found.targets] == [9, 4]
    assert found.base != step.base
    said = await reader.loaded(step)
    assert said.state is ProofState.YES and said.by_condition, "a condition alone, which is no yes of the data plane"
    again = MemoryApi([])
    again.load(api.dump())
    assert again.objects == api.objects
    assert again.version == 2


async def test_of_two_racing_writers_one_is_stale() -> None:
    api = MemoryApi([route()])
    pairs = [opened(api) for _ in range(2)]
    steps = [(await prepared(reader, weights(number)))[0] for number, (reader, _) in enumerate(pairs, start=2)]
    writes = [writer.write(step) for step, (_, writer) in zip(steps, pairs, strict=True)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Stale", "Written"]
    assert api.version == 2
    assert len(api.writes) == 2


async def test_a_plan_on_an_old_object_writes_nothing() -> None:
    api = MemoryApi([route()])
    reader, writer = opened(api)
    (first,) = await prepared(reader, weights(2))
    (second,) = await prepared(reader, weights(3))
    await writer.write(first)
    with pytest.raises(Stale):
        await writer.write(second)


async def test_a_role_without_rights_and_a_server_that_is_gone() -> None:
    api = MemoryApi([route()])
    api.allowed = False
    reader, _ = opened(api)
    assert (await reader.read()).environment.access.state is AccessState.READ_ONLY_BY_ROLE
    with pytest.raises(Forbidden):
        await prepared(reader, weights(2))
    api.unreachable = "connection refused"
    with pytest.raises(Unreachable):
        await opened(api)[0].read()


async def test_a_watch_tells_of_a_change() -> None:
    api = MemoryApi([route()])
    reader, _ = opened(api)
    watch = reader.watch()
    async with asyncio.timeout(5):
        await anext(watch)
        after = route()
        after["spec"]["rules"][0]["backendRefs"][1]["weight"] = 7
        api.replace(("httproutes", "ml", "llama"), after, "somebody")
        while True:
            (found,) = (await reader.read()).routes
            if found.targets[1].weight == 7:
                break
            await anext(watch)
    await reader.close()


async def test_a_watch_says_which_objects_changed_and_which_are_gone() -> None:
    api = MemoryApi([named_route("one"), named_route("two"), middleware("limit")])
    reader, _ = opened(api)
    await reader.read()
    watch = reader.watch()
    told = Delta()

    async def until(wanted: Delta) -> None:
        nonlocal told
        async with asyncio.timeout(5):
            while (told.changed, told.gone) != (wanted.changed, wanted.gone):
                told = told.and_then(await anext(watch))

    while reader._watcher is None or not reader._watcher.alive:
        await anext(watch)
    after = named_route("one")
    after["spec"]["rules"][0]["backendRefs"][1]["weight"] = 7
    api.replace(("httproutes", "ml", "one"), after, "somebody")
    await until(Delta(frozenset({"c/HTTPRoute/ml/one"})))
    del api.objects["middlewares", "ml", "limit"]
    await until(Delta(frozenset({"c/HTTPRoute/ml/one"}), frozenset({"c/Middleware/ml/limit"})))
    assert not told.everything
    (found,) = [row for row in (await reader.read(told)).routes if row.ref.name == "one"]
    assert found.targets[1].weight == 7
    await reader.close()


def middleware(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ml", "uid": name, "generation": 1, "resourceVersion": "1"}
    spec = {"rateLimit": {"average": 10, "burst": 20}}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": metadata, "spec": spec}


def named_route(name: str, limited_by: str = "") -> dict[str, Any]:
    made = route()
    made["metadata"] |= {"name": name, "uid": name}
    if limited_by:
        ref = {"group": "traefik.io", "kind": "Middleware", "name": limited_by}
        made["spec"]["rules"][0]["filters"] = [{"type": "ExtensionRef", "extensionRef": ref}]
    return made


async def test_rows_that_nothing_has_happened_to_stay_the_same_rows() -> None:
    api = MemoryApi([named_route("one"), named_route("two"), middleware("slow"), middleware("fast")])
    reader, _ = opened(api)
    before = await reader.read()
    routes = {row.name: row for row in before.routes}
    limits = {row.name: row for row in before.limits}
    again = await reader.read()
    assert all(new is routes[new.name] for new in again.routes)
    assert all(new is limits[new.name] for new in again.limits)
    assert again.read_at > before.read_at, "how fresh they are is said by the read"

    api.replace(("httproutes", "ml", "one"), named_route("one", "slow"), "somebody")
    after = await reader.read()
    same = {row.name: row is (routes | limits)[row.name] for row in (*after.routes, *after.limits)}
    assert same == {"one chat": False, "two chat": True, "slow": False, "fast": True}, "it is bound to a route"
    assert len(next(row for row in after.limits if row.name == "slow").bindings) == 1

    touched = named_route("two")
    touched["metadata"]["annotations"] = {"touched": "by somebody"}
    api.replace(("httproutes", "ml", "two"), touched, "somebody")
    (two,) = [row for row in (await reader.read()).routes if row.name == "two chat"]
    assert two is not routes["two chat"] and two.base != routes["two chat"].base, "its resource version guards a write"


async def test_a_planned_edit_leaves_the_rows_alone() -> None:
    api = MemoryApi([route()])
    reader, _ = opened(api)
    (before,) = (await reader.read()).routes
    await prepared(reader, weights(4))
    (after,) = (await reader.read()).routes
    assert after is before


async def test_a_read_that_gives_way_to_a_watch_does_not_fail() -> None:
    api = MemoryApi([named_route(f"route-{number:03}") for number in range(3 * BREATHE_EVERY)])
    reader, _ = opened(api)
    await reader.read()
    held = await reader._settled()
    decorator = RowDecorator(held, reader.planes.views(held), 0.0)
    reading = asyncio.ensure_future(snapshot_parts(held, decorator, "c"))
    await asyncio.sleep(0)  # it has begun, and gives way after the first of them
    routes = held.objects[CODECS["HTTPRoute"].resource.group_kind]
    del routes["ml", "route-149"], routes["ml", "route-000"]
    found, _, _ = await reading
    assert len(found) >= 3 * BREATHE_EVERY - 2


async def test_a_watch_tells_of_what_comes_and_goes() -> None:
    api = MemoryApi([named_route("one")])
    reader, _ = opened(api)
    watch = reader.watch()

    async def until(names: set[str]) -> None:
        while {row.ref.name for row in (await reader.read()).routes} != names:
            await anext(watch)

    async with asyncio.timeout(10):
        await anext(watch)
        await until({"one"})
        await asyncio.sleep(0.2)  # the stream is open
        added = named_route("two")
        api.version += 1
        added["metadata"]["resourceVersion"] = str(api.version)
        api.objects["httproutes", "ml", "two"] = added
        await until({"one", "two"})
        await asyncio.sleep(0.7)  # the stream has seen it
        api.version += 1
        del api.objects["httproutes", "ml", "one"]
        await until({"two"})
    assert reader._watcher is not None and reader._watcher.alive, "told by the stream, not by a new list"
    await reader.close()


async def test_the_writes_of_a_step_are_its_fields_and_what_is_carried_out() -> None:
    api = MemoryApi([route()])
    reader, writer = opened(api)
    (step,) = await prepared(reader, [Change(REF, "targets/a/weight", 9, 3), Change(REF, "targets/b/weight", None, 7)])
    at = "/spec/rules/0/backendRefs"
    assert step.writes == (
        SetField("c/HTTPRoute/ml/llama", f"{at}/0/weight", 9, 3),
        SetField("c/HTTPRoute/ml/llama", f"{at}/1/weight", None, 7),
    )
    written = await writer.write(replace(step, writes=step.writes[:1]))
    assert written.after is not None
    assert [target.weight for target in written.after.routes[0].targets] == [3, 1]
    (again,) = await reader.fetch([step.object])
    assert again.base == written.after.base != step.base
    assert [row.targets for row in again.routes] == [row.targets for row in written.after.routes]
