"""The Services of a cluster: whether one that a route names is there, with the port that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapters.kubernetes.planes.plane import Key
from adapters.kubernetes.wire.core import Service
from control.text import clean

EXTERNAL = "ExternalName"


@dataclass(frozen=True, slots=True)
class Services:
    """What was read of them. Of a namespace that could not be listed nothing is known."""

    listed: frozenset[str] = frozenset()
    """The namespaces that were read whole; an empty name stands for all."""
    found: Mapping[Key, Service] = field(default_factory=dict)

    @classmethod
    def of(cls, services: Iterable[Service], listed: Iterable[str]) -> Services:
        """From lists."""
        return cls(frozenset(listed), {(one.metadata.namespace, one.metadata.name): one for one in services})

    def fault(self, key: Key, port: int | str | None) -> str:
        """Why Traefik cannot use a Service by this port; empty where it can, or where that is not known.

        A port that is a number is looked for among the numbers, one that is a text among the names, "8080" too.
        """
        told = clean(f"{key[0]}/{key[1]}")
        if not port:
            return f"it names no port of Service {told}"
        service = self.found.get(key)
        if service is None:
            return f"there is no Service {told}" if "" in self.listed or key[0] in self.listed else ""
        ports = service.spec.ports or []
        if any(port == (one.name if isinstance(port, str) else one.port) for one in ports):
            return ""
        if service.spec.type == EXTERNAL and isinstance(port, int):
            return ""
        kind = "named " if isinstance(port, str) else ""
        return clean(f"Service {told} has no port {kind}{port}")
