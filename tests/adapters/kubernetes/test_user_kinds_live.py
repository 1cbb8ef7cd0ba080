"""Kinds of a user's own on a real API server, with CRDs made for them: from a deck file, by the command line alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kube_servers
import pytest
from kube_servers import Servers

from tests.own_kinds import DECLARED

GROUP = "edge.example.com"
RBAC = "rbac.authorization.k8s.io/v1"
PLURALS = {"SplitRoute": "splitroutes", "KeyQuota": "keyquotas"}
INTEGER = {"type": "integer"}
TEXT = {"type": "string"}
BACKEND = {"type": "object", "properties": {"service": TEXT, "port": INTEGER, "share": INTEGER}}
PATH = {"type": "object", "properties": {"name": TEXT, "prefix": TEXT, "backends": {"type": "array", "items": BACKEND}}}
QUOTA = {"type": "object", "properties": {"key": TEXT, "count": INTEGER, "per": INTEGER}}
SPECS = {
    "SplitRoute": {"paths": {"type": "array", "items": PATH}},
    "KeyQuota": {
        "quotas": {"type": "array", "items": QUOTA},
        "targetRefs": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    },
}
Run = Callable[..., Any]


def definition(kind: str) -> dict[str, Any]:
    plural = PLURALS[kind]
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": {"type": "object", "properties": SPECS[kind]}, "status": status}
    version = {
        "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }  # fmt: skip
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }  # fmt: skip


def native(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name, "namespace": "inference"}, "spec": spec
    }  # fmt: skip


def split_route() -> dict[str, Any]:
    backends = [{"service": "v1", "port": 80, "share": 900}, {"service": "v2", "port": 80}]
    return native("SplitRoute", "chat", {"paths": [{"name": "main", "prefix": "/v1", "backends": backends}]})


def key_quota() -> dict[str, Any]:
    quotas = [{"key": "team-a", "count": 100, "per": 60}, {"key": "team-b", "count": 0, "per": 1}]
    refs = [{"group": GROUP, "kind": "SplitRoute", "name": "chat", "sectionName": "main"}]
    return native("KeyQuota", "tenants", {"quotas": quotas, "targetRefs": refs})


@pytest.fixture(scope="module")
def cluster(kube: Servers) -> Iterator[Servers]:
    """The cluster with the two CRDs, an object of each, and the right to read and patch them."""
    for kind in PLURALS:
        kube.put("apiextensions.k8s.io/v1", "customresourcedefinitions", definition(kind))
    for plural in PLURALS.values():
        kube_servers.wait_for(lambda plural=plural: kube_servers._served(kube, f"/apis/{GROUP}/v1/{plural}"), 20)
    rules = [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list", "watch", "patch"]}]
    role = {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": "own-kinds"}, "rules": rules}
    kube.put(RBAC, "clusterroles", role)
    binding = {
        "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": "own-kinds"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "own-kinds"},
        "subjects": [{"kind": "Group", "name": "deck", "apiGroup": "rbac.authorization.k8s.io"}],
    }  # fmt: skip
    kube.put(RBAC, "clusterrolebindings", binding)
    yield kube
    for plural in PLURALS.values():
        kube.call("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}")


@pytest.fixture
def held(cluster: Servers) -> Callable[[str], dict[str, Any]]:
    """Puts the objects as they begin; what the server holds of one's spec."""
    for one in (split_route(), key_quota()):
        cluster.put(f"{GROUP}/v1", PLURALS[one["kind"]], one)

    def spec(kind: str) -> dict[str, Any]:
        name = {"SplitRoute": "chat", "KeyQuota": "tenants"}[kind]
        path = f"/apis/{GROUP}/v1/namespaces/inference/{PLURALS[kind]}/{name}"
        found: dict[str, Any] = cluster.call("GET", path)["spec"]
        return found

    return spec


@pytest.fixture
def run(cluster: Servers, tmp_path: Path) -> Run:
    """Runs a command line on a deck file that declares the kinds of the manual; what it printed, as JSON."""
    deck = tmp_path / "deck.yaml"
    kubernetes = f"{{kubeconfig: {cluster.kubeconfig()}, context: bed, namespaces: [inference]}}"
    guards = "guards: {cool_down_seconds: 0, maximum_move: 100}\n"
    deck.write_text(f"environments:\n  - name: eu\n    kubernetes: {kubernetes}\n{guards}{DECLARED}")
    environment = {**os.environ, "TRAFFICDECK_STATE_DIR": str(tmp_path / "state")}

    def command(*words: str, code: int = 0) -> Any:
        line = [sys.executable, "-m", "tui", *words, "--deck", str(deck), "-o", "json"]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    return command


ROUTE = "eu/SplitRoute/inference/chat#rule=main"
LIMIT = "eu/KeyQuota/inference/tenants#limit=team-a"
Held = Callable[[str], dict[str, Any]]


def test_they_are_listed(run: Run, held: Held) -> None:
    [route] = [one for one in run("get", "routes", "kind:SplitRoute")["items"] if one["kind"] == "SplitRoute"]
    assert (route["ref"], route["matches"]) == (ROUTE, ["/v1"])
    assert [(t["name"], t["weight"], t["share"]) for t in route["targets"]] == [("v1", 900, "1"), ("v2", 0, "0")]
    assert route["editable"]["yes"] and route["limits"] == [LIMIT, LIMIT.replace("team-a", "team-b")]
    limits = {one["ref"]: one for one in run("get", "limits", "kind:KeyQuota")["items"]}
    assert (limits[LIMIT]["amount"], limits[LIMIT]["window"]["seconds"]) == ("100", "60")
    assert limits[LIMIT.replace("team-a", "team-b")]["amount"] == "blocked"
    assert [binding["on"] for binding in limits[LIMIT]["bindings"]] == [ROUTE]


def test_shares_are_set_and_undone_and_nothing_else_is_written(run: Run, held: Held, cluster: Servers) -> None:
    before = held("SplitRoute")
    plan = run("set", "shares", ROUTE, "v1=700", "v2=300", code=2)
    assert "share: 300" in plan["steps"][0]["diff"] and held("SplitRoute") == before
    done = run("set", "shares", ROUTE, "v1=700", "v2=300", "--apply", "--reason", "try")
    assert done["outcome"] in ("applied", "applied_unproven")
    after = split_route()["spec"]
    after["paths"][0]["backends"][0]["share"], after["paths"][0]["backends"][1]["share"] = 700, 300
    assert held("SplitRoute") == after
    assert run("undo", "--apply")["outcome"] in ("applied", "applied_unproven")
    assert held("SplitRoute") == before, "what was absent is absent again"
    writes = [one for one in cluster.writes_by("deck") if one["objectRef"].get("apiGroup") == GROUP]
    assert {(one["verb"], one["objectRef"].get("subresource")) for one in writes} == {("patch", None)}


def test_a_limit_is_set_and_undone(run: Run, held: Held) -> None:
    before = held("KeyQuota")
    assert run("set", "limit", LIMIT, "rate=50/10s", "--apply")["outcome"] in ("applied", "applied_unproven")
    assert held("KeyQuota")["quotas"] == [{"key": "team-a", "count": 50, "per": 10}, before["quotas"][1]]
    assert run("undo", "--apply")["outcome"] in ("applied", "applied_unproven")
    assert held("KeyQuota") == before


def test_its_conditions_are_its_proof_and_no_yes_of_a_data_plane(run: Run, held: Held, cluster: Servers) -> None:
    done = run("set", "shares", ROUTE, "v1=800", "v2=200", "--apply")
    loaded = done["steps"][0]["proof"]["loaded"]
    assert loaded["state"] != "yes"
    [route] = run("get", "routes", "kind:SplitRoute")["items"]
    assert route["status"]["state"] == "unknown" or route["status"]["state"] == "pending"
    path = f"/apis/{GROUP}/v1/namespaces/inference/splitroutes/chat"
    generation = cluster.call("GET", path)["metadata"]["generation"]
    failing = {"type": "Ready", "status": "False", "reason": "NoBackend", "observedGeneration": generation,
               "message": "no backend v2", "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip
    status = {"status": {"conditions": [failing]}}
    cluster.call("PATCH", f"{path}/status", status, "application/merge-patch+json")
    [route] = run("get", "routes", "kind:SplitRoute")["items"]
    assert route["status"]["state"] == "error" and "no backend v2" in route["status"]["detail"]


def test_a_share_that_cannot_be_held_and_a_base_that_moved_are_refused(
    run: Run, held: Held, cluster: Servers, tmp_path: Path
) -> None:
    refused = run("set", "shares", ROUTE, "v1=1001", code=1)
    assert refused["error"]["kind"] == "invalid_value"
    saved = tmp_path / "plan.json"
    run("set", "shares", ROUTE, "v1=600", "v2=400", "--out", str(saved), code=2)
    moved = split_route()
    moved["spec"]["paths"][0]["backends"][0]["share"] = 899
    cluster.put(f"{GROUP}/v1", "splitroutes", moved)
    assert run("apply", str(saved), code=3)["steps"][0]["reason"]["kind"] == "stale"
    assert held("SplitRoute") == moved["spec"]
