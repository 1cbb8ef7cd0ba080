"""Where a limit applies whose kind is no Middleware: by what it targets, by an annotation, by a filter of a route, for
itself; with and without a namespace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from adapters.engine.kind import Kind
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.kinds.table import Kinds
from adapters.kubernetes.object_store import ObjectStore, RowDecorator
from adapters.kubernetes.planes.cluster_planes import ClusterPlanes
from adapters.kubernetes.wire.gateway_api import Gateway, GatewayClass
from control.deck.config import EnvironmentConfig
from control.model import Limit

GROUP, EDGE = "gateway.networking.k8s.io", "edge.example.com"
Native = dict[str, Any]


def quota_kind(attaches: Native, **more: Any) -> Kind:
    api = {"group": EDGE, "versions": ["v1"], "plural": "quotas", **more}
    limit = {"amount": "spec.count", "zero": "blocked", "measure": "requests", "window": {"seconds": 60}}
    return msgspec.convert({"kind": "Quota", "api": api, "limits": [{**limit, "attaches": attaches}]}, Kind)


def split_kind() -> Kind:
    targets = {"at": "to", "identity": ["service"], "weight": "share", "absent": 0}
    route = {"at": "spec.paths", "name": "name", "targets": targets}
    api = {"group": EDGE, "versions": ["v1"], "plural": "splits"}
    return msgspec.convert({"kind": "Split", "api": api, "routes": [route]}, Kind)


def route(name: str, *rules: str, parent: Native | None = None, **rule: Any) -> Native:
    metadata = {"name": name, "namespace": "ml", "uid": name}
    parents = [parent or {"name": "main"}]
    spec = {"parentRefs": parents, "rules": [{"name": one, "backendRefs": [{"name": "a"}], **rule} for one in rules]}
    return {"kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def quota(name: str = "q", namespace: str = "ml", **spec: Any) -> Native:
    metadata = {"name": name, "namespace": namespace, "uid": f"quota-{name}"}
    return {"kind": "Quota", "metadata": metadata, "spec": {"count": 5, **spec}}


def limits_of(kinds: list[Kind], *natives: Native, controller: str = "example.com/other") -> list[Limit]:
    """The limits of all Quotas, as they are shown in a cluster that holds these objects."""
    table = Kinds(kinds)
    store = ObjectStore(table)
    for native in natives:
        codec = table.codecs[native["kind"]]
        store.put(codec.resource.group_kind, msgspec.convert(native, codec.wire))
    gateway = {"metadata": {"name": "main", "namespace": "ml"}, "spec": {"gatewayClassName": "c"}}
    store.gateways[("ml", "main")] = msgspec.convert(gateway, Gateway)
    made = {"metadata": {"name": "c"}, "spec": {"controllerName": controller}}
    store.classes["c"] = msgspec.convert(made, GatewayClass)
    cluster = SimpleNamespace(config=EnvironmentConfig("env"), kinds=table)
    decorator = RowDecorator(store, ClusterPlanes(cast(Any, cluster)).views(store), 1.0)
    codec = table.codecs["Quota"]
    found = []
    for native in store.of(codec.resource.group_kind):
        read = store.read(codec, native, "env", 1.0)
        found += decorator.kept(codec, native, read).limits
    return found


def on(limits: list[Limit]) -> list[str]:
    return [binding.on for limit in limits for binding in limit.bindings]


TARGETS = quota_kind({"target_refs": "spec.targetRefs"})


@pytest.mark.parametrize(("target", "where"), [
    ({"kind": "HTTPRoute", "name": "r"}, ["env/HTTPRoute/ml/r#rule=one", "env/HTTPRoute/ml/r#rule=two"]),
    ({"kind": "HTTPRoute", "name": "r", "sectionName": "two"}, ["env/HTTPRoute/ml/r#rule=two"]),
    ({"kind": "HTTPRoute", "name": "r", "sectionName": "three"}, []),
    ({"kind": "HTTPRoute", "name": "gone"}, ["HTTPRoute ml/gone"]),
    ({"kind": "Gateway", "name": "main"}, ["env/HTTPRoute/ml/r#rule=one", "env/HTTPRoute/ml/r#rule=two",
                                           "env/HTTPRoute/ml/tls#rule=x"]),
    ({"kind": "Gateway", "name": "main", "sectionName": "https"}, ["env/HTTPRoute/ml/r#rule=one",
                                                                   "env/HTTPRoute/ml/r#rule=two",
                                                                   "env/HTTPRoute/ml/tls#rule=x"]),
    ({"kind": "Gateway", "name": "main", "sectionName": "http"}, ["env/HTTPRoute/ml/r#rule=one",
                                                                  "env/HTTPRoute/ml/r#rule=two"]),
    ({"group": "", "kind": "Service", "name": "a"}, ["Service ml/a"]),
])  # fmt: skip
def test_what_a_policy_targets_is_where_it_applies(target: Native, where: list[str]) -> None:
    target = {"group": GROUP, **target}
    tls = route("tls", "x", parent={"name": "main", "sectionName": "https"})
    other = route("other", "y", parent={"name": "second"})
    limits = limits_of([TARGETS], route("r", "one", "two"), tls, other, quota(targetRefs=[target]))
    assert on(limits) == where
    assert all(one.domain.count.high is None for limit in limits for one in limit.bindings), "nobody knows how many"


def test_one_target_alone_may_stand_without_a_list_and_several_add_up() -> None:
    kind = quota_kind({"target_refs": "spec.targetRef"})
    alone = quota(targetRef={"group": GROUP, "kind": "HTTPRoute", "name": "r"})
    assert on(limits_of([kind], route("r", "one"), alone)) == ["env/HTTPRoute/ml/r#rule=one"]
    both = [{"group": GROUP, "kind": "HTTPRoute", "name": name} for name in ("r", "s")]
    limits = limits_of([TARGETS], route("r", "one"), route("s", "two"), quota(targetRefs=both))
    assert on(limits) == ["env/HTTPRoute/ml/r#rule=one", "env/HTTPRoute/ml/s#rule=two"]


def test_a_policy_of_a_users_own_kind_targets_a_route_of_a_users_own_kind() -> None:
    paths = [{"name": "main", "to": [{"service": "a", "share": 1}]}, {"to": [{"service": "b", "share": 1}]}]
    split = {"kind": "Split", "metadata": {"name": "chat", "namespace": "ml", "uid": "s"}, "spec": {"paths": paths}}
    target = {"group": EDGE, "kind": "Split", "name": "chat"}
    limits = limits_of([TARGETS, split_kind()], split, quota(targetRefs=[target]))
    assert on(limits) == ["env/Split/ml/chat#rule=main", "env/Split/ml/chat#rule=1"]


def test_an_annotation_names_limits_of_its_own_namespace_and_of_none() -> None:
    native = route("r", "one")
    native["metadata"]["annotations"] = {"edge.example.com/quotas": "q, wide , gone"}
    kind = quota_kind({"annotation": "edge.example.com/quotas"})
    limits = limits_of([kind], native, quota(), quota("q", "other"))
    assert [(str(one.ref), on([one])) for one in limits] == [
        ("env/Quota/ml/q", ["env/HTTPRoute/ml/r#rule=one"]),
        ("env/Quota/other/q", []),
    ]
    wide = quota_kind({"annotation": "edge.example.com/quotas"}, scope="cluster")
    (limit,) = limits_of([wide], native, quota("wide", ""))
    assert str(limit.ref) == "env/Quota/-/wide", "what is in no namespace has the scope -"
    assert on([limit]) == ["env/HTTPRoute/ml/r#rule=one"]


def test_a_filter_of_a_rule_names_a_limit() -> None:
    extension = {"type": "ExtensionRef", "extensionRef": {"group": EDGE, "kind": "Quota", "name": "q"}}
    limits = limits_of([quota_kind({"from_routes": True})], route("r", "one", filters=[extension]), quota())
    assert on(limits) == ["env/HTTPRoute/ml/r#rule=one"]
    assert limits[0].bindings[0].location == "spec.rules[0].filters[0]"


@pytest.mark.parametrize("controller", ["example.com/other", "traefik.io/gateway-controller"])
def test_a_limit_that_nothing_uses_says_so_whoever_serves_the_cluster(controller: str) -> None:
    (limit,) = limits_of([TARGETS], route("r", "one"), quota(), controller=controller)
    assert limit.bindings == () and limit.notes[-1] == "nothing that we can see uses it"


def test_kinds_of_one_name_are_told_apart_by_their_group() -> None:
    store = ObjectStore()
    for group in ("a.example.com", "b.example.com"):
        store.put(GroupKind(group, "Gateway"), SimpleNamespace(metadata=SimpleNamespace(namespace="ml", name=group)))
    assert [one.metadata.name for one in store.of(GroupKind("b.example.com", "Gateway"))] == ["b.example.com"]
