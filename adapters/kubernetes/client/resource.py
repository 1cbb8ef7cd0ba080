"""How the API names a kind, and the versions in which it may serve it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import quote


class GroupKind(NamedTuple):
    """What tells kinds apart: several groups have a Gateway, a Route, a Service."""

    group: str
    """Empty for the core group."""
    kind: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API names it."""

    group: str
    versions: tuple[str, ...]
    """Those that are understood, in order of preference; of one that discovery found, the one that is served."""
    plural: str
    kind: str
    namespaced: bool = True
    former_groups: tuple[str, ...] = ()
    """Groups under which the kind was served before; objects there are objects of their own."""

    @property
    def version(self) -> str:
        """The version that is asked for."""
        return self.versions[0]

    @property
    def group_kind(self) -> GroupKind:
        """The key of the kind."""
        return GroupKind(self.group, self.kind)

    @property
    def qualified(self) -> str:
        """As kubectl and RBAC name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def at(self, version: str) -> Resource:
        """The same in one version."""
        return self if self.versions == (version,) else replace(self, versions=(version,))

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of one object, of a namespace's objects, or of all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")
