"""The one serialiser: what is stored, printed and read back, made by msgspec with the leaf types of the model.

A *document* is a struct of `control.contract.documents`, or a value of the model itself where no other program reads
it. JSON values are what the standard library's `json` knows.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from control.model import exact

T = TypeVar("T")


def to_json(document: Any) -> Any:
    """A document as JSON values."""
    return msgspec.to_builtins(document, enc_hook=exact.encode)


def to_text(document: Any) -> bytes:
    """A document as JSON text, indented by two."""
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=exact.encode), indent=2)


def from_json(value: Any, kind: type[T]) -> T:
    """The document of a kind that JSON values hold. Raises `ValueError`, naming the place, for what is none."""
    try:
        return msgspec.convert(value, kind, dec_hook=exact.decode)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def from_text(text: bytes, kind: type[T]) -> T:
    """The document of a kind that JSON text holds. Raises `ValueError` for what is none."""
    try:
        return msgspec.json.decode(text, type=kind, dec_hook=exact.decode)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def alike(value: Any, kind: type[T]) -> T:
    """A value of another kind with the same names of fields: a document of a value of the model, or the other way."""
    return msgspec.convert(value, kind, from_attributes=True, dec_hook=exact.decode)


def pack(value: Any) -> bytes:
    """A value of the model as bytes for a later start of the program."""
    return msgspec.msgpack.encode(value, enc_hook=exact.encode)


def unpack(data: bytes, kind: type[T]) -> T:
    """What was packed. Raises `ValueError` for what is none."""
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=exact.decode)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def canonical(value: Any) -> bytes:
    """The one way of writing JSON values that hashes are computed over: sorted keys, no spaces, UTF-8.

    By the standard library, whose numbers the hashes of earlier versions were computed over.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
