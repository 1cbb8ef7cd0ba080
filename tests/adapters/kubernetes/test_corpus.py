"""Shapes that public manifests have: every one of them is read for what it is, and edited in the one place it shows."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import kube_servers
import msgspec
import pytest
import yaml

from adapters.engine.frame import Read
from adapters.engine.operations import apply
from adapters.kubernetes.edited_text import edits_of
from adapters.kubernetes.kinds.table import CODECS
from adapters.kubernetes.shown import as_yaml, tidy
from control.errors import InvalidValue
from control.model import Limit, Mode, Route, Special
from control.model.ref import Ref
from control.planning.edit import Change, target_field

SHAPES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "fixtures/shapes.yaml").read_text())
MODULES = (kube_servers.GATEWAY_MODULE, kube_servers.TRAEFIK_MODULE)
GROUPS = ("gateway.networking.k8s.io", "traefik.io")


def stored(native: dict[str, Any]) -> dict[str, Any]:
    """As an API server holds it."""
    made = copy.deepcopy(native)
    metadata = made.get("metadata") or {}
    given = {"name": metadata.get("name", "x"), "namespace": metadata.get("namespace", "n")}
    made["metadata"] = {**metadata, **given, "uid": "u", "generation": 1, "resourceVersion": "1"}
    return made


def read(native: dict[str, Any]) -> Read:
    codec = CODECS[native["kind"]]
    return codec.read(msgspec.json.decode(msgspec.json.encode(native), type=codec.wire), "env", 0.0)


@pytest.mark.parametrize("shape", SHAPES, ids=[shape["what"] for shape in SHAPES])
def test_a_shape_means_what_it_says(shape: dict[str, Any]) -> None:
    found = read(stored(shape["object"]))
    routes = {route.ref.part or "": route for route in found.routes}
    assert len(routes) == len(found.routes), "two rules never share a ref"
    assert routes.keys() == shape.get("routes", {}).keys()
    for part, targets in shape.get("routes", {}).items():
        assert [target.name for target in routes[part].targets] == list(targets)
        for target in routes[part].targets:
            weight, share = targets[target.name]
            assert (target.weight, target.share) == (weight, None if share == "?" else Fraction(str(share)))
            assert bool(target.native) == (weight is None), "what is not understood stands as it is written"
        known = all(target.share is not None for target in routes[part].targets)
        assert known or not routes[part].editable.yes
    limits = [shape["limit"]] if "limit" in shape else []
    assert len(found.limits) == len(limits)
    for limit, expected in zip(found.limits, limits, strict=True):
        _is_as_expected(limit, expected)


def _is_as_expected(limit: Limit, expected: dict[str, Any]) -> None:
    if "native" in expected:
        assert (limit.amount, limit.mode, limit.editable.yes) == (None, Mode.NOT_UNDERSTOOD, False)
        assert expected["native"] in limit.native
        assert limit.editable.reason
        assert "hunter2" not in limit.native
        return
    amount = limit.amount.value if isinstance(limit.amount, Special) else limit.amount
    assert (amount, limit.key) == (expected["amount"], (expected["key"],))
    assert limit.mode is Mode.ENFORCED
    if "seconds" in expected:
        assert limit.window is not None and limit.burst is not None
        assert limit.window.seconds == Fraction(str(expected["seconds"]))
        assert limit.burst.at_once == expected["at_once"]


def test_what_is_not_understood_cannot_be_edited_past_it() -> None:
    for shape in SHAPES:
        native = stored(shape["object"])
        for row in read(native).limits:
            if row.mode is Mode.NOT_UNDERSTOOD:
                with pytest.raises(InvalidValue, match="cannot be edited here"):
                    CODECS[native["kind"]].edit(native, [Change(row.ref, "amount", None, Fraction(1))])


def manifests() -> list[dict[str, Any]]:
    """Every manifest of our kinds in the modules that the bed builds from: their tests, examples and documentation."""
    folders = [kube_servers.module_folder(module) for module in MODULES]
    if None in folders:
        pytest.skip("the Go modules cannot be had")
    found = []
    for folder in folders:
        assert folder is not None
        for path in sorted(folder.rglob("*.y*ml")):
            try:
                documents = list(yaml.load_all(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
            except (yaml.YAMLError, UnicodeDecodeError):
                continue
            for one in documents:
                ours = isinstance(one, dict) and one.get("kind") in CODECS
                if ours and str(one.get("apiVersion", "")).partition("/")[0] in GROUPS:
                    found.append(stored(one))
    return found


def test_public_manifests_are_read_and_edited_in_one_place() -> None:
    natives = manifests()
    assert len(natives) > 250
    edited = 0
    for native in natives:
        found = read(native)
        refs = [str(row.ref) for row in (*found.routes, *found.limits)]
        assert len(set(refs)) == len(refs)
        for route in found.routes:
            names = [target.name for target in route.targets]
            assert len(set(names)) == len(names)
            assert all(target.weight is not None or not route.editable.yes for target in route.targets)
            if route.editable.yes:
                _edit_is_exact(native, found, route)
                edited += 1
    assert edited > 150


def _edit_is_exact(native: dict[str, Any], found: Read, route: Route) -> None:
    """A new weight for the last target is read back there, and every other row stays as it was."""
    target = route.targets[-1]
    assert isinstance(target.weight, int)
    change = Change(route.ref, target_field(target.name, "weight"), target.weight, target.weight + 1)
    after = read(apply(native, CODECS[native["kind"]].edit(native, [change])))
    for old, new in zip(found.routes, after.routes, strict=True):
        weights = [one.weight for one in old.targets]
        if old.ref == route.ref:
            weights[-1] = target.weight + 1
        assert [one.weight for one in new.targets] == weights


@pytest.mark.parametrize(
    ("spec", "old", "new"),
    [
        (
            {"mirroring": {"name": "a", "port": 80, "mirrors": [{"name": "b", "percent": 10}]}},
            "percent: 10",
            "percent: 20",
        ),
        ({"rateLimit": {"average": 5, "period": "1d"}}, "average: 5", "average: 6"),
        ({"plugin": {"ratelimit": {"rate": 5}}}, "rate: 5", "rate: 6"),
        ({"chain": {"middlewares": [{"name": "a"}]}}, "name: a", "name: b"),
    ],
)
def test_an_edited_text_of_what_is_only_shown_is_refused(spec: dict[str, Any], old: str, new: str) -> None:
    kind = "TraefikService" if "mirroring" in spec else "Middleware"
    native = stored({"apiVersion": "traefik.io/v1alpha1", "kind": kind, "spec": spec})
    text = as_yaml(tidy(native))
    assert old in text
    ref = Ref("env", kind, "n", "x")
    with pytest.raises(InvalidValue):
        edits_of(CODECS[kind], ref, text, text.replace(old, new))
    assert edits_of(CODECS[kind], ref, text, text) == []
