"""What every object and every answer of an API server has: metadata, lists, refusals, watch events."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from control.errors import PlatformError
from control.text import clean

T = TypeVar("T")


class Wire(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    pass


class OwnerReference(Wire):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    controller: bool = False


class ManagedFields(Wire):
    manager: str = ""
    operation: str = ""
    time: str = ""
    subresource: str = ""


class Metadata(Wire):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    managed_fields: list[ManagedFields] | None = None
    deletion_timestamp: str | None = None


class Bare(Wire):
    """Any object, of which only the metadata matters."""

    metadata: Metadata


class ListMeta(Wire):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Cause(Wire):
    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(Wire):
    causes: list[Cause] | None = None
    retry_after_seconds: int = 0


class ApiStatus(Wire):
    """What an API server answers when it refuses, and the body of a watch's ERROR event."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)


class WatchEvent(Wire):
    type: str
    object: msgspec.Raw


def decode(body: bytes, wire: type[T]) -> T:
    """One object as its wire type. Raises `PlatformError` where it is not of that kind."""
    try:
        return msgspec.json.decode(body, type=wire)
    except msgspec.DecodeError as error:
        raise PlatformError(f"the object cannot be understood: {clean(str(error), 200)}") from None
