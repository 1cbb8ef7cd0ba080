"""2,000 HTTPRoutes on a real API server, read side by side with kubectl in the same run."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from kube_servers import Servers, bedkube
from natives import GATEWAY_API, httproute

from adapters.kubernetes.codecs import httproute as codec
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.wire import HTTPRoute

COUNT = 2000
NAMESPACE = "crowd"


def _fill(kube: Servers) -> None:
    kube.put("v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    path = f"/apis/{GATEWAY_API}/namespaces/{NAMESPACE}/httproutes"

    def one(index: int) -> None:
        native = httproute(f"r{index:04}", f"r{index:04}.crowd.test", {"v1": 90, "v2": 10})
        native["metadata"]["namespace"] = NAMESPACE
        native["spec"]["parentRefs"] = [{"name": "nobody"}]
        kube.call("POST", path, native)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(COUNT)))


def _empty(kube: Servers) -> None:
    kube.call("DELETE", f"/apis/{GATEWAY_API}/namespaces/{NAMESPACE}/httproutes")


def _kubectl(kube: Servers) -> float:
    binary = bedkube()
    assert binary is not None
    command = [str(binary), "kubectl", f"--kubeconfig={kube.kubeconfig()}", "get", "httproutes", "-A", "-o", "json"]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout.count(b'"kind": "HTTPRoute"') >= COUNT
    return time.monotonic() - started


async def test_a_list_of_2000_routes_is_at_least_twice_as_fast_as_kubectl(
    kube: Servers, reader_of: Callable[..., KubernetesReader], record_property: Callable[[str, object], None]
) -> None:
    await asyncio.to_thread(_fill, kube)
    try:
        lists, reads, rivals = [], [], []
        for _ in range(3):
            reader = reader_of()
            started = time.monotonic()
            listed = await reader.api.list(codec.RESOURCE, "", HTTPRoute)
            lists.append(time.monotonic() - started)
            assert len(listed.items) >= COUNT
            reader = reader_of()
            started = time.monotonic()
            snapshot = await reader.read()
            reads.append(time.monotonic() - started)
            assert len(snapshot.routes) >= COUNT
            rivals.append(await asyncio.to_thread(_kubectl, kube))
        ours, whole, rival = (statistics.median(figures) for figures in (lists, reads, rivals))
        figures = f"list {ours:.3f} s, whole first read {whole:.3f} s, kubectl {rival:.3f} s"
        record_property("seconds", figures)
        print(figures)
        assert rival >= 2 * ours, figures
    finally:
        await asyncio.to_thread(_empty, kube)
