"""Trouble that can be let loose in the demo fleet, from another process too: names in one file beside its state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control.errors import UsageError
from control.text import clean


@dataclass(frozen=True, slots=True)
class Incident:
    """What goes wrong. Routes are named by what their flows' keys begin with."""

    what: str
    routes: tuple[str, ...] = ()
    errors: Mapping[str, float] = field(default_factory=dict)
    """Target -> how many of its answers are errors."""
    demand: float = 1.0
    """Times the usual requests."""
    host: str = ""
    """A host that does not answer."""


INCIDENTS: Mapping[str, Incident] = {
    "bad-canary": Incident(
        "prod-eu: llama-v4 answers every third request with an error", ("prod-eu/llama#",), {"llama-v4": 1 / 3}
    ),
    "rush": Incident("prod-us: thirty times the requests for embeddings", ("prod-us/embed#",), demand=30.0),
    "dying-host": Incident("gpu-eu: the host gpu-eu-3 stops answering", host="gpu-eu-3"),
    "bad-release": Incident(
        "prod-us: mistral-b answers every second request with an error", ("prod-us/mistral#",), {"mistral-b": 1 / 2}
    ),
    "crowd": Incident("prod-eu: thirty times the requests for mistral", ("prod-eu/mistral#",), demand=30.0),
    "failing-pool": Incident(
        "edge: every second answer of the GPU pool for embeddings is an error",
        ("edge/lb-1/edge-embed", "edge/lb-2/edge-embed"),
        {"gpu": 1 / 2},
    ),
    "blind-edge": Incident("edge: the load balancer lb-2 stops answering", host="lb-2"),
    "flood": Incident("prod-us: thirty times the requests for moderation", ("prod-us/moderation#",), demand=30.0),
}


def _path(folder: Path) -> Path:
    return folder / "fleet" / "incidents.json"


def change(folder: Path, name: str, begins: bool) -> frozenset[str]:
    """Begin or end one incident; returns those that go on. Raises `UsageError` for a name that is none."""
    if name not in INCIDENTS:
        known = ", ".join(INCIDENTS)
        raise UsageError(f"there is no incident '{clean(name)}'", hint=f"one of: {known}")
    now = Active(folder).names()
    now = now | {name} if begins else now - {name}
    path = _path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(sorted(now)), encoding="utf-8")
    beside.replace(path)
    return now


class Active:
    """Which incidents go on now; looks at the file only where it has changed."""

    def __init__(self, folder: Path) -> None:
        self._path = _path(folder)
        self._seen: tuple[int, int] | None = None
        self._names: frozenset[str] = frozenset()

    def names(self) -> frozenset[str]:
        """The names of those that go on."""
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_ino)
            if seen != self._seen:
                self._names = frozenset(json.loads(self._path.read_bytes())) & INCIDENTS.keys()
                self._seen = seen
        except FileNotFoundError:
            self._seen, self._names = None, frozenset()
        except (ValueError, TypeError):
            self._names = frozenset()
        return self._names

    def of_route(self, key: str) -> list[Incident]:
        """What touches the flow called `key`."""
        found = (INCIDENTS[name] for name in self.names())
        return [incident for incident in found if any(key.startswith(route) for route in incident.routes)]

    def silences(self, host: str) -> bool:
        """Whether a host does not answer."""
        return any(INCIDENTS[name].host == host for name in self.names())
