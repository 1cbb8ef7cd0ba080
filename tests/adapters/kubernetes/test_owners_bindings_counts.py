"""Owners, bindings, loaded and counters: pure tables and a Traefik that answers from a table."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import httpx
import msgspec
import pytest
from natives import httproute, limited, service, traefik
from preparing import prepared

from adapters.common.http import Pages
from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.kinds.table import CODECS
from adapters.kubernetes.memory.server import MemoryApi, MemoryTransport
from adapters.kubernetes.object_store import ObjectStore
from adapters.kubernetes.owners.owners import NO_SOURCES, Reconciler, Sources, owners_of
from adapters.kubernetes.owners.rollouts import Driven, Driver
from adapters.kubernetes.planes.plane import Instances
from adapters.kubernetes.planes.traefik.bindings import bound
from adapters.kubernetes.planes.traefik.count import Counters
from adapters.kubernetes.planes.traefik.counted_names import CountedNames
from adapters.kubernetes.planes.traefik.names import child_service, gateway_prefix, ingress_router
from adapters.kubernetes.planes.traefik.plane import TraefikPlane
from adapters.kubernetes.planes.traefik.surroundings import Surroundings
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import KubernetesConfig, ProxyConfig
from adapters.kubernetes.wire.gateway_api import Gateway, ParentRef
from control.deck.config import EnvironmentConfig
from control.errors import Unreachable
from control.model import OwnerRole
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.ports import ProofState

ROUTE = CODECS["HTTPRoute"].resource
TRACKING = "argocd.argoproj.io/tracking-id"
DIGEST = "0123456789abcdef0123"


def metadata(**more: Any) -> Metadata:
    return msgspec.convert({"name": "llama", "namespace": "inference", "uid": "u", **more}, Metadata)


# --- owners ---------------------------------------------------------------------------------------------------------


def test_argo_cd_counts_only_where_the_tracking_id_names_this_object() -> None:
    own = "shop:gateway.networking.k8s.io/HTTPRoute:inference/llama"
    sources = Sources(applications={"shop": Reconciler(True, 5.0)})
    (owner,) = owners_of(metadata(annotations={TRACKING: own}), ROUTE, sources)
    assert (owner.kind, owner.role, owner.reverts, owner.within_seconds) == ("argocd", OwnerRole.DECLARED, True, 5.0)
    copied = "shop:serving.kserve.io/InferenceService:inference/llama"
    assert owners_of(metadata(annotations={TRACKING: copied}), ROUTE, sources) == ()
    (unread,) = owners_of(metadata(annotations={TRACKING: own}), ROUTE, NO_SOURCES)
    assert unread.reverts is None


def test_argo_cd_by_its_older_label_only_where_an_application_of_that_name_was_read() -> None:
    labels = {"app.kubernetes.io/instance": "shop"}
    sources = Sources(applications={"shop": Reconciler(True, 5.0)})
    (owner,) = owners_of(metadata(labels=labels), ROUTE, sources)
    assert (owner.kind, owner.name, owner.reverts) == ("argocd", "Application shop", True)
    assert owners_of(metadata(labels=labels), ROUTE, NO_SOURCES) == ()
    copied = {TRACKING: "shop:serving.kserve.io/InferenceService:inference/llama"}
    assert owners_of(metadata(labels=labels, annotations=copied), ROUTE, sources) == ()
    helm = owners_of(
        metadata(
            labels={**labels, "app.kubernetes.io/managed-by": "Helm"}, annotations={"meta.helm.sh/release-name": "shop"}
        ),
        ROUTE,
        sources,
    )
    assert [owner.kind for owner in helm] == ["helm"]


def test_flux_reverts_at_its_interval_unless_it_is_off() -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux"}
    sources = Sources(kustomizations={("flux", "apps"): Reconciler(True, 600.0)})
    (owner,) = owners_of(metadata(labels=labels), ROUTE, sources)
    assert (owner.kind, owner.reverts, owner.within_seconds) == ("flux", True, 600.0)
    off = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    (owner,) = owners_of(metadata(labels=labels, annotations=off), ROUTE, sources)
    assert owner.reverts is False


def test_helm_needs_both_its_signs() -> None:
    annotations = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "n"}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    (owner,) = owners_of(metadata(annotations=annotations, labels=labels), ROUTE)
    assert (owner.kind, owner.name, owner.role) == ("helm", "release n/r", OwnerRole.DECLARED)
    assert owners_of(metadata(annotations=annotations), ROUTE) == ()


def test_a_controller_drives_and_marks_copied_from_it_do_not_count() -> None:
    reference = {"apiVersion": "serving.kserve.io/v1", "kind": "LLMInferenceService", "name": "m", "controller": True}
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps"}
    (owner,) = owners_of(metadata(ownerReferences=[reference], labels=labels), ROUTE)
    assert (owner.kind, owner.role) == ("operator", OwnerRole.DRIVER)
    assert owner.edit_instead == "LLMInferenceService inference/m"
    assert owners_of(metadata(ownerReferences=[{**reference, "controller": False}]), ROUTE) == ()


def test_a_rollout_that_names_the_route_drives_it() -> None:
    driver = Driver("argo-rollouts", "inference", "canary")
    sources = Sources(driven=Driven({("HTTPRoute", "inference", "llama"): (driver,)}))
    (owner,) = owners_of(metadata(), ROUTE, sources)
    assert (owner.kind, owner.role, owner.name) == ("argo-rollouts", OwnerRole.DRIVER, "Rollout inference/canary")


# --- bindings -------------------------------------------------------------------------------------------------------


def held_of(*natives: dict[str, Any], gateways: tuple[dict[str, Any], ...] = ()) -> ObjectStore:
    held = ObjectStore()
    for native in natives:
        native["metadata"].setdefault("uid", native["metadata"]["name"])
        decoded = msgspec.convert(native, CODECS[native["kind"]].wire)
        held.put(CODECS[native["kind"]].resource.group_kind, decoded)
    for gateway in gateways:
        made = msgspec.convert(gateway, Gateway)
        held.gateways[(made.metadata.namespace, made.metadata.name)] = made
    return held


def traefik_of(surroundings: Surroundings | None = None) -> TraefikPlane:
    plane = TraefikPlane(cast(Any, SimpleNamespace(config=EnvironmentConfig("env"))))
    plane._surroundings = surroundings or Surroundings()
    return plane


def uses_of(held: ObjectStore, surroundings: Surroundings | None = None) -> dict[tuple[str, str], Any]:
    return {key: used for (_, key), used in traefik_of(surroundings).uses(held).items()}


def gateway(*protocols: str) -> dict[str, Any]:
    listeners = [{"name": f"l{i}", "protocol": p, "port": 80 + i} for i, p in enumerate(protocols)]
    return {"metadata": {"name": "main", "namespace": "inference"}, "spec": {"listeners": listeners}}


def counts(held: ObjectStore, instances: int | None, name: str = "slow", shared: bool = False) -> list[Any]:
    middleware = held.objects[CODECS["Middleware"].resource.group_kind][("inference", name)]
    (limit,) = CODECS["Middleware"].read(middleware, "env", 1.0).limits
    used = uses_of(held).get(("inference", name), [])
    made = bound(limit, used, Instances(instances, "deck file"), shared)
    return [(binding.on, binding.domain.count.low, binding.domain.count.high) for binding in made.bindings]


RATE = {"rateLimit": {"average": 5}}


def test_a_rule_counts_once_for_each_match_listener_and_replica() -> None:
    route = limited("a", "a.test", "slow")
    route["spec"]["rules"][0]["matches"] = [{"path": {"value": "/a"}}, {"path": {"value": "/b"}}]
    middleware = traefik("Middleware", "slow", RATE)
    on = "env/HTTPRoute/inference/a#rule=main"
    both = held_of(route, middleware, gateways=(gateway("HTTP", "HTTPS", "TCP"),))
    assert counts(both, 3) == [(on, 12, 12)]
    assert counts(both, None) == [(on, 4, None)]
    assert counts(held_of(route, middleware), 3) == [(on, 3, None)]
    route["spec"]["parentRefs"][0]["sectionName"] = "l0"
    assert counts(held_of(route, middleware), 3) == [(on, 6, 6)]
    assert counts(both, 3, shared=True) == [(on, 1, 1)]


def test_ingress_routes_and_chains_bind_too_and_a_fan_out_is_told() -> None:
    rules = [{"match": "Host(`x`)", "services": [service("v1")], "middlewares": [{"name": n}]} for n in ("slow", "all")]
    chain = traefik("Middleware", "all", {"chain": {"middlewares": [{"name": "slow"}]}})
    circle = traefik("Middleware", "loop", {"chain": {"middlewares": [{"name": "loop"}]}})
    held = held_of(traefik("IngressRoute", "i", {"routes": rules}), traefik("Middleware", "slow", RATE), chain, circle)
    assert counts(held, 2) == [
        ("env/IngressRoute/inference/i#rule=0", 2, 2),
        ("env/IngressRoute/inference/i#rule=1", 2, 2),
    ]
    (limit,) = (
        CODECS["Middleware"]
        .read(held.objects[CODECS["Middleware"].resource.group_kind][("inference", "slow")], "env", 1.0)
        .limits
    )
    made = bound(limit, uses_of(held)[("inference", "slow")], Instances(2, "deck file"), False)
    assert any("used in 2 places" in note for note in made.notes)


# --- loaded ---------------------------------------------------------------------------------------------------------


class Planes(httpx.AsyncBaseTransport):
    """Traefik replicas by host name: the weights that each runs, or a failure."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers.get(request.url.host, "gone")
        if answer == "gone":
            raise httpx.ConnectError("refused")
        if request.url.path == "/metrics":
            return httpx.Response(200, text=answer)
        return httpx.Response(200, json=answer)


def running(*weights: int, status: str = "enabled") -> list[dict[str, Any]]:
    prefix = gateway_prefix("HTTPRoute", "inference", "llama", ParentRef(name="main"))
    members = [{"name": f"m{i}", "weight": weight} for i, weight in enumerate(weights)]
    name = f"{prefix}web-0-{DIGEST}-wrr@kubernetesgateway"
    other = {"name": f"{prefix}web-1-{DIGEST}-wrr@kubernetesgateway", "weighted": {"services": []}}
    return [{"name": name, "status": status, "error": ["bad \x1b[31m"], "weighted": {"services": members}}, other]


@pytest.fixture
def reader_with() -> Callable[..., KubernetesReader]:
    def make(planes: Planes, *hosts: str) -> KubernetesReader:
        native = httproute("llama", "llama.test", {"v1": 90, "v2": 10})
        native["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1"}
        parent = {"parentRef": {"name": "main"}, "controllerName": "traefik.io/gateway-controller"}
        native["status"] = {"parents": [parent]}
        api = MemoryApi([native])

        async def opened() -> httpx.AsyncBaseTransport:
            return MemoryTransport(api)

        async def headers(renew: bool) -> list[tuple[str, str]]:
            return []

        connection = Connection("https://k.invalid", opened, headers, what="memory", pages=lambda: planes)
        proxies = tuple(ProxyConfig("traefik", api=f"http://{h}", metrics=f"http://{h}/metrics") for h in hosts)
        return KubernetesReader(EnvironmentConfig("env", settings=KubernetesConfig(), proxies=proxies), connection)

    return make


@pytest.mark.parametrize(
    ("one", "two", "state", "words"),
    [
        ((50, 50), (50, 50), ProofState.YES, "all 2 replicas"),
        ((50, 50), (90, 10), ProofState.PENDING, "still runs 90/10, not 50/50"),
        ((50, 50), None, ProofState.UNKNOWN, "two"),
        ((90, 10), None, ProofState.PENDING, "one"),
        ((50, 50), (), ProofState.PENDING, "still runs nothing"),
    ],
)
async def test_every_replica_must_agree(
    reader_with: Callable[..., KubernetesReader], one: Any, two: Any, state: ProofState, words: str
) -> None:
    answers = {host: running(*weights) for host, weights in (("one", one), ("two", two)) if weights is not None}
    reader = reader_with(Planes(answers), "one", "two")
    ref = Ref.parse("env/HTTPRoute/inference/llama#rule=main")
    changes = [Change(ref, target_field(name, "weight"), None, 50) for name in ("v1", "v2")]
    (step,) = await prepared(reader, changes)
    proof = await reader.loaded(step)
    assert proof.state is state, proof
    assert words in proof.detail
    await reader.close()


async def test_a_service_that_traefik_disabled_is_a_no(reader_with: Callable[..., KubernetesReader]) -> None:
    reader = reader_with(Planes({"one": running(50, 10, status="disabled")}), "one")
    ref = Ref.parse("env/HTTPRoute/inference/llama#rule=main")
    (step,) = await prepared(reader, [Change(ref, target_field("v1", "weight"), 90, 50)])
    proof = await reader.loaded(step)
    assert proof.state is ProofState.NO
    assert "\x1b" not in proof.detail
    await reader.close()


async def test_without_traefiks_api_the_condition_counts_and_says_that_it_is_early(
    reader_with: Callable[..., KubernetesReader],
) -> None:
    reader = reader_with(Planes({}))
    ref = Ref.parse("env/HTTPRoute/inference/llama#rule=main")
    (step,) = await prepared(reader, [Change(ref, target_field("v1", "weight"), 90, 50)])
    assert (await reader.loaded(step)).state is ProofState.PENDING
    from adapters.kubernetes.writer import KubernetesWriter

    writer = KubernetesWriter(reader)
    await writer.write(step)
    proof = await reader.loaded(step)
    assert proof.state is ProofState.YES
    assert "two seconds" in proof.detail
    await writer.close()
    await reader.close()


# --- counters -------------------------------------------------------------------------------------------------------


def line(service_name: str, count: int, code: str = "200", metric: str = "service") -> str:
    return f'traefik_{metric}_requests_total{{code="{code}",{metric}="{service_name}"}} {count}\n'


def child(index: int, name: str) -> str:
    prefix = gateway_prefix("HTTPRoute", "inference", "llama", ParentRef(name="main"))
    return f"{prefix}web-0-{DIGEST}-svc-inference-{name}-{index}@kubernetesgateway"


def counters(planes: Planes, *hosts: str) -> Counters:
    proxies = tuple(ProxyConfig("traefik", metrics=f"http://{host}/metrics") for host in hosts)
    return Counters(Pages(planes), EnvironmentConfig("env", settings=KubernetesConfig(), proxies=proxies))


async def requests(made: Counters, held: ObjectStore) -> dict[str, Fraction]:
    (counted,) = await made.count(held, "env", None)
    return {name: count.requests for name, count in counted.targets}


async def test_replicas_are_added_up_through_restarts_and_absences() -> None:
    held = held_of(httproute("llama", "llama.test", {"v1": 9, "v2": 1}))
    planes = Planes({"one": line(child(0, "v1"), 10), "two": line(child(0, "v1"), 5) + line(child(1, "v2"), 2)})
    made = counters(planes, "one", "two", "late")
    assert await requests(made, held) == {"v1": 15, "v2": 2}
    planes.answers["one"] = line(child(0, "v1"), 12)
    assert await requests(made, held) == {"v1": 17, "v2": 2}
    planes.answers["two"] = "gone"
    assert await requests(made, held) == {"v1": 17, "v2": 2}
    planes.answers["two"] = line(child(0, "v1"), 3)
    assert await requests(made, held) == {"v1": 20, "v2": 2}
    planes.answers["late"] = line(child(0, "v1"), 1000)
    assert await requests(made, held) == {"v1": 20, "v2": 2}
    planes.answers["late"] = line(child(0, "v1"), 1001)
    assert await requests(made, held) == {"v1": 21, "v2": 2}
    planes.answers.clear()
    with pytest.raises(Unreachable):
        await requests(made, held)


async def test_router_counters_tell_what_was_throttled() -> None:
    held = held_of(httproute("llama", "llama.test", {"v1": 1}))
    prefix = gateway_prefix("HTTPRoute", "inference", "llama", ParentRef(name="main"))
    router = f"{prefix}web-0-{DIGEST}@kubernetesgateway"
    text = line(child(0, "v1"), 7) + line(child(0, "v1"), 1, "429") + line(child(0, "v1"), 2, "503")
    text += line(router, 7, metric="router") + line(router, 6, "429", "router") + line(router, 2, "503", "router")
    (counted,) = await counters(Planes({"one": text}), "one").count(held, "env", None)
    assert (counted.total, counted.throttled, counted.errors) == (15, 5, 2)


async def test_nested_services_are_counted_by_their_members() -> None:
    rule = {"match": "Host(`x`)", "services": [{"name": "t", "kind": "TraefikService"}, service("v3", 1)]}
    inner = traefik("TraefikService", "t", {"weighted": {"services": [service("v1", 1), service("v2", 1)]}})
    held = held_of(traefik("IngressRoute", "i", {"routes": [rule]}), inner)
    text = "".join(line(child_service("inference", name, 8080), n) for name, n in (("v1", 3), ("v2", 4), ("v3", 5)))
    router = ingress_router("inference", "i", "Host(`x`)", 0)[0]
    text += line(router, 12, metric="router")
    found = {str(c.ref): c for c in await counters(Planes({"one": text}), "one").count(held, "env", None)}
    outer = found["env/IngressRoute/inference/i#rule=0"]
    assert {name: count.requests for name, count in outer.targets} == {"t": 7, "v3": 5}
    assert outer.together_with == ()
    assert outer.total == 12
    assert found["env/TraefikService/inference/t"].together_with == ()


def test_a_circle_of_services_is_not_counted() -> None:
    member = {"name": "t", "kind": "TraefikService"}
    held = held_of(traefik("TraefikService", "t", {"weighted": {"services": [member, service("v1")]}}))
    names = CountedNames.of(held, "env")
    assert names.grouped([child_service("inference", "v1", 8080)], []) == {}
