"""Where a Middleware applies is told of every place that Traefik takes it from, and of no other."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from kube_servers import Servers, wait_for
from natives import GATEWAY_API, NAMESPACE, TRAEFIK_API, limited, service, traefik
from test_owners_bindings_counts import held_of, traefik_of, uses_of

from adapters.kubernetes.kinds import httproute
from adapters.kubernetes.planes.traefik.names import CONTROLLER
from adapters.kubernetes.planes.traefik.plane import features_of
from adapters.kubernetes.planes.traefik.surroundings import Surroundings
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.wire.gateway_api import GatewayClass, GRPCRoute
from control.model import Limit

Make = Callable[..., KubernetesReader]
Spec = dict[str, Any]
BLOCKED: Spec = {"inFlightReq": {"amount": 0}}
"""Refuses every request with 429: where it bites is seen in one request."""


@pytest.fixture
def name() -> str:
    """A name that no other test of the session uses."""
    return "a-" + uuid.uuid4().hex[:8]


async def limit_of(reader: KubernetesReader, name: str) -> Limit:
    snapshot = await reader.read()
    return next(limit for limit in snapshot.limits if limit.ref.name == name)


async def bites(kube: Servers, host: str) -> set[str]:
    """What every one of four requests is answered with, by backend or status."""
    return set(await asyncio.to_thread(kube.send, host, 4))


def _rule(host: str, *services: Spec, **more: Any) -> Spec:
    return {"kind": "Rule", "match": f"Host(`{host}`)", "services": list(services), **more}


def _ingress(name: str, *rules: Spec, **more: Any) -> Spec:
    spec = {"entryPoints": ["web"], "routes": list(rules), **more}
    return traefik("IngressRoute", name, {key: value for key, value in spec.items() if value is not None})


async def test_a_filter_of_one_backend_holds_for_what_that_one_gets(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, BLOCKED))
    native = limited(name, f"{name}.test", name)
    rule = native["spec"]["rules"][0]
    rule["backendRefs"] = [
        {"name": "v1", "port": 8080, "filters": rule.pop("filters")},
        {"name": "v2", "port": 8080},
    ]
    kube.put(GATEWAY_API, "httproutes", native)
    wait_for(lambda: "v2" in kube.send(f"{name}.test", 4), 10)
    assert await bites(kube, f"{name}.test") == {"429", "v2"}
    (binding,) = (await limit_of(reader_of(), name)).bindings
    assert binding.on == f"bed/HTTPRoute/inference/{name}#rule=main"
    assert binding.location == "spec.rules[0].backendRefs[0].filters[0]"


async def test_what_stands_beside_a_service_holds_and_beside_a_traefikservice_does_not(
    kube: Servers, reader_of: Make, name: str
) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, BLOCKED))
    beside = {"middlewares": [{"name": name}]}
    split = {"weighted": {"services": [service("v1")]}}
    kube.put(TRAEFIK_API, "traefikservices", traefik("TraefikService", name, split))
    rules = [
        _rule(f"{name}.test", service("v3", **beside)),
        _rule(f"over.{name}.test", {"name": name, "kind": "TraefikService", **beside}),
    ]
    kube.put(TRAEFIK_API, "ingressroutes", _ingress(name, *rules))
    wait_for(lambda: "v1" in kube.send(f"over.{name}.test", 1), 10)
    assert await bites(kube, f"{name}.test") == {"429"}
    assert await bites(kube, f"over.{name}.test") == {"v1"}
    (binding,) = (await limit_of(reader_of(), name)).bindings
    assert (binding.on, binding.location) == (
        f"bed/IngressRoute/inference/{name}#rule=0",
        "spec.routes[0].services[0].middlewares[0]",
    )


async def test_members_of_a_traefikservice_carry_their_own(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, BLOCKED))
    address = f"127.96.{1 + uuid.uuid4().int % 250}.{1 + uuid.uuid4().int % 250}"
    kube.backend(NAMESPACE, name, address)  # a Service that nobody else names: Traefik keeps one definition of each
    split = {"weighted": {"services": [service(name, middlewares=[{"name": name}]), service("v2")]}}
    kube.put(TRAEFIK_API, "traefikservices", traefik("TraefikService", name, split))
    kube.put(
        TRAEFIK_API, "ingressroutes", _ingress(name, _rule(f"{name}.test", {"name": name, "kind": "TraefikService"}))
    )
    wait_for(lambda: "v2" in kube.send(f"{name}.test", 2), 10)
    assert await bites(kube, f"{name}.test") == {"429", "v2"}
    (binding,) = (await limit_of(reader_of(), name)).bindings
    assert binding.on == f"bed/TraefikService/inference/{name}"
    assert binding.location == "spec.weighted.services[0].middlewares[0]"


async def test_a_parents_limit_holds_for_its_children(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, BLOCKED))
    parent = {"kind": "Rule", "match": f"Host(`{name}.test`)", "middlewares": [{"name": name}]}
    kube.put(TRAEFIK_API, "ingressroutes", _ingress(f"{name}-parent", parent))
    child = {"kind": "Rule", "match": "PathPrefix(`/`)", "services": [service("v1")]}
    refs = [{"name": f"{name}-parent"}]
    kube.put(TRAEFIK_API, "ingressroutes", _ingress(f"{name}-child", child, entryPoints=None, parentRefs=refs))
    wait_for(lambda: kube.send(f"{name}.test", 1) == {"429": 1}, 10)
    limit = await limit_of(reader_of(), name)
    assert {binding.on for binding in limit.bindings} == {
        f"bed/IngressRoute/inference/{name}-parent#rule=0",
        f"bed/IngressRoute/inference/{name}-child#rule=0",
    }
    assert any("share its count" in note for note in limit.notes)
    assert not any("each counts by itself" in note for note in limit.notes)


async def test_full_names_mean_the_same_middleware(kube: Servers, reader_of: Make, name: str) -> None:
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", name, BLOCKED))
    full = {"middlewares": [{"name": f"{NAMESPACE}-{name}@kubernetescrd"}]}
    other = {"middlewares": [{"name": f"{name}@file"}]}
    rules = [_rule(f"{name}.test", service("v1"), **full), _rule(f"other.{name}.test", service("v1"), **other)]
    kube.put(TRAEFIK_API, "ingressroutes", _ingress(name, *rules))
    wait_for(lambda: kube.send(f"{name}.test", 1) == {"429": 1}, 10)
    (binding,) = (await limit_of(reader_of(), name)).bindings
    assert binding.on == f"bed/IngressRoute/inference/{name}#rule=0"


ENTRY = "a-of-the-entry-point"
ANNOTATED = "a-of-an-annotation"


@pytest.fixture(scope="module")
def third(kube: Servers) -> Iterator[int]:
    """One more Traefik: Ingresses too, and a Middleware before everything on its entry point `web`."""
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", ENTRY, {"inFlightReq": {"amount": 50}}))
    kube.put(TRAEFIK_API, "middlewares", traefik("Middleware", ANNOTATED, BLOCKED))
    before = list(kube.proxies)
    kube.start_traefik(
        f"--entrypoints.web.http.middlewares={NAMESPACE}-{ENTRY}@kubernetescrd",
        "--providers.kubernetesingress.nativelbbydefault=true",
        providers=("kubernetesgateway", "kubernetescrd", "kubernetesingress"),
    )
    added = kube.proxies[-1]
    kube.proxies[:] = [added, *before]  # readers look at the first ones
    yield 0
    kube.proxies[:] = before


def _routers(api: str, name: str) -> int:
    return len(json.load(urllib.request.urlopen(f"{api}/api/http/routers?search={name}", timeout=5)))


async def test_ingress_annotations_and_entry_points(kube: Servers, reader_of: Make, third: int, name: str) -> None:
    annotations = {"traefik.ingress.kubernetes.io/router.middlewares": f"{NAMESPACE}-{ANNOTATED}@kubernetescrd"}
    to = {"service": {"name": "v1", "port": {"number": 8080}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": to} for path in ("/a", "/b")]
    kube.put(
        "networking.k8s.io/v1",
        "ingresses",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
            "spec": {"rules": [{"host": f"{name}.test", "http": {"paths": paths}}]},
        },
    )
    wait_for(lambda: kube.send(f"{name}.test", 1, third, "/a") == {"429": 1}, 10)
    assert await asyncio.to_thread(_routers, kube.proxies[third][0], name) == 2
    reader = reader_of(replicas=1)
    of_annotation, of_entry = await limit_of(reader, ANNOTATED), await limit_of(reader, ENTRY)
    (binding,) = [one for one in of_annotation.bindings if name in one.on]
    assert (binding.on, binding.domain.count.high) == (f"Ingress inference/{name}", 2)
    (binding,) = of_entry.bindings
    assert binding.on == "entry point web"
    assert binding.domain.count.high is None
    unread = await limit_of(reader_of(replicas=0), ENTRY)
    assert unread.bindings == ()
    assert any("entry points" in note for note in unread.notes), "what was not looked at is said"


def test_grpc_routes_bind_as_rows() -> None:
    native = limited("g", "g.test", "slow")
    route = msgspec.convert(native, GRPCRoute)
    held = held_of(traefik("Middleware", "slow", {"rateLimit": {"average": 5}}))
    (use,) = uses_of(held, Surroundings(grpc_routes=(route,)))[(NAMESPACE, "slow")]
    assert (use.on, use.location) == ("env/GRPCRoute/inference/g#rule=main", "spec.rules[0].filters[0]")
    assert (use.apart, use.why) == (None, "the Gateway's listeners could not be read")


def test_a_circle_of_chains_binds_each_of_its_links_once() -> None:
    there = traefik("Middleware", "there", {"chain": {"middlewares": [{"name": "back"}, {"name": "slow"}]}})
    back = traefik("Middleware", "back", {"chain": {"middlewares": [{"name": "there"}]}})
    slow = traefik("Middleware", "slow", {"rateLimit": {"average": 5}})
    rule = _rule("x", service("v1"), middlewares=[{"name": "there"}])
    held = held_of(there, back, slow, _ingress("i", rule))
    assert {key[1]: len(found) for key, found in uses_of(held).items()} == {"there": 1, "back": 1, "slow": 1}


def test_what_a_traefik_says_that_it_supports_is_not_held_against_it() -> None:
    route = limited("a", "a.test", "slow")
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8080}}}
    route["spec"]["rules"][0]["filters"] = [mirror]
    route["status"] = {"parents": [{"parentRef": {"name": "main"}, "controllerName": CONTROLLER}]}
    held = held_of(route)
    (native,) = held.of(httproute.RESOURCE.group_kind)
    assert "RequestMirror" in traefik_of().view(held).faults(native)[0]
    features: Spec = {"supportedFeatures": [{"name": "HTTPRouteRequestMirror"}]}
    traefik_class = {"metadata": {"name": "t"}, "spec": {"controllerName": CONTROLLER}, "status": features}
    held.classes["t"] = msgspec.convert(traefik_class, GatewayClass)
    assert traefik_of().view(held).faults(native) == [""]


async def test_the_features_of_the_real_class_are_read(kube: Servers, reader_of: Make) -> None:
    path = "/apis/gateway.networking.k8s.io/v1/gatewayclasses/traefik"
    wait_for(lambda: kube.call("GET", path).get("status", {}).get("supportedFeatures"), 10)
    reader = reader_of(replicas=0)
    await reader.read()
    assert reader._store is not None
    features = features_of(reader._store.classes.values())
    assert "HTTPRoutePathRewrite" in features
    assert "HTTPRouteRequestMirror" not in features
