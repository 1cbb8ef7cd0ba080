"""Which plane serves an object, and what is known of one that only sets conditions; the conditions are set on a real
API server, as the controller of another implementation sets them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kube_servers import Servers, wait_for
from natives import GATEWAY_API, NAMESPACE, httproute
from preparing import prepared

from adapters.kubernetes.kinds import httproute as httproute_kind
from adapters.kubernetes.object_store import ObjectStore
from adapters.kubernetes.planes.table import CONDITIONS, PLANES, by_controller, by_ingress_class, families_of
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import SECTION
from adapters.kubernetes.writer import KubernetesWriter
from control.applying.proving import wait_loaded
from control.model import Route, StatusState
from control.planning.edit import Change, target_field
from control.ports import Prepared, ProofState

Make = Callable[..., KubernetesReader]
CONTROLLER = "example.com/other-gateway"
TRAEFIK = "traefik.io/gateway-controller"


@pytest.fixture(scope="module")
def foreign(kube: Servers) -> Iterator[Servers]:
    """The cluster, with a Gateway of a controller that nobody here knows."""
    definition = {"apiVersion": GATEWAY_API, "kind": "GatewayClass", "metadata": {"name": "other"}}
    kube.put(GATEWAY_API, "gatewayclasses", {**definition, "spec": {"controllerName": CONTROLLER}})
    metadata = {"name": "edge", "namespace": NAMESPACE}
    listeners = [{"name": "web", "protocol": "HTTP", "port": 80}]
    gateway = {"apiVersion": GATEWAY_API, "kind": "Gateway", "metadata": metadata}
    kube.put(GATEWAY_API, "gateways", {**gateway, "spec": {"gatewayClassName": "other", "listeners": listeners}})
    yield kube
    kube.call("DELETE", f"/apis/{GATEWAY_API}/namespaces/{NAMESPACE}/gateways/edge")
    kube.call("DELETE", f"/apis/{GATEWAY_API}/gatewayclasses/other")


@pytest.fixture
def name() -> str:
    """A name that no other test of the session uses."""
    return "p-" + uuid.uuid4().hex[:8]


def on_edge(plural: str, name: str) -> dict[str, Any]:
    native = httproute(name, f"{name}.test", {"v1": 9, "v2": 1})
    native["spec"]["parentRefs"] = [{"name": "edge"}]
    native["kind"] = {"httproutes": "HTTPRoute", "grpcroutes": "GRPCRoute"}[plural]
    return native


def say(kube: Servers, plural: str, name: str, generation: int, accepted: str = "True") -> None:
    """What the controller says of the object, as it says it: in the status alone."""
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": "Taken" if status == "True" else "NotAllowedByListeners",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind, status in (("Accepted", accepted), ("ResolvedRefs", "True"))
    ]
    parent = {"parentRef": {"name": "edge"}, "controllerName": CONTROLLER, "conditions": conditions}
    path = f"/apis/{GATEWAY_API}/namespaces/{NAMESPACE}/{plural}/{name}/status"
    kube.call("PATCH", path, {"status": {"parents": [parent]}}, "application/merge-patch+json")


async def route_of(reader: KubernetesReader, name: str) -> Route:
    return next(route for route in (await reader.read()).routes if route.ref.name == name)


async def written(reader: KubernetesReader, route: Route) -> Prepared:
    """The route with other weights."""
    changes = [
        Change(route.ref, target_field("v1", "weight"), 9, 5),
        Change(route.ref, target_field("v2", "weight"), 1, 5),
    ]
    (step,) = await prepared(reader, changes)
    writer = KubernetesWriter(reader)
    await writer.write(step)
    await writer.close()
    return step


@pytest.mark.parametrize("plural", ["httproutes", "grpcroutes"])
@pytest.mark.parametrize("replicas", [0, 2])
async def test_what_another_controller_takes_is_known_by_its_conditions_alone(
    foreign: Servers, reader_of: Make, name: str, plural: str, replicas: int
) -> None:
    foreign.put(GATEWAY_API, plural, on_edge(plural, name))
    say(foreign, plural, name, 1)
    reader = reader_of(replicas=replicas)
    route = await route_of(reader, name)
    assert route.status.state is StatusState.OK
    step = await written(reader, route)
    early = await reader.loaded(step)
    assert (early.state, early.detail) == (ProofState.PENDING, "Accepted is of generation 1, not 2")
    say(foreign, plural, name, 2)
    proof = await wait_loaded(reader, step, 5, asyncio.Event())
    told = f"only a condition says so: accepted by {CONTROLLER}, of generation 2"
    assert (proof.state, proof.detail) == (ProofState.UNKNOWN, told)
    now = await reader.running(step.object, step.changes, {})
    assert now.by_condition and now.detail.startswith("accepted by")
    assert [one for one in await reader.count([route.ref]) if one.ref == route.ref] == []
    say(foreign, plural, name, 2, accepted="False")
    refused = await reader.loaded(step)
    assert refused.state is ProofState.NO and "NotAllowedByListeners" in refused.detail


async def test_faults_that_are_traefiks_are_not_told_of_a_route_that_it_does_not_serve(
    foreign: Servers, reader_of: Make, name: str
) -> None:
    native = on_edge("httproutes", name)
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8080}}}
    native["spec"]["rules"][0]["filters"] = [mirror]
    foreign.put(GATEWAY_API, "httproutes", native)
    say(foreign, "httproutes", name, 1)
    assert (await route_of(reader_of(), name)).status.state is StatusState.OK


async def test_the_controller_of_the_class_counts_before_what_an_old_status_tells(
    foreign: Servers, reader_of: Make, name: str
) -> None:
    """A stale entry of a removed controller may stay behind."""
    foreign.put(GATEWAY_API, "httproutes", on_edge("httproutes", name))
    path = f"/apis/{GATEWAY_API}/namespaces/{NAMESPACE}/httproutes/{name}/status"
    condition = {"type": "Accepted", "status": "False", "reason": "Old", "message": "", "observedGeneration": 1}
    conditions = [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    old = {"parentRef": {"name": "edge"}, "controllerName": TRAEFIK, "conditions": conditions}
    foreign.call("PATCH", path, {"status": {"parents": [old]}}, "application/merge-patch+json")
    reader = reader_of()
    route = await route_of(reader, name)
    store = reader._store
    assert store is not None
    native = store.objects[httproute_kind.RESOURCE.group_kind][(NAMESPACE, name)]
    assert reader.planes.families_of(httproute_kind.RESOURCE.group_kind, native, store) == [CONDITIONS]
    assert route.status.state is not StatusState.OK


def test_the_table_picks_by_controller_class_and_group() -> None:
    assert by_controller("traefik.io/gateway-controller").name == "traefik"
    assert by_controller("gateway.envoyproxy.io/gatewayclass-controller") is CONDITIONS
    assert by_ingress_class("traefik").name == "traefik"
    assert by_ingress_class("internal", "traefik.io/ingress-controller").name == "traefik"
    assert by_ingress_class("nginx", "k8s.io/ingress-nginx") is CONDITIONS
    assert {family.proxy for family in PLANES} - {""} == set(SECTION.proxy_kinds), "the deck file names the same"


@pytest.mark.parametrize(("group", "name"), [
    ("gateway.networking.k8s.io", "traefik"), ("traefik.io", "traefik"), ("networking.istio.io", "conditions"),
])  # fmt: skip
def test_a_proxy_in_the_deck_file_speaks_for_routes_of_gateways_alone(group: str, name: str) -> None:
    """Where nothing in the cluster says whose an object is."""
    native = SimpleNamespace(metadata=SimpleNamespace(namespace="ml"))
    assert [one.name for one in families_of(group, native, ObjectStore(), ("traefik",))] == [name]


async def test_a_grpc_route_of_traefik_is_proved_by_what_its_replicas_run(
    kube: Servers, reader_of: Make, name: str
) -> None:
    native = on_edge("grpcroutes", name)
    native["spec"]["parentRefs"] = [{"name": "main"}]
    kube.put(GATEWAY_API, "grpcroutes", native)
    reader = reader_of()
    path = f"/apis/{GATEWAY_API}/namespaces/{NAMESPACE}/grpcroutes/{name}"
    await asyncio.to_thread(wait_for, lambda: kube.call("GET", path).get("status", {}).get("parents"), 10)
    step = await written(reader, await route_of(reader, name))
    proof = await wait_loaded(reader, step, 10, asyncio.Event())
    assert proof.state is ProofState.YES and proof.detail.startswith("all 2 replicas:"), proof
    assert proof.detail.endswith("runs 5/5")
