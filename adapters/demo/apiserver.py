"""The demo fleet's API servers: kept between processes, with an Argo CD that restores what it declares."""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from adapters.demo.incidents import HandEdit
from adapters.demo.store import Stored
from adapters.kubernetes.memory.server import TIME, Key, MemoryApi, MemoryTransport, Native

ARGO = "argocd-controller"
BY_HAND = "kubectl-edit"
ARGO_SECONDS = 5.0
"""How soon an Application that heals itself restores what it declares."""
TRACKED = "argocd.argoproj.io/tracking-id"


class HealedApi(MemoryApi):
    """A cluster in which Argo CD keeps the objects that it tracks as they were at first."""

    def __init__(self, objects: Iterable[Native], clock: Callable[[], float]) -> None:
        super().__init__(objects, clock)
        self._declared = {key: native["spec"] for key, native in self.objects.items() if _is_tracked(native)}

    def drifted(self) -> list[Key]:
        """The objects that are about to be restored, their change being old enough."""
        now = self.clock()
        return [
            key
            for key, declared in self._declared.items()
            if self.objects[key]["spec"] != declared and now - _changed(self.objects[key]) >= ARGO_SECONDS
        ]

    def edited_since(self, edit: HandEdit, at: float) -> Key | None:
        """The object of an edit by hand that is still to be made: nobody has written it since `at`."""
        key = next((key for key in self.objects if (key[0], key[2]) == (edit.plural, edit.name)), None)
        return key if key is not None and _changed(self.objects[key]) < int(at) else None

    def edit_by_hand(self, edit: HandEdit, at: float) -> None:
        """What somebody does with `kubectl edit`, once."""
        key = self.edited_since(edit, at)
        if key is None:
            return
        after = deepcopy(self.objects[key])
        for rule in after["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                backend["weight"] = edit.weights.get(backend["name"], backend["weight"])
        self.replace(key, after, BY_HAND)

    def heal(self) -> None:
        """What Argo CD's self-heal does: it writes back what Git declares."""
        for key in self.drifted():
            after = deepcopy(self.objects[key])
            after["spec"] = deepcopy(self._declared[key])
            self.replace(key, after, ARGO)


class StoredTransport(MemoryTransport):
    """The network to a cluster whose state other processes may change, too."""

    def __init__(self, api: HealedApi, stored: Stored, edits: Callable[[], list[tuple[HandEdit, float]]]) -> None:
        super().__init__(api)
        self._healed = api
        self._stored = stored
        self._edits = edits

    async def look(self) -> None:
        self._stored.refresh()
        if any(self._healed.edited_since(edit, at) is not None for edit, at in self._edits()):
            async with self._stored.changing():
                for edit, at in self._edits():
                    self._healed.edit_by_hand(edit, at)
        if self._healed.drifted():
            async with self._stored.changing():
                self._healed.heal()

    async def patched(self, key: Key, ops: list[dict[str, Any]], manager: str) -> tuple[int, Any]:
        async with self._stored.changing():
            return await super().patched(key, ops, manager)


def _is_tracked(native: Native) -> bool:
    return TRACKED in native["metadata"].get("annotations", {})


def _changed(native: Native) -> float:
    """When an object was last written, in unix time."""
    times = [entry["time"] for entry in native["metadata"].get("managedFields", [])]
    return max((timegm(time.strptime(text, TIME)) for text in times), default=0.0)
