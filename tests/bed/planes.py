"""Planes beyond the core, by name: what the bed starts for them with `--with`, and who checks them.

A bed part is a folder of `tests/bed/objects`: definitions of kinds, and the objects of a cluster. Planes whose servers
the bed cannot start yet are named too, so that asking for them says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bed import build
from tests.bed.errors import BedError

CHOSEN = "TRAFFICDECK_PLANES"
"""The environment variable that names the planes of a test run, with spaces between."""
OBJECTS = Path(__file__).parent / "objects"


@dataclass(frozen=True, slots=True)
class Plane:
    """`objects`: its folder of definitions and objects; `own_kinds`: the manual's kinds go into the deck file."""

    about: str
    objects: str
    own_kinds: bool = False
    modules: tuple[tuple[str, str], ...] = ()
    """(Go module, pattern of its files) that hold further definitions."""


PLANES = {
    "crds": Plane(
        "kinds in an API server without a controller: GRPCRoute, Istio's VirtualService, those of a user's own",
        "crds",
        own_kinds=True,
        modules=(("istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"),),
    ),
}
NOT_THERE = {
    name: f"the bed has no part for {what} yet"
    for name, what in {
        "envoy-gateway": "Envoy Gateway",
        "istio": "istiod and its Envoys",
        "rollouts": "Argo Rollouts",
        "flux": "Flux",
    }.items()
}


def chosen() -> tuple[str, ...]:
    """The planes of this test run; none for the core."""
    return tuple(os.environ.get(CHOSEN, "").split())


def known(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each of which the bed can start. Raises `BedError` for others."""
    for name in names:
        if name not in PLANES:
            raise BedError(NOT_THERE.get(name) or f"there is no plane '{name}'; there are {', '.join(PLANES)}")
    return tuple(names)


def definitions(names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The CRDs that these planes bring."""
    for name in names:
        yield from _documents(PLANES[name], "definitions")
        for module, pattern in PLANES[name].modules:
            for path in sorted(build.module_folder(module).glob(pattern)):
                yield from filter(None, yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def objects(names: Iterable[str], cluster: str) -> Iterator[dict[str, Any]]:
    """What these planes have in a cluster."""
    for name in names:
        yield from _documents(PLANES[name], cluster)


def _documents(plane: Plane, name: str) -> Iterator[dict[str, Any]]:
    path = OBJECTS / plane.objects / f"{name}.yaml"
    if path.exists():
        yield from (document for document in yaml.safe_load_all(path.read_text()) if document)
