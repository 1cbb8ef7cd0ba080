"""The table of kinds: one line each, and the user's own beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from adapters.engine.kind import Kind
from adapters.kubernetes.client.resource import GroupKind
from adapters.kubernetes.kinds import grpcroute, httproute, ingressroute, middleware, traefikservice, virtualservice
from adapters.kubernetes.kinds.common import Codec
from control.errors import NotFound
from control.model.ref import Ref
from control.text import clean

_OURS = (
    httproute.CODEC,
    grpcroute.CODEC,
    traefikservice.CODEC,
    ingressroute.CODEC,
    virtualservice.CODEC,
    middleware.CODEC,
)
CODECS: dict[str, Codec] = {codec.kind: codec for codec in _OURS}
"""By the kind's name in refs."""


class Kinds:
    """The kinds that are read in one environment: ours and those of the user's own."""

    def __init__(self, own: Iterable[Kind] = ()) -> None:
        self.codecs = CODECS | {kind.kind: _own(msgspec.json.encode(kind)) for kind in own}
        """By the kind's name in refs."""
        self.own = frozenset(c.resource.group_kind for name, c in self.codecs.items() if name not in CODECS)
        """The user's kinds, which no plane of ours serves."""
        self.by_group_kind: dict[GroupKind, Codec] = {c.resource.group_kind: c for c in self.codecs.values()}

    def codec_of(self, ref: Ref) -> Codec:
        """The codec of a ref's kind. Raises `NotFound`."""
        try:
            return self.codecs[ref.kind]
        except KeyError:
            known = ", ".join(self.codecs)
            raise NotFound(
                f"there is no kind '{clean(ref.kind)}' on Kubernetes", ref=str(ref), hint=f"kinds: {known}"
            ) from None


@lru_cache(maxsize=256)
def _own(kind: bytes) -> Codec:
    """A kind of the user's own, compiled once for all the environments that have it."""
    return Codec(msgspec.json.decode(kind, type=Kind))


OURS = Kinds()
"""Where the user has none."""
