"""How often one edit reads the object that it edits, by the API server's own audit log; what guards read besides is
counted apart."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from kube_servers import Servers
from natives import GATEWAY_API, httproute

from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.writer import KubernetesWriter
from control.deck.config import DeckConfig, EnvironmentConfig
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import SharesEdit
from control.planning.options import ApplyOptions
from control.planning.plan import ResultOutcome
from control.ports import ProofState, Reader, Writer


class Counted:
    """What was asked since the last look: of the one object, and besides."""

    def __init__(self, kube: Servers, name: str) -> None:
        self._kube = kube
        self._name = name
        self._seen = 0

    async def take(self) -> tuple[list[str], list[str]]:
        """(verbs on the object, in their order; verbs and resources of all else)."""
        await asyncio.sleep(0.3)  # the log is written behind the answer
        events = self._kube.asked_by("deck")
        new, self._seen = events[self._seen :], len(events)
        own: list[str] = []
        besides: list[str] = []
        for event in new:
            what = event.get("objectRef") or {}
            if what.get("resource") == "httproutes" and what.get("name") == self._name:
                own.append(event["verb"])
            else:
                besides.append(f"{event['verb']} {what.get('resource', event['requestURI'])}")
        return own, besides


@pytest.fixture
async def plane(
    kube: Servers, reader_of: Callable[..., KubernetesReader], tmp_path: Path
) -> AsyncIterator[ControlPlane]:
    reader = reader_of()

    def writer(config: EnvironmentConfig, reader: Reader) -> Writer:
        assert isinstance(reader, KubernetesReader)
        return KubernetesWriter(reader)

    deck = DeckConfig(None, (reader.config,), journal=tmp_path / "journal.db")
    made = ControlPlane(deck, {"bed": reader}, writer, "me")
    yield made
    await made.close()


async def test_the_edited_object_is_read_once_to_plan_and_once_before_the_write_and_not_after(
    kube: Servers, plane: ControlPlane
) -> None:
    name = "t-" + uuid.uuid4().hex[:8]
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    counted = Counted(kube, name)
    await plane.refresh()
    route = Ref.parse(f"bed/HTTPRoute/inference/{name}#rule=main")
    _, listed = await counted.take()
    assert "list httproutes" in listed
    for weight in (70, 90):
        plan = await plane.plan([SharesEdit(route, (("v1", weight), ("v2", 100 - weight)))])
        own, besides = await counted.take()
        assert own == ["get"]
        assert set(besides) <= {"create selfsubjectaccessreviews"}, "in an open deck guards need nothing more"
        result = await plane.apply(plan, ApplyOptions(timeout_seconds=15))
        own, besides = await counted.take()
        assert own == ["get", "patch"], "the answer to the patch is the reading back"
        assert besides == [], "our rights are known for a minute"
        assert result.outcome is ResultOutcome.APPLIED
        proof = result.steps[0].proof
        assert proof is not None and (proof.accepted.state, proof.loaded.state) == (ProofState.YES, ProofState.YES)


async def test_a_fresh_process_lists_what_guards_need_once_and_reads_the_object_once(
    kube: Servers, plane: ControlPlane
) -> None:
    name = "t-" + uuid.uuid4().hex[:8]
    kube.put(GATEWAY_API, "httproutes", httproute(name, f"{name}.test", {"v1": 90, "v2": 10}))
    counted = Counted(kube, name)
    await counted.take()
    route = Ref.parse(f"bed/HTTPRoute/inference/{name}#rule=main")
    await plane.plan([SharesEdit(route, (("v1", 60), ("v2", 40)))])
    own, besides = await counted.take()
    assert own == ["get"]
    rows = ("httproutes", "ingressroutes", "traefikservices", "middlewares")
    assert [besides.count(f"list {plural}") for plural in rows] == [1] * len(rows), besides
