"""The planes of one cluster: opened when they are first met, asked together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any, cast

from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.planes.plane import Cluster, Family, Objects, Payload, Plane, Surrounding, Uses, View
from adapters.kubernetes.planes.policies import Policies
from adapters.kubernetes.planes.table import CONDITIONS, PLANES, by_controller, families_of
from control.errors import ControlError
from control.model import Counted
from control.model.ref import Ref
from control.ports import Check, Prepared, ProofPart, ProofState

_WORST_FIRST = (ProofState.NO, ProofState.PENDING, ProofState.UNKNOWN, ProofState.YES)


class ClusterPlanes:
    """Made without I/O; a plane's module is imported when something is first known to be its."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._proxies = tuple(proxy.kind for proxy in cluster.config.proxies)
        self._planes: dict[Family, Plane] = {}
        self.policies = Policies(cluster.config.name, cluster.kinds.by_group_kind)

    def plane(self, family: Family) -> Plane:
        """The plane of a family in this cluster."""
        if family not in self._planes:
            self._planes[family] = cast(Plane, import_module(family.module).PLANE(self._cluster))
        return self._planes[family]

    async def look(self) -> None:
        """Let every plane that has kinds here read what it needs besides them."""
        await asyncio.gather(*(self.plane(family).look() for family in await self._installed()))

    async def _installed(self) -> list[Family]:
        """Those of whose own API groups anything is served."""
        installed = []
        for family in PLANES:
            try:
                if any([await self._cluster.discovery.has_group(group) for group in family.groups]):
                    installed.append(family)
            except ControlError:
                continue
        return installed

    def views(self, objects: Objects) -> Views:
        """What the planes say of these objects."""
        return Views(self, objects)

    def families_of(self, kind: GroupKind, native: Any, objects: Objects) -> list[Family]:
        """The planes that serve an object."""
        if kind in self._cluster.kinds.own:
            return [CONDITIONS]
        return families_of(kind.group, native, objects, self._proxies)

    async def loaded(self, step: Prepared, views: Views) -> ProofPart:
        """One look at every plane that serves the object: the worst of what they say."""
        payload = step.payload
        if not isinstance(payload, Payload):
            return ProofPart(ProofState.UNKNOWN, "nothing is known of this step")
        families = self.families_of(payload.codec.resource.group_kind, payload.after, views.objects)
        asked = (self.plane(one).loaded(payload, step.changes, views.of_family(one)) for one in families)
        parts = await asyncio.gather(*asked)
        return min(parts, key=lambda part: (_WORST_FIRST.index(part.state), not part.by_condition))

    async def count(self, objects: Objects, refs: Sequence[Ref] | None) -> list[Counted]:
        """The counters of all planes. Raises the first error where none of them answers."""
        planes = [self.plane(family) for family in self._serving(objects)]
        answers = await asyncio.gather(*(one.count(objects, refs) for one in planes), return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        for error in errors:
            if not isinstance(error, ControlError) or len(errors) == len(answers):
                raise error
        return [counted for answer in answers if not isinstance(answer, BaseException) for counted in answer]

    def _serving(self, objects: Objects) -> list[Family]:
        """The planes of which anything is held, or whose proxies the deck file names."""
        groups = {kind.group for kind, natives in objects.objects.items() if natives}
        controllers = {by_controller(one.spec.controller_name) for one in objects.classes.values()}
        named = {family for family in PLANES if family.proxy in self._proxies or family.groups & groups}
        return [family for family in PLANES if family in named | controllers | self._planes.keys()]

    async def surroundings(self) -> list[Surrounding]:
        """What the installed planes want read besides their kinds."""
        return [one for family in await self._installed() for one in self.plane(family).surroundings]

    async def checks(self) -> list[Check]:
        """What doctor says of the planes that are installed or whose proxies are named."""
        installed = await self._installed()
        present = [family for family in PLANES if family in installed or family.proxy in self._proxies]
        return [line for family in present or [CONDITIONS] for line in await self.plane(family).checks()]


class Views:
    """What the planes of a cluster say of the objects that were held at one moment."""

    def __init__(self, planes: ClusterPlanes, objects: Objects) -> None:
        self.objects = objects
        self._planes = planes
        self._views: dict[Family, View] = {}

    def of_family(self, family: Family) -> View:
        """What one plane says."""
        if family not in self._views:
            self._views[family] = self._planes.plane(family).view(self.objects)
        return self._views[family]

    def of(self, kind: GroupKind, native: Any) -> list[View]:
        """What the planes that serve an object say; never empty."""
        return [self.of_family(family) for family in self._planes.families_of(kind, native, self.objects)]

    @cached_property
    def uses(self) -> Uses:
        """Where each limit applies: by the planes' own ways, by what policies name, by annotations."""
        uses = {key: list(used) for key, used in self._planes.policies.uses(self.objects).items()}
        groups = {kind.group for kind, natives in self.objects.objects.items() if natives}
        for family in PLANES:
            if family.groups & groups:
                for key, used in self._planes.plane(family).uses(self.objects).items():
                    uses.setdefault(key, []).extend(used)
        return uses
