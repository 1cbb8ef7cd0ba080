"""The same requests to a real kube-apiserver and to the one in memory: what one refuses, the other refuses."""

from __future__ import annotations

import copy
import json
import urllib.error
import uuid
from fractions import Fraction
from typing import Any

import httpx
import pytest
import yaml
from kube_servers import DECK, Servers
from natives import GATEWAY_API, NAMESPACE, TRAEFIK_API, httproute, service, traefik
from preparing import prepared

from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.memory.server import PLURALS, MemoryApi, MemoryTransport, key_of
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import KubernetesConfig
from adapters.kubernetes.writer import KubernetesWriter
from control.deck.config import EnvironmentConfig
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.planning.fields import reverse

PATCH = "application/json-patch+json"
MATCH = "Host(`a.example`) && PathPrefix(`/v1`)"
INGRESS = traefik(
    "IngressRoute", "x", {"routes": [{"kind": "Rule", "match": MATCH, "services": [service("v1", 1), service("v2")]}]}
)
SPLIT = traefik("TraefikService", "x", {"weighted": {"services": [service("v1", 3), service("v2")]}})
RATE = traefik("Middleware", "x", {"rateLimit": {"average": 5, "period": "1m"}})
FLIGHT = traefik("Middleware", "x", {"inFlightReq": {"amount": 5}})
ROUTE = httproute("x", "a.test", {"v1": 9, "v2": 1})
REF = "/spec/rules/0/backendRefs/0/weight"
ONE = "/spec/routes/0/services/0/weight"
TWO = "/spec/routes/0/services/1/weight"
MEMBER = "/spec/weighted/services/0/weight"


def op(name: str, path: str, value: Any = ...) -> dict[str, Any]:
    return {"op": name, "path": path, **({} if value is ... else {"value": value})}


CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("free text that the server escapes", INGRESS, [op("test", "/spec/routes/0/match", MATCH)]),
    ("free text in an object", INGRESS, [op("test", "/spec/routes/0", {**INGRESS["spec"]["routes"][0]})]),
    ("plain text", INGRESS, [op("test", "/spec/routes/0/services/0/name", "v1")]),
    ("another text", INGRESS, [op("test", "/spec/routes/0/services/0/name", "v2")]),
    ("a number", INGRESS, [op("test", ONE, 1)]),
    ("a float for a number", INGRESS, [op("test", ONE, 1.0)]),
    ("a text for a number", INGRESS, [op("test", ONE, "1")]),
    ("true for 1", INGRESS, [op("test", ONE, True)]),
    ("null for what is absent", INGRESS, [op("test", TWO, None)]),
    ("a number for what is absent", INGRESS, [op("test", TWO, 1)]),
    ("a place that is not there", INGRESS, [op("test", "/spec/nothing/at/all", None)]),
    ("another generation", INGRESS, [op("test", "/metadata/generation", 99)]),
    ("another uid", INGRESS, [op("test", "/metadata/uid", "x")]),
    ("a weight", INGRESS, [op("add", ONE, 7)]),
    ("the same weight", INGRESS, [op("add", ONE, 1)]),
    ("a weight as text", INGRESS, [op("add", ONE, "7")]),
    ("half a weight", INGRESS, [op("add", ONE, 2.5)]),
    ("a whole weight written as a float", INGRESS, [op("add", ONE, 2.0)]),
    ("a weight below nothing", INGRESS, [op("add", ONE, -1)]),
    ("a weight of null", INGRESS, [op("add", ONE, None)]),
    ("a weight of true", INGRESS, [op("add", ONE, True)]),
    ("a member that nobody knows", INGRESS, [op("add", "/spec/routes/0/services/0/wait", 1)]),
    ("a service that is not there", INGRESS, [op("add", "/spec/routes/0/services/9/weight", 1)]),
    ("one more service", INGRESS, [op("add", "/spec/routes/0/services/-", service("v3"))]),
    ("a service far behind the end", INGRESS, [op("add", "/spec/routes/0/services/5", service("v3"))]),
    ("replacing what is absent", INGRESS, [op("replace", TWO, 3)]),
    ("removing what is absent", INGRESS, [op("remove", TWO)]),
    ("an operation that nobody knows", INGRESS, [op("frob", "/spec")]),
    ("no operation", INGRESS, []),
    ("no list", INGRESS, {"op": "add"}),
    ("another name", INGRESS, [op("add", "/metadata/name", "zz")]),
    ("a generation of one's own", INGRESS, [op("add", "/metadata/generation", 99)]),
    ("a label", INGRESS, [op("add", "/metadata/labels", {"a": "b"})]),
    ("half of it", INGRESS, [op("add", ONE, 7), op("test", TWO, 7)]),
    ("a member's weight", SPLIT, [op("add", MEMBER, 0)]),
    ("a member's weight below nothing", SPLIT, [op("add", MEMBER, -3)]),
    ("a backend's weight", ROUTE, [op("add", REF, 1_000_000)]),
    ("a backend's weight above all", ROUTE, [op("add", REF, 1_000_001)]),
    ("a backend's weight of null", ROUTE, [op("add", REF, None)]),
    ("a backend's weight taken away", ROUTE, [op("remove", REF)]),
    ("an average", RATE, [op("add", "/spec/rateLimit/average", 7)]),
    ("an average below nothing", RATE, [op("add", "/spec/rateLimit/average", -7)]),
    ("an average as text", RATE, [op("add", "/spec/rateLimit/average", "7")]),
    ("an average of null", RATE, [op("add", "/spec/rateLimit/average", None)]),
    ("a period", RATE, [op("add", "/spec/rateLimit/period", 60)]),
    ("a period that is no duration", RATE, [op("add", "/spec/rateLimit/period", "ten")]),
    ("half a period", RATE, [op("add", "/spec/rateLimit/period", 0.5)]),
    ("a period of true", RATE, [op("add", "/spec/rateLimit/period", True)]),
    ("an amount below nothing", FLIGHT, [op("add", "/spec/inFlightReq/amount", -1)]),
    ("an amount that nobody knows", FLIGHT, [op("add", "/spec/inFlightReq/average", 1)]),
]
Answer = tuple[int, Any]


def real(kube: Servers, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
    try:
        return 200, kube.call(method, path, body, kind)
    except urllib.error.HTTPError as error:
        return error.code, told(error.read())


def told(body: bytes) -> Any:
    """An answer's JSON, or its text where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


async def memory(api: MemoryApi, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
    async with httpx.AsyncClient(transport=MemoryTransport(api), base_url="https://memory.invalid") as client:
        content = None if body is None else json.dumps(body)
        answer = await client.request(method, path, content=content, headers={"Content-Type": kind})
        return answer.status_code, told(answer.content)


def meaning(answer: Answer) -> Any:
    """What an answer means: the object without its machinery, or why it was refused."""
    code, body = answer
    if code >= 400:
        details = body.get("details") or {}
        fields = {cause["field"] for cause in details.get("causes", ()) if cause["field"] != "<nil>"}
        return code, body["reason"], fields
    metadata = body["metadata"]
    kept = ("name", "namespace", "uid", "generation", "labels")
    return code, body["spec"], {field: metadata[field] for field in kept if field in metadata}


@pytest.fixture
def place(kube: Servers) -> Any:
    """Puts an object under a name of its own into the real server: where it is, and how the server holds it."""

    def put(native: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        named = copy.deepcopy(native)
        named["metadata"]["name"] = "m-" + uuid.uuid4().hex[:8]
        plural = PLURALS[named["kind"]]
        held = kube.put(named["apiVersion"], plural, named)
        return f"/apis/{named['apiVersion']}/namespaces/{NAMESPACE}/{plural}/{named['metadata']['name']}", held

    return put


@pytest.mark.parametrize(("name", "native", "ops"), CASES, ids=[name for name, _, _ in CASES])
async def test_a_patch_means_the_same_to_both(kube: Servers, place: Any, name: str, native: Any, ops: Any) -> None:
    path, held = place(native)
    api = MemoryApi([copy.deepcopy(held)])
    query = f"{path}?fieldManager=somebody&fieldValidation=Strict"
    theirs, ours = real(kube, "PATCH", query, ops, PATCH), await memory(api, "PATCH", query, ops, PATCH)
    assert meaning(ours) == meaning(theirs)
    after, kept = real(kube, "GET", path)[1], api.objects[key_of(held)]
    if after.get("status") == held.get("status"):  # else a controller wrote its status meanwhile, which moves it too
        moved = held["metadata"]["resourceVersion"]
        assert (kept["metadata"]["resourceVersion"] != moved) == (after["metadata"]["resourceVersion"] != moved)
    assert meaning((200, kept)) == meaning((200, after)), "what a refused patch leaves is what was there"


@pytest.mark.parametrize("path", ["/apis/traefik.io/v1alpha1/frobs", "/apis/{}/namespaces/nowhere/ingressroutes/x"])
async def test_what_is_not_there_is_not_there_for_both(kube: Servers, place: Any, path: str) -> None:
    _, held = place(INGRESS)
    path = path.format(TRAEFIK_API)
    api = MemoryApi([copy.deepcopy(held)])
    theirs, ours = real(kube, "GET", path), await memory(api, "GET", path)
    assert ours[0] == theirs[0] == 404
    assert _message(ours[1]) == _message(theirs[1])


def _message(body: Any) -> str:
    return str(body["message"] if isinstance(body, dict) else body)


async def test_the_wrong_kind_of_patch_is_refused_by_both(kube: Servers, place: Any) -> None:
    path, held = place(INGRESS)
    api = MemoryApi([copy.deepcopy(held)])
    theirs, ours = real(kube, "PATCH", path, [], "text/plain"), await memory(api, "PATCH", path, [], "text/plain")
    assert meaning(ours) == meaning(theirs)


async def test_pages_of_a_list_go_on_where_the_last_one_ended(kube: Servers, place: Any) -> None:
    objects = [place(RATE)[1] for _ in range(3)]
    api = MemoryApi(copy.deepcopy(objects))
    root = f"/apis/{TRAEFIK_API}/namespaces/{NAMESPACE}/middlewares"
    listed = real(kube, "GET", root)[1]["items"]
    found: list[str] = []
    following = ""
    for _ in range(3):
        body = (await memory(api, "GET", f"{root}?limit=1&continue={following or 0}"))[1]
        found += [one["metadata"]["name"] for one in body["items"]]
        following = body["metadata"].get("continue", "")
    ours = {one["metadata"]["name"] for one in objects}
    assert found == [one["metadata"]["name"] for one in listed if one["metadata"]["name"] in ours]
    assert following == ""


async def test_a_status_without_parents_is_refused_or_read_as_none(kube: Servers, place: Any) -> None:
    path, held = place(ROUTE)
    code, body = real(kube, "PATCH", f"{path}/status", {"status": {"parents": None}}, "application/merge-patch+json")
    assert (code, body["reason"]) == (422, "Invalid"), "a server never holds it"
    held["status"] = {"parents": None}  # an object of a file, or of a server that checks less
    api = MemoryApi([copy.deepcopy(held)])
    code, after = await memory(api, "PATCH", path, [op("add", REF, 5)], PATCH)
    assert (code, after["metadata"]["generation"]) == (200, 2)


@pytest.mark.parametrize("match", [MATCH, "PathRegexp(`^/<a>/`)", "Header(`X`, `a\u2028b\u2029`)"])
async def test_an_ingress_route_is_edited_whatever_its_match_says(kube: Servers, place: Any, match: str) -> None:
    native = copy.deepcopy(INGRESS)
    native["spec"]["routes"][0]["match"] = match
    _, held = place(native)
    name = held["metadata"]["name"]
    for reader in (_of_memory(held), _of_server(kube)):
        ref = Ref(reader.name, "IngressRoute", NAMESPACE, name, "rule=0")
        (step,) = await prepared(reader, [Change(ref, target_field("v1", "weight"), 1, 4)])
        writer = KubernetesWriter(reader)
        assert (await writer.write(step)).said == "generation 2"
        (route,) = (await reader.fetch([str(ref.whole)]))[0].routes
        assert [target.weight for target in route.targets] == [4, 1]
        await writer.close()
        await reader.close()


async def test_a_period_of_free_text_is_edited_too(kube: Servers, place: Any) -> None:
    native = copy.deepcopy(RATE)
    native["spec"]["rateLimit"]["sourceCriterion"] = {"requestHeaderName": "X-<&>"}
    _, held = place(native)
    reader = _of_server(kube)
    ref = Ref(reader.name, "Middleware", NAMESPACE, held["metadata"]["name"])
    (step,) = await prepared(reader, [Change(ref, "window", 60, 30), Change(ref, "amount", 5, 6)])
    writer = KubernetesWriter(reader)
    assert (await writer.write(step)).said == "generation 2"
    (limit,) = (await reader.fetch([str(ref)]))[0].limits
    assert (limit.amount, limit.window and limit.window.seconds) == (6, 30)
    await writer.close()
    await reader.close()


@pytest.mark.parametrize(
    ("native", "fields"),
    [
        (INGRESS, [("targets/v2/weight", 1, 7)]),
        (SPLIT, [("targets/v2/weight", 1, 7)]),
        (RATE, [("burst", None, 9), ("window", Fraction(60), Fraction(90)), ("amount", Fraction(5), Fraction(6))]),
    ],
    ids=lambda one: one.get("kind") if isinstance(one, dict) else "",
)
async def test_an_undo_makes_absent_again_what_was_absent(
    kube: Servers, place: Any, native: dict[str, Any], fields: list[tuple[str, Any, Any]]
) -> None:
    _, held = place(native)
    part = "rule=0" if native["kind"] == "IngressRoute" else None
    for reader in (_of_memory(held), _of_server(kube)):
        ref = Ref(reader.name, native["kind"], NAMESPACE, held["metadata"]["name"], part)
        writer = KubernetesWriter(reader)
        (step,) = await prepared(reader, [Change(ref, *field) for field in fields])
        await writer.write(step)
        (back,) = await prepared(reader, [reverse(change, change.after) for change in step.changes])
        await writer.write(back)
        after = yaml.safe_load((await reader.native(ref)).text)
        assert after["spec"] == held["spec"], "not a member more than before"
        assert after["metadata"]["generation"] == 3
        await writer.close()
        await reader.close()


def _of_memory(held: dict[str, Any]) -> KubernetesReader:
    api = MemoryApi([copy.deepcopy(held)])

    async def opened() -> httpx.AsyncBaseTransport:
        return MemoryTransport(api)

    async def headers(renew: bool) -> list[tuple[str, str]]:
        return []

    return KubernetesReader(
        EnvironmentConfig("m", settings=KubernetesConfig()),
        Connection("https://m.invalid", opened, headers, what="memory"),
    )


def _of_server(kube: Servers) -> KubernetesReader:
    section = KubernetesConfig(context="bed", kubeconfig=str(kube.kubeconfig(DECK)))
    return KubernetesReader(EnvironmentConfig(name="bed", settings=section))


def test_the_kinds_that_both_hold_have_the_same_groups() -> None:
    assert {INGRESS["apiVersion"], ROUTE["apiVersion"]} == {TRAEFIK_API, GATEWAY_API}
