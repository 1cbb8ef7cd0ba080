"""What `trafficdeck doctor` says of a cluster: reach, identity, rights and what a missing one costs, data planes."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Protocol

from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.client.rights import Rights
from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.collect import Collector
from adapters.kubernetes.owners.sources import read_sources
from adapters.kubernetes.planes.cluster_planes import ClusterPlanes
from control.deck.config import EnvironmentConfig
from control.errors import ControlError
from control.model import Missing
from control.ports import Check
from control.text import clean

CLOCK_SECONDS = 5.0
_COSTS = {
    "list": "nothing of this kind is shown",
    "watch": "changes made elsewhere show only at the next refresh",
    "patch": "these cannot be edited",
}


class Cluster(Protocol):
    """What is asked of a cluster's reader."""

    config: EnvironmentConfig

    @property
    def api(self) -> Api: ...
    @property
    def rights(self) -> Rights: ...
    @property
    def collector(self) -> Collector: ...
    @property
    def planes(self) -> ClusterPlanes: ...
    def connection(self) -> Connection: ...
    async def namespace_hint(self) -> str: ...


async def checks(reader: Cluster) -> list[Check]:
    """All lines; the first failure to reach the server ends them."""
    try:
        connection = reader.connection()
        started = time.monotonic()
        await reader.api.ping()
        took = time.monotonic() - started
    except ControlError as error:
        return [Check("reach", "fail", error.message, error.hint or "")]
    lines = [Check("reach", "ok", f"{connection.what} answers in {took * 1000:.0f} ms")]
    lines += _clock(reader.api.server_date)
    identity = await reader.rights.identity()
    lines.append(Check("identity", "ok" if identity else "warn", identity or "the server does not say who we are"))
    try:
        for codec in reader.collector.codecs:
            lines += await _kind(reader, codec.resource)
        lines += await _around(reader)
        lines += [_unread(one) for one in await reader.collector.unread()]
        lines += await _owners(reader)
    except ControlError as error:
        lines.append(Check("kinds", "fail", error.message, error.hint or ""))
    lines += await reader.planes.checks()
    return lines


def _clock(date: str) -> list[Check]:
    """How far the server's clock is from ours; HTTP dates are whole seconds."""
    try:
        off = abs(parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return [Check("clock", "warn", "the server does not say what time it is")]
    if off > CLOCK_SECONDS:
        hint = "set both clocks: ages and tokens are judged by them"
        return [Check("clock", "warn", f"the server's clock is {off:.0f} s from ours", hint)]
    return [Check("clock", "ok", "as ours")]


async def _kind(reader: Cluster, resource: Resource) -> list[Check]:
    name = resource.plural
    try:
        if not await reader.collector.discovery.has(resource):
            return [Check(name, "ok", f"not installed ({resource.group}/{resource.version})")]
        missing, unknown = [], False
        for namespace in reader.collector.spaces(resource):
            for verb in _COSTS:
                may = await reader.rights.may(verb, resource, namespace, fresh=True)
                unknown = unknown or may is None
                if may is False:
                    where = f" in {clean(namespace)}" if namespace else ""
                    missing.append(f"may not {verb}{where}: {_COSTS[verb]}")
    except ControlError as error:
        return [Check(name, "fail", error.message, error.hint or "")]
    if unknown:
        hint = "only trying tells; let the role create selfsubjectaccessreviews.authorization.k8s.io"
        return [Check(name, "warn", f"the server does not say what we may do: {reader.rights.why_unknown}", hint)]
    if not missing:
        return [Check(name, "ok", "list, watch and patch are allowed")]
    hint = f"ask for {', '.join(_COSTS)} on {resource.qualified}"
    if any("list" in one for one in missing):
        hint = await reader.namespace_hint() or hint
    return [Check(name, "fail" if any("list" in one for one in missing) else "warn", "; ".join(missing), hint)]


async def _owners(reader: Cluster) -> list[Check]:
    """The tools that write routes themselves: where they are hidden from us, an edit may be taken back unforeseen."""
    sources = await read_sources(reader.api, reader.collector.discovery, reader.collector.namespaces)
    if not sources.unread:
        return []
    told = f"who else writes the routes is not known: {', '.join(sources.unread)} may not be read"
    return [Check("owners", "warn", told, "ask for list on these")]


async def _around(reader: Cluster) -> list[Check]:
    """What the planes look at beside the rows; a line only for what we may not list."""
    discovery, told = reader.collector.discovery, []
    for one in await reader.planes.surroundings():
        if not await discovery.has(one.resource):
            continue
        spaces = reader.collector.spaces(one.resource)
        if False in [await reader.rights.may("list", one.resource, space, fresh=True) for space in spaces]:
            hint = f"ask for list on {one.resource.qualified}"
            told.append(Check(one.resource.plural, "warn", f"may not list: {one.costs}", hint))
    return told


def _unread(one: Missing) -> Check:
    return Check("versions", "warn", str(one), "upgrade the CRDs, or move the objects to the version that is read")
