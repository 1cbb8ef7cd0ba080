"""The plane of implementations that only set conditions: whether an object is loaded rests on its controllers' word.

A condition says that a controller took an object, not that all proxies serve it, so that it never is a yes of the data
plane itself. One that speaks of an older generation than the object has is none (`route_status`). Nothing is counted,
and how many instances count a limit is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from adapters.kubernetes.planes.conditions.said import by_conditions
from adapters.kubernetes.planes.plane import Cluster, Objects, Payload, Surrounding, Use, Uses, View
from adapters.kubernetes.planes.table import controllers_of
from control.model import Binding, Counted, Domain, Interval, Limit, Status
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Check, ProofPart
from control.structs import replace
from control.text import clean

INSTANCES = "how many instances count it is not known"


@dataclass(frozen=True, slots=True)
class ConditionsView:
    """Nothing but the objects themselves."""

    objects: Objects
    name: str = "its controller"
    made_of: tuple[object, ...] = ()
    leaving: str = ""

    def told(self, status: Status, native: Any) -> str:
        """Whose word a good status is."""
        names = ", ".join(dict.fromkeys(controllers_of(native, self.objects))) or "its controller"
        return clean(f"{status.detail} by {names}, of generation {native.metadata.generation}")

    def faults(self, native: Any) -> list[str]:
        """None is known besides what the conditions say, which is the rows' own status."""
        return []

    def bound(self, limit: Limit, native: Any, used: Sequence[Use], domain: str) -> Limit:
        """Where it applies; what is counted apart there is not known."""
        bindings = [Binding(use.on, limit.over, _domain(use, domain), location=use.location) for use in used]
        notes = limit.notes if used else (*limit.notes, "nothing that we can see uses it")
        return replace(limit, bindings=tuple(bindings), notes=notes)


def _domain(use: Use, domain: str) -> Domain:
    if domain == "shared store":
        return Domain(domain, Interval.exactly(1), domain)
    low = Fraction(use.apart or 1)
    return Domain(domain or "instance", Interval(low, None), ", ".join(filter(None, (INSTANCES, use.why))))


class ConditionsPlane:
    """See `adapters.kubernetes.planes.plane.Plane`."""

    surroundings: tuple[Surrounding, ...] = ()

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def look(self) -> None:
        """Nothing more is read."""

    def uses(self, objects: Objects) -> Uses:
        """It has no kinds of its own."""
        return {}

    def view(self, objects: Objects) -> View:
        """What it says of these objects."""
        return ConditionsView(objects)

    async def loaded(self, payload: Payload, changes: Sequence[Change], view: View) -> ProofPart:
        """The worst status of the rows that were changed, of the object as it stands now."""
        assert isinstance(view, ConditionsView)
        return await by_conditions(payload, changes, self._cluster, view.told)

    async def count(self, objects: Objects, refs: Sequence[Ref] | None) -> list[Counted]:
        """Conditions count nothing."""
        return []

    async def checks(self) -> list[Check]:
        """That nothing but conditions is known."""
        hint = "name each replica of a proxy under proxies: {kind: traefik, api: URL, metrics: URL}"
        return [Check("data plane", "warn", "no proxy is named: loaded and observed stay unknown", hint)]


PLANE = ConditionsPlane
