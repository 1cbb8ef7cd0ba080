"""Which routes a limit holds for, as its own kind says it: the targets that a policy names, an annotation of other
objects, filters of routes, or the routes of its own object. How is data (`engine.kind.Attaches`); what a plane knows by
ways of its own it adds (`Plane.uses`).

Source: GEP-713. A policy's target is an object of its own namespace: a route, whose `sectionName` is one rule, or a
Gateway, whose `sectionName` is one listener and which stands for the routes on it. What is no row goes by its native
name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from adapters.engine.kind import Attaches
from adapters.engine.structs import member
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.planes.plane import Key, Objects, Use, Uses
from adapters.kubernetes.planes.table import GATEWAY_API
from control.text import clean

Rows = list[tuple[str, str]]
"""(ref, part) of each route of an object."""


class Policies:
    """Finds the routes of one cluster's limits. What was read of an object is kept while it is that very object."""

    def __init__(self, environment: str, codecs: Mapping[GroupKind, Codec]) -> None:
        self._environment = environment
        self._codecs = codecs
        self._rows: dict[tuple[GroupKind, Key], tuple[Any, Rows]] = {}

    def uses(self, objects: Objects) -> Uses:
        """The object of a limit -> where it applies."""
        uses: dict[tuple[GroupKind, Key], list[Use]] = defaultdict(list)
        for kind, natives in objects.objects.items():
            codec = self._codecs.get(kind)
            ways = ways_of(codec) if codec is not None else ()
            for way in ways if natives else ():
                for key, use in self._by(way, kind, natives, objects):
                    if key in natives:
                        uses[(kind, key)].append(use)
        return uses

    def _by(
        self, way: Attaches, kind: GroupKind, natives: Mapping[Key, Any], objects: Objects
    ) -> Iterator[tuple[Key, Use]]:
        """(limit's object, where it applies) by one way."""
        if way.target_refs:
            get = self._codecs[kind].machine.target_refs[way.target_refs]
            on_gateways: dict[Key, list[tuple[str, Use]]] | None = None
            for key, native in natives.items():
                for index, target in enumerate(targets_of(get(native))):
                    location = f"{way.target_refs}[{index}]"
                    if (target.get("group", GATEWAY_API), target.get("kind")) == (GATEWAY_API, "Gateway"):
                        on_gateways = self._on_gateways(objects) if on_gateways is None else on_gateways
                    yield from ((key, use) for use in self._targeted(target, key[0], location, objects, on_gateways))
        if way.itself:
            for key, native in natives.items():
                yield from ((key, Use(ref, 1, "the object itself")) for ref, _ in self._rows_of(kind, key, native))
        if way.annotation:
            yield from self._annotated(way.annotation, objects)
        if way.from_routes:
            yield from self._filtered(kind, objects)

    def _targeted(
        self,
        target: Mapping[str, Any],
        namespace: str,
        location: str,
        objects: Objects,
        on_gateways: Mapping[Key, list[tuple[str, Use]]] | None,
    ) -> Iterator[Use]:
        """Where one target of a policy is."""
        kind = GroupKind(str(target.get("group") or ""), str(target.get("kind") or ""))
        key, section = (namespace, str(target.get("name") or "")), str(target.get("sectionName") or "")
        native = objects.objects.get(kind, {}).get(key)
        if native is not None and kind in self._codecs:
            rows = self._rows_of(kind, key, native)
            yield from (Use(ref, 1, location) for ref, part in rows if section in ("", part.partition("=")[2]))
        elif kind == (GATEWAY_API, "Gateway") and on_gateways and key in on_gateways:
            on = (use for listener, use in on_gateways[key] if not section or listener in ("", section))
            yield from (Use(use.on, 1, location, through=clean(f"Gateway {key[0]}/{key[1]}")) for use in on)
        else:
            at = f" {section}" if section else ""
            yield Use(clean(f"{kind.kind} {key[0]}/{key[1]}{at}"), None, location, "it is no route that is read here")

    def _on_gateways(self, objects: Objects) -> dict[Key, list[tuple[str, Use]]]:
        """Gateway -> (listener that is named, route) of each route on it."""
        found: dict[Key, list[tuple[str, Use]]] = defaultdict(list)
        for kind, key, native in self._routes(objects):
            for parent in member(native, "spec", "parentRefs") or ():
                if (parent.group, parent.kind) == (GATEWAY_API, "Gateway"):
                    gateway = (parent.namespace or key[0], parent.name)
                    rows = self._rows_of(kind, key, native)
                    found[gateway] += [(parent.section_name, Use(ref, 1, "")) for ref, _ in rows]
        return found

    def _annotated(self, annotation: str, objects: Objects) -> Iterator[tuple[Key, Use]]:
        """What routes name in an annotation, separated by commas: in their own namespace, or in none."""
        for kind, key, native in self._routes(objects):
            for name in ((native.metadata.annotations or {}).get(annotation) or "").split(","):
                for ref, _ in self._rows_of(kind, key, native) if name.strip() else ():
                    use = Use(ref, 1, clean(f'metadata.annotations."{annotation}"'))
                    yield from (((namespace, name.strip()), use) for namespace in (key[0], ""))

    def _filtered(self, wanted: GroupKind, objects: Objects) -> Iterator[tuple[Key, Use]]:
        """What filters of rules name (`extensionRef`)."""
        for kind, key, native in self._routes(objects):
            rules = member(native, "spec", "rules") or ()
            rows = self._rows_of(kind, key, native)
            for index, (rule, (ref, _)) in enumerate(zip(rules, rows, strict=False)):
                for position, filter_ in enumerate(member(rule, "filters") or ()):
                    named = filter_.extension_ref
                    if named is not None and (named.group, named.kind) == wanted:
                        yield (key[0], named.name), Use(ref, 1, f"spec.rules[{index}].filters[{position}]")

    def _routes(self, objects: Objects) -> Iterator[tuple[GroupKind, Key, Any]]:
        for kind, natives in objects.objects.items():
            codec = self._codecs.get(kind)
            if codec is not None and codec.data.routes:
                yield from ((kind, key, native) for key, native in natives.items())

    def _rows_of(self, kind: GroupKind, key: Key, native: Any) -> Rows:
        kept = self._rows.get((kind, key))
        if kept is None or kept[0] is not native:
            read = self._codecs[kind].read(native, self._environment, 0.0)
            kept = self._rows[(kind, key)] = native, [(str(one.ref), one.ref.part or "") for one in read.routes]
        return kept[1]


def ways_of(codec: Codec) -> tuple[Attaches, ...]:
    """How the limits of a kind are attached, each way once."""
    said = (one.attaches for one in codec.data.limits)
    return tuple(dict.fromkeys(way for ways in said for way in ((ways,) if isinstance(ways, Attaches) else ways)))


def targets_of(value: Any) -> Iterable[Mapping[str, Any]]:
    """The targets that stand in a policy: a list of them, or one alone."""
    plain = msgspec.to_builtins(value)
    listed = plain if isinstance(plain, list) else [plain]
    return [one for one in listed if isinstance(one, dict)]
