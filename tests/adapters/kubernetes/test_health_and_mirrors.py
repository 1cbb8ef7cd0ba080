"""Which endpoints serve, and which copies of requests a row tells of."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from natives import httproute, service, traefik

from adapters.kubernetes.health import endpoints_of, with_health
from adapters.kubernetes.kinds.table import CODECS
from adapters.kubernetes.wire.core import EndpointSlice
from control.model import Health, Mirror, Route, Target


def health(*conditions: dict[str, Any] | None) -> tuple[Health, str]:
    """Of a Service with these endpoints, one in each of two slices and the rest in the first."""
    parts = [conditions[:1], conditions[1:]]
    slices = [
        {
            "metadata": {"name": f"s{i}", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": one} for one in part],
        }
        for i, part in enumerate(parts)
    ]
    found = endpoints_of(msgspec.convert(one, EndpointSlice) for one in slices)
    (target,) = with_health(
        [Target("s", 1, Fraction(1), endpoints=("n/s:80",))], found, "Traefik sends them no new sessions"
    )
    return target.health, target.health_detail


READY = {"ready": True, "serving": True, "terminating": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}
STARTING = {"ready": False, "serving": False, "terminating": False}


@pytest.mark.parametrize(
    ("conditions", "up", "words"),
    [
        ([READY, READY], Health.UP, "2 of 2 endpoints ready"),
        ([READY, LEAVING], Health.UP, "1 of 2 endpoints ready, 1 terminating and still serving"),
        (
            [LEAVING, LEAVING],
            Health.UP,
            "0 of 2 endpoints ready, 2 terminating and still serving (Traefik sends them no new sessions)",
        ),
        ([GONE, STARTING], Health.DOWN, "0 of 2 endpoints ready"),
        (
            [LEAVING, GONE],
            Health.UP,
            "0 of 2 endpoints ready, 1 terminating and still serving (Traefik sends them no new sessions)",
        ),
        ([{"ready": False}, {"ready": False}], Health.DOWN, "0 of 2 endpoints ready"),
        ([{}, {"ready": None, "serving": None, "terminating": None}], Health.UP, "2 of 2 endpoints ready"),
        ([None, STARTING], Health.UP, "1 of 2 endpoints ready"),
        ([], Health.DOWN, "0 of 0 endpoints ready"),
    ],
)
def test_what_serves_is_up(conditions: list[dict[str, Any] | None], up: Health, words: str) -> None:
    assert health(*conditions) == (up, words)


def read(native: dict[str, Any]) -> tuple[Route, ...]:
    made = copy.deepcopy(native)
    made["metadata"] |= {"uid": "u", "generation": 1}
    codec = CODECS[made["kind"]]
    return codec.read(msgspec.convert(made, codec.wire), "env", 0.0).routes


def copying(to: str, **share: Any) -> dict[str, Any]:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": to, "port": 80}, **share}}


def test_a_rule_tells_of_copies_of_all_it_gets_and_of_what_one_backend_gets() -> None:
    native = httproute("a", "a.test", {"v1": 3, "v2": 1})
    rule = native["spec"]["rules"][0]
    rule["filters"] = [copying("all"), copying("tenth", percent=10)]
    rule["backendRefs"][1]["filters"] = [copying("part", fraction={"numerator": 1, "denominator": 3})]
    (route,) = read(native)
    assert route.mirrors == (
        Mirror("all", Fraction(1)),
        Mirror("tenth", Fraction(1, 10)),
        Mirror("part (from v2)", Fraction(1, 12)),
    )


def test_a_mirroring_service_tells_of_its_copies() -> None:
    mirrors = [service("m1", percent=5), service("m2"), service("m3", percent="ten")]
    (route,) = read(traefik("TraefikService", "t", {"mirroring": {**service("v1"), "mirrors": mirrors}}))
    assert route.mirrors == (Mirror("m1", Fraction(1, 20)), Mirror("m2", Fraction(0)))
    assert any("m3" in note and '"ten"' in note and "not understood" in note for note in route.notes)


def test_of_two_shapes_the_one_that_traefik_takes_is_told() -> None:
    spec = {
        "highestRandomWeight": {"services": [service("a")]},
        "mirroring": {**service("v1"), "mirrors": [service("m", percent=5)]},
    }
    (route,) = read(traefik("TraefikService", "t", spec))
    assert [target.name for target in route.targets] == ["v1"]
    assert route.notes == ("Traefik takes its mirroring and passes over highestRandomWeight",)
