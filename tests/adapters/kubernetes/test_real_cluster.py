"""The whole path on real servers: read, plan, write, loaded, and the traffic counted by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kube_servers import Servers, wait_for
from natives import GATEWAY_API, httproute

from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.writer import KubernetesWriter
from control.edit import Change, target_field
from control.model import Route
from control.ports import Prepared, ProofState
from control.ref import Ref

Make = Callable[..., KubernetesReader]


async def until_loaded(reader: KubernetesReader, step: Prepared, seconds: float = 10.0) -> tuple[float, str]:
    started = time.monotonic()
    while True:
        proof = await reader.loaded(step)
        if proof.state is ProofState.YES:
            return time.monotonic() - started, proof.detail
        assert time.monotonic() - started < seconds, proof
        assert proof.state is ProofState.PENDING, proof
        await asyncio.sleep(0.05)


async def route_of(reader: KubernetesReader, ref: str) -> Route:
    snapshot = await reader.read()
    return next(route for route in snapshot.routes if str(route.ref) == ref)


def shift(route: Route, **weights: int) -> list[Change]:
    return [
        Change(route.ref, target_field(name, "weight"), route.target(name).weight, weight)  # type: ignore[union-attr]
        for name, weight in weights.items()
    ]


async def test_an_httproute_weight_edit_moves_real_traffic(kube: Servers, reader_of: Make) -> None:
    kube.put(GATEWAY_API, "httproutes", httproute("llama", "llama.test", {"v1": 90, "v2": 10}))
    wait_for(lambda: "v1" in kube.send("llama.test", 5), 10)
    before = kube.send("llama.test", 100)
    assert 80 <= before["v1"] <= 100
    reader = reader_of()
    route = await route_of(reader, "bed/HTTPRoute/inference/llama#rule=main")
    assert [target.weight for target in route.targets] == [90, 10]
    (step,) = await reader.prepare(shift(route, v1=25, v2=75))
    assert "-        weight: 90" in step.diff.replace("      weight", "        weight") or "weight: 90" in step.diff
    writer = KubernetesWriter(reader)
    said = await writer.write(step)
    assert said == f"generation {2}"
    took, detail = await until_loaded(reader, step)
    assert took < 5
    assert "25/75" in detail
    for proxy in (0, 1):
        after = await asyncio.to_thread(kube.send, "llama.test", 100, proxy)
        assert 70 <= after["v2"] <= 80, (proxy, after)
    again = await reader.read_object(str(Ref.parse(str(route.ref)).whole))
    assert [target.weight for target in again.routes[0].targets] == [25, 75]
    await writer.close()
