"""What Traefik does not load is told from the objects alone, as a running Traefik has it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from kube_servers import VIEWER, Servers, make_roles, wait_for
from natives import GATEWAY_API, NAMESPACE, service, traefik
from preparing import prepared

from adapters.kubernetes.reader import KubernetesReader
from control.model import Limit, Mode, Route, Snapshot, StatusState
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.ports import ProofState

Make = Callable[..., KubernetesReader]
Spec = dict[str, Any]
RATE: Spec = {"average": 5}

MIDDLEWARES: dict[str, tuple[Spec, str]] = {
    "ok": ({"rateLimit": RATE}, ""),
    "two": ({"rateLimit": RATE, "inFlightReq": {"amount": 3}}, "one type"),
    "twoplug": ({"plugin": {"a": {}, "b": {}}}, "2 plugins"),
    "noplug": ({"plugin": {}}, "0 plugins"),
    "rateplug": ({"rateLimit": RATE, "plugin": {"a": {}}}, "rateLimit and plugin"),
    "headers": ({"rateLimit": RATE, "headers": {"customRequestHeaders": {"A": "b"}}}, "rateLimit and headers"),
    "ten": ({"rateLimit": {"average": 5, "period": "ten"}}, 'period "ten"'),
    "blank": ({"rateLimit": {"average": 5, "period": " 1s "}}, "period"),
    "below": ({"rateLimit": {"average": 5, "period": "-1s"}}, "period"),
    "nothing": ({"rateLimit": {"average": 5, "period": ""}}, "period"),
    "years": ({"rateLimit": {"average": 5, "period": "300y"}}, "period"),
    "too-long": ({"rateLimit": {"average": 5, "period": "9999999h"}}, "period"),
    "too-many-seconds": ({"rateLimit": {"average": 5, "period": "9300000000"}}, "period"),
    "arabic": ({"rateLimit": {"average": 5, "period": "\u0663"}}, "period"),
    "shortest": ({"rateLimit": {"average": 5, "period": "0.4ns"}}, ""),
    "minutes": ({"rateLimit": {"average": 5, "period": "1m30.5s"}}, ""),
    "bare": ({"rateLimit": {"average": 5, "period": "+10"}}, ""),
    "two-keys": (
        {"rateLimit": {"average": 5, "sourceCriterion": {"requestHost": True, "requestHeaderName": "X"}}},
        "requestHeaderName and requestHost",
    ),
    "ip-and-host": ({"inFlightReq": {"amount": 5, "sourceCriterion": {"requestHost": True, "ipStrategy": {}}}}, "ipS"),
    "empty-keys": (
        {"rateLimit": {"average": 5, "sourceCriterion": {"requestHost": False, "requestHeaderName": ""}}},
        "",
    ),
    "no-network": (
        {"rateLimit": {"average": 5, "sourceCriterion": {"ipStrategy": {"excludedIPs": ["nonsense"]}}}},
        "no address",
    ),
    "many-bits": ({"rateLimit": {"average": 5, "sourceCriterion": {"ipStrategy": {"ipv6Subnet": 200}}}}, "200 bits"),
    "round": ({"chain": {"middlewares": [{"name": "trip"}]}}, "circle"),
    "trip": ({"chain": {"middlewares": [{"name": "round"}]}}, "circle"),
    "itself": ({"chain": {"middlewares": [{"name": "itself"}]}}, "circle"),
    "into-circle": ({"chain": {"middlewares": [{"name": "ok"}, {"name": "round"}]}}, "circle"),
    "lacks": ({"chain": {"middlewares": [{"name": "ok"}, {"name": "nobody"}]}}, "there is no Middleware"),
    "of-broken": ({"chain": {"middlewares": [{"name": "ten"}]}}, "period"),
    "of-good": ({"chain": {"middlewares": [{"name": "ok"}, {"name": "shortest"}]}}, ""),
    "no-links": ({"chain": {}}, ""),
    "page": ({"errors": {"status": ["500"], "query": "/", "service": {"name": "nobody", "port": 80}}}, "no Service"),
    "good-page": ({"errors": {"status": ["500"], "query": "/", "service": service("v1")}}, ""),
}
"""Specs, and a part of what is said; nothing where Traefik loads it. Names of chains are made unique with the rest."""


def to(name: str, **more: Any) -> Spec:
    return {"name": name, "kind": "TraefikService", **more}


def weighted(*members: Spec) -> Spec:
    return {"weighted": {"services": list(members)}}


ERRORS = {"errors": {"status": ["500"]}}
SPLITS: dict[str, tuple[Spec, str]] = {
    "w": (weighted(service("v1")), ""),
    "w-lacks": (weighted(service("v1"), service("nobody")), "there is no Service"),
    "w-of": (weighted(service("v1"), to("w")), ""),
    "w-of-none": (weighted(service("v1"), to("nobody")), "there is no TraefikService"),
    "w-of-broken": (weighted(service("v1"), to("w-lacks")), "is not loaded"),
    "w-round": (weighted(service("v1"), to("w-trip")), "circle"),
    "w-trip": (weighted(service("v1"), to("w-round")), "circle"),
    "w-zero": (weighted(service("v1", 0)), ""),
    "w-empty": ({"weighted": {}}, ""),
    "no-shape": ({}, "no shape"),
    "mirrored": ({"mirroring": {**service("v1"), "mirrors": [service("v2", percent=10)]}}, ""),
    "mirrored-too-much": ({"mirroring": {**service("v1"), "mirrors": [service("v2", percent=150)]}}, "150 percent"),
    "mirrored-nowhere": ({"mirroring": {**service("v1"), "mirrors": [service("nobody", percent=1)]}}, "no Service"),
    "two-shapes": ({**weighted(service("v1")), "mirroring": {**service("nobody")}}, ""),
    "hashed": ({"highestRandomWeight": {"services": [service("v1"), service("v2", 3)]}}, ""),
    "falls": ({"failover": {"service": service("v1"), "fallback": service("v2"), **ERRORS}}, ""),
    "falls-nowhere": ({"failover": {"service": service("v1"), "fallback": service("nobody"), **ERRORS}}, "no Service"),
    "no-port": (weighted({"name": "v1", "nativeLB": True}), "names no port"),
    "other-port": (weighted({**service("v1"), "port": 99}), "no port 99"),
    "port-in-words": (weighted({**service("v1"), "port": "8080"}), "no port named 8080"),
    "other-namespace": (weighted(service("v1", namespace="default")), "there is no Service default/v1"),
    "internal": (weighted(to("api@internal"), service("v1")), ""),
    "passes-over": (weighted(to("w", middlewares=[{"name": "two"}]), service("v2")), ""),
}


def extension(name: str, kind: str = "Middleware", group: str = "traefik.io") -> Spec:
    return {"type": "ExtensionRef", "extensionRef": {"group": group, "kind": kind, "name": name}}


def backend(name: str = "v1", *filters: Spec) -> Spec:
    return {"name": name, "port": 8080, **({"filters": list(filters)} if filters else {})}


MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "v2", "port": 8080}, "percent": 10}}
SPLIT = {"group": "traefik.io", "kind": "TraefikService"}
RULES: dict[str, tuple[Spec, str]] = {
    "ok": ({"filters": [extension("ok")], "backendRefs": [backend()]}, ""),
    "two": ({"filters": [extension("two")], "backendRefs": [backend()]}, "one type"),
    "lacks": ({"filters": [extension("nobody")], "backendRefs": [backend()]}, "there is no Middleware"),
    "other-kind": ({"filters": [extension("ok", "Frob")], "backendRefs": [backend()]}, "Frob of traefik.io"),
    "other-group": ({"filters": [extension("ok", "Middleware", "example.org")], "backendRefs": [backend()]}, "example"),
    "mirror": ({"filters": [MIRROR], "backendRefs": [backend()]}, "RequestMirror"),
    "rewrite": ({"filters": [{"type": "URLRewrite", "urlRewrite": {}}], "backendRefs": [backend()]}, "URLRewrite"),
    "cors": ({"filters": [{"type": "CORS", "cors": {"allowOrigins": ["*"]}}], "backendRefs": [backend()]}, "CORS"),
    "backend-ok": ({"backendRefs": [backend("v1", extension("ok")), backend("v2")]}, ""),
    "backend-two": ({"backendRefs": [backend("v1", extension("two")), backend("v2")]}, "of its backend v1"),
    "backend-lacks": ({"backendRefs": [backend("v1", extension("nobody")), backend("v2")]}, "of its backend v1"),
    "backend-mirror": ({"backendRefs": [backend("v1", MIRROR)]}, "RequestMirror"),
    "no-matches": ({"matches": [], "backendRefs": [backend()]}, "list of matches is empty"),
    "to-split": ({"backendRefs": [{**SPLIT, "name": "w"}]}, ""),
    "to-none": ({"backendRefs": [{**SPLIT, "name": "nobody"}]}, "there is no TraefikService"),
    "to-broken": ({"backendRefs": [backend(), {**SPLIT, "name": "w-lacks"}]}, "is not loaded"),
    "passed-over": ({"backendRefs": [{**SPLIT, "name": "w", "filters": [extension("two")]}]}, ""),
    "of-broken": ({"filters": [extension("of-broken")], "backendRefs": [backend()]}, "period"),
}

INGRESS_RULES: dict[str, tuple[Spec, str]] = {
    "lacks": ({"services": [service("nobody")]}, "there is no Service"),
    "one-lacks": ({"services": [service("v1"), service("nobody")]}, "there is no Service"),
    "no-services": ({}, "it has no service"),
    "no-middleware": ({"middlewares": [{"name": "nobody"}], "services": [service("v1")]}, "there is no Middleware"),
    "beside-ok": ({"services": [service("v1", middlewares=[{"name": "ok"}])]}, ""),
    "beside-two": ({"services": [service("v1", middlewares=[{"name": "two"}])]}, "one type"),
    "beside-none": ({"services": [service("v1", middlewares=[{"name": "nobody"}])]}, "there is no Middleware"),
    "beside-split": ({"services": [to("w", middlewares=[{"name": "two"}])]}, ""),
    "to-internal": ({"services": [to("api@internal")]}, ""),
    "mixed": ({"services": [service("v1"), to("w")]}, ""),
}


class World:
    """All of it under one prefix in the real cluster, and what Traefik and we say of it."""

    def __init__(self, kube: Servers) -> None:
        self.kube = kube
        self.prefix = "u" + uuid.uuid4().hex[:5]
        self.ours = {*MIDDLEWARES, *SPLITS, "parent", "broken-parent"} - {"v1", "v2", "nobody"}
        for name, (spec, _) in MIDDLEWARES.items():
            self.put("middlewares", traefik("Middleware", name, spec))
        for name, (spec, _) in SPLITS.items():
            self.put("traefikservices", traefik("TraefikService", name, spec))
        self.rules = {
            **{f"m-{name}": {"middlewares": [{"name": name}], "services": [service("v1")]} for name in MIDDLEWARES},
            **{f"s-{name}": {"services": [to(name)]} for name in SPLITS},
            **{f"i-{name}": spec for name, (spec, _) in INGRESS_RULES.items()},
            "full-name": {"middlewares": [{"name": f"{NAMESPACE}-{self.prefix}-ok@kubernetescrd"}], **GOOD},
            "no-full-name": {"middlewares": [{"name": f"{NAMESPACE}-{self.prefix}-none@kubernetescrd"}], **GOOD},
        }
        routes = [{"kind": "Rule", "match": self.match(name), **spec} for name, spec in self.rules.items()]
        self.put("ingressroutes", traefik("IngressRoute", "i", {"entryPoints": ["web"], "routes": routes}))
        for name, (rule, _) in RULES.items():
            spec = {"parentRefs": [{"name": "main"}], "hostnames": [self.host(f"h-{name}")], "rules": [rule]}
            self.put("httproutes", {**traefik("HTTPRoute", f"h-{name}", spec), "apiVersion": GATEWAY_API})

    def host(self, name: str) -> str:
        return f"{name}.{self.prefix}.test"

    def match(self, name: str) -> str:
        return f"Host(`{self.host(name)}`)"

    def put(self, plural: str, native: Spec) -> None:
        named = self._named(native)
        named["metadata"]["name"] = f"{self.prefix}-{native['metadata']['name']}"
        self.kube.put(named["apiVersion"], plural, named)

    def _named(self, node: Any) -> Any:
        """The same with every name that is ours under our prefix."""
        if isinstance(node, dict):
            return {k: self._name(v) if k == "name" and isinstance(v, str) else self._named(v) for k, v in node.items()}
        return [self._named(one) for one in node] if isinstance(node, list) else node

    def _name(self, name: str) -> str:
        return f"{self.prefix}-{name}" if name in self.ours else name

    def told_by_traefik(self, what: str) -> list[Spec]:
        url = f"{self.kube.proxies[0][0]}/api/http/{what}?per_page=1000&search={self.prefix}"
        found: list[Spec] = json.load(urllib.request.urlopen(url, timeout=5))
        return found

    def runs(self, rule: str) -> bool:
        """Whether Traefik routes by a rule, and not to an error that stands in for a filter."""
        found = [one for one in self.told_by_traefik("routers") if rule in one["rule"]]
        return bool(found) and all(one["status"] == "enabled" and "-err-" not in one["service"] for one in found)


GOOD = {"services": [service("v1")]}


@pytest.fixture(scope="module")
def world(kube: Servers) -> World:
    made = World(kube)
    last = list(RULES)[-1]
    wait_for(lambda: any(made.host(f"h-{last}") in one["rule"] for one in made.told_by_traefik("routers")), 20)
    wait_for(lambda: made.runs(made.match("m-ok")) and made.runs(made.match("full-name")), 20)
    return made


async def everything(reader_of: Make) -> Snapshot:
    return await reader_of(replicas=0).read()


def fault(row: Route | Limit) -> str:
    return row.status.detail if row.status.state is StatusState.ERROR else ""


async def test_rules_of_ingress_routes(world: World, reader_of: Make) -> None:
    snapshot = await everything(reader_of)
    ours = {r.matches[0]: r for r in snapshot.routes if r.kind == "IngressRoute" and world.prefix in r.ref.name}
    said = {
        **{f"m-{name}": words for name, (_, words) in MIDDLEWARES.items()},
        **{f"s-{name}": words for name, (_, words) in SPLITS.items()},
        **{f"i-{name}": words for name, (_, words) in INGRESS_RULES.items()},
        "full-name": "",
        "no-full-name": "there is no Middleware",
    }
    assert said.keys() == world.rules.keys()
    running = {name: world.runs(world.match(name)) for name in said}
    assert {name: not words for name, words in said.items()} == running, "what the table says is what Traefik does"
    for name, words in said.items():
        told = fault(ours[world.match(name)])
        assert (words in told) if words else (told == ""), (name, told)


async def test_rules_of_http_routes(world: World, reader_of: Make) -> None:
    snapshot = await everything(reader_of)
    ours = {r.ref.name.removeprefix(f"{world.prefix}-h-"): r for r in snapshot.routes if r.kind == "HTTPRoute"}
    for name, (_, words) in RULES.items():
        host = world.host(f"h-{name}")
        runs = world.runs(f'"{host}"')
        answers = await asyncio.to_thread(world.kube.send, host, 2)
        assert (runs and not answers.keys() & {"404", "500", "503"}) == (not words), (name, runs, answers)
        told = fault(ours[name])
        assert (words in told) if words else (told == ""), (name, told)


async def test_middlewares_and_traefik_services_are_broken_themselves(world: World, reader_of: Make) -> None:
    snapshot = await everything(reader_of)
    rows: list[Route | Limit] = [*snapshot.limits, *snapshot.routes]
    by_name = {(row.kind, row.ref.name): row for row in rows}
    for kind, table in (("Middleware", MIDDLEWARES), ("TraefikService", SPLITS)):
        for name, (spec, words) in table.items():
            row = by_name.get((kind, f"{world.prefix}-{name}"))
            if row is None:
                assert kind == "Middleware" and not {"rateLimit", "inFlightReq"} & spec.keys(), name
                continue
            told = fault(row)
            assert (words in told) if words else (told == ""), (name, told)
            if isinstance(row, Limit) and "period" in words:
                assert (row.amount, row.mode, row.editable.yes) == (None, Mode.NOT_UNDERSTOOD, False)
                assert "average: 5" in row.native and "period:" in row.native


async def test_an_edit_of_what_is_broken_says_so_and_does_not_wait(world: World, reader_of: Make) -> None:
    reader = reader_of()
    ref = Ref(reader.name, "HTTPRoute", NAMESPACE, f"{world.prefix}-h-backend-two", "rule=0")
    (step,) = await prepared(reader, [Change(ref, target_field("v1", "weight"), 1, 3)])
    assert any("does not load it" in warning for warning in step.warnings)
    proof = await reader.loaded(step)
    assert proof.state is ProofState.NO
    assert "one type" in proof.detail


PARENTS = {
    "child": ({"parentRefs": [{"name": "parent"}]}, ""),
    "orphan": ({"parentRefs": [{"name": "nobody"}]}, "there is no IngressRoute"),
    "child-on-web": ({"parentRefs": [{"name": "parent"}], "entryPoints": ["web"]}, "entry points too"),
    "child-of-broken": ({"parentRefs": [{"name": "broken-parent"}]}, "is not loaded"),
    "grown-up": ({"entryPoints": ["web"]}, "names it as its parent"),
    "child-of-grown-up": ({"parentRefs": [{"name": "grown-up"}]}, "is not loaded"),
}


async def test_parents_and_children(world: World, reader_of: Make) -> None:
    world.ours.add("grown-up")
    for name, middleware in (("parent", "ok"), ("broken-parent", "two")):
        rule = {"kind": "Rule", "match": world.match(name), "middlewares": [{"name": middleware}]}
        world.put("ingressroutes", traefik("IngressRoute", name, {"entryPoints": ["web"], "routes": [rule]}))
    for name, (spec, _) in PARENTS.items():
        rule = {"kind": "Rule", "match": world.match(name), **GOOD}
        world.put("ingressroutes", traefik("IngressRoute", name, {**spec, "routes": [rule]}))
    wait_for(lambda: world.runs(world.match("child")), 20)
    wait_for(lambda: not world.runs(world.match("grown-up")), 20)
    ours = {r.matches[0]: r for r in (await everything(reader_of)).routes if r.kind == "IngressRoute"}
    for name, (_, words) in PARENTS.items():
        if name not in ("child-of-broken", "child-of-grown-up"):  # Traefik says nothing of a child it never gets to
            assert world.runs(world.match(name)) == (not words), name
        told = fault(ours[world.match(name)])
        assert (words in told) if words else (told == ""), (name, told)


async def test_what_may_not_be_listed_is_missing_nothing_and_doctor_says_so(
    kube: Servers, world: World, reader_of: Make
) -> None:
    groups = ["gateway.networking.k8s.io", "discovery.k8s.io", "traefik.io"]
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/bed-viewer"
    resources = ["httproutes", "gateways", "ingressroutes", "traefikservices", "endpointslices"]  # no middlewares
    rules = {"rules": [{"apiGroups": groups, "resources": resources, "verbs": ["get", "list", "watch"]}]}
    kube.call("PATCH", role, rules, "application/merge-patch+json")
    try:
        await asyncio.sleep(0.5)
        reader = reader_of(token=VIEWER, replicas=0)
        snapshot = await reader.read()
        ours = {r.matches[0]: r for r in snapshot.routes if r.kind == "IngressRoute" and world.prefix in r.ref.name}
        for name in ("i-lacks", "i-no-middleware", "m-two", "s-w-lacks", "no-full-name"):
            assert fault(ours[world.match(name)]) == "", name
        for name in ("i-no-services", "s-no-shape", "s-w-of-none", "s-w-round"):
            assert fault(ours[world.match(name)]) != "", "what was read is judged"
        checks = {check.check: check for check in await reader.check()}
        assert checks["services"].state == checks["ingresses"].state == "warn"
        assert "not told" in checks["services"].detail
    finally:
        make_roles(kube)
