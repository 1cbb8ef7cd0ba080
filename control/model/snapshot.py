"""One read of an environment: its rows, what is missing of them, and what others changed."""

from __future__ import annotations

from control.model.environments import Environment
from control.model.limits import Limit
from control.model.routes import Route
from control.structs import Frozen


class Outside(Frozen, frozen=True):
    """A change that somebody made without us, as the platform remembers it."""

    at: float
    who: str
    object: str
    what: str
    source: str


class Missing(Frozen, frozen=True):
    """Something that an environment was asked for and that its rows lack: a host, a function, a file, a forbidden kind,
    objects of a version that is not read."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class Snapshot(Frozen, frozen=True):
    """Everything read of one environment at one time. What could not be read of it is in `missing`."""

    environment: Environment
    routes: tuple[Route, ...] = ()
    limits: tuple[Limit, ...] = ()
    read_at: float = 0.0
    outside: tuple[Outside, ...] = ()
    missing: tuple[Missing, ...] = ()
