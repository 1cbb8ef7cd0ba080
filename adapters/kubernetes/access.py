"""May this identity write here? Asked kind by kind, and namespace by namespace where it may not everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from adapters.kubernetes.client.rights import Rights
from adapters.kubernetes.collect import Collector
from adapters.kubernetes.kinds.common import Codec
from adapters.kubernetes.object_store import ObjectStore
from control.deck.config import EnvironmentConfig
from control.model import Access, AccessState
from control.text import clean

MAXIMUM_ASKED_NAMESPACES = 40


async def namespace_hint(collector: Collector, rights: Rights, namespace: str | None) -> str:
    """What to do in the deck file where not all namespaces may be read. `namespace` is the context's own."""
    if collector.namespaces != ("",):
        return ""
    space = namespace or "default"
    if any([await rights.may("list", codec.resource, space) is True for codec in collector.codecs]):
        return f"the namespace {clean(space)} may be read: add kubernetes.namespaces: [{clean(space)}]"
    return "name the namespaces that you may read under kubernetes.namespaces, or the kinds under kubernetes.kinds"


async def asked(config: EnvironmentConfig, rights: Rights, namespaces: Sequence[str], store: ObjectStore) -> Access:
    """The access to the kinds that are held; why each kind and namespace is refused is noted in `store`."""
    if config.read_only:
        return Access(AccessState.READ_ONLY_BY_TOOL, "read_only in the deck file")
    known = store.kinds.by_group_kind
    kinds = [known[kind] for kind in store.objects if kind in known]
    store.refused = {}
    answers = await asyncio.gather(*(_refusals(codec, rights, namespaces, store) for codec in kinds))
    if rights.why_unknown:
        return Access(AccessState.UNKNOWN, f"the server does not say what we may change: {rights.why_unknown}")
    refused = [codec.resource.plural for codec, spaces in zip(kinds, answers, strict=True) if spaces]
    if kinds and all("" in spaces for spaces in answers):
        return Access(AccessState.READ_ONLY_BY_ROLE, f"our role may not patch {', '.join(refused)}")
    return Access(AccessState.WRITABLE, f"but not everywhere: {', '.join(refused)}" if refused else "")


async def _refusals(codec: Codec, rights: Rights, namespaces: Sequence[str], store: ObjectStore) -> list[str]:
    """Namespaces in which we may not patch a kind; an empty name where we may in none."""
    spaces = list(namespaces) if codec.resource.namespaced else [""]
    if spaces == [""]:
        if await rights.may("patch", codec.resource) is not False:
            return []
        spaces = sorted({native.metadata.namespace for native in store.of(codec.resource.group_kind)})
    queried = spaces[:MAXIMUM_ASKED_NAMESPACES]
    answers = await asyncio.gather(*(rights.may("patch", codec.resource, space) for space in queried))
    refused = [space for space, may in zip(queried, answers, strict=True) if may is False]
    for space in refused:
        where = f" in {clean(space)}" if space else ""
        store.refused[(codec.resource.group_kind, space)] = f"our role may not patch {codec.resource.plural}{where}"
    return [""] if len(refused) == len(spaces) else refused
