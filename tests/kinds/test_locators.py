"""Every place that a kind reads stands in the official definition of the kind."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.kubernetes.kinds.table import CODECS
from tests.bed import build
from tests.bed.errors import BedError

MODULES = ("sigs.k8s.io/gateway-api", "github.com/traefik/traefik/v3", "istio.io/api")
FOLDERS = ("config/crd", "docs/content/reference/dynamic-configuration", "kubernetes")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def schemas() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(group, kind) -> the schema of each version in each channel."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in files():
        if "CustomResourceDefinition" not in path.read_text():
            continue
        for one in yaml.load_all(path.read_text(), Loader=LOADER):
            spec = (
                one.get("spec", {}) if isinstance(one, dict) and one.get("kind") == "CustomResourceDefinition" else {}
            )
            for version in spec.get("versions", ()):
                key = spec["group"], spec["names"]["kind"]
                found.setdefault(key, []).append(version["schema"]["openAPIV3Schema"])
    return found


def files() -> Iterator[Path]:
    for module in MODULES:
        try:
            folder = build.module_folder(module)
        except (BedError, OSError):
            pytest.skip(f"the Go module {module} cannot be had")
        for inner in FOLDERS:
            yield from sorted((folder / inner).rglob("*.y*ml"))


def stands(schema: dict[str, Any], place: tuple[str, ...]) -> bool:
    if not place or schema.get("x-kubernetes-preserve-unknown-fields"):
        return True
    step, *rest = place
    if step == "[]":
        inner = schema.get("items")
    elif step == "{}":
        inner = schema.get("additionalProperties")
    else:
        inner = schema.get("properties", {}).get(step)
    return isinstance(inner, dict) and stands(inner, tuple(rest))


@pytest.mark.parametrize("kind", list(CODECS))
def test_what_is_read_is_in_the_definition(kind: str) -> None:
    codec = CODECS[kind]
    known = schemas()[codec.resource.group, kind]
    places = [place for place in codec.machine.shape.places() if place[0] != "metadata"]
    assert len(places) > 3
    missing = [place for place in places if not any(stands(schema, place) for schema in known)]
    assert not missing
