"""Small worlds for the tests of how a change is made: a deck, fake platforms and a control plane over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_adapter import FakeReader, FakeWriter, Faults, Native, Store, limit, route

from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from adapters.ssh.section import SECTION as SSH
from adapters.ssh.section import SshConfig
from control.deck.config import DeckConfig, EnvironmentConfig, GuardConfig
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import LimitEdit, Share, SharesEdit
from control.structs import replace

A = Ref.parse("k8s/HTTPRoute/inference/llama")
B = Ref.parse("k8s/HTTPRoute/inference/mistral")
RATE = Ref.parse("k8s/Middleware/inference/rate")
VM = Ref.parse("vm/NginxUpstream/*/llama")


def native() -> dict[str, Native]:
    return {
        "k8s": {
            "k8s/HTTPRoute/inference/llama": {"version": 1, "routes": {str(A): route(a=90, b=10)}},
            "k8s/HTTPRoute/inference/mistral": {"version": 1, "routes": {str(B): route(x=50, y=50)}},
            "k8s/Middleware/inference/rate": {"version": 1, "limits": {str(RATE): limit("100", on=str(A))}},
        },
        "vm": {
            f"vm/file/h{n}/llama.conf": {"version": 1, "routes": {f"vm/NginxUpstream/h{n}/llama": route(u=1, v=1)}}
            for n in (1, 2, 3)
        },
    }


def environments(**of: Any) -> tuple[EnvironmentConfig, ...]:
    guards = GuardConfig(cool_down_seconds=0)
    return (
        EnvironmentConfig("k8s", settings=KubernetesConfig(), section=KUBERNETES, guards=guards, **of),
        EnvironmentConfig("vm", settings=SshConfig(("h1", "h2", "h3")), section=SSH, guards=guards),
    )


@dataclass
class World:
    deck: DeckConfig
    readers: dict[str, FakeReader]
    plane: ControlPlane

    def store(self, name: str = "k8s") -> Store:
        return self.readers[name].store

    def faults(self, name: str = "k8s") -> Faults:
        return self.readers[name].faults

    def weights(self, ref: Ref = A) -> dict[str, Any]:
        for one in self.store(ref.environment).get().values():
            if str(ref) in one.get("routes", {}):
                return {name: target["weight"] for name, target in one["routes"][str(ref)].items()}
        raise AssertionError(f"no {ref}")


def world(folder: Path, deck: DeckConfig | None = None, state: dict[str, Native] | None = None, **of: Any) -> World:
    """A world with its journal (and, where `state` is None and files are there, its platforms) in `folder`."""
    deck = deck or DeckConfig(folder / "deck.yaml", environments(**of))
    deck = replace(deck, journal=folder / "journal.db")
    natives = native() if state is None else state
    readers = {e.name: FakeReader(e, Store(natives[e.name])) for e in deck.environments}
    return World(deck, readers, plane_over(deck, readers))


def file_world(folder: Path, fill: bool) -> World:
    """A world whose platforms are files, for several processes."""
    deck = DeckConfig(folder / "deck.yaml", environments(), journal=folder / "journal.db")
    natives = native()
    readers = {
        e.name: FakeReader(e, Store(natives[e.name] if fill else None, folder / f"{e.name}.json"))
        for e in deck.environments
    }
    return World(deck, readers, plane_over(deck, readers))


def plane_over(deck: DeckConfig, readers: dict[str, FakeReader], actor: str = "me@here") -> ControlPlane:
    return ControlPlane(deck, readers, lambda config, reader: FakeWriter(readers[config.name]), actor)


def shares(ref: Ref, **weights: int) -> SharesEdit:
    return SharesEdit(ref, tuple(weights.items()))


def percentages(ref: Ref, **percents: int) -> SharesEdit:
    from fractions import Fraction

    return SharesEdit(ref, tuple((name, Share(Fraction(p, 100))) for name, p in percents.items()))


def amount(ref: Ref, value: int) -> LimitEdit:
    from fractions import Fraction

    return LimitEdit(ref, amount=Fraction(value))
