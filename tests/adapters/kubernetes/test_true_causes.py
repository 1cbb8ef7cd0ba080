"""What a real API server refuses or holds back is named by its true cause, where the list is read."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import kube_servers
import pytest
import yaml
from conftest import _without  # type: ignore[import-not-found]
from kube_servers import ADMIN, Servers
from preparing import prepared

from adapters.kubernetes import reader as reader_module
from adapters.kubernetes.kinds import middleware as middleware_kind
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import KubernetesConfig
from adapters.kubernetes.writer import KubernetesWriter
from control.deck.config import EnvironmentConfig
from control.errors import ControlError, DeckError, ErrorKind, Forbidden
from control.model import AccessState, ReachState
from control.planning.edit import Change

GATEWAY, TRAEFIK = "gateway.networking.k8s.io/v1", "traefik.io/v1alpha1"
RBAC = "rbac.authorization.k8s.io/v1"
KINDS = (
    dict.fromkeys(("httproutes", "grpcroutes"), "gateway.networking.k8s.io")
    | dict.fromkeys(("middlewares", "ingressroutes", "traefikservices"), "traefik.io")
    | {"virtualservices": "networking.istio.io"}
)

ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A cluster of this file's own: it takes CRDs and default rights away."""
    binary = kube_servers.bedkube()
    gateway = kube_servers.module_folder(kube_servers.GATEWAY_MODULE)
    traefik = kube_servers.module_folder(kube_servers.TRAEFIK_MODULE)
    if binary is None or gateway is None or traefik is None:
        _without("the Kubernetes binary or the CRDs cannot be had")
    assert binary and gateway and traefik
    servers = kube_servers.start(tmp_path_factory.mktemp("kube"), binary)
    try:
        kube_servers.install_crds(servers, gateway, traefik)
        for name in ("ml", "other"):
            servers.put("v1", "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            servers.put(GATEWAY, "httproutes", route(name))
        servers.put(TRAEFIK, "middlewares", middleware())
        yield servers
    finally:
        servers.stop()


def route(namespace: str, version: str = "v1") -> dict[str, Any]:
    return {
        "apiVersion": f"gateway.networking.k8s.io/{version}",
        "kind": "HTTPRoute",
        "metadata": {"name": "llama", "namespace": namespace},
        "spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80, "weight": 9}, {"name": "b", "port": 80}]}]},
    }


def middleware() -> dict[str, Any]:
    metadata = {"name": "slow", "namespace": "ml"}
    return {"apiVersion": TRAEFIK, "kind": "Middleware", "metadata": metadata, "spec": {"rateLimit": {"average": 5}}}


READ = ("get", "list", "watch")


def allow(
    servers: Servers,
    user: str,
    resources: dict[str, str],
    namespace: str = "",
    verbs: Sequence[str] = (*READ, "patch"),
) -> None:
    """Let `user` read and patch these, everywhere or in one namespace."""
    rules = [{"apiGroups": [group], "resources": [plural], "verbs": list(verbs)} for plural, group in resources.items()]
    kind, metadata = ("Role" if namespace else "ClusterRole"), {"name": user}
    if namespace:
        metadata["namespace"] = namespace
    servers.put(RBAC, f"{kind.lower()}s", {"apiVersion": RBAC, "kind": kind, "metadata": {**metadata}, "rules": rules})
    binding = {
        "apiVersion": RBAC,
        "kind": f"{kind}Binding",
        "metadata": {**metadata},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    servers.put(RBAC, f"{kind.lower()}bindings", binding)


Make = Callable[..., KubernetesReader]


@pytest.fixture
async def reader_of(kube: Servers, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes readers that are somebody: the administrator asks to be taken for them."""
    made: list[KubernetesReader] = []

    def make(user: str = "", namespace: str = "", **section: Any) -> KubernetesReader:
        path = tmp_path / f"config-{len(made)}"
        identity = {"token": ADMIN} | ({"as": user, "as-groups": ["system:authenticated"]} if user else {})
        context = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
        document = {
            "current-context": "x",
            "clusters": [{"name": "c", "cluster": {"server": kube.server, "certificate-authority": str(kube.ca)}}],
            "users": [{"name": "u", "user": identity}],
            "contexts": [{"name": "x", "context": context}],
        }
        path.write_text(yaml.safe_dump(document))
        config = KubernetesConfig(kubeconfig=str(path), **section)
        made.append(KubernetesReader(EnvironmentConfig("bed", settings=config)))
        return made[-1]

    yield make
    for reader in made:
        await reader.close()


async def checks_of(reader: KubernetesReader) -> dict[str, str]:
    return {check.check: f"{check.state} {check.detail} {check.hint}" for check in await reader.check()}


async def test_each_forbidden_kind_is_missing_and_narrowing_asks_for_less(kube: Servers, reader_of: Make) -> None:
    allow(kube, "routes-only", {"httproutes": "gateway.networking.k8s.io"})
    snapshot = await reader_of("routes-only").read()
    assert {route.ref.scope for route in snapshot.routes} == {"ml", "other"}
    others = [f"{plural}.traefik.io" for plural in ("ingressroutes", "middlewares", "traefikservices")]
    assert sorted(one.what for one in snapshot.missing) == ["grpcroutes.gateway.networking.k8s.io", *others]
    assert all("kubernetes.namespaces" in one.why for one in snapshot.missing)
    assert snapshot.environment.reach.state is ReachState.DEGRADED
    assert "middlewares.traefik.io" in snapshot.environment.reach.why
    narrowed = await reader_of("routes-only", kinds=("HTTPRoute",)).read()
    assert narrowed.missing == ()
    assert narrowed.environment.reach.state is ReachState.OK
    assert len(narrowed.routes) == 2
    assert not any("traefik" in check for check in await checks_of(reader_of("routes-only", kinds=("HTTPRoute",))))


async def follow(reader: KubernetesReader, seconds: float) -> None:
    """Read whenever the watch says so, as control does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await reader.read()
            async for _ in reader.watch():
                await reader.read()


def asked_for(kube: Servers, user: str, verb: str) -> list[str]:
    """The kinds of ours for which somebody asked the server, as its audit log has it."""
    events = [json.loads(line) for line in kube.audit.read_text().splitlines()]
    return [
        event["objectRef"]["resource"]
        for event in events
        if event["verb"] == verb
        and event.get("impersonatedUser", {}).get("username") == user
        and event.get("objectRef", {}).get("resource") in KINDS
        and event["stage"] == "ResponseComplete"
    ]


async def test_a_role_that_may_not_watch_costs_few_lists(kube: Servers, reader_of: Make) -> None:
    allow(kube, "lister", KINDS, verbs=("get", "list"))
    reader = reader_of("lister")
    await follow(reader, 8)
    assert 4 <= len(asked_for(kube, "lister", "list")) <= 20
    assert 4 <= len(asked_for(kube, "lister", "watch")) <= 16
    reach = (await reader.read()).environment.reach
    assert reach.why.count("cannot be watched") == 1, "one reason, said once"
    assert "middlewares.traefik.io" in reach.why and reach.why.endswith("we may not watch")


async def test_a_kind_that_is_allowed_later_comes_by_itself(
    kube: Servers, reader_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "FAILED_SECONDS", 0.2)
    allow(kube, "later", {"httproutes": "gateway.networking.k8s.io"})
    reader = reader_of("later")
    assert len((await reader.read()).missing) == 4
    watch = reader.watch()
    await asyncio.wait_for(anext(watch), 10)
    allow(kube, "later", KINDS)
    snapshot = await settled(reader, lambda one: not one.missing)
    assert len(snapshot.limits) == 1 and len(snapshot.routes) == 2
    assert reader._watcher is not None
    async with asyncio.timeout(10):
        while not reader._watcher.alive:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (middleware_kind.RESOURCE.group_kind, "") in reader._watcher._connected


async def test_a_kind_that_is_taken_away_is_nothing(kube: Servers, reader_of: Make) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = "traefikservices.traefik.io"
    kept = kube.call("GET", f"{crds}/{name}")
    reader = reader_of()
    await reader.read()
    watch = reader.watch()
    await asyncio.wait_for(anext(watch), 10)
    following = asyncio.create_task(follow_on(reader, watch))
    try:
        kube.call("DELETE", f"{crds}/{name}")
        async with asyncio.timeout(60):
            while any(kind.kind == "TraefikService" for kind, _ in reader._watcher._tasks):  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        snapshot = await reader.read()
        assert snapshot.missing == ()
        assert len(snapshot.routes) == 2
    finally:
        following.cancel()
        kept["metadata"] = {key: kept["metadata"][key] for key in ("name", "annotations") if key in kept["metadata"]}
        kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", kept)
        kube_servers.wait_for(lambda: kube_servers._served(kube, f"/apis/{TRAEFIK}/traefikservices"), 20)


async def follow_on(reader: KubernetesReader, watch: AsyncIterator[None]) -> None:
    async for _ in watch:
        with contextlib.suppress(ControlError):
            await reader.read()


async def test_a_kind_that_is_none_is_a_mistake_in_the_deck(reader_of: Make) -> None:
    with pytest.raises(DeckError, match="'HttpRoute'"):
        await reader_of(kinds=("HttpRoute",)).read()


async def test_the_one_namespace_that_may_be_read_is_the_hint(kube: Servers, reader_of: Make) -> None:
    allow(kube, "one-space", KINDS, "ml")
    with pytest.raises(Forbidden) as caught:
        await reader_of("one-space", "ml").read()
    assert "kubernetes.namespaces: [ml]" in (caught.value.hint or "")
    with pytest.raises(Forbidden) as caught:
        await reader_of("one-space").read()
    assert "kubernetes.namespaces" in (caught.value.hint or "")
    told = await checks_of(reader_of("one-space", "ml"))
    assert "kubernetes.namespaces: [ml]" in told["httproutes"]
    snapshot = await reader_of("one-space", namespaces=("ml",)).read()
    assert len(snapshot.routes) == len(snapshot.limits) == 1
    assert snapshot.missing == ()


async def test_forbidden_and_absent_namespaces_are_missing(kube: Servers, reader_of: Make) -> None:
    allow(kube, "one-space", KINDS, "ml")
    snapshot = await reader_of("one-space", namespaces=("ml", "other")).read()
    assert [one.what for one in snapshot.missing] == ["namespace other"]
    assert len(snapshot.routes) == 1
    snapshot = await reader_of(namespaces=("ml", "mll")).read()
    assert [(one.what, "not found" in one.why) for one in snapshot.missing] == [("namespace mll", True)]


async def test_a_refused_question_for_our_rights_loses_no_rows(kube: Servers, reader_of: Make) -> None:
    allow(kube, "unasked", KINDS)
    with without_binding(kube, "system:basic-user"):
        reader = reader_of("unasked")
        snapshot = await settled(reader, lambda one: one.environment.access.state is AccessState.UNKNOWN)
        assert len(snapshot.routes) == 2
        assert "selfsubjectaccessreviews" in snapshot.environment.access.why
        (step,) = await prepared(reader, [Change(snapshot.routes[0].ref, "targets/b/weight", 1, 2)])
        assert step.object
        assert "does not say what we may do" in (await checks_of(reader))["httproutes"]


async def test_who_may_not_ask_what_is_served_sees_the_rows(kube: Servers, reader_of: Make) -> None:
    """Neither the groups nor the version: hardened clusters say these to nobody."""
    allow(kube, "undiscovered", {**KINDS, "ingressroutes": "traefik.io"})
    with without_binding(kube, "system:discovery"), without_binding(kube, "system:public-info-viewer"):
        reader = reader_of("undiscovered")
        async with asyncio.timeout(20):
            while not reader.collector.discovery.blind:
                reader.collector.discovery._until = 0.0
                snapshot = await reader.read()
        snapshot = await reader.read()
        assert len(snapshot.routes) == 2 and len(snapshot.limits) == 1
        assert snapshot.missing == ()
        watch = reader.watch()
        await asyncio.wait_for(anext(watch), 10)
        assert len((await reader.read()).routes) == 2, "nor is the version needed to look again"
        told = await checks_of(reader)
        assert told["reach"].startswith("ok") and told["httproutes"].startswith("ok")
        narrow = reader_of("undiscovered", kinds=("HTTPRoute",))
        assert (await narrow.read()).missing == ()


@contextlib.contextmanager
def without_binding(kube: Servers, name: str) -> Iterator[None]:
    """Take a default right of everybody's away for a while."""
    path = f"/apis/{RBAC}/clusterrolebindings/{name}"
    kept = kube.call("GET", path)
    kube.call("DELETE", path)
    try:
        yield
    finally:
        kept["metadata"] = {"name": name}
        kube.put(RBAC, "clusterrolebindings", kept)


async def settled(reader: KubernetesReader, wanted: Callable[[Any], bool]) -> Any:
    """Rights and CRDs take a moment to be in force."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ControlError):
                snapshot = await reader.read()
                if wanted(snapshot):
                    return snapshot
            reader.rights._known.clear()
            reader.collector.discovery._until = 0.0
            await asyncio.sleep(0.2)


async def test_objects_of_versions_and_groups_that_are_not_read_are_counted(kube: Servers, reader_of: Make) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    former = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "middlewares.traefik.containo.us"},
        "spec": {
            "group": "traefik.containo.us",
            "scope": "Namespaced",
            "names": {
                "plural": "middlewares",
                "singular": "middleware",
                "kind": "Middleware",
                "listKind": "Middlewares",
            },
            "versions": [
                {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": ANYTHING}}
            ],
        },
    }
    name = "httproutes.gateway.networking.k8s.io"
    definition = kube.call("GET", f"{crds}/{name}")
    versions = definition["spec"]["versions"]
    served = [{"op": "test", "path": f"/spec/versions/{at}/name", "value": one["name"]} | {} for at, one in
              enumerate(versions)]  # fmt: skip
    hide = [{"op": "replace", "path": f"/spec/versions/{at}/served", "value": False} for at in range(len(versions))]
    show = [{**op, "value": one["served"]} for op, one in zip(hide, versions, strict=True)]
    ancient = {"name": "v1alpha2", "served": True, "storage": False, "schema": {"openAPIV3Schema": ANYTHING}}
    add = [{"op": "add", "path": f"/spec/versions/{len(versions)}", "value": ancient}]
    remove = [{"op": "remove", "path": f"/spec/versions/{len(versions)}"}]
    kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", former)
    kube.call("PATCH", f"{crds}/{name}", served + hide + add, "application/json-patch+json")
    try:
        path = "/apis/traefik.containo.us/v1alpha1/namespaces/ml/middlewares"
        kube_servers.wait_for(lambda: kube_servers._served(kube, path), 20)
        for number in range(3):
            old = {"apiVersion": "traefik.containo.us/v1alpha1", "kind": "Middleware", "spec": {}}
            kube.call("POST", path, {**old, "metadata": {"name": f"m{number}", "namespace": "ml"}})
        snapshot = await settled(reader_of(), lambda one: len(one.missing) == 2)
        assert [str(one) for one in snapshot.missing] == [
            "2 HTTPRoutes of gateway.networking.k8s.io/v1alpha2: this version is not read",
            "3 Middlewares of traefik.containo.us/v1alpha1: this group is not read",
        ]
        assert len(snapshot.limits) == 1
        assert "v1alpha2" in snapshot.environment.reach.why
        told = [check.detail for check in await reader_of().check() if check.check == "versions"]
        assert told == [str(one) for one in snapshot.missing]
        in_one = await reader_of(namespaces=("other",)).read()
        assert [one.what for one in in_one.missing] == ["1 HTTPRoute of gateway.networking.k8s.io/v1alpha2"]
        narrowed = await reader_of(kinds=("IngressRoute",)).read()
        assert narrowed.missing == ()
    finally:
        kube.call("PATCH", f"{crds}/{name}", show + remove, "application/json-patch+json")
        kube.call("DELETE", f"{crds}/middlewares.traefik.containo.us")
        kube_servers.wait_for(lambda: kube_servers._served(kube, f"/apis/{GATEWAY}/httproutes"), 20)


async def test_a_kind_is_read_and_written_in_the_first_version_that_is_served(kube: Servers, reader_of: Make) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = "httproutes.gateway.networking.k8s.io"
    versions = [one["name"] for one in kube.call("GET", f"{crds}/{name}")["spec"]["versions"]]
    at = versions.index("v1")
    assert "v1beta1" in versions
    patch = [{"op": "test", "path": f"/spec/versions/{at}/name", "value": "v1"}]
    before = await reader_of().read()
    hidden = {"op": "replace", "path": f"/spec/versions/{at}/served", "value": False}
    kube.call("PATCH", f"{crds}/{name}", [*patch, hidden], "application/json-patch+json")
    try:
        kube_servers.wait_for(lambda: not kube_servers._served(kube, f"/apis/{GATEWAY}/httproutes"), 20)
        reader = reader_of()
        snapshot = await settled(reader, lambda one: len(one.routes) == len(before.routes))
        assert snapshot.missing == () and snapshot.routes[0].ref in {route.ref for route in before.routes}
        route = next(one for one in snapshot.routes if one.ref.kind == "HTTPRoute" and one.editable.yes)
        target = route.targets[0]
        assert target.weight is not None
        change = Change(route.ref, f"targets/{target.name}/weight", target.weight, target.weight + 1)
        (step,) = await prepared(reader, [change])
        writer = KubernetesWriter(reader)
        await writer.write(step)
        await writer.close()
        (after,) = await reader.fetch([route.object])
        assert [one.target(target.name).weight for one in after.routes if one.ref == route.ref] == [target.weight + 1]  # type: ignore[union-attr]
    finally:
        kube.call("PATCH", f"{crds}/{name}", [*patch, {**hidden, "value": True}], "application/json-patch+json")
        kube_servers.wait_for(lambda: kube_servers._served(kube, f"/apis/{GATEWAY}/httproutes"), 20)


async def test_drivers_are_seen_in_the_namespaces_that_may_be_read(kube: Servers, reader_of: Make) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "rollouts.argoproj.io"},
        "spec": {
            "group": "argoproj.io",
            "scope": "Namespaced",
            "names": {"plural": "rollouts", "singular": "rollout", "kind": "Rollout", "listKind": "Rollouts"},
            "versions": [
                {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": ANYTHING}}
            ],
        },
    }
    kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", crd)
    path = "/apis/argoproj.io/v1alpha1/namespaces/ml/rollouts"
    kube_servers.wait_for(lambda: kube_servers._served(kube, path), 20)
    plugins = {"argoproj-labs/gatewayAPI": {"httpRoute": "llama", "namespace": "ml"}}
    spec = {"strategy": {"canary": {"trafficRouting": {"plugins": plugins}}}}
    metadata = {"name": "llama", "namespace": "ml"}
    kube.put(
        "argoproj.io/v1alpha1",
        "rollouts",
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec},
    )
    allow(kube, "in-ml", {**KINDS, "rollouts": "argoproj.io"}, "ml")
    reader = reader_of("in-ml", namespaces=("ml",))
    (seen,) = (await reader.read()).routes
    assert [owner.name for owner in seen.owners] == ["Rollout ml/llama"], (
        "the list of all namespaces is forbidden, that of ml not"
    )
    assert "owners" not in await checks_of(reader)
    allow(kube, "blind", KINDS, "ml")
    told = await checks_of(reader_of("blind", namespaces=("ml",)))
    assert "rollouts.argoproj.io may not be read" in told["owners"]


class _Webhook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status: ClassVar[dict[str, Any]] = {}

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        response = {"uid": review["request"]["uid"], "allowed": False, "status": type(self).status}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def webhook(kube: Servers, tmp_path: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    """A real webhook that denies every change of an HTTPRoute."""
    import base64

    pem, key = tmp_path / "hook.pem", tmp_path / "hook.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(
        [*command, "-days", "2", "-subj", "/CN=hook", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Webhook)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    group = "admissionregistration.k8s.io/v1"
    native = {
        "apiVersion": group,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "bed-hook"},
        "webhooks": [
            {
                "name": "weights.bed.test",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 2,
                "clientConfig": {
                    "url": f"https://127.0.0.1:{server.server_port}/",
                    "caBundle": base64.b64encode(pem.read_bytes()).decode(),
                },
                "rules": [
                    {
                        "apiGroups": ["gateway.networking.k8s.io"],
                        "apiVersions": ["*"],
                        "operations": ["UPDATE"],
                        "resources": ["httproutes"],
                    }
                ],
            }
        ],
    }
    kube.put(group, "validatingwebhookconfigurations", native)
    yield server
    kube.call("DELETE", f"/apis/{group}/validatingwebhookconfigurations/bed-hook")
    with contextlib.suppress(OSError):
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (403, ErrorKind.FORBIDDEN),
        (422, ErrorKind.INVALID_VALUE),
        (409, ErrorKind.INVALID_VALUE),
        (0, ErrorKind.INVALID_VALUE),
    ],
)
async def test_a_webhooks_denial_has_its_words(
    kube: Servers, reader_of: Make, webhook: Any, code: int, kind: ErrorKind
) -> None:
    _Webhook.status = {"message": "weights move by 10 at most"} | ({"code": code} if code else {})
    error = await refused(kube, reader_of, "webhook")
    assert error.kind is kind
    assert "weights.bed.test" in str(error)
    assert "weights move by 10 at most" in str(error)


async def test_a_webhook_that_is_down_is_named(kube: Servers, reader_of: Make, webhook: Any) -> None:
    webhook.shutdown()
    webhook.server_close()
    error = await refused(kube, reader_of, "webhook")
    assert error.kind is ErrorKind.PLATFORM
    assert "weights.bed.test" in str(error)


async def refused(kube: Servers, reader_of: Make, word: str) -> ControlError:
    """The refusal of a change, once the webhook is in force."""
    reader = reader_of()
    writer = KubernetesWriter(reader)
    (ref,) = [one.ref for one in (await reader.read()).routes if one.ref.scope == "ml"]
    try:
        async with asyncio.timeout(30):
            weight = 2
            while True:
                weight += 1
                (step,) = await prepared(reader, [Change(ref, "targets/b/weight", None, weight)])
                try:
                    await writer.write(step)
                except ControlError as error:
                    assert word in str(error)
                    return error
                await asyncio.sleep(0.2)
    finally:
        await writer.close()
