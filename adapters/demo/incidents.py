"""Trouble that can be let loose in the demo fleet, from another process too: names in one file beside its state."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from control.errors import UsageError
from control.text import clean


@dataclass(frozen=True, slots=True)
class HandEdit:
    """Weights that somebody sets on an object of a cluster when the incident begins."""

    environment: str
    plural: str
    name: str
    weights: Mapping[str, int]


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
    edit: HandEdit | None = None
    minutes: float = 15.0
    """How long it goes on where nobody ends it."""


INCIDENTS: Mapping[str, Incident] = {
    "bad-canary": Incident(
        "prod-eu: llama-v4 answers two of three requests with an error", ("prod-eu/llama#",), {"llama-v4": 2 / 3}
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
    "argo-sync": Incident(
        "prod-eu: mistral-b fails, somebody moves its traffic away, and Argo CD moves it back",
        ("prod-eu/mistral#",),
        {"mistral-b": 1 / 2},
        edit=HandEdit("prod-eu", "httproutes", "mistral", {"mistral-a": 100, "mistral-b": 0}),
    ),
    "flood": Incident("prod-us: thirty times the requests for moderation", ("prod-us/moderation#",), demand=30.0),
}


def _path(folder: Path) -> Path:
    return folder / "fleet" / "incidents.json"


def change(folder: Path, name: str, begins: bool) -> frozenset[str]:
    """Begin or end one incident; returns those that go on. Raises `UsageError` for a name that is none."""
    if name not in INCIDENTS:
        known = ", ".join(INCIDENTS)
        raise UsageError(f"there is no incident '{clean(name)}'", hint=f"one of: {known}")
    active = Active(folder)
    now = {other: active.since(other) for other in active.names() if other != name}
    if begins:
        now[name] = time.time()
    path = _path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(now), encoding="utf-8")
    beside.replace(path)
    return frozenset(now)


class Active:
    """Which incidents go on now; looks at the file only where it has changed."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = _path(folder)
        self._clock = clock
        self._seen: tuple[int, int] | None = None
        self._began: dict[str, float] = {}

    def names(self) -> frozenset[str]:
        """The names of those that go on: begun, not ended, and not over by themselves."""
        self._look()
        now = self._clock()
        return frozenset(name for name, at in self._began.items() if now - at < INCIDENTS[name].minutes * 60)

    def since(self, name: str) -> float:
        """When an incident that goes on began."""
        return self._began[name]

    def _look(self) -> None:
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_ino)
            if seen != self._seen:
                began = json.loads(self._path.read_bytes())
                self._began = {name: float(began[name]) for name in INCIDENTS if name in began}
                self._seen = seen
        except FileNotFoundError:
            self._seen, self._began = None, {}
        except (ValueError, TypeError):
            self._began = {}

    def of_route(self, key: str) -> list[Incident]:
        """What touches the flow called `key`."""
        found = (INCIDENTS[name] for name in self.names())
        return [incident for incident in found if any(key.startswith(route) for route in incident.routes)]

    def edits(self, environment: str) -> list[tuple[HandEdit, float]]:
        """What somebody has set by hand in an environment, and when."""
        found = ((INCIDENTS[name].edit, self.since(name)) for name in self.names())
        return [(edit, at) for edit, at in found if edit is not None and edit.environment == environment]

    def silences(self, host: str) -> bool:
        """Whether a host does not answer."""
        return any(INCIDENTS[name].host == host for name in self.names())
