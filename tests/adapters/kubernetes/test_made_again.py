"""An object that was deleted and made again on a real API server is another object to an undo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kube_servers
from kube_servers import Servers

from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.writer import KubernetesWriter
from control.deck.config import DeckConfig, GuardConfig
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import SharesEdit
from control.planning.options import ApplyOptions
from control.planning.plan import ResultOutcome, Verdict

API = "gateway.networking.k8s.io/v1"
PATH = f"/apis/{API}/namespaces/inference/httproutes/again"
REF = Ref.parse("bed/HTTPRoute/inference/again#rule=0")


def route(first: int, second: int) -> dict[str, Any]:
    backends = [{"name": n, "port": 80, "weight": w} for n, w in (("v1", first), ("v2", second))]
    rules = [{"backendRefs": backends}]
    metadata = {"name": "again", "namespace": "inference"}
    return {
        "apiVersion": API,
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": {"rules": rules},
    }


def weights(kube: Servers) -> list[int]:
    return [one["weight"] for one in kube.call("GET", PATH)["spec"]["rules"][0]["backendRefs"]]


async def test_an_undo_leaves_what_was_made_again(
    kube: Servers, reader_of: Callable[..., KubernetesReader], tmp_path: Path
) -> None:
    kube.put(API, "httproutes", route(9, 1))
    reader = reader_of(kube_servers.ADMIN, replicas=0, guards=GuardConfig(cool_down_seconds=0))
    deck = DeckConfig(tmp_path / "deck.yaml", (reader.config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(deck, {"bed": reader}, lambda _config, _made: KubernetesWriter(reader), "me@here")
    first = await plane.apply(await plane.plan([SharesEdit(REF, (("v1", 5), ("v2", 5)))]))
    assert first.change is not None and weights(kube) == [5, 5]
    assert (await plane.undo_plan(first.change)).verdict is not Verdict.REFUSE
    kube.call("DELETE", PATH)
    kube.put(API, "httproutes", route(5, 5))
    plan = await plane.undo_plan(first.change)
    assert [guard.name for guard in plan.steps[0].guards if guard.verdict is Verdict.REFUSE] == ["recreated"]
    assert (await plane.apply(plan)).outcome is ResultOutcome.REFUSED and weights(kube) == [5, 5]
    over = await plane.undo_plan(first.change, overrides=("recreated",))
    done = await plane.apply(over, ApplyOptions(overrides=("recreated",), wait="loaded", timeout_seconds=2.0))
    assert done.outcome is not ResultOutcome.REFUSED and weights(kube) == [9, 1]
    kube.call("DELETE", PATH)
