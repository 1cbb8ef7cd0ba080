"""Istio VirtualService: each rule of its http, tls and tcp sections is a route; weights are proportional, 0 by default.

Source: istio v1.30 api/kubernetes/customresourcedefinitions.gen.yaml, pilot/pkg/networking/core/route/route.go. One
destination alone gets everything whatever its weight. Status is written only where istiod analyses (off by default).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from adapters.engine.coded import CodedKind, CodedRoutes, Reads
from adapters.engine.kind import Api, StatusOf, Targets
from adapters.engine.numbers import text
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.shown import MASK, hides
from control.model import Mirror
from control.text import clean

Matches = Sequence[Mapping[str, Any]] | None
_SIGNS = (("exact", "="), ("prefix", "=^"), ("regex", "~"))
EMPTY = "this rule has no destinations"


def http_words(matches: Matches, hosts: Sequence[str] | None) -> tuple[str, ...]:
    """Which requests an http rule is for, one text for each of its matches."""
    return tuple(clean(f"{_hosts(hosts)} {_request(match)}".strip()) for match in matches or ({},))


def _hosts(hosts: Sequence[str] | None) -> str:
    return ",".join(hosts or ())


def _request(match: Mapping[str, Any]) -> str:
    uri = match.get("uri") or {}
    words = [str((match.get("method") or {}).get("exact", ""))]
    words.append(uri.get("exact") or (f"~{uri['regex']}" if "regex" in uri else f"{uri.get('prefix', '/')}*"))
    words += [_compared(what, "", match[what]) for what in ("scheme", "authority") if match.get(what)]
    for what, member in (("header", "headers"), ("no header", "withoutHeaders"), ("query", "queryParams")):
        words += [_compared(what, name, value) for name, value in (match.get(member) or {}).items()]
    words += [f"{what} {match[what]}" for what in ("port", "sourceNamespace") if match.get(what)]
    return " ".join(filter(None, words))


def _compared(what: str, name: str, value: Mapping[str, Any] | None) -> str:
    sign, held = next(((sign, str(value[how])) for how, sign in _SIGNS if value and how in value), ("", ""))
    return f"{what} {name}{sign}{MASK if hides(name, held) else held}".replace(" =", "=", name == "").strip()


def connection_words(matches: Matches, hosts: Sequence[str] | None) -> tuple[str, ...]:
    """Which connections a tls or tcp rule is for."""
    found = []
    for match in matches or ({},):
        words = [",".join(match.get("sniHosts") or ()) or _hosts(hosts)]
        words += [f"port {match['port']}"] if match.get("port") else []
        found.append(clean(" ".join([*words, *(match.get("destinationSubnets") or ())])))
    return tuple(found)


def mirrors(
    names: object, shares: object, several: Matches, one: Any, percentage: Any, old: object
) -> tuple[Mirror, ...]:
    """The copies that a rule sends; `mirror` is the older form, which counts only without `mirrors`."""
    found = [(one_of.get("destination") or {}, one_of.get("percentage")) for one_of in several or ()]
    if one and not found:
        found = [(one, percentage or (None if old is None else {"value": old}))]
    copies = [(destination, (percent or {"value": 100}).get("value", 0)) for destination, percent in found]
    return tuple(
        Mirror(clean(str(destination.get("host", ""))), Fraction(text(percent)) / 100)
        for destination, percent in copies
    )


def no_destinations(destinations: object) -> tuple[str, ...]:
    """A note where a rule has none: it redirects, answers by itself, or hands over to another VirtualService."""
    return () if destinations else (EMPTY,)


def _section(at: str, words: Reads, name: str = "", copies: Reads | None = None) -> CodedRoutes:
    return CodedRoutes(
        at=f"spec.{at}",
        part=at,
        name=name,
        distinct="match",
        matches_by=words,
        mirrors_by=copies,
        notes_by=Reads(no_destinations, ("route",)),
        targets=Targets(
            at="route",
            identity=("destination.host", "destination.subset", "destination.port.number"),
            weight="weight",
            absent=0,
            maximum=2**31 - 1,
            single="all",
            alone="its one destination gets everything: Istio does not read its weight",
            empty=EMPTY,
        ),
    )


WHERE = ("match", "/spec.hosts")
COPIES = Reads(mirrors, ("mirrors", "mirror", "mirrorPercentage", "mirrorPercent"))
SILENT = "Istio writes no status unless its analysis is on"
CODEC = Codec(
    CodedKind(
        kind="VirtualService",
        title="Istio routes: weights of each rule's destinations",
        api=Api(group="networking.istio.io", versions=("v1", "v1beta1", "v1alpha3"), plural="virtualservices"),
        routes=(
            _section("http", Reads(http_words, WHERE), "name", COPIES),
            _section("tls", Reads(connection_words, WHERE)),
            _section("tcp", Reads(connection_words, WHERE)),
        ),
        status=StatusOf(conditions=("PassedAnalysis",), generation="object", silent=SILENT),
    )
)
