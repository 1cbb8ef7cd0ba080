"""Writing one cluster: one guarded JSON Patch for each step, never tried twice."""

from __future__ import annotations

import re
from functools import partial

import httpx
import msgspec

from adapters.engine.operations import patch_of
from adapters.kubernetes.client.api import FIELD_MANAGER, Api
from adapters.kubernetes.client.objects import Bare
from adapters.kubernetes.kinds.common import namespace_of
from adapters.kubernetes.kinds.table import Kinds
from adapters.kubernetes.planes.plane import Payload
from adapters.kubernetes.reader import KubernetesReader
from control.errors import ControlError, PlatformError, ReadOnly, UsageError
from control.ports import Prepared, SetField, Written
from control.text import clean

_OBJECT = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/[^/]+)?/(?P<plural>[^/]+)/[^/]+\Z")


class PatchTransport(httpx.AsyncBaseTransport):
    """Lets patches of the kinds that we know through to `inner`, under our own field manager; nothing else."""

    def __init__(self, kinds: Kinds, inner: httpx.AsyncBaseTransport, prefix: str = "") -> None:
        self._inner = inner
        self._prefix = prefix
        self._known = {(codec.resource.group, codec.resource.plural) for codec in kinds.codecs.values()}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        object_ = _OBJECT.match(request.url.path.removeprefix(self._prefix))
        known = object_ is not None and (object_["group"] or "", object_["plural"]) in self._known
        ours = request.url.params.get("fieldManager") == FIELD_MANAGER
        if request.method != "PATCH" or not ours or not known:
            raise ReadOnly(
                f"a {request.method} to {clean(request.url.path, 200)} was held back: only plans are written"
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class KubernetesWriter:
    """See `control.ports.Writer`. Its connection is its own: the reader's cannot write."""

    def __init__(self, reader: KubernetesReader) -> None:
        self._reader = reader
        self._api: Api | None = None

    async def write(self, step: Prepared) -> Written:
        """Send the step's patch, whose tests refuse any object but the one that was planned on."""
        payload = step.payload
        if not isinstance(payload, Payload) or payload.ref.environment != self._reader.name:
            raise UsageError(f"this step was not prepared for {self._reader.name}")
        if self._api is None:
            self._api = Api(self._reader.connection(), partial(PatchTransport, self._reader.kinds))
        ref = payload.ref
        resource = await self._reader.collector.resource(payload.codec)
        ops = [*payload.guards, *patch_of([one for one in step.writes if isinstance(one, SetField)])]
        try:
            body, warnings = await self._api.patch(resource, namespace_of(ref), ref.name, ops)
        except ControlError as error:
            error.ref = error.ref or step.object
            raise
        try:
            generation = msgspec.json.decode(body, type=Bare).metadata.generation
        except msgspec.DecodeError:
            raise PlatformError(f"{self._api.where} took the patch and answered with no object") from None
        return Written("; ".join([f"generation {generation}", *warnings]), self._reader.answered(ref, body))

    async def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._api is not None:
            await self._api.close()
