"""Hostile texts planted where each platform lets somebody write free text, and the hunt for what came through."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from control.model.ref import Ref
from control.structs import Frozen
from tests.bed.description import Bed

TEXT = "x\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u200b[/]y"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b"


def is_clean(text: str, lines: bool = False) -> bool:
    """No control, escape or bidi character; line breaks where `lines`."""
    return all((c == "\n" and lines) or not (ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F or c in BIDI) for c in text)


def texts(value: object) -> Iterator[str]:
    """Every string in a model value but refs, whose segments are raw for writing back."""
    if isinstance(value, Ref | Enum):
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Frozen):
        for name in value.__struct_fields__:
            yield from texts(getattr(value, name))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, tuple | list | set | frozenset):
        for item in value:
            yield from texts(item)


@contextmanager
def planted(bed: Bed, ref: Ref) -> Iterator[None]:
    """Hostile text beside or inside the object that holds `ref`, gone again afterwards."""
    if ref.environment in ("eu", "us"):
        with _annotated(bed, ref):
            yield
    elif ref.environment == "fn":
        with _described(bed):
            yield
    else:
        with _commented(bed, ref):
            yield


@contextmanager
def _annotated(bed: Bed, ref: Ref) -> Iterator[None]:
    from tests.bed.build import binary_path

    entry = next(entry for entry in bed.kubernetes if entry.environment == ref.environment)

    kubectl = [str(binary_path()), "kubectl", "--kubeconfig", entry.kubeconfig, "-n", ref.scope]

    def patch(value: str | None) -> None:
        meta = {
            "labels": {"app.kubernetes.io/managed-by": "Helm" if value else None},
            "annotations": {"meta.helm.sh/release-name": value, "meta.helm.sh/release-namespace": value},
        }
        subprocess.run(
            [*kubectl, "patch", ref.kind.lower(), ref.name, "--type=merge", "-p", json.dumps({"metadata": meta})],
            check=True,
            capture_output=True,
            timeout=30,
        )

    patch(TEXT)
    try:
        yield
    finally:
        patch(None)


@contextmanager
def _commented(bed: Bed, ref: Ref) -> Iterator[None]:
    config = Path(bed.host(ref.scope).config)
    if ref.kind.startswith("Nginx"):
        config = config.parent / ("conf.d/limits.conf" if "Limit" in ref.kind else "sites-available/models")
    before = config.read_bytes()
    config.write_bytes(before + f"# {TEXT}\n".encode())
    try:
        yield
    finally:
        config.write_bytes(before)


@contextmanager
def _described(bed: Bed) -> Iterator[None]:
    import boto3

    client: Any = boto3.client(
        "lambda",
        region_name="eu-central-1",
        endpoint_url=bed.aws[0].endpoint,
        aws_access_key_id="outside",
        aws_secret_access_key="outside",
    )
    client.update_alias(FunctionName="chat", Name="live", Description=TEXT)
    try:
        yield
    finally:
        client.update_alias(FunctionName="chat", Name="live", Description="")
