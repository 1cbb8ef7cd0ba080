"""Which plane serves an object: one line for each plane. What is known of none is judged by its conditions alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from adapters.engine.structs import member
from adapters.kubernetes.planes.plane import Family, Objects

GATEWAY_API = "gateway.networking.k8s.io"
_HERE = "adapters.kubernetes.planes"
CONDITIONS = Family("conditions", f"{_HERE}.conditions.plane")
PLANES: tuple[Family, ...] = (
    Family(
        "traefik",
        f"{_HERE}.traefik.plane",
        controllers=frozenset({"traefik.io/gateway-controller", "traefik.io/ingress-controller"}),
        ingress_classes=frozenset({"traefik"}),
        groups=frozenset({"traefik.io"}),
        proxy="traefik",
    ),
    CONDITIONS,
)
"""In order of preference, where an object says nothing and the deck file names several planes' proxies."""
_BY_GROUP = {group: family for family in PLANES for group in family.groups}
_BY_CONTROLLER = {controller: family for family in PLANES for controller in family.controllers}
_BY_INGRESS_CLASS = {name: family for family in PLANES for name in family.ingress_classes}


def families_of(group: str, native: Any, objects: Objects, proxies: Iterable[str]) -> list[Family]:
    """The planes that serve an object of an API group, each once; never empty. An object of a plane's own group is its;
    a route belongs to the controllers of its parents. A route of the Gateway API of which nobody says whose it is is
    taken for that of a plane whose proxies the deck file names (`proxies`: their kinds)."""
    own = _BY_GROUP.get(group)
    if own is not None:
        return [own]
    controllers = list(dict.fromkeys(controllers_of(native, objects)))
    if controllers:
        return list(dict.fromkeys(by_controller(name) for name in controllers))
    named = set(proxies) if group == GATEWAY_API else ()
    return [next((family for family in PLANES if family.proxy and family.proxy in named), CONDITIONS)]


def by_controller(name: str) -> Family:
    """The plane whose controller is called so."""
    return _BY_CONTROLLER.get(name, CONDITIONS)


def by_ingress_class(name: str, controller: str = "") -> Family:
    """The plane of a class of Ingresses: by its controller where that is known, else by its name."""
    return _BY_CONTROLLER.get(controller) or _BY_INGRESS_CLASS.get(name, CONDITIONS)


def controllers_of(native: Any, objects: Objects) -> Iterator[str]:
    """The controllers of a route's parents: as the parents' class has it, else as its status tells."""
    namespace = native.metadata.namespace
    said = member(native, "status", "parents") or ()
    for parent in member(native, "spec", "parentRefs") or ():
        key = (parent.namespace or namespace, parent.name)
        gateway = objects.gateways.get(key) if parent.kind == "Gateway" else None
        known = objects.classes.get(gateway.spec.gateway_class_name) if gateway is not None else None
        if known is not None and known.spec.controller_name:
            yield known.spec.controller_name
            continue
        for one in said:
            ref = one.parent_ref
            if (ref.kind, ref.namespace or namespace, ref.name) == (parent.kind, *key) and one.controller_name:
                yield one.controller_name
    if member(native, "spec", "useDefaultGateways"):
        yield from (one.controller_name for one in said if one.controller_name)
