"""Turns an apiserver's audit log into a write log."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bed.writelog import WriteLog

PAUSE_SECONDS = 0.1


def object_of(event: dict[str, Any]) -> str:
    """`resource.group/namespace/name[/subresource]`, with `?dryRun=All` where nothing was to be stored."""
    reference = event.get("objectRef") or {}
    resource = ".".join(part for part in (reference.get("resource"), reference.get("apiGroup")) if part)
    parts = [resource, *(reference.get(key) for key in ("namespace", "name", "subresource"))]
    name = "/".join(part for part in parts if part) or str(event.get("requestURI", "")).partition("?")[0]
    return f"{name}?dryRun=All" if "dryRun=" in str(event.get("requestURI", "")) else name


def record(line: bytes, log: WriteLog) -> None:
    """Write down one audit event, refused ones too: an attempt counts."""
    event = json.loads(line)
    at = datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00")).timestamp()
    log.add(event["user"]["username"], event["verb"], object_of(event), at)


async def follow(path: Path, log: WriteLog) -> None:
    """Follow `path` for ever."""
    while not path.exists():
        await asyncio.sleep(PAUSE_SECONDS)
    rest = b""
    with path.open("rb") as source:
        while True:
            data = source.read()
            if not data:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                record(line, log)
