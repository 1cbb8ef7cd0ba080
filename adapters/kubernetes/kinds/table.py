"""The table of kinds: one line each."""

from __future__ import annotations

from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.kinds import httproute, ingressroute, middleware, traefikservice
from adapters.kubernetes.kinds.common import Codec
from control.errors import NotFound
from control.model.ref import Ref
from control.text import clean

CODECS: dict[str, Codec] = {
    codec.kind: codec for codec in (httproute.CODEC, traefikservice.CODEC, ingressroute.CODEC, middleware.CODEC)
}
"""By the kind's name in refs."""
BY_GROUP_KIND: dict[GroupKind, Codec] = {codec.resource.group_kind: codec for codec in CODECS.values()}


def codec_of(ref: Ref) -> Codec:
    """The codec of a ref's kind. Raises `NotFound`."""
    try:
        return CODECS[ref.kind]
    except KeyError:
        known = ", ".join(CODECS)
        raise NotFound(
            f"there is no kind '{clean(ref.kind)}' on Kubernetes", ref=str(ref), hint=f"kinds: {known}"
        ) from None
