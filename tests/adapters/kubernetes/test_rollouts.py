"""Routes that Argo Rollouts drives, by every way in which its Gateway API plugin selects them."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from natives import httproute

from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.kinds.table import CODECS
from adapters.kubernetes.memory.server import MemoryApi, MemoryTransport
from adapters.kubernetes.owners.owners import Sources, owners_of
from adapters.kubernetes.owners.rollouts import IN_PROGRESS, Rollout, driven_by
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import KubernetesConfig
from control.deck.config import EnvironmentConfig
from control.model import OwnerRole

PLUGIN = "argoproj-labs/gatewayAPI"
LABELS = {"app": "chat", "tier": "front"}


def rollout(at: str = "inference", /, **plugin: Any) -> dict[str, Any]:
    routing = {"plugins": {PLUGIN: plugin, "example/other": ["of", "another", "shape"]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "canary", "namespace": at, "uid": "r", "resourceVersion": "1"},
        "spec": {"strategy": {"canary": {"trafficRouting": routing}}},
    }


def decoded(native: dict[str, Any]) -> Rollout:
    return msgspec.json.decode(msgspec.json.encode(native), type=Rollout)


def owners(native: dict[str, Any], kind: str = "HTTPRoute", labels: Any = LABELS) -> list[str]:
    """Who drives the HTTPRoute inference/llama."""
    sources = Sources(driven=driven_by([decoded(native)]))
    metadata = Metadata(name="llama", namespace="inference", uid="u", labels=labels)
    return [owner.name for owner in owners_of(metadata, CODECS[kind].resource, sources)]


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": [*values]} if values else {})}]}


@pytest.mark.parametrize(
    "plugin",
    [
        {"httpRoute": "llama"},
        {"httpRoutes": [{"name": "other"}, {"name": "llama", "useHeaderRoutes": True}]},
        {"httpRouteSelector": {"matchLabels": {"app": "chat"}}},
        {"httpRouteSelector": {"matchLabels": LABELS, **expression("tier", "In", "back", "front")}},
        {"httpRouteSelector": expression("tier", "NotIn", "back")},
        {"httpRouteSelector": expression("colour", "NotIn", "blue")},
        {"httpRouteSelector": expression("app", "Exists")},
        {"httpRouteSelector": expression("colour", "DoesNotExist")},
        {"httpRouteSelector": {}},
        {"httpRoute": "other", "httpRouteSelector": {"matchLabels": {"tier": "front"}}},
        {"httpRoute": "llama", "httpRoutes": [{"name": "llama"}], "httpRouteSelector": {}},
        {"httpRoute": None, "namespace": None, "httpRoutes": [{"name": "llama"}]},
    ],
)
def test_every_way_to_select_a_route(plugin: dict[str, Any]) -> None:
    assert owners(rollout(**plugin)) == ["Rollout inference/canary"], "once, however often it is selected"


@pytest.mark.parametrize(
    "plugin",
    [
        {"httpRoute": "other"},
        {"grpcRoute": "llama"},
        {"grpcRouteSelector": {}},
        {"httpRouteSelector": {"matchLabels": {"app": "embed"}}},
        {"httpRouteSelector": {"matchLabels": {"app": "chat", "colour": "blue"}}},
        {"httpRouteSelector": expression("tier", "In", "back")},
        {"httpRouteSelector": expression("tier", "NotIn", "front")},
        {"httpRouteSelector": expression("colour", "Exists")},
        {"httpRouteSelector": expression("app", "DoesNotExist")},
        {"httpRouteSelector": expression("app", "Matches", "chat")},
        {"httpRouteSelector": {}, "namespace": "elsewhere"},
        {"httpRoute": None},
    ],
)
def test_what_is_not_selected_is_not_driven(plugin: dict[str, Any]) -> None:
    assert owners(rollout(**plugin)) == []


def test_a_rollout_of_another_namespace_is_named_by_its_own() -> None:
    selector = {"matchLabels": {"app": "chat"}}
    assert owners(rollout("apps", namespace="inference", httpRouteSelector=selector)) == ["Rollout apps/canary"]
    assert owners(rollout("apps", httpRouteSelector=selector)) == []
    assert owners(rollout("inference", httpRouteSelector={}), labels=None) == ["Rollout inference/canary"]
    assert owners(rollout("inference", httpRouteSelector={}), kind="TraefikService") == []


def test_two_rollouts_on_one_route_are_both_told() -> None:
    one, two = rollout(httpRoute="llama"), rollout("apps", httpRoute="llama", namespace="inference")
    sources = Sources(driven=driven_by([decoded(native) for native in (one, two)]))
    metadata = Metadata(name="llama", namespace="inference")
    found = owners_of(metadata, CODECS["HTTPRoute"].resource, sources)
    assert [owner.name for owner in found] == ["Rollout inference/canary", "Rollout apps/canary"]
    assert {owner.role for owner in found} == {OwnerRole.DRIVER}


def test_a_canary_under_way_is_seen_where_no_rollout_can_be_read() -> None:
    metadata = Metadata(name="llama", namespace="inference", labels={IN_PROGRESS: "in-progress"})
    (owner,) = owners_of(metadata, CODECS["HTTPRoute"].resource)
    assert (owner.kind, owner.role) == ("argo-rollouts", OwnerRole.DRIVER)


async def test_a_selected_route_is_read_with_its_owner() -> None:
    native = httproute("llama", "llama.test", {"v1": 90, "v2": 10})
    native["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1", "labels": LABELS}
    api = MemoryApi([native, rollout(httpRouteSelector={"matchLabels": {"app": "chat"}})])

    async def opened() -> httpx.AsyncBaseTransport:
        return MemoryTransport(api)

    async def headers(renew: bool) -> list[tuple[str, str]]:
        return []

    reader = KubernetesReader(
        EnvironmentConfig("m", settings=KubernetesConfig()),
        Connection("https://m.invalid", opened, headers, what="memory"),
    )
    (route,) = (await reader.read()).routes
    assert [owner.name for owner in route.owners] == ["Rollout inference/canary"]
    await reader.close()
