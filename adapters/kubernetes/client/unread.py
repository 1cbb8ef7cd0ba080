"""Objects of our kinds that are served in a version or group which we do not read: counted and named, not passed over.

A cluster that was not upgraded may serve a kind in an older version alone; one that moved to a kind's new group may
still hold objects of the former one, which rule traffic as long as their controller runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import msgspec

from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.discovery import Discovery
from adapters.kubernetes.client.resource import Resource
from control.errors import ControlError
from control.model import Missing

VERSION = "this version is not read"
GROUP = "this group is not read"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class _Meta(msgspec.Struct):
    remainingItemCount: int = 0  # noqa: N815 - the wire's name


class _Counted(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    items: list[msgspec.Raw] | None = None


async def unread(api: Api, discovery: Discovery, wanted: Iterable[Resource], spaces: Sequence[str]) -> list[Missing]:
    """What is there of the wanted kinds in namespaces `spaces` and is not read: how many, of which version."""
    found = []
    for resource in wanted:
        for other, why in await _others(discovery, resource):
            found += await _told(api, other, why, spaces)
    return found


async def _others(discovery: Discovery, resource: Resource) -> list[tuple[Resource, str]]:
    """Where else a kind is served, once a group: all versions of a group hold the same objects."""
    found = []
    if not await discovery.has(resource):
        found = [(resource.group, version, VERSION) for version in await _first(discovery, resource.group, resource)]
    for group in resource.former_groups:
        found += [(group, version, GROUP) for version in await _first(discovery, group, resource)]
    return [(replace(resource, group=group, versions=(version,)), why) for group, version, why in found]


async def _first(discovery: Discovery, group: str, resource: Resource) -> list[str]:
    return (await discovery.versions(group, resource.plural))[:1]


async def _told(api: Api, resource: Resource, why: str, spaces: Sequence[str]) -> list[Missing]:
    name = f"of {resource.group}/{resource.version}"
    count = 0
    for space in spaces if resource.namespaced else ("",):
        what = f"count {resource.plural}.{resource.group}"
        try:
            body = await api.get(resource.path(space), {"limit": 1}, what, accept=_METADATA)
            page = msgspec.json.decode(body, type=_Counted)
        except (ControlError, msgspec.DecodeError) as error:
            told = error.message if isinstance(error, ControlError) else "the answer is no list"
            return [Missing(f"{resource.kind}s {name}", f"{why}, and how many there are is not known: {told}")]
        count += len(page.items or ()) + page.metadata.remainingItemCount
    return [Missing(f"{count} {resource.kind}{'' if count == 1 else 's'} {name}", why)] if count else []
